"""The demo: what the package does, shown within three minutes on one page that grows as parts are done."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

from pixelnet.demo import few, own, photographs, trained
from pixelnet.files import inside, require_writable, write_atomic
from pixelnet.report import page

TITLE = "PixelNet: every pixel, learnt from a few"
LEAD = (
    "PixelNet learns any problem that has an answer for every pixel from a few sampled pixels of each image, each "
    "described by its hypercolumn: what all depths of one network say about that place. First, models that ship with "
    "the package look at photographs. Then one is fitted to a few labelled pixels. Last, one network learns three "
    "problems from nothing, on generated scenes and on this machine."
)
SECONDS = 150.0  # for all parts, so that the demo ends within three minutes, imports and a slow disk included
# In the order in which they are done, and shown: what is there at once comes first. Each is given the demo's folder and
# the seconds that it may take, an equal share of what is left; training, at the end, uses its own up.
PARTS: Sequence[tuple[str, Callable[[Path, float], str]]] = (
    ("models that ship, on photographs", photographs.part),
    ("a few labelled pixels", few.part),
    ("which pixels training looks at", lambda *_: trained.sampling_part()),
    *((f"training of {name}", partial(trained.part, name)) for name in trained.TASKS),
)


def demo(out: str | Path) -> Path:
    """Ask models that ship, fit one to a few labelled pixels, train three, and write a page about it.

    Args:
        out: folder; it gets report.html, which is written anew as each part is done; the photographs and the table of
            points, which are kept if they are there; and a run in the folder of each task's name. Training that an
            earlier demo has left unfinished is finished, and what it has finished is kept.

    Returns:
        Path of report.html, which is complete in itself.

    Raises:
        InputError: `out` is no folder, or holds runs of other settings.
    """
    folder = Path(out)
    require_writable(folder, folder=True)
    report = inside(folder, "report.html")
    photographs.lay_out(folder)
    end = perf_counter() + SECONDS
    parts: list[str] = []
    for number, (title, part) in enumerate(PARTS, start=1):
        print(f"{number} of {len(PARTS)}: {title}", flush=True)
        parts.append(part(folder, (end - perf_counter()) / (len(PARTS) + 1 - number)))
        coming = [later for later, _ in PARTS[number:]]
        pending = [_pending(coming)] if coming else []
        text = page.page(TITLE, LEAD, [*parts, *pending, own.part()])
        write_atomic(report, text.encode("utf-8"))
        if number == 1:
            print(f"   {report} shows it already, and grows", flush=True)
    return report


def _pending(titles: Sequence[str]) -> str:
    """The card that stands for what is not done yet."""
    return page.section(
        "Still to come",
        page.paragraph(f"{'; '.join(titles)}. Load this page again to see what is done by then."),
    )
