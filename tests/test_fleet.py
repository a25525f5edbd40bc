"""The same predictor as actors of Ray Data: the bytes of one process, whoever dies, here and on S3 (moto's)."""

import json
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_inputs import encoded
from test_journal import contents
from test_predict import small

from pixelnet import InputError, predict_files
from pixelnet.inference import fleet, journal
from pixelnet.inference.answerer import Answerer, Asked
from pixelnet.inference.bulk import Unanswered
from pixelnet.inference.fleet import Counts, Work, Worker
from pixelnet.inference.inputs import Item
from pixelnet.inference.journal import FAILURES, JOURNALS, NOTE

COUNT = 12


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A dozen photos in two folders, and two that are broken."""
    rng, folder = np.random.default_rng(0), tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for k in range(COUNT):
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ("deep" if k % 2 else ".") / f"{k}.png")
    (folder / "broken.png").write_bytes((folder / "0.png").read_bytes()[:100])
    (folder / "deep/broken.png").write_bytes(b"no image")
    return folder


def items_of(folder: Path) -> list[Item]:
    return [Item(PurePath(path.stem), path, 0) for path in sorted(folder.glob("*.png"))]


def answers(worker: Worker, items: list[Item]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in worker.answer(json.dumps([fleet._given(item) for item in items]))]


def work(out: Path) -> Work:
    return Work(small(), out, None, Asked(), 1, "cpu")


def test_a_worker_tells_of_each_image(images: Path, tmp_path: Path) -> None:
    told = answers(Worker(work(tmp_path / "out"), Counts()), items_of(images))
    assert sorted(one["name"] for one in told) == sorted(item.name.name for item in items_of(images))
    assert {one["name"] for one in told if "reason" in one} == {"broken"}
    files = {name for one in told for name in one.get("files", ())}
    assert files == set(contents(tmp_path / "out"))


def test_an_image_that_its_workers_die_of_is_given_up_and_no_other(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Answerer.read

    class Death(BaseException):
        pass

    def deadly(self: Answerer, item: Item) -> object:
        if item.name.name == "4":
            raise Death
        return read(self, item)

    monkeypatch.setattr(Answerer, "read", deadly)
    tries, deaths, items = Counts(), 0, items_of(images)
    while True:
        worker = Worker(work(tmp_path / "out"), tries)
        try:
            told = answers(worker, items)
            break
        except Death:
            deaths += 1
    assert deaths == 1 + fleet.DEATHS  # with the others of its block, and alone
    reasons = {one["name"]: one["reason"] for one in told if "reason" in one}
    assert set(reasons) == {"4", "broken"}
    assert f"{images / '4.png'}: the worker that answers it has died" in reasons["4"]
    assert len(told) == len(items) == len({one["name"] for one in told})
    monkeypatch.undo()
    assert all("files" in one for one in answers(worker, [item for item in items if item.name.name == "4"]))


def test_a_full_disk_is_said_once(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise InputError("the disk is full") from OSError(28, "No space left on device")

    monkeypatch.setattr(Answerer, "write", full)
    told = answers(Worker(work(tmp_path / "out"), Counts()), items_of(images))
    assert told[-1] == {"stop": "the disk is full"}
    monkeypatch.setattr(fleet, "_answers", lambda *_: map(json.dumps, told))
    with pytest.raises(InputError, match="the disk is full"):
        predict_files(small(), images, tmp_path / "out", engine="ray")


@pytest.mark.parametrize(
    ("out", "options", "message"),
    [
        ("out", {"engine": "dask"}, "no engine 'dask'; give ray"),
        ("out", {"workers": 2}, "are of an engine; add --engine ray"),
        ("out", {"engine": "ray", "workers": 0}, "the workers are 0: give 1 or more"),
        ("s3://bucket/out", {}, r"s3:/bucket/out is elsewhere, where only --engine ray writes"),
        ("https://host/out", {"engine": "ray"}, r"https:/host/out cannot be written: answers go to s3, gs, gcs and"),
    ],
)
def test_what_does_not_go_together_is_refused(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, options: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message):
        predict_files(small(), images, out, **options)
    assert set(tmp_path.rglob("*")) == before


def test_a_launcher_and_an_engine_are_one_too_many(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="starts its own processes; call pixelnet without a launcher"):
        predict_files(small(), images, tmp_path / "out", engine="ray")


def test_without_ray_its_name_is_said(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(InputError, match=r'needs the package ray; pip install "pixelnet\[ray\]"'):
        predict_files(small(), images, tmp_path / "out", engine="ray")


def test_what_ray_does_to_signals_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason='ray is not installed; pip install "pixelnet[ray]"')
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: signal.signal(signal.SIGTERM, lambda *_: None))
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with fleet._ray():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.fixture(scope="module")
def ray(bucket: Any) -> Iterator[Any]:
    """Ray of this machine, begun once for all tests, which reaches the bucket."""
    ray = pytest.importorskip("ray", reason='ray is not installed; pip install "pixelnet[ray]"')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        handler = signal.getsignal(signal.SIGTERM)
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()
        signal.signal(signal.SIGTERM, handler)


def noted(out: Path) -> list[str]:
    """The images in a folder's journal."""
    return [json.loads(line)["name"] for line in (out / JOURNALS / "0.jsonl").read_text().split("\n") if line]


@pytest.mark.slow
def test_two_workers_leave_the_bytes_of_one_process(ray: Any, images: Path, tmp_path: Path) -> None:
    model = small()
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for k in range(3):
            archive.writestr(f"in/{k}.png", encoded(np.full((20, 24, 3), 40 * k, np.uint8)))
    inputs = [images, tmp_path / "more.zip"]
    with pytest.raises(Unanswered):
        predict_files(model, inputs, tmp_path / "one")
    with pytest.raises(Unanswered, match=r"2 of 17 images could not be answered") as error:
        predict_files(model, inputs, tmp_path / "ray", engine="ray", workers=2)
    assert len(error.value.written) == 2 * (COUNT + 3)
    assert contents(tmp_path / "ray") == contents(tmp_path / "one")
    assert (tmp_path / "ray" / FAILURES).read_bytes() == (tmp_path / "one" / FAILURES).read_bytes()
    lines = noted(tmp_path / "ray")
    assert len(lines) == len(set(lines)) == COUNT + 3
    with pytest.raises(Unanswered):  # one process goes on where Ray was
        predict_files(model, inputs, tmp_path / "ray")
    assert noted(tmp_path / "ray") == lines


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_done_without(ray: Any, images: Path, tmp_path: Path) -> None:
    import psutil

    rng, model, many, out = np.random.default_rng(1), small(), 400, tmp_path / "ray"
    for k in range(many):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(images / f"more{k}.png")
    seen: list[int] = []

    def kill() -> None:
        """One actor, once it has written something."""
        while not (written := len(list(out.glob("segmentation/*.png")))):
            time.sleep(0.01)
        workers = [own for own in psutil.Process().children(recursive=True) if "MapWorker" in " ".join(own.cmdline())]
        workers[0].kill()
        seen.append(written)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(Unanswered, match=r"2 of 414 images"):
        predict_files(model, images, out, engine="ray", workers=2)
    killer.join()
    assert 0 < seen[0] < many
    with pytest.raises(Unanswered):
        predict_files(model, images, tmp_path / "one")
    assert contents(out) == contents(tmp_path / "one")
    assert (out / FAILURES).read_bytes() == (tmp_path / "one" / FAILURES).read_bytes()
    names = noted(out)
    assert len(names) == len(set(names)) == many + COUNT


PLACE = "bucket/answers"


def uploaded(bucket: Any, images: Path, listed: Path) -> Path:
    """The list of photos that are copied to the bucket."""
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*.png"))
    for name in names:
        bucket.put_file(str(images / name), f"bucket/photos/{name}")
    listed.write_text("\n".join(f"s3://bucket/photos/{name}" for name in names))
    return listed


def fetched(bucket: Any, out: str, folder: Path) -> Path:
    bucket.invalidate_cache()
    bucket.get(f"{PLACE}/{out}/", str(folder), recursive=True)
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One worker, in this process in place of Ray's; the names of what it is given."""
    names: list[str] = []

    def answered(work: Work, given: list[dict[str, Any]], workers: int | None) -> Iterator[str]:
        names.extend(one["name"] for one in given)
        return Worker(work, Counts()).answer(json.dumps(given))

    monkeypatch.setattr(fleet, "_answers", answered)
    return names


def test_answers_on_s3_are_those_of_a_folder_and_go_on(
    bucket: Any, here: list[str], images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, listed = small(), uploaded(bucket, images, tmp_path / "list.txt")
    monkeypatch.setattr(journal, "LINES", 5)
    out = f"s3://{PLACE}/day"
    with pytest.raises(Unanswered, match=r"2 of 14 images .* s3:/bucket/answers/day/failures\.csv says why") as error:
        predict_files(model, listed, out, engine="ray")
    with pytest.raises(Unanswered):
        predict_files(model, listed, tmp_path / "one")
    copy = fetched(bucket, "day", tmp_path / "copy")
    assert contents(copy) == contents(tmp_path / "one")
    for name in (FAILURES, NOTE):
        assert (copy / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    assert sorted(path.name for path in (copy / JOURNALS).iterdir()) == [f"{k:06d}.jsonl" for k in range(3)]
    written = {path.relative_to(f"s3:/{PLACE}/day").as_posix() for path in error.value.written}
    assert written == set(contents(copy))

    bucket.rm(f"{PLACE}/day/view/bucket/photos/0.png")
    here.clear()
    monkeypatch.chdir(images)  # what is elsewhere hangs on no folder
    with pytest.raises(Unanswered):
        predict_files(model, listed, out, engine="ray")
    assert sorted(here) == ["bucket/photos/0", "bucket/photos/broken", "bucket/photos/deep/broken"]
    assert contents(fetched(bucket, "day", tmp_path / "again")) == contents(copy)

    other = small(hidden=(6,))
    with pytest.raises(InputError, match=r"s3:/bucket/answers/day holds the answers of another model; .*--overwrite"):
        predict_files(other, listed, out, engine="ray")
    listed.write_text("s3://bucket/photos/2.png")
    predict_files(other, listed, out, engine="ray", overwrite=True)
    bucket.invalidate_cache()
    assert {name.removeprefix(f"{PLACE}/day/") for name in bucket.find(f"{PLACE}/day")} == {
        NOTE, f"{JOURNALS}/000000.jsonl", "segmentation/bucket/photos/2.png", "view/bucket/photos/2.png"
    }  # fmt: skip


def test_a_bucket_that_is_not_there_is_named(bucket: Any, here: list[str], images: Path) -> None:
    with pytest.raises(
        InputError, match=r"s3:/none/day cannot be written \(.*check the bucket and who may write there"
    ):
        predict_files(small(), images, "s3://none/day", engine="ray")


def test_an_image_on_s3_is_not_answered_over(bucket: Any, here: list[str], images: Path) -> None:
    bucket.put_file(str(images / "0.png"), f"{PLACE}/mine/segmentation/0.png")
    with pytest.raises(InputError, match=r"mine/segmentation/0\.png would be written over s3:/bucket/answers/mine"):
        predict_files(small(), f"s3://{PLACE}/mine/segmentation/0.png", f"s3://{PLACE}/mine", engine="ray")


@pytest.mark.slow
def test_workers_of_ray_read_and_write_s3(ray: Any, bucket: Any, images: Path, tmp_path: Path) -> None:
    model, listed = small(), uploaded(bucket, images, tmp_path / "list.txt")
    with pytest.raises(Unanswered, match=r"2 of 14 images"):
        predict_files(model, listed, f"s3://{PLACE}/ray", engine="ray", workers=2)
    with pytest.raises(Unanswered):
        predict_files(model, listed, tmp_path / "one")
    copy = fetched(bucket, "ray", tmp_path / "copy")
    assert contents(copy) == contents(tmp_path / "one")
    assert (copy / FAILURES).read_bytes() == (tmp_path / "one" / FAILURES).read_bytes()


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A file system in memory, in the place of gcsfs in fsspec's registry."""
    registry = pytest.importorskip("fsspec.registry")
    from fsspec.implementations.memory import MemoryFileSystem

    class Stand(MemoryFileSystem):
        protocol = ("gs", "gcs")
        store: dict[str, Any] = {}  # noqa: RUF012
        pseudo_dirs = [""]  # noqa: RUF012

        @classmethod
        def _strip_protocol(cls, path: Any) -> str:
            return "/" + str(path).split("://")[-1].strip("/")

    monkeypatch.setitem(registry._registry, "gs", Stand)
    return Stand()


def test_gs_is_read_and_written_by_way_of_fsspec_as_s3_is(
    in_memory: Any, here: list[str], images: Path, tmp_path: Path
) -> None:
    model, listed = small(), tmp_path / "list.txt"
    for path in images.rglob("*.png"):
        in_memory.pipe(f"gs://bucket/photos/{path.relative_to(images)}", path.read_bytes())
    names = sorted(name for name in in_memory.find("gs://bucket/photos") if "broken" not in name)
    listed.write_text("\n".join(f"gs:/{name}" for name in names))
    written = predict_files(model, listed, "gs://bucket/answers/day", engine="ray")
    expected = predict_files(model, listed, tmp_path / "one")
    assert len(written) == len(expected) == 2 * COUNT
    for path in expected:
        name = path.relative_to(tmp_path / "one").as_posix()
        assert in_memory.cat(f"gs://bucket/answers/day/{name}") == path.read_bytes()
    here.clear()
    predict_files(model, listed, "gs://bucket/answers/day", engine="ray")
    assert here == []  # all are answered
