"""Globs whose wildcards are remembered, so that a label's name can be said in terms of its image's.

"*" stands for a part of a name, "**/" for folders, "?" for one character. What they stood for is {1}, {2} and so on;
{path} is all of the image's path from the first wildcard on without its ending, {name} its last part.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import PurePosixPath

from pixelnet.data.folder.form import FILE
from pixelnet.data.folder.layout import composed
from pixelnet.errors import InputError
from pixelnet.rasters import STACKS

FIELD = re.compile(r"\{(\w*)\}")
Pair = tuple[PurePosixPath, Sequence[PurePosixPath]]


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    text, at = "", 0
    for match in re.finditer(r"\*\*/|\*\*|\*|\?|\{[^{}]*,[^{}]*\}", glob):
        text += re.escape(glob[at : match.start()])
        if match[0].startswith("{"):
            text += "(" + "|".join(re.escape(option) for option in match[0][1:-1].split(",")) + ")"
        else:
            text += {"**/": "((?:[^/]+/)*)", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}[match[0]]
        at = match.end()
    return re.compile(text + re.escape(glob[at:]))


def base_of(glob: str) -> str:
    """The folder before the first wildcard, with its slash; "" for none."""
    fixed = re.split(r"[*?{]", glob, maxsplit=1)[0]
    return fixed[: fixed.rfind("/") + 1]


def select(files: Sequence[PurePosixPath], globs: Sequence[str], where: str) -> dict[PurePosixPath, str]:
    """The files that globs name, each with the first that does. Raises InputError for a glob that names none."""
    found: dict[PurePosixPath, str] = {}
    for glob in globs:
        pattern = _compiled(composed(glob))
        named = [path for path in files if pattern.fullmatch(composed(str(path)))]
        if not named:
            raise InputError(
                f"{where} {glob!r} names no file; write a path from the data's own folder on, with * and **"
            )
        for path in named:
            found.setdefault(path, glob)
    return found


def item_name(path: PurePosixPath, glob: str) -> str:
    """{path}: an image's path from its glob's first wildcard on, without its ending."""
    text = composed(str(path))
    return text.removeprefix(composed(base_of(glob))).removesuffix(path.suffix) or path.stem


def filled(pattern: str, path: PurePosixPath, glob: str, where: str) -> str:
    """A label pattern for one image. Raises InputError for a field that is not known."""
    match = _compiled(composed(glob)).fullmatch(composed(str(path)))
    assert match is not None
    own = {str(k): text or "" for k, text in enumerate(match.groups(), start=1)}
    name = item_name(path, glob)
    own |= {"path": name, "name": PurePosixPath(name).name}

    def value(field: re.Match[str]) -> str:
        if field[1] not in own:
            raise InputError(
                f"{where} {pattern!r} has the field {field[0]}; known are {', '.join(map('{{{}}}'.format, own))}"
            )
        return own[field[1]]

    return FIELD.sub(value, pattern)


def named_pairs(
    files: Sequence[PurePosixPath], images: Sequence[str], labels: Sequence[str]
) -> dict[PurePosixPath, list[PurePosixPath]]:
    """The images that globs name, each with the files that label patterns give it.

    What is another's labels is no image.
    """
    known = {composed(str(path)): path for path in files}
    found: dict[PurePosixPath, list[PurePosixPath]] = {}
    for image, glob in select(files, images, f"{FILE}: images").items():
        found[image] = []
        for pattern in labels:
            wanted = filled(pattern, image, glob, f"{FILE}: labels")
            if "*" in wanted:
                found[image] += [path for text, path in known.items() if _compiled(wanted).fullmatch(text)]
            elif wanted in known:
                found[image].append(known[wanted])
            elif image.suffix.lower() in STACKS:  # a file for each of its pages, maybe
                stem, dot, ending = wanted.rpartition(".")
                pages = re.compile(rf"{re.escape(stem)}\[\d+\]{re.escape(dot + ending)}")
                found[image] += [path for text, path in known.items() if pages.fullmatch(text)]
    used = {path for image, own in found.items() for path in own if path != image}
    return {image: own for image, own in found.items() if image not in used}


def chosen(path: PurePosixPath, images: Sequence[str], globs: Sequence[str]) -> bool:
    """Whether one of a split's globs names an image: by its whole path, or by {path} of the globs of images; here "*"
    crosses folders."""
    whole = composed(str(path))
    names = {whole, *(item_name(path, glob) + path.suffix for glob in images)}
    names |= {name.removesuffix(path.suffix) for name in names if path.suffix}
    return any(fnmatchcase(name, composed(wanted)) for wanted in globs for name in names)


# ------------------------------------------------------------------------------------------- proposals


def proposal(files: Sequence[PurePosixPath], pairs: Sequence[Pair]) -> tuple[list[str], list[str]] | None:
    """Globs of images, and a pattern of labels for each annotator, that say what was found; None if none do.

    pairs: each image that has labels, with the files of these. The names of one image are generalized and tried on
    all.
    """
    folders = [path.parent.parts for path, _ in pairs]
    if not pairs or len({len(parts) for parts in folders}) > 1:
        return None
    columns = list(zip(*folders, strict=True))
    parts = [column[0] if len(set(column)) == 1 else "*" for column in columns]
    globs = ["/".join([*parts, f"*{ending}"]) for ending in sorted({path.suffix for path, _ in pairs})]
    first, labels = max(pairs, key=lambda pair: len(pair[1]))
    try:
        patterns = [_generalized(label, first, parts, pairs, globs) for label in labels]
        said = named_pairs(files, globs, patterns)
    except InputError:  # a name has braces, which are fields in patterns
        return None
    wanted = {image: list(own) for image, own in pairs}
    return (globs, patterns) if said == wanted else None


def _generalized(
    label: PurePosixPath, image: PurePosixPath, parts: Sequence[str], pairs: Sequence[Pair], globs: Sequence[str]
) -> str:
    """A label's path with fields in place of what its image's wildcards stood for, so that it fits the most pairs."""
    stars = [own for own, part in zip(image.parent.parts, parts, strict=True) if part == "*"]
    folders = []
    for part in label.parent.parts:
        folders.append(f"{{{stars.index(part) + 1}}}" if part in stars else composed(part))
    name, stem = composed(label.name), composed(image.stem)
    options = [
        "/".join([*folders, name[: own.start()] + "{name}" + name[own.start() + len(stem) :]])
        for own in re.finditer(f"(?={re.escape(stem)})", name)
    ]
    if len(options) < 2:  # "a" is twice in "a_mask"
        return options[0] if options else "/".join([*folders, name])
    wanted = {path: {composed(str(own)) for own in labels} for path, labels in pairs}

    def fits(pattern: str) -> int:
        return sum(filled(pattern, path, named[path], "") in own for path, own in wanted.items())

    named = select(list(wanted), globs, "")
    return max(options, key=fits)
