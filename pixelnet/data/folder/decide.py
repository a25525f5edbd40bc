"""Which class each stored number or color of a folder's label maps stands for, decided over all maps at once.

Masks of 0 and 255 are two classes; 255 beside ids that run from 0 is unlabelled; colors are looked up. Of what can be
meant in two ways the likelier is taken, and said, with the key that says otherwise.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from pixelnet.data.dataset import UNLABELLED
from pixelnet.data.folder.coding import FEW, Coding, Scan, color_of, key_of, listed, shown
from pixelnet.data.folder.form import FILE, OTHER, RGB, ClassForm, Form
from pixelnet.errors import InputError

MOST = 254  # classes, beside 255, unlabelled
MANY_GRAYS = 16  # different numbers from which on a black and white mask is taken to be anti-aliased
EXTREMES = 0.8  # share of its pixels that must be black or white then
FEW_COLORS = 64  # of maps whose colors nobody has named
BLOBS = 0.9  # share of numbers that are one blob in their image, from which on they number objects
STRAY = 0.01  # share of the pixels that may hold numbers of no class: files with a few are named when they are read
NAMED = 5


def decide(scans: Sequence[Scan], form: Form) -> Coding:
    """The coding of label maps whose contents are known, by what the form says and else by what is there.

    Raises InputError where numbers and classes do not go together, or there is nothing to tell classes by.
    """
    scans = _of_one_kind(scans, form)
    if any(own.colored for own in scans) or _by_palette(scans, form):
        return _by_color(scans, form)
    found = _total(scans, "values")
    top = max((own.top for own in scans), default=0)
    if form.threshold is not None or _antialiased(found, top, form):
        return _thresholded(found, top, form)
    return _by_value(found, scans, form)


def _of_one_kind(scans: Sequence[Scan], form: Form) -> Sequence[Scan]:
    """The maps in colors, or those in numbers, whichever are more; the others are named when they are read.

    A map in colors may be all black or white: what is stored as they are, or has others' colors, is no other kind.
    """
    colored = [own for own in scans if own.colored]
    gray = [own for own in scans if _is_gray(own)]
    known = {color for own in colored for color in own.values.tolist()}
    known |= {key_of(own.color) for own in form.classes if own.color is not None}
    if not colored or all(int(value) * 0x010101 in known for own in gray for value in own.values):
        return scans
    maps = [sum(own.maps for own in some) for some in (gray, colored)]
    return gray if maps[0] > maps[1] else [own for own in scans if not _is_gray(own)]


def _is_gray(own: Scan) -> bool:
    return not (own.colored or own.triple) and own.palette is None


def _total(scans: Iterable[Scan], what: str) -> Counter[int]:
    """How often each number is there in all maps."""
    found: Counter[int] = Counter()
    for own in scans:
        for value, count in zip(getattr(own, what).tolist(), own.counts.tolist(), strict=True):
            found[value] += count
        for value in own.nodata:
            if np.isfinite(value):
                found.pop(int(value), None)
    found.pop(-1, None)
    return found


def _by_palette(scans: Sequence[Scan], form: Form) -> bool:
    """Whether palettes are to be read by their colors: classes have colors alone, or one index has several."""
    palettes = [own for own in scans if own.palette is not None]
    if not palettes:
        return False
    if form.classes and all(own.color is not None and own.values is None for own in form.classes):
        used = {color for own in palettes for color in own.palette.tolist()}  # type: ignore[union-attr]
        return used & {key_of(own.color) for own in form.classes if own.color} != set()
    known: dict[int, int] = {}
    return any(
        known.setdefault(index, color) != color
        for own in palettes
        for index, color in zip(own.values.tolist(), own.palette.tolist(), strict=True)  # type: ignore[union-attr]
    )


def _by_color(scans: Sequence[Scan], form: Form) -> Coding:
    found: Counter[int] = Counter()
    for own in scans:
        colors = own.values if own.colored else own.palette if own.palette is not None else own.values * 0x010101
        for color, count in zip(colors.tolist(), own.counts.tolist(), strict=True):
            found[color] += count
    unlabelled = tuple(
        key_of(value) if isinstance(value, tuple) else value * 0x010101 for value in form.unlabelled or ()
    )
    if form.classes:
        without = [own.name for own in form.classes if own.color is None]
        if without:
            raise InputError(
                f"the label maps are in colors ({_colors(found)}), and {FILE} gives {', '.join(without)} none; give "
                'each class its "color"'
            )
        named = [(own.name, own.color) for own in form.classes if own.color]
    else:
        rest = [color for color, _ in found.most_common() if color not in unlabelled]
        if not 2 <= len(rest) <= FEW_COLORS:
            raise InputError(
                f"the label maps hold {len(rest)} colors ({_colors(found)}), so which are classes must be said: give "
                f'{FILE} "classes", each with a name and a "color"'
            )
        rest.sort()
        named = [(shown(color), color_of(color)) for color in rest]
    coding = Coding(
        tuple(name for name, _ in named),
        tuple(color for _, color in named),
        tuple((key_of(color),) for _, color in named),
        unlabelled,
        colored=True,
    )
    if not form.classes:
        coding.notes.append(f"label maps are in colors: each is a class, {coding}")
        coding.questions.append(f'what the colors {_colors(found)} mean: name them in "classes" of {FILE}')
    return coding


def _colors(found: Counter[int]) -> str:
    return ", ".join(shown(color) for color, _ in found.most_common(NAMED)) + (", ..." if len(found) > NAMED else "")


def _antialiased(found: Counter[int], top: int, form: Form) -> bool:
    """Whether masks are black and white with grays along the borders."""
    if any(own.values is not None for own in form.classes) or len(form.classes) not in (0, 2) or not top:
        return False
    total = sum(found.values())
    low, high = max(1, top // 50), top - max(1, top // 50)
    extremes = sum(count for value, count in found.items() if value <= low or value >= high)
    both = any(value <= low for value in found) and any(value >= high for value in found)
    return top >= 255 and both and len(found) > MANY_GRAYS and extremes >= EXTREMES * total and 0 in found


def _thresholded(found: Counter[int], top: int, form: Form) -> Coding:
    threshold = (top + 1) / 2 if form.threshold is None else form.threshold
    names = tuple(own.name for own in form.classes) or ("0", str(max(found, default=1)))
    if len(names) != 2:
        raise InputError(
            f"a threshold makes two classes, and {FILE} names {', '.join(names)}; name two, or leave it out"
        )
    unlabelled = tuple(value for value in form.unlabelled or () if isinstance(value, int))
    coding = Coding(names, _own_colors(form), unlabelled=unlabelled, threshold=threshold)
    between = sum(count for value, count in found.items() if value not in (0, max(found)))
    share = between / max(sum(found.values()), 1)
    if form.threshold is None:
        coding.notes.append(
            f"masks are black and white with grays between ({share:.1%} of the pixels): from "
            f'{threshold:g} on they are white ("threshold" says otherwise)'
        )
    return coding


def _own_colors(form: Form) -> tuple[RGB, ...]:
    colors = [own.color for own in form.classes if own.color is not None]
    return tuple(colors) if len(colors) == len(form.classes) else ()


def _by_value(found: Counter[int], scans: Sequence[Scan], form: Form) -> Coding:
    if form.unlabelled is None:
        unlabelled, why = _plainly_unlabelled(found, scans)
    else:
        unlabelled, why = tuple(value for value in form.unlabelled if isinstance(value, int)), ""
    classes, note = _assigned(found, unlabelled, form)
    coding = Coding(
        tuple(own.name for own in classes),
        _own_colors(form) if form.classes else (),
        tuple(() if own.values in (None, OTHER) else tuple(own.values) for own in classes),  # type: ignore[arg-type]
        unlabelled,
        other=next((k for k, own in enumerate(classes) if own.values == OTHER), None),
    )
    coding.notes += [text for text in (why, note) if text]
    coding.questions += _questions(found, scans, coding, form)
    absent = [
        coding.names[k] for k, own in enumerate(coding.stored) if own and not any(value in found for value in own)
    ]
    if absent and form.classes:
        coding.notes.append(f"no pixel is labelled {', '.join(absent[:NAMED])}{', ...' if len(absent) > NAMED else ''}")
    return coding


def _plainly_unlabelled(found: Counter[int], scans: Sequence[Scan]) -> tuple[tuple[int, ...], str]:
    """255 where other ids make it plain: they run from 0 or 1 up, or are a palette's indices."""
    others = sorted(value for value in found if value != UNLABELLED)
    if UNLABELLED not in found or not others:
        return ((UNLABELLED,), "") if UNLABELLED not in found and max(found, default=0) < UNLABELLED else ((), "")
    if others == [0]:
        return (), "masks hold 0 and 255: two classes, as no other number makes 255 unlabelled"
    palettes = all(own.palette is not None for own in scans)
    if palettes or (1 in others and others[-1] < UNLABELLED and len(others) > 0.5 * others[-1]):
        share = found[UNLABELLED] / sum(found.values())
        return (UNLABELLED,), f"255 is unlabelled ({share:.1%} of the pixels), beside the ids {listed(others)}"
    return (), ""


def _assigned(found: Counter[int], unlabelled: tuple[int, ...], form: Form) -> tuple[list[ClassForm], str]:
    """The classes with the numbers of each, and what to say of it."""
    values = sorted(value for value in found if value not in unlabelled)
    total = sum(found[value] for value in values)
    if not form.classes:
        if not 2 <= len(values) <= MOST:
            raise InputError(_no_classes(values, [value for value in unlabelled if value in found]))
        return [ClassForm(str(value), (value,)) for value in values], ""
    open_ = [own for own in form.classes if own.values is None]
    taken = {value for own in form.classes if isinstance(own.values, tuple) for value in own.values}
    twice = [
        value for value in taken if sum(value in (own.values or ()) for own in form.classes if own.values != OTHER) > 1
    ]
    if twice or taken & set(unlabelled):
        value = (twice or sorted(taken & set(unlabelled)))[0]
        raise InputError(f"{FILE}: the value {value} is given to more than one class, or to one and to unlabelled")
    if sum(own.values == OTHER for own in form.classes) > 1:
        raise InputError(f'{FILE}: more than one class has the values "other"; one takes all that is left')
    rest = [value for value in values if value not in taken]
    first = [k for k in range(len(form.classes) + len(unlabelled)) if k not in unlabelled][: len(form.classes)]
    if not open_:
        return list(form.classes), ""
    if len(open_) == len(rest):
        chosen = dict(zip(map(id, open_), rest, strict=True))
    elif len(open_) == len(form.classes) and sum(found[value] for value in set(rest) - set(first)) <= STRAY * total:
        chosen = dict(zip(map(id, open_), first, strict=True))
    else:
        names = listed([own.name for own in form.classes])
        raise InputError(
            f"{FILE} names {len(form.classes)} classes ({names}) and the label maps hold {len(values)} values "
            f'({listed(values)}); give each class its "value" or "values", and say what is "unlabelled"'
        )
    classes = [ClassForm(own.name, (chosen[id(own)],), own.color) if id(own) in chosen else own for own in form.classes]
    return classes, "classes by value: " + ", ".join(f"{own.name} {chosen[id(own)]}" for own in open_[: 2 * NAMED])


def _no_classes(values: list[int], unlabelled: list[int]) -> str:
    if len(values) > MOST:
        return (
            f"the label maps hold {len(values)} values, more than there can be classes (254); if they number objects, "
            'say which are classes: "classes": [{"name": "background", "value": 0}, {"name": "object", "values": '
            '"other"}]'
        )
    what = f"the value {values[0]} alone" if values else "no class"
    beside = f" beside {listed(sorted(unlabelled))}, unlabelled" if unlabelled and values else ""
    return (
        f"the label maps hold {what}{beside}, expected two classes or more; if one occurs nowhere yet, name it with "
        f'its value in {FILE}: "classes": [{{"name": "background", "value": 0}}, {{"name": "object", "value": 1}}]'
    )


def _questions(found: Counter[int], scans: Sequence[Scan], coding: Coding, form: Form) -> list[str]:
    """What a person should be asked, and the key that answers."""
    asked = []
    values = [value for own in coding.stored for value in own]
    if (
        UNLABELLED in values
        and len(values) > 2
        and form.unlabelled is None
        and not any(own.values for own in form.classes)
    ):
        asked.append(
            f'255 is taken for a class, as {listed(values[:-1])} are; if it means unlabelled, say "unlabelled": [255]'
        )
    single, numbers = (sum(own.blobs[k] for own in scans) for k in (0, 1))
    if len(values) > FEW and numbers and single >= BLOBS * numbers and not any(own.values for own in form.classes):
        asked.append(
            f"{len(values)} values, nearly each of them one region in its image: if they number objects, say "
            '"classes": [{"name": "background", "value": 0}, {"name": "object", "values": "other"}]'
        )
    return asked
