"""A model goes to Hugging Face's hub: its weights, what it is, and a card of what its run and its scores say.

    pixelnet push runs/mine USER/NAME --scores scores.json --license mit

What is pushed is a model as `pixelnet.load("USER/NAME@REVISION")` reads it; no path of this machine is in it.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData, ModelHubMixin
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from pixelnet.config import read_json
from pixelnet.data import sources_in
from pixelnet.errors import InputError
from pixelnet.files import write_atomic, write_json
from pixelnet.model import PixelNet
from pixelnet.report.scorecard import interval_words
from pixelnet.runs.checkpoint import CONFIG, MOST_CONFIG, WEIGHTS
from pixelnet.runs.hub import CARD, REPOSITORY, folder_of, load
from pixelnet.tasks import Task

PATHS = ("data", "val_data", "labels", "out", "backbone_weights", "init_from")  # of settings
KEPT = ("format", "model", "fit", "card")  # of config.json, as they are
TAGS = ("pixelnet", "dense-prediction")
PIPELINES = {"segmentation": "image-segmentation"}  # the hub's words; other tasks are "image-to-image"


class Published(ModelHubMixin, library_name="pixelnet", repo_url="https://arxiv.org/abs/1702.06506"):
    """What is pushed, as huggingface_hub's mixin has it: `push_to_hub`, `save_pretrained`, `from_pretrained`.

    folder: of the model. text: of its card. `from_pretrained` returns the `PixelNet`, by `pixelnet.load`.
    """

    def __init__(self, folder: Path, text: str) -> None:
        self.folder, self.text = folder, text

    def _save_pretrained(self, save_directory: Path) -> None:
        write_json(save_directory / CONFIG, _config(self.folder))
        write_atomic(save_directory / WEIGHTS, (self.folder / WEIGHTS).read_bytes())

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        return ModelCard(self.text)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None, **_: Any) -> PixelNet:  # type: ignore[override]
        return load(model_id if revision is None or Path(model_id).is_dir() else f"{model_id}@{revision}")


def push(
    model: str | Path,
    to: str | Path,
    *,
    scores: Sequence[str | Path] = (),
    license: str | None = None,
    private: bool = False,
    revision: str | None = None,
) -> str:
    """Push a model to Hugging Face's hub, or write what would be pushed.

    Args:
        model: its folder, or its name.
        to: "user/name" of the hub, which asks for a token (`hf auth login`); or a folder that is not there yet, as
            ./folder, which is written.
        scores: files that `pixelnet evaluate MODEL --json` wrote, for the card; each has its intervals.
        license: of the weights, in the hub's words: apache-2.0, mit, cc-by-4.0 ...
        private: for nobody else, if the repository is made now.
        revision: the branch that it is pushed to.

    Returns:
        The address of what was pushed, or the folder.

    Raises:
        InputError: no such model, a file that holds no scores, a folder that is there, or a hub that refuses.
    """
    folder = folder_of(model)
    published = Published(folder, card_text(folder, str(to), scores, license))
    if not REPOSITORY.fullmatch(str(to)):
        if Path(to).exists():
            raise InputError(f"{to} is there already; give a folder that is not, or USER/NAME of Hugging Face's hub")
        published.save_pretrained(to)
        return str(to)
    try:
        return published.push_to_hub(str(to), private=private, branch=revision)
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise InputError(f"{to} could not be pushed: {error}; log in (hf auth login), and look at the name") from error


def card_text(folder: Path, name: str, scores: Sequence[str | Path] = (), license: str | None = None) -> str:
    """A model's card, Markdown with the hub's YAML before it, which `huggingface_hub.ModelCard` reads."""
    task = load(folder).task
    found = [_scores(path) for path in scores]
    title = Path(name).name
    told = [row for one in found for row in _rows(task, one)]
    data = ModelCardData(
        library_name="pixelnet",
        license=license,
        pipeline_tag=PIPELINES.get(task.name, "image-to-image"),
        tags=[*TAGS, *task.parts],
        model_name=title,
        eval_results=[_result(task, one, key) for one in found for key in _keys(task, one)] or None,
    )
    return "\n".join(["---", data.to_yaml(), "---", "", f"# {title}", "", *_body(folder, task, told, name), ""])


def _body(folder: Path, task: Task, told: Sequence[str], name: str) -> list[str]:
    before = (folder / CARD).read_text(encoding="utf-8").splitlines() if (folder / CARD).is_file() else []
    if before:  # a model that has a card keeps its words
        return before[1:] if before[0].startswith("# ") else before
    config = read_json(folder / CONFIG, most=MOST_CONFIG)
    lines = [f"{', '.join(task.parts).capitalize()} of every pixel, by [PixelNet](https://arxiv.org/abs/1702.06506)."]
    classes = getattr(task, "class_names", ())
    lines += [f"Classes: {', '.join(classes)}."] if classes else []
    lines += ["", "```python", "import pixelnet", "", f'pixelnet.load("{name}").predict("photo.jpg")', "```", ""]
    lines += ["## How good it is", ""]
    head = ["| data | score | value | 95 % interval over images |", "|---|---|---|---|"]
    lines += [*head, *told] if told else ["Nobody said; `pixelnet evaluate` does."]
    learnt = without_paths(config.get("train") or config.get("fit") or {})
    if learnt:
        how = "pixelnet train" if "train" in config else "pixelnet fit"
        lines += ["", "## How it was made", "", f"By `{how}`:", "", "```"]
        lines += [
            f"{key}: {value}" for key, value in learnt.items() if key != "out" and value not in (None, "", [], False)
        ]
        lines += ["```"]
    return lines


def _config(folder: Path) -> dict[str, Any]:
    """config.json, in which files and folders have their last names alone."""
    whole = read_json(folder / CONFIG, most=MOST_CONFIG)
    found = {name: whole[name] for name in KEPT if name in whole}
    for name in ("fit", "train"):
        if name in whole:
            found[name] = without_paths(whole[name])
    return found


def without_paths(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a run with files and folders by their last names: where they were is one machine's business."""
    named = dict(settings)
    for name in PATHS:
        if named.get(name):
            named[name] = ",".join(
                f"{part.split(':')[0]}:" * (":" in part) + Path(part.split(":")[-1]).name
                for part in sources_in(str(named[name]))
            )
    return named


def _scores(path: str | Path) -> dict[str, Any]:
    found = read_json(path)
    if not {"data", "split", "images", "intervals"} <= found.keys():
        raise InputError(f"{path} holds no scores; give what `pixelnet evaluate MODEL --data DATA --json FILE` writes")
    return found | {"data": Path(str(found["data"]).rpartition(":")[2]).name}


def _keys(task: Task, scores: dict[str, Any]) -> list[str]:
    """The headline first; then what else has an interval."""
    own = [key for key, value in scores.items() if isinstance(value, float) and key in scores["intervals"]]
    return sorted(own, key=lambda key: key != task.headline[0])


def _rows(task: Task, scores: dict[str, Any]) -> list[str]:
    where = f"{scores['data']} {scores['split']}, {scores['images']} images"
    rows = []
    for key in _keys(task, scores):
        write = partial(task.format_score, key, digits=4)
        interval = interval_words(key, scores["intervals"], scores["images"], write)
        rows.append(f"| {where} | {task.score_label(key)} | {write(scores[key])} | {interval} |")
    return rows


def _result(task: Task, scores: dict[str, Any], key: str) -> EvalResult:
    return EvalResult(
        task_type=PIPELINES.get(task.name, "image-to-image"),
        dataset_type=scores["data"],
        dataset_name=f"{scores['data']} {scores['split']}",
        dataset_split=scores["split"],
        metric_type=key,
        metric_name=task.score_label(key),
        metric_value=scores[key],
    )
