"""What images belong to, by the regular expression that dataset.json gives."""

import re
from collections.abc import Sequence

from pixelnet.data.folder.form import FILE
from pixelnet.errors import InputError


def named_groups(names: Sequence[str], pattern: str) -> tuple[str, ...]:
    """For each name what the pattern's first group finds in it, or the whole pattern. Raises InputError for nothing."""
    found = []
    for name in names:
        match = re.search(pattern, name)
        if match is None:
            raise InputError(f'{FILE}: "group" {pattern!r} finds nothing in the name {name!r}; let it fit every name')
        found.append(match[1] if match.re.groups and match[1] is not None else match[0])
    return tuple(found)
