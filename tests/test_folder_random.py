"""Layouts put together at random from what people use: each is read as it was meant, or refused in words."""

from pathlib import Path, PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from pixelnet.data.folder.layout import Found, discover
from pixelnet.data.folder.words import SPLIT_OF, Vocabulary
from pixelnet.errors import InputError

ANY = Vocabulary((), frozenset(), generic=True)
IMAGES = ["images", "imgs", "photos", "Image", "JPEGImages", "raw", "original_images", "img_dir", "input", "rgb"]
LABELS = ["labels", "masks", "annotations", "gt", "GroundTruth", "SegmentationClass", "ann_dir", "1st_manual"]
ENDINGS = ["_mask", "_label", "_gt", "_seg", "-annotation", "_manual1", "_segmentation", "_1stHO", ".mask"]
SPLITS = [("train", "val", "test"), ("training", "validation", "testing"), ("Train", "Valid", "Test"), ("",)]
STEMS = ["a{}", "IMG_{}", "scan-00{}", "p{}_left", "{}", "x ({})", "2020_{}_12", "Case{}b", "train_{}", "{}_image"]
PATIENTS = [("",), ("p1", "p2"), ("anna", "Zo\xeb"), ("train", "other")]
TOPS = ["", "data", "My dataset with labels", "dataset/dataset", "raw images"]
Layout = dict[str, dict[str, str]]  # for each split its images and their labels


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    place = draw(st.sampled_from(["above", "below", "beside", "glued"]))
    image, label, stem, top = (draw(st.sampled_from(own)) for own in (IMAGES, LABELS, STEMS, TOPS))
    ending = draw(st.sampled_from(ENDINGS if place == "beside" else ["", *ENDINGS]))
    splits, patients, unique = draw(st.sampled_from(SPLITS)), draw(st.sampled_from(PATIENTS)), draw(st.booleans())
    found: Layout = {}
    for k, (split, patient, number) in enumerate((s, p, n) for s in splits for p in patients for n in (1, 2, 3)):
        name = f"{patient}/{stem.format(k + 1 if unique else number)}"
        before = {
            "beside": (split, split),
            "above": (f"{split}/{image}", f"{split}/{label}"),
            "below": (f"{image}/{split}", f"{label}/{split}"),
            "glued": (f"{split}_{image}".strip("_"), f"{split}_{label}".strip("_")),
        }[place]
        path, own = (
            str(PurePosixPath(*filter(None, f"{top}/{folder}/{name}{end}".split("/"))))
            for folder, end in zip(before, (".jpg", f"{ending}.png"), strict=True)
        )
        found.setdefault(SPLIT_OF.get(split.lower(), "-"), {})[path] = own
    return found


def read(layout: Layout) -> Found:
    files = sorted(PurePosixPath(path) for pairs in layout.values() for pair in pairs.items() for path in pair)
    return discover(Path("nowhere"), files, ANY, (), lambda _: None)


@settings(max_examples=300)
@given(layouts())
def test_pairs_are_as_they_were_meant(layout: Layout) -> None:
    try:
        result = read(layout)
    except InputError:
        return
    meant = {image: [label] for pairs in layout.values() for image, label in pairs.items()}
    found = {str(image.path): [str(place.path) for place in labels] for image, labels in result.pairs if labels}
    assert found == {image: labels for image, labels in meant.items() if image in found}
    assert found == meant or result.orphans  # which are named
    splits = {str(image.path): image.split or "-" for image, _ in result.pairs}
    assert "-" in layout or all(splits[image] == split for split, pairs in layout.items() for image in pairs)
