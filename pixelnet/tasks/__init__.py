"""All that differs between problems: one file a task, one class in one dict."""

import math
from collections.abc import Mapping, Sequence

from pixelnet.errors import InputError
from pixelnet.tasks.edges import Edges
from pixelnet.tasks.joint import Joint
from pixelnet.tasks.normals import Normals
from pixelnet.tasks.regression import Regression
from pixelnet.tasks.segmentation import Segmentation
from pixelnet.tasks.task import Scorer, Task

__all__ = ["TASKS", "Joint", "Scorer", "Task", "make_task"]

TASKS: dict[str, type[Task]] = {
    "segmentation": Segmentation,
    "normals": Normals,
    "edges": Edges,
    "regression": Regression,
}


def make_task(
    name: str,
    classes: int | None = None,
    names: Sequence[str] = (),
    colours: Sequence[Sequence[int]] = (),
    loss: str | None = None,
    class_weights: Sequence[float] | None = None,
) -> Task:
    """The task of that name, with the loss of that name (None: the task's first).

    Several names with commas between them make a `Joint` of these tasks, whose losses are named in the same way; there
    "3*angular" is the loss `angular`, which counts three times.
    classes (2..255), names, colours and class_weights are for segmentation, which needs the first; the others have
    none. Raises InputError for an unknown name and for what does not fit the task.
    """
    if "," in name:
        tasks = name.split(",")
        losses = [None] * len(tasks) if loss is None else loss.split(",")
        if len(losses) != len(tasks):
            raise InputError(f"{len(losses)} losses are given for {name}; give one for each task, with commas between")
        factors, named = zip(*map(_factor, losses), strict=True)
        of_segmentation = {"classes": classes, "names": names, "colours": colours, "class_weights": class_weights}
        if Segmentation.name not in tasks:
            _refuse(name, of_segmentation)
        return Joint(
            [
                make_task(task, loss=own, **(of_segmentation if task == Segmentation.name else {}))  # type: ignore[arg-type]
                for task, own in zip(tasks, named, strict=True)
            ],
            factors,
        )
    if name not in TASKS:
        raise InputError(f"there is no task {name!r}; choose one of {', '.join(TASKS)}")
    if name == Segmentation.name:
        if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= 255:
            raise InputError(f"segmentation needs the number of classes, 2 to 255; found {classes}")
        return Segmentation(classes, names, colours, loss, class_weights)
    _refuse(name, {"classes": classes, "names": names, "colours": colours, "class_weights": class_weights})
    return TASKS[name](loss)


def _factor(loss: str | None) -> tuple[float, str | None]:
    """ "3*angular" -> 3 and "angular"; one is the factor where none is given."""
    factor, star, name = (loss or "").rpartition("*")
    if not star:
        return 1.0, loss
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"the loss {loss!r} counts {factor!r} times; write a number above 0, as in 3*angular")
    return value, name


def _refuse(name: str, of_segmentation: Mapping[str, object]) -> None:
    for what, value in of_segmentation.items():
        if value or value == 0:
            raise InputError(f"{name} has no {what}, found {value}; leave it out, or choose the task segmentation")
