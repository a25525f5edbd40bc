"""The models that ship: python -m recipes pixelnet, edges, normals, indoor, street.

A recipe trains, writes the model in half precision to pixelnet/shipped/NAME, scores it as it ships, and writes its card
beside it. All learn from images with the longer side at 480 pixels, whatever they come as; training views show most of
an image, for what a room or a street looks like is learnt from wholes. They learn at three times the default rates,
which goes further in so few steps, and from few pixels an image, which teach as much as many (`python -m recipes
pixels`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pixelnet
from pixelnet import PixelNet
from pixelnet.files import write_atomic
from pixelnet.metrics.intervals import TOO_FEW
from pixelnet.runs import checkpoint
from pixelnet.runs.hub import CARD, SHIPPED
from recipes.averaging import averaged
from recipes.results import keep

COMMON: dict[str, Any] = {
    "backbone": "tf_efficientnet_lite2",
    "pyramid": 0,
    "batch_size": 8,
    "image_size": 480,
    "crop": (320, 416),
    "scale": (0.8, 1.2),
    "pixels": "1000",
    "lr": 3e-3,
    "backbone_lr": 1e-3,
    "checkpoint_every": 100,
    "seed": 0,
}
LICENSES = {
    "bsds500": "BSDS500 is given out for non-commercial research and education.",
    "nyudv2": "NYUv2 asks to be cited (Silberman et al., ECCV 2012); its authors state no license known to us. Normals "
    "were computed from its depth.",
    "camvid": "CamVid is given out for research and education (Brostow et al., 2009).",
}
HEADLINES = {  # task -> (key of the score, its name with its unit)
    "segmentation": (("miou", "mean IoU"),),
    "normals": (("mean", "mean angle in degrees"), ("11.25", "% within 11.25 degrees")),
    "edges": (("ods", "ODS"),),
}


@dataclass(frozen=True)
class Model:
    """A model that ships.

    task, sources: what it learns, and from which data sets, in order; a name twice counts twice. tests: what it is
    scored on, (task, data set, split). settings: of `pixelnet.train`. summary, weak: for its card: what it is for, and
    what was seen to go wrong. start: the model that it starts from, where not from ImageNet. legs: its runs, each by
    settings of its own, and each from the weights of the one before. shares: what ships is the mean of the weights that
    it started from, if of a model, and of its legs', by these shares; of the last leg's alone without. size: the
    working size of the one that ships, where another than training's does better on val. split: what the one that ships
    learns from; where that holds the images of its tests, its scores are those of a run of the same settings on train.
    """

    task: str
    sources: tuple[str, ...]
    tests: tuple[tuple[str, str, str], ...]
    summary: str
    weak: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None
    legs: tuple[Mapping[str, Any], ...] = ({},)
    shares: tuple[float, ...] = ()
    size: int | None = None
    split: str = "train"


INDOOR, NORMALS, EDGES = ("segmentation", "nyudv2", "val"), ("normals", "nyudv2", "val"), ("edges", "bsds500", "val")
INDOOR_13 = ("segmentation", "nyudv2-13", "val")
BLUR = (
    "Fine things (chair legs, poles) are lost: the network's finest map has half the resolution at which it sees "
    "images."
)
MODELS = {
    "pixelnet": Model(
        "segmentation,normals,edges",
        ("nyudv2", "bsds500", "bsds500"),
        (INDOOR, INDOOR_13, NORMALS, EDGES),
        "Indoor classes, surface normals and edges of any photo, by one network.",
        "Classes and normals are of indoor scenes. Seen on photos that scikit-image carries: an astronaut, her helmet "
        "and her suit are otherprop with patches of clothes and chair, and the flag behind her is a shower curtain; a "
        "cup from above is a toilet, its table half wall and half floor; a cat is wall, otherprop, bathtub and door; "
        "out of doors (a rocket at dusk) the sky is a wall, and the normals are guesses. Normals bend with a cup and "
        "its saucer, but slant a table with the light; in rooms furniture's edges are soft. Edges hold on all of them, "
        "but for lattices and fur, which smear. " + BLUR,
        legs=(
            {"max_steps": 3000, "loss": "cross-entropy+lovasz,angular,soft"},
            {"max_steps": 3500, "loss": "cross-entropy+lovasz,6*angular,3*soft", "seed": 1},
            {"max_steps": 1500, "loss": "cross-entropy+lovasz,6*angular,4*soft", "scale": (0.7, 1.6), "seed": 2},
        ),
        shares=(1, 2, 2),
    ),
    "edges": Model(
        "edges",
        ("bsds500",),
        (EDGES,),
        "Edges of any photo, as people draw them.",
        "Strokes are some pixels wide; --binary thins them and leaves gaps in faint ones. Seen on photos that "
        "scikit-image carries: outlines of an astronaut, a cup and a rocket are whole; of a cat's face, all fur, the "
        "eyes, the outline and whiskers pass the threshold, nose and mouth do not; a mast's lattice becomes its "
        "outline and crumbs; the rims of a cup and a saucer are doubled.",
        {"max_steps": 1200, "loss": "soft", "crop": (320, 320), "scale": (0.75, 2.0)},
        size=640,
        split="trainval",
    ),
    "normals": Model(
        "normals",
        ("nyudv2",),
        (NORMALS,),
        "Surface normals of rooms.",
        "It has seen rooms only. Seen on photos that scikit-image carries: out of doors (a rocket at dusk) all is one "
        "wall above a floor; a cat's face is folded in the middle and its fur is a heap; an astronaut's face is round "
        "but has no features; a table under a cup slants with the light. In rooms furniture's edges are soft and what "
        "lies on shelves melts. " + BLUR,
        {"max_steps": 1500, "loss": "angular", "seed": 3},
        start="pixelnet",
    ),
    "indoor": Model(
        "segmentation",
        ("nyudv2",),
        (INDOOR, INDOOR_13),
        "40 classes of things in rooms.",
        "Trained for seven minutes: `pixelnet` names rooms better. Seen on photos that scikit-image carries: an "
        "astronaut's face is otherprop and her suit clothes; a cup from above is a toilet, its table wall and floor; "
        "masts at dusk are otherstructure before a wall; a cat is otherprop. In rooms outlines are ragged, and one "
        "thing is often two (dresser and night stand). " + BLUR,
        {"max_steps": 600},
    ),
    "street": Model(
        "segmentation",
        ("camvid",),
        (("segmentation", "camvid", "val"),),
        "11 classes of things in streets, seen from a car.",
        "Of other pictures nothing sensible comes: a cup and a helmet are cars, a cat and an astronaut mostly "
        "Building. Poles are found in pieces or not at all. Its val frames neighbor training frames in the same "
        "streets, so expect less in others. " + BLUR,
        {"max_steps": 1500},
        legs=(
            {"scale": (0.75, 1.5)},
            {"max_steps": 600, "image_size": 640, "crop": (352, 480), "scale": (0.8, 1.3), "seed": 1},
        ),
        shares=(1, 2),
    ),
}


def train_model(name: str, data: Path, weights: Path, out: Path) -> None:
    """Train a model, or go on with it, and ship it with its card."""
    model, folder = MODELS[name], SHIPPED / name
    trained = _trained(model, data, weights, out, "train")
    checkpoint.save(trained, folder, half=True)
    found = {
        (task, source): pixelnet.evaluate(folder, data=_spec(source, data), split=split, task=task)
        for task, source, split in model.tests
    }
    threshold = next((scores["threshold"] for (task, _), scores in found.items() if task == "edges"), None)
    card: dict[str, Any] = {
        "summary": model.summary,
        "data": ", ".join(_learnt_from(model)),
        "scores": [
            {"data": f"{source} val", "score": words, "value": scores[key]}
            | dict(zip(("low", "high"), scores["intervals"].get(key, ()), strict=False))
            for (task, source), scores in found.items()
            for key, words in HEADLINES[task]
        ],
        "license": "Apache-2.0 (code and starting weights); see the card for the data",
    }
    found_on = {f"{row['score']}, {row['data']}": row["value"] for row in card["scores"]}
    kept = keep(out, found_on, _legs(model, out)[:-1])
    if model.split != "train":
        trained = _trained(model, data, weights, out.with_name(f"{name}-{model.split}"), model.split)
        checkpoint.save_weights(trained, folder / checkpoint.WEIGHTS, half=True)
    trained.config = replace(trained.config, threshold=threshold)
    checkpoint.save_config(trained, folder, card=card)
    write_atomic(folder / CARD, text(name, card, kept).encode())


def _trained(model: Model, data: Path, weights: Path, out: Path, split: str) -> PixelNet:
    """The model as it ships, but for its precision, its threshold and its card."""
    runs = _train(model, data, weights, out, split)
    trained = averaged(dict(zip(runs, model.shares, strict=True))) if model.shares else pixelnet.load(out)
    trained.config = replace(trained.config, image_size=model.size or trained.config.image_size)
    return trained


def _train(model: Model, data: Path, weights: Path, out: Path, split: str) -> list[Path]:
    """Train what is not trained yet; the runs: of the model that this one starts from, if of one, and its legs."""
    settings = {**COMMON, **model.settings}
    settings = {"backbone_weights": str(weights / f"{settings['backbone']}_imagenet.safetensors"), **settings}
    runs = []
    if model.start is not None:
        runs = _train(MODELS[model.start], data, weights, out.with_name(model.start), "train")[-1:]
    spec = ",".join(_spec(source, data) for source in model.sources)
    for leg, run in zip(model.legs, _legs(model, out), strict=True):
        start = {"backbone_weights": None, "init_from": str(runs[-1])} if runs else {}
        pixelnet.train(model.task, spec, run, **{**settings, **start, **leg}, split=split, resume=True)
        runs.append(run)
    return runs


def _legs(model: Model, out: Path) -> list[Path]:
    """The folders of a model's runs: those before the last have a number."""
    return [*(out.with_name(f"{out.name}-{leg}") for leg in range(1, len(model.legs))), out]


def _learnt_from(model: Model) -> list[str]:
    """The data sets that a model owes to, those of the model that it started from before its own."""
    before = [] if model.start is None else _learnt_from(MODELS[model.start])
    return list(dict.fromkeys([*before, *model.sources]))


def _spec(source: str, data: Path) -> str:
    return f"{source}:{data / source.removesuffix('-13')}"


def text(name: str, card: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The card as Markdown. run: what `keep` says of it."""
    model, settings, hours = MODELS[name], run["settings"], run["training_seconds"] / 3600
    size = (SHIPPED / name / checkpoint.WEIGHTS).stat().st_size / 1e6
    rows = [
        f"| {score['data']} | {score['score']} | {score['value']:.4g} | "
        + (f"{score['low']:.4g} .. {score['high']:.4g} |\n" if "low" in score else f"{TOO_FEW} |\n")
        for score in card["scores"]
    ]
    legs = f" in {len(model.legs)} legs, each with rates that rise and fall" if len(model.legs) > 1 else ""
    start = f"the model {model.start}" if model.start is not None else "ImageNet"
    chosen = "Images of val chose the best of its weights while it trained, so scores are a little flattered."
    if model.size:
        chosen += (
            f" Val chose, too, that it sees images at {model.size} pixels, after training at {settings['image_size']}."
        )
    if model.shares:
        of = "the legs" if model.start is None else f"{model.start} and of the legs"
        shares = " : ".join(f"{share:g}" for share in model.shares)
        chosen += f" What ships is the mean of the weights of {of}, {shares}, which val chose."
    if model.split != "train":
        chosen += f" The weights that ship were trained the same way on {model.split}; the scores are of train alone."
    licenses = "".join(f"- {LICENSES[source]}\n" for source in _learnt_from(model))
    return (
        f"# {name}\n\n{model.summary} {size:.1f} MB.\n\n"
        f"| validation data | score | value | 95 % interval over images |\n|---|---|---|---|\n{''.join(rows)}\n"
        f"Trained by `python -m recipes {name}`: {settings['backbone']} from {start}, {settings['pixels']} pixels of "
        f"each of {settings['batch_size']} images, {run['steps']} steps{legs}, {hours:.1f} hours on 2 cores; one "
        f"seed. "
        f"{chosen}\n\n"
        f"Weak points: {model.weak}\n\n## Licenses\n\n- Weights and code: Apache-2.0; the backbone's starting weights "
        f"(EfficientNet-lite, ImageNet), too.\n{licenses}"
    )
