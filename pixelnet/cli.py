"""The command line: a thin shell over the package's functions."""

import difflib
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import pixelnet
from pixelnet.config import TrainConfig, read_list
from pixelnet.errors import InputError, printable
from pixelnet.export.command import Export
from pixelnet.inference.command import Predict
from pixelnet.measure.command import Measure
from pixelnet.signals import Stopped, heeded
from pixelnet.studio.command import Studio

if TYPE_CHECKING:
    from pixelnet.data import Dataset


@dataclass(frozen=True)
class Demo:
    """Show what the package does, within three minutes, on one page: photographs, a few clicks, and training."""

    out: Path = Path("pixelnet-demo")
    """Folder of the page, report.html, of the photographs and points.csv, and of the runs."""

    def __call__(self) -> int:
        from pixelnet.demo import demo

        print(f"open {demo(self.out)}")
        return 0


@dataclass(frozen=True)
class Check:
    """Is my data what the library thinks? What a folder holds, counts, problems, and a picture of the labels."""

    data: tyro.conf.Positional[str]
    """The path of a folder as it is, or of a dataset.json; scenes; or a benchmark's name:PATH: voc2012, pascal-context,
    cityscapes, ade20k, camvid, nyudv2, nyudv2-13, bsds500."""
    task: str | None = None
    """Which labels to look at: segmentation, normals, edges or regression; the first that the data has if not given."""
    split: str | None = None
    """Which part; train if not given, or the first that there is."""
    overlay: Path | None = None
    """Write a picture of labels over images to this file; with --model, of the labels that it contradicts."""
    model: str | None = None
    """List the labels that this model contradicts most surely, the surest first: mislabelled ones are found so."""
    labels: Path | None = None
    """A CSV file of image, x, y, class, a labelled pixel in each line, in place of the data's own labels."""
    classes: str | None = None
    """Of a folder, or of --labels: the names of the classes, in the order of their numbers in label maps, with commas
    between them; of a name with a comma: '"a, or so",b', or a list in JSON."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Of a folder: a key of dataset.json, as in --set threshold=128 --set 'unlabelled=[0]'."""
    write: bool = False
    """Of a folder: keep what was found as dataset.json in it, which every command reads then."""
    out: Path | None = None
    """Of a folder that may not be written to: keep it in this .json file, which goes wherever a folder may."""

    def __call__(self) -> int:
        from pixelnet.data.check import check, overlay
        from pixelnet.data.folder.proposed import write_form
        from pixelnet.files import require_writable

        for path in (self.overlay, self.out):
            if path is not None:
                require_writable(path)
        dataset = self._opened() if self.labels is None else self._table(self.labels)
        report = check(dataset)
        print(printable(str(report)))
        if self.model is not None:
            from pixelnet.label_errors import check_labels

            print(printable(str(check_labels(self.model, dataset, self.overlay))))
        elif self.overlay is not None:
            overlay(dataset, self.overlay)
            print(f"labels over images: {self.overlay}")
        else:
            print("look at them, too: --overlay FILE.png draws labels over images")
        if self.write or self.out is not None:
            print(f"written: {write_form(dataset, self.out)}")
        return 2 if report.problems else 0

    def _opened(self) -> "Dataset":
        from pixelnet.data import first_split, first_task, open_dataset
        from pixelnet.data.folder.form import parse_change

        changes = dict(map(parse_change, self.set))
        if self.classes is not None:
            changes["classes"] = read_list(self.classes, "--classes")
        task = self.task or changes.get("task") or first_task(self.data)
        return open_dataset(self.data, task, self.split or first_split(self.data, task), changes)

    def _table(self, labels: Path) -> "Dataset":
        from pixelnet.data.table import PointTable

        if self.set or self.write or self.out is not None:
            raise InputError(
                "--set, --write and --out are of a folder's own labels; beside --labels say how the images are read in "
                "their dataset.json"
            )
        if self.task not in (None, "segmentation"):
            raise InputError(f"--labels {labels} names classes, which {self.task} does not have; leave --task out")
        classes = () if self.classes is None else read_list(self.classes, "--classes")
        return PointTable(labels, self.data, self.split or "train", classes)


@dataclass(frozen=True)
class Fit:
    """A model in seconds from a few labelled pixels: a linear head on networks that stay as they are."""

    data: str
    """Images with labels: a folder, a dataset.json, a benchmark's name:PATH; with --labels a folder of images."""
    out: Path
    """Folder of the model."""
    labels: Path | None = None
    """A CSV file of image, x, y, class: a labelled pixel in each line, in place of the data's own labels."""
    classes: str | None = None
    """The classes of --labels in the order of their numbers, with commas between them (of a name with a comma:
    '"a, or so",b', or a list in JSON); if not given, in their own."""
    split: str = "train"
    """Which part of the data."""
    seconds: float = 30.0
    """For choosing and fitting: more time tries more, and sees more of many images."""
    features: str | None = None
    """What describes a pixel, as in edges@2+filters, in place of a choice; of several, with commas, the mean."""
    strength: str | None = None
    """Of the prior, a number for each of the features: the larger, the closer the fit."""
    priors: Literal["estimated", "labels", "equal"] | None = None
    """How common the classes are: estimated from the images, as among the labels, or all equal; if not given, labels
    where most pixels are labelled, else estimated."""

    def __call__(self) -> int:
        begun = time.monotonic()  # loading the libraries takes seconds, too

        from pixelnet.learning.fit import fit_noted
        from pixelnet.learning.told import told

        fitted = fit_noted(
            self.data, self.out, self.split, self.seconds, self.features, self.strength, self.priors, self.labels,
            () if self.classes is None else read_list(self.classes, "--classes"),
            begun=begun,
        )  # fmt: skip
        print(printable(told(fitted, vars(self))))
        return 0


@dataclass(frozen=True)
class Train:
    """Learn from a few pixels of each image."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig]

    def __call__(self) -> int:
        from pixelnet.training import run

        run(self.config)
        print(f"the model is in {self.config.out}")
        return 0


@dataclass(frozen=True)
class Evaluate:
    """Score a model, or any method's files, on a data set."""

    model: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="MODEL")] = None
    """Folder of a model, or the name of one (see `pixelnet models`); or give --predictions."""
    data: str = tyro.MISSING
    """camvid:PATH and so on; see `pixelnet check --help`."""
    split: str = "val"
    """Which part."""
    predictions: Path | None = None
    """Folder of predictions, each named as its image (.png, or .npy)."""
    against: str | None = None
    """A second model, or with --predictions a second folder: the difference of each score on the same images."""
    task: str | None = None
    """What the predictions are: segmentation, normals, edges or regression; of a model of several, which to score."""
    flip: bool = False
    """Of a model: ask each image's mirror image, too."""
    resize: bool = False
    """Bring predictions of another size to that of the truth."""
    normals: str | None = None
    """Of predicted normals: the convention of their axes; the library's if not given."""
    json: Path | None = None
    """Write the scores to this file as well: per class, too, and the whole curve of edges."""
    csv: Path | None = None
    """Write the scores of each image to this file, worst first."""
    report: Path | None = None
    """Write a page with curves and pictures to this file (.html)."""
    max_dist: float | None = None
    """Of edges: how far apart a match may be, as a share of the diagonal: .0075, which NYUD raises to .011."""
    matching: Literal["fast", "exact"] | None = None
    """Of edges: as many pairs as can be (fast), or of least total distance, too, as the benchmark (exact)."""
    thinned: bool = False
    """Of edges: the maps are suppressed already."""
    crisp: bool = False
    """Of edges: judge the maps as they are, neither suppressed nor thinned."""
    device: str = "auto"
    """Where models answer: auto for an accelerator where there is one, cpu, cuda, cuda:1, mps."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """In which their networks see images."""

    def __call__(self) -> int:
        from pixelnet.evaluation import evaluate, table

        scores = evaluate(
            self.model,
            data=self.data,
            split=self.split,
            predictions=self.predictions,
            against=self.against,
            task=self.task,
            flip=self.flip,
            resize=self.resize,
            normals=self.normals,
            json=self.json,
            csv=self.csv,
            report=self.report,
            max_dist=self.max_dist,
            matching=self.matching,
            thinned=self.thinned,
            crisp=self.crisp,
            device=self.device,
            precision=self.precision,
        )
        print(table(scores))
        return 0


@dataclass(frozen=True)
class Models:
    """The models that ship with the package: their tasks, sizes and scores."""

    name: tyro.conf.Positional[str | None] = None
    """Print the card of this model instead: its name, its folder, or user/name of Hugging Face."""

    def __call__(self) -> int:
        from pixelnet.runs.hub import describe

        print(describe(self.name))
        return 0


@dataclass(frozen=True)
class Push:
    """Push a model to Hugging Face's hub, with a card of what its run and its scores say."""

    model: tyro.conf.Positional[str]
    """Its folder, or the name of one that ships."""
    to: tyro.conf.Positional[str]
    """USER/NAME of the hub, which asks for a token (hf auth login); or ./FOLDER, to look at what would be pushed."""
    scores: tuple[Path, ...] = ()
    """Files that `pixelnet evaluate MODEL --json` wrote, for the card."""
    license: str | None = None
    """Of the weights, in the hub's words: apache-2.0, mit, cc-by-4.0."""
    private: bool = False
    """For nobody else, if the repository is made now."""
    revision: str | None = None
    """The branch that it is pushed to."""

    def __call__(self) -> int:
        from pixelnet.runs.publish import push

        print(push(**vars(self)))
        return 0


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "check": Check,
    "fit": Fit,
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "studio": Studio,
    "models": Models,
    "push": Push,
    "measure": Measure,
    "export": Export,
}


# What other programs call an option of ours.
FOREIGN = {
    "learning-rate": "lr", "base-lr": "lr", "lr0": "lr", "rate": "lr", "encoder-lr": "backbone-lr",
    "wd": "weight-decay", "decay": "weight-decay", "iterations": "max-steps", "iters": "max-steps",
    "max-iters": "max-steps", "num-steps": "max-steps", "steps": "max-steps", "num-epochs": "epochs",
    "max-epochs": "epochs", "bs": "batch-size",
    "images-per-step": "batch-size", "workers": "num-workers", "num-points": "pixels", "points-per-image": "pixels",
    "img-size": "image-size", "imgsz": "image-size", "size": "image-size", "resolution": "image-size",
    "encoder": "backbone", "arch": "backbone", "model": "backbone", "dataset": "data", "data-dir": "data",
    "output": "out", "output-dir": "out", "out-dir": "out", "save-dir": "out", "work-dir": "out", "optim": "optimizer",
    "opt": "optimizer", "criterion": "loss", "weights": "backbone-weights", "init": "init-from", "start": "init-from",
    "finetune": "init-from", "resume-from": "resume", "scheduler": "schedule", "lr-scheduler": "schedule",
    "eval-every": "val-every", "val-interval": "val-every", "eval-interval": "val-every", "crop-size": "crop",
    "random-seed": "seed", "amp": "precision", "tta": "flip", "preds": "predictions", "pred-dir": "predictions",
    "augmentation": "augment", "rotate": "augment", "time": "minutes", "max-time": "minutes", "time-limit": "minutes",
}  # fmt: skip


def check_options(arguments: Sequence[str]) -> None:
    """Raise InputError for an option that the command has not, with the one that is perhaps meant."""
    if not arguments or arguments[0] not in COMMANDS:
        return
    command = COMMANDS[arguments[0]]
    kind: Any = TrainConfig if command is Train else command
    known = [field.name.replace("_", "-") for field in fields(kind)]
    for argument in arguments[1:]:
        name = argument.partition("=")[0].removeprefix("--").replace("_", "-")
        if argument == "--":
            return
        if not argument.startswith("--") or name == "help" or name in known or name.removeprefix("no-") in known:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        meant = FOREIGN[name] if FOREIGN.get(name) in known else near[0] if near else None
        hint = f"did you mean --{meant}?" if meant else f"`pixelnet {arguments[0]} --help` lists those that there are"
        raise InputError(f"{arguments[0]} has no option --{name}; {hint}")


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return its exit code: see docs/cli.md.

    Bad input prints one message and gives 2; any other exception is a bug and shows itself.
    """
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):  # a name of a file need not be text that the terminal has letters for
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with heeded():
            try:
                return run(given)
            finally:
                sys.stdout.flush()
    except InputError as error:
        print(f"pixelnet: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still to be flushed
        return 0
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"pixelnet: {printable(str(error.filename))[:80]}... is a name that no file can have", file=sys.stderr)
        return 2
    except Stopped as error:
        print(f"pixelnet: {error}", file=sys.stderr)
        return error.code


def run(given: list[str]) -> int:
    """Find the command that is asked for, and run it."""
    if given == ["--version"]:
        print(f"pixelnet {pixelnet.__version__}")
        return 0
    check_options(given)
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="pixelnet", description=pixelnet.__doc__, args=given)
    return int(command())


if __name__ == "__main__":
    sys.exit(main())
