"""One stream of events for each page that is open."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

MOST = 16  # pages at once
BEHIND = 1000  # events that a page may be behind
BEAT = 15.0  # seconds without an event after which a sign of life is sent


class Events:
    """Tell every page what has changed; from any thread."""

    def __init__(self) -> None:
        self._pages: dict[asyncio.Queue[str | None], asyncio.AbstractEventLoop] = {}

    def tell(self, event: dict[str, Any]) -> None:
        text = f"data: {json.dumps(event, separators=(',', ':'))}\n\n"
        for queue, loop in list(self._pages.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, text)

    def full(self) -> bool:
        return len(self._pages) >= MOST

    def close(self) -> None:
        """End all streams, so that the server can."""
        for queue, loop in list(self._pages.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(_put, queue, None)

    async def stream(self, first: dict[str, Any]) -> AsyncIterator[str]:
        """Text of the events from now on, after a first one."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(BEHIND)
        self._pages[queue] = asyncio.get_running_loop()
        try:
            yield f"data: {json.dumps(first)}\n\n"
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), BEAT)
                except TimeoutError:
                    text = ": here\n\n"
                if text is None:
                    return
                yield text
        finally:
            del self._pages[queue]


def _put(queue: "asyncio.Queue[str | None]", text: str | None) -> None:
    """One that is too far behind is ended: its page asks for all anew."""
    if queue.full():
        queue.get_nowait()
        text = None
    queue.put_nowait(text)
