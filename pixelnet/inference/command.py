"""`pixelnet predict`: answers for images on the command line."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pixelnet.errors import counted, printable

Convention = Literal["pixelnet", "opengl", "dsine", "2d3ds"]  # as in geometry.py, which is not loaded for --help


@dataclass(frozen=True)
class Predict:
    """Answer for images: OUT/TASK/NAME.png (or .npy) for programs, and OUT/view/NAME.png for people."""

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[MODEL] IMAGE ...")]
    """Images, folders of images, lists of them (.txt), archives (.tar, .zip); before them the folder of a model or its
    name (see `pixelnet models`), if the one called pixelnet is not to answer."""
    out: Path
    """Folder of the answers. What is answered already, of folders, lists and archives, is left out the next time."""
    outputs: str = "labels,view"
    """What is written, with commas between them: labels, view (pictures for people), probabilities (of classes)."""
    points: Path | None = None
    """A CSV file of x, y: answer at these pixels only, into OUT/points/NAME.csv."""
    normals: Convention | None = None
    """Of normals: the axes to write. pixelnet: x right, y down, z into the scene; opengl: y up, z to the viewer; dsine:
    pixelnet's negated; 2d3ds: x right, y down, z to the viewer."""
    adaptive: float | None = None
    """From 0 (quick) to 1 (exact): ask at few pixels, and fill in between where neighbors agree."""
    binary: bool = False
    """Of edges: lines one pixel wide, 0 and 255, from the model's threshold on."""
    flip: bool = False
    """Ask the mirror image, too: a little better, and twice the time."""
    axes: str | None = None
    """Of stacks and arrays that do not say so themselves: what their axes are, a letter each: ZYX for a stack of gray
    images, CYX for one image of many channels, ZCYX."""
    scale: float | None = None
    """By how much images are seen magnified: 1 for their own pixels; if not given, as the model saw the ground when it
    learnt, where files say how large their pixels are, else the model's working size, if any."""
    memory: str | None = None
    """What the process may come to, as in 2GB: larger images are answered in windows. 4GB, or half of what is free."""
    exact: bool = False
    """Windows show all that an answer depends on, not only what moves it by a thousandth."""
    cog: bool = False
    """Write GeoTIFF as cloud-optimized GeoTIFF."""
    polygons: bool = False
    """Of classes: their areas as GeoJSON, too, OUT/polygons/NAME.geojson."""
    objects: bool = False
    """Of classes: a table of connected objects, too, OUT/objects/NAME.csv."""
    split: bool = False
    """Of objects: tell those apart that touch, where they are narrow."""
    gpkg: bool = False
    """Of polygons: write GeoPackage, in the image's own CRS, in place of GeoJSON."""
    label_group: str | None = None
    """Of OME-Zarr: write the map of classes into the image itself, too, as IMAGE/labels/NAME."""
    batch_size: int | None = None
    """How many images of one size are seen in one pass, at most; if not given, 8 on a GPU, else 1."""
    overwrite: bool = False
    """Begin anew where OUT holds the answers of another model, or to other options; they are taken away."""
    device: str = "auto"
    """Where the model answers: auto for an accelerator where there is one, cpu, cuda, cuda:1, mps."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """In which its network sees images; evaluate has the same option, for the score beside."""
    engine: Literal["ray"] | None = None
    """ray: images are answered by actors of Ray Data, on all machines of its cluster (RAY_ADDRESS), or on this one; OUT
    may be s3://bucket/day then."""
    workers: int | None = None
    """Of an engine: how many actors; if not given, one a GPU, or where there is none one a core."""

    def __call__(self) -> int:
        from pixelnet.inference.answerer import Asked
        from pixelnet.inference.answers import parse_outputs
        from pixelnet.inference.bulk import Unanswered, answer_files
        from pixelnet.inference.inputs import image_files, model_and_images
        from pixelnet.inference.journal import FAILURES
        from pixelnet.runs.hub import default, folder_of

        name, images = model_and_images(self.inputs)
        folder = None if name is None else folder_of(name)
        image_files(images, archives={})  # an image that is missing is told of before a model that is
        asked = Asked(
            self.normals, self.adaptive, self.binary, self.flip, self.axes, parse_outputs(self.outputs), self.scale,
            self.memory, self.exact, self.cog, self.polygons, self.objects, self.split, self.gpkg, self.precision,
            self.label_group,
        )  # fmt: skip
        start = time.perf_counter()
        outcome = answer_files(
            folder or folder_of(default()), images, self.out, asked, self.points,
            batch_size=self.batch_size, overwrite=self.overwrite, device=self.device,
            engine=self.engine, workers=self.workers,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        if outcome.failures:
            print(f"pixelnet: {printable(str(Unanswered(outcome, self.out / FAILURES)))}", file=sys.stderr)
        number = outcome.images - outcome.before - len(outcome.failures)
        rate = f"{counted(number, 'image')} in {seconds:.2f} s, {number / seconds:.2f} images a second"
        before = f", {outcome.before} answered before" if outcome.before else ""
        print(f"{rate}{before}: {len(outcome.written)} files in {self.out}")
        return 3 if outcome.failures else 0
