"""The studio's journal: what was acknowledged is there, whatever has cut the process short."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pixelnet import InputError
from pixelnet.studio.journal import Journal


def test_records_come_back_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for k in range(5):
        journal.sync(journal.write({"k": k, "name": "Zürich"}))
    journal.close()
    assert [record["k"] for record in Journal(tmp_path).records] == list(range(5))


@pytest.mark.parametrize("rest", [b'{"k": 1', b"\xff\xfe", b'{"k": 1}'])
def test_a_line_that_was_cut_off_is_no_record(tmp_path: Path, rest: bytes) -> None:
    journal = Journal(tmp_path)
    journal.sync(journal.write({"k": 0}))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(rest)
    again = Journal(tmp_path)
    assert again.records == [{"k": 0}]
    again.sync(again.write({"k": 2}))
    again.close()
    assert [json.loads(line)["k"] for line in journal.path.read_text().splitlines()] == [0, 2]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"k": 0}\nnonsense\n{"k": 1}\n')
    with pytest.raises(InputError, match=r"journal.jsonl, line 2, cannot be read"):
        Journal(tmp_path)


def test_writers_at_once_share_the_way_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (syncs.append(file), sync(file)))
    journal = Journal(tmp_path)
    ends = [journal.write({"k": k}) for k in range(50)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(journal.sync, ends))
    assert len(syncs) == 1
    journal.close()


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.sync(journal.write({"k": 0}))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:4]))
    with pytest.raises(InputError, match="the disk is full; free some space"):
        journal.write({"k": 1})
    monkeypatch.undo()
    journal.close()
    assert Journal(tmp_path).records == [{"k": 0}]
