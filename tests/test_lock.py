"""One run, one writer."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import TINY

import pixelnet
from pixelnet import InputError
from pixelnet.runs.lock import LOCK, only_writer

HOLD = "import sys; sys.path.insert(0, '.')\nfrom pathlib import Path\nfrom pixelnet.runs.lock import only_writer\n"
HOLD += "with only_writer(Path(sys.argv[1]), (), ()): print('held', flush=True); sys.stdin.read()"
ROOT = Path(__file__).parents[1]


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"held\n"
    with pytest.raises(InputError, match=r"another process is at work in .*run; wait for it to end, or choose another"):
        pixelnet.train(**TINY, out=run)
    first.send_signal(signal.SIGKILL)  # which gives it no time to take its lock away
    first.wait()
    assert (run / LOCK).exists()
    with only_writer(run, (), ()):
        pass
    assert not (run / LOCK).exists()


def test_a_folder_that_was_made_for_nothing_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file or folder|there is no folder"):
        pixelnet.train(**{**TINY, "data": f"camvid:{tmp_path / 'none'}"}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()

    def fail(*names: str) -> None:
        for name in names:
            (tmp_path / "run" / name).write_text("")
        raise ZeroDivisionError

    for names, there in ((["b"], False), (["a", "b"], True)):
        with pytest.raises(ZeroDivisionError), only_writer(tmp_path / "run", ("a",), ("b",)):
            fail(*names)
        assert (tmp_path / "run").exists() == there


def test_a_run_that_was_killed_before_it_learnt_anything_is_in_nobodys_way(tmp_path: Path) -> None:
    pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path / "run")
    for name in ("checkpoint.pt", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        pixelnet.train(**{**TINY, "max_steps": 1}, out=tmp_path / "run")


def test_a_planted_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"metrics.jsonl"):
        pixelnet.train(**TINY, out=tmp_path / "run")
    assert not (tmp_path / "elsewhere").exists()
