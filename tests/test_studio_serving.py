"""Where servers listen."""

import asyncio
import socket

from pixelnet.studio.serving import place_at


def test_small_answers_are_sent_at_once() -> None:
    """Else each waits for the other side's delayed acknowledgement: twenty strokes a second, not hundreds."""
    found: list[int] = []

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            found.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()

    async def answer() -> None:
        listening = place_at("127.0.0.1", 0).listening
        server = await asyncio.get_running_loop().create_server(Answering, sock=listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        await reader.read()
        writer.close()
        server.close()

    asyncio.run(answer())
    assert found[0] != 0
