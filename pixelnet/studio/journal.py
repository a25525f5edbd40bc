"""A journal of what people did: a line of JSON each, on disk before anybody is told that it was done.

Several may write at once; whoever comes to the disk first takes the others' lines along.
"""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

from pixelnet.errors import InputError
from pixelnet.files import inside, read_bytes

Record = dict[str, Any]
LARGEST = 2**34  # bytes of a journal


class Journal:
    """The journal in a file, which is made if it is not there.

    What a process that was killed has left of a last line is cut off: nobody was told that it was done. Raises
    InputError for a line that is no record, and where the file cannot be written.
    """

    def __init__(self, folder: Path, name: str = "journal.jsonl") -> None:
        self.path = inside(folder, name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = read_bytes(self.path, LARGEST) if self.path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        self.records = [self._parsed(number, line) for number, line in enumerate(whole.splitlines(), start=1)]
        try:
            self._file = self.path.open("ab")
            self._file.truncate(len(whole))
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be written: {error.strerror}; the studio keeps labels there"
            ) from error
        self._written = self._synced = len(whole)
        self._writing, self._syncing = Lock(), Lock()

    def _parsed(self, number: int, line: bytes) -> Record:
        try:
            record = json.loads(line)
            if isinstance(record, dict):
                return record
            reason = "it is no object"
        except ValueError as error:
            reason = str(error)
        raise InputError(
            f"{self.path}, line {number}, cannot be read: {reason}; move the file away to begin with the label maps"
        )

    def write(self, record: Record) -> int:
        """Add a record, and return what `sync` waits for. Records lie in the order in which they were written.

        Raises InputError where the disk takes no more; what was there stays whole.
        """
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._writing:
            try:
                written = os.write(self._file.fileno(), line)
            except OSError as error:
                raise InputError(f"{self.path} cannot be written: {error.strerror}; free some space") from error
            if written < len(line):
                os.ftruncate(self._file.fileno(), self._written)
                raise InputError(f"{self.path} cannot be written: the disk is full; free some space")
            self._written += written
            return self._written

    def sync(self, end: int) -> None:
        """Return when all up to `end` is on disk."""
        with self._syncing:
            if self._synced >= end:
                return
            reached = self._written
            os.fsync(self._file.fileno())
            self._synced = reached

    def close(self) -> None:
        """No more is written."""
        self._file.close()
