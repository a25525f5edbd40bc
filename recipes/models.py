"""The models that ship: python -m recipes pixelnet.

A recipe trains, writes the model in half precision to pixelnet/shipped/NAME, scores it as it ships, and writes its card
beside it. All see images with the longer side at 480 pixels, whatever they come as, and learn at three times the
default rates, which goes further in so few steps (the experiments have them, too).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pixelnet
from pixelnet import checkpoint
from pixelnet.files import write_atomic
from pixelnet.hub import CARD, SHIPPED
from recipes.everyday import BACKBONE
from recipes.results import keep

COMMON: dict[str, Any] = {"size": 480, "rate": 3e-3, "backbone_rate": 1e-3, "checkpoint_every": 100, "seed": 0}
LICENCES = {
    "bsds500": "BSDS500 is given out for non-commercial research and education.",
    "nyudv2": "NYUv2 asks to be cited (Silberman et al., ECCV 2012); its authors state no licence known to us. Normals "
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
    what was seen to go wrong.
    """

    task: str
    sources: tuple[str, ...]
    tests: tuple[tuple[str, str, str], ...]
    summary: str
    weak: str
    settings: Mapping[str, Any] = field(default_factory=dict)


INDOOR, NORMALS, EDGES = ("segmentation", "nyudv2", "val"), ("normals", "nyudv2", "val"), ("edges", "bsds500", "val")
BLUR = (
    "Fine things (chair legs, poles) are lost: the network's finest map has half the image's resolution, at 480 pixels."
)
MODELS = {
    "pixelnet": Model(
        "segmentation,normals,edges",
        ("nyudv2", "bsds500", "bsds500"),
        (INDOOR, NORMALS, EDGES),
        "Indoor classes, surface normals and edges of any photo, by one network.",
        "Classes and normals are of indoor scenes. Seen on photos that scikit-image carries: an astronaut is mostly "
        "otherprop with patches of towel, a cup from above a toilet and its table a floor; out of doors (a rocket at "
        "dusk) the sky is a wall, and the normals are guesses. Edges hold on all of them. Normals are smooth where "
        "they should bend. Regions are ragged where textures are unlike rooms. " + BLUR,
        {"steps": 2600, "loss": "cross-entropy+lovasz,angular,cross-entropy"},
    ),
}


def train_model(name: str, data: Path, weights: Path, out: Path) -> None:
    """Train a model, or go on with it, and ship it with its card."""
    model = MODELS[name]
    spec = ",".join(f"{source}:{data / source}" for source in model.sources)
    settings = {**COMMON, "backbone_weights": str(weights / BACKBONE), **model.settings}
    trained = pixelnet.train(model.task, spec, out, **settings, resume=True)
    folder = SHIPPED / name
    checkpoint.save(trained, folder, half=True)
    found = {
        (task, source): pixelnet.evaluate(folder, data=f"{source}:{data / source}", split=split, task=task)
        for task, source, split in model.tests
    }
    threshold = next((scores["threshold"] for (task, _), scores in found.items() if task == "edges"), None)
    trained.config = replace(trained.config, threshold=threshold)
    card: dict[str, Any] = {
        "summary": model.summary,
        "data": ", ".join(dict.fromkeys(model.sources)),
        "scores": [
            {"data": f"{source} val", "score": words, "value": scores[key]}
            | dict(zip(("low", "high"), scores["intervals"][key], strict=True))
            for (task, source), scores in found.items()
            for key, words in HEADLINES[task]
        ],
        "licence": "Apache-2.0 (code and starting weights); see the card for the data",
    }
    checkpoint.save_config(trained, folder, card=card)
    kept = keep(out, {f"{row['score']}, {row['data']}": row["value"] for row in card["scores"]})
    write_atomic(folder / CARD, text(name, card, kept).encode())


def text(name: str, card: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The card as Markdown. run: what `keep` says of it."""
    model, settings, hours = MODELS[name], run["settings"], run["training_seconds"] / 3600
    size = (SHIPPED / name / checkpoint.WEIGHTS).stat().st_size / 1e6
    rows = [
        f"| {score['data']} | {score['score']} | {score['value']:.4g} | {score['low']:.4g} .. {score['high']:.4g} |\n"
        for score in card["scores"]
    ]
    licences = "".join(f"- {LICENCES[source]}\n" for source in dict.fromkeys(model.sources))
    return (
        f"# {name}\n\n{model.summary} {size:.1f} MB.\n\n"
        f"| validation data | score | value | 95 % interval over images |\n|---|---|---|---|\n{''.join(rows)}\n"
        f"Trained by `python -m recipes {name}`: {settings['backbone']} from ImageNet, {settings['pixels']} pixels of "
        f"each of {settings['images_per_step']} images, {run['steps']} steps, {hours:.1f} hours on 2 cores; one seed. "
        "Images of val chose the best of its weights while it trained, so scores are a little flattered.\n\n"
        f"Weak points: {model.weak}\n\n## Licences\n\n- Weights and code: Apache-2.0; the backbone's starting weights "
        f"(EfficientNet-lite, ImageNet), too.\n{licences}"
    )
