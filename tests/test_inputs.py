"""Lists and archives of images: what is in them, what it is called, and that nothing leads out of the folder."""

import io
import tarfile
import zipfile
from pathlib import Path, PurePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_predict import picture

from pixelnet import InputError
from pixelnet.inference.archives import Archive, name_within
from pixelnet.inference.inputs import Item, find_pages, image_files
from pixelnet.rasters import VARIABLE


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind)
    return content.getvalue()


def archive(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for name, content in files.items():
                out.writestr(name, content)
        return path
    with tarfile.open(path, "w") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


@given(st.text(st.sampled_from("a./\\ "), max_size=12))
def test_no_name_leads_out_of_a_folder(text: str) -> None:
    name = name_within(text)
    assert not name.is_absolute()
    assert ".." not in name.parts
    assert Path("out", name).resolve().is_relative_to(Path("out").resolve())


@pytest.mark.parametrize(
    ("text", "name"),
    [("a/b.png", "a/b.png"), ("/data/a.png", "data/a.png"), ("../../a.png", "a.png"), ("a/../../b.png", "b.png"),
     ("./a.png", "a.png")],
)  # fmt: skip
def test_names_are_what_tar_makes_of_paths(text: str, name: str) -> None:
    assert name_within(text) == PurePath(name)


def test_a_list_names_paths_from_its_own_folder_on(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("one.png", "lists/two words.png"):
        Image.fromarray(picture(8, 8)).save(tmp_path / name)
    listed = tmp_path / "lists/mine.txt"
    listed.write_text(f"../one.png\n\ntwo words.png\r\n{tmp_path}/one.png\nnone.png\n../one.png\n")
    found = image_files([listed])
    whole = PurePath(*tmp_path.parts[1:]) / "one"
    assert set(found) == {PurePath("one"), PurePath("two words"), whole, PurePath("none")}
    assert found[whole] == tmp_path / "one.png"
    assert found[PurePath("one")].samefile(tmp_path / "one.png")
    listed.write_text("..\n")
    with pytest.raises(InputError, match=r"mine\.txt lists .*, which is no file"):
        image_files([listed])
    listed.write_text("\n")
    with pytest.raises(InputError, match=r"mine\.txt holds no image"):
        image_files([listed])


@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_an_archive_is_read_as_a_folder_is(tmp_path: Path, ending: str) -> None:
    pixels = picture(9, 11)
    one, stack = encoded(pixels), io.BytesIO()
    np.save(stack, np.zeros((3, 20, 31), np.uint8))
    files = {
        "day/a.png": one, "../../b.png": one, "/c.png": one, "notes.txt": b"no image", ".hidden.png": one,
        "__MACOSX/._a.png": one, "day/a.npy": stack.getvalue(), "volume.zarr/0.png": one, "many.npy": stack.getvalue(),
    }  # fmt: skip
    path = archive(tmp_path / f"mine.{ending}", files)
    archives: dict[Path, Archive] = {}
    found = image_files([path], archives=archives)
    assert set(found) == {PurePath(name) for name in ("day/a", "b", "c", "many")}
    assert found[PurePath("b")] == path / "b.png"
    items, failures = find_pages(found, "ZYX", archives)
    assert not failures
    assert [str(item.name) for item in items if "many" in str(item.name)] == ["many[0]", "many[1]", "many[2]"]
    item = next(item for item in items if item.name == PurePath("day/a"))
    with item.file() as copy:
        assert copy.suffix == ".png"
        np.testing.assert_array_equal(np.array(Image.open(copy)), pixels)
    assert not copy.exists()
    assert sorted(p.name for p in tmp_path.rglob("*")) == [path.name]


@pytest.mark.parametrize("ending", ["tar", "zip"])
def test_a_bomb_is_refused_with_its_limit(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / f"bomb.{ending}", {"a.png": bytes(50_000)})
    monkeypatch.setenv(VARIABLE, "10000")
    found = Archive(path)
    with (
        pytest.raises(InputError, match=rf"a\.png would be 50,000 bytes, .* 40,000 are unpacked; .* {VARIABLE}"),
        Item(PurePath("a"), path / "a.png", 0, found).file(),
    ):
        pass
    monkeypatch.setenv(VARIABLE, "12500")
    with Item(PurePath("a"), path / "a.png", 0, found).file() as copy:
        assert copy.stat().st_size == 50_000


def test_what_a_zip_says_of_its_size_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "bomb.zip", {"a.png": bytes(50_000)})
    found = Archive(path)
    member = found._members[path / "a.png"]
    assert isinstance(member, zipfile.ZipInfo)
    monkeypatch.setenv(VARIABLE, "10")
    member.file_size = 7
    with pytest.raises(InputError, match=r"a\.png"), found.unpacked(path / "a.png") as copy:
        assert copy.stat().st_size <= 40


def test_archives_that_are_none_are_named(tmp_path: Path) -> None:
    for name, content in (("a.tar", b"no tar"), ("a.zip", b"PK no zip"), ("b.tar", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            image_files([tmp_path / name], archives={})
    two = archive(tmp_path / "two.tar", {"/a.png": b"1", "a.png": b"2"})
    with pytest.raises(InputError, match=r"two\.tar has /a\.png and a\.png, which would be one file"):
        image_files([two], archives={})


def test_a_link_in_a_tar_leads_to_nothing_outside(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(picture(8, 8)))
    path = tmp_path / "links.tar"
    with tarfile.open(path, "w") as out:
        content = encoded(picture(9, 9))
        plain = tarfile.TarInfo("a.png")
        plain.size = len(content)
        out.addfile(plain, io.BytesIO(content))
        for name, kind, target in (
            ("hard.png", tarfile.LNKTYPE, "a.png"), ("soft.png", tarfile.SYMTYPE, str(tmp_path / "secret.png")),
            ("astray.png", tarfile.LNKTYPE, "../secret.png"),
        ):  # fmt: skip
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            out.addfile(link)
    found = Archive(path)
    assert [own.name for own in found.files] == ["a.png", "astray.png", "hard.png"]
    with found.unpacked(path / "hard.png") as copy:
        assert copy.read_bytes() == content
    with pytest.raises(InputError, match=r"astray\.png cannot be read"), found.unpacked(path / "astray.png"):
        pass
