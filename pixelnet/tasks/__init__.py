"""All that differs between problems: one file a task, one class in one dict."""

import math
from collections.abc import Sequence
from typing import Any

from pixelnet.errors import InputError
from pixelnet.tasks.edges import Edges
from pixelnet.tasks.joint import Joint
from pixelnet.tasks.normals import Normals
from pixelnet.tasks.regression import Regression
from pixelnet.tasks.scorer import Scorer
from pixelnet.tasks.segmentation import Segmentation
from pixelnet.tasks.task import Loss, Plot, Scored, Task

__all__ = ["TASKS", "Joint", "Plot", "Scored", "Scorer", "Task", "find_task", "make_task", "split_names"]

TASKS: dict[str, type[Task]] = {
    "segmentation": Segmentation,
    "normals": Normals,
    "edges": Edges,
    "regression": Regression,
}
AnyTask = str | Task | Sequence[str | Task]  # a name, several with commas between them, a task of one's own, or a list


def split_names(task: AnyTask) -> list[str | Task]:
    """The tasks that are meant, one by one, each by its name or as it is."""
    if isinstance(task, str):
        return [name.strip() for name in task.split(",")]
    if isinstance(task, type):
        raise InputError(f"the task is the class {task.__name__}; give an instance: {task.__name__}()")
    if isinstance(task, Task):
        return list(task.parts.values())
    return [own for several in task for own in split_names(several)]


def find_task(task: str | Task) -> "type[Task] | Task":
    """The class of that name, or a task of one's own: of both, `folder`, `read` and `name` are known.

    Raises InputError for an unknown name.
    """
    if isinstance(task, Task):
        return task
    if task not in TASKS:
        raise InputError(f"there is no task {task!r}; choose one of {', '.join(TASKS)}")
    return TASKS[task]


def make_task(
    task: AnyTask,
    num_classes: int | None = None,
    class_names: Sequence[str] = (),
    class_colors: Sequence[Sequence[int]] = (),
    loss: str | Loss | None = None,
    class_weights: Sequence[float] | None = None,
) -> Task:
    """The task of that name, with the loss of that name (None: the task's first); a task of one's own as it is.

    Several, in a list or as names with commas between them, make a `Joint` of these tasks, whose losses are named in
    the same way; there "3*angular" is the loss `angular`, which counts three times, and "log*angular"
    its logarithm, which counts the more the smaller it is.
    num_classes (2..255), class_names, class_colors and class_weights are for segmentation, which needs the first or
    the second; the others have none. Raises InputError for an unknown name and for what does not fit the task.
    """
    if isinstance(task, Joint) and loss is None:
        return task
    parts = split_names(task)
    of_classes: dict[str, Any] = {
        "num_classes": num_classes,
        "class_names": class_names,
        "class_colors": class_colors,
        "class_weights": class_weights,
    }
    if not any(isinstance(own, Task) or find_task(own).categorical for own in parts):
        _refuse_classes(", ".join(map(str, parts)), of_classes)
    if num_classes is None and class_names:
        of_classes["num_classes"] = len(class_names)
    if len(parts) == 1:
        return _make_one(parts[0], loss, of_classes)
    if loss is not None and not isinstance(loss, str):
        raise InputError("several tasks have a loss each; give names with commas between them, or tasks with losses")
    losses: list[str | None] = [None] * len(parts) if loss is None else list(loss.split(","))
    if len(losses) != len(parts):
        raise InputError(
            f"{len(losses)} losses are given for {', '.join(map(str, parts))}; give one for each task, with commas "
            "between"
        )
    factors, named = zip(*map(_factor, losses), strict=True)
    return Joint([_make_one(own, name, of_classes) for own, name in zip(parts, named, strict=True)], factors)


def _make_one(task: str | Task, loss: str | Loss | None, of_classes: dict[str, Any]) -> Task:
    if isinstance(task, Task):
        return task.with_loss(loss)
    kind: Any = find_task(task)
    return kind(loss=loss, **(of_classes if kind.categorical else {}))


def _factor(loss: str | None) -> tuple[float | None, str | None]:
    """ "3*angular" -> 3 and "angular"; one is the factor where none is given, and None that of "log*angular"."""
    factor, star, name = (loss or "").rpartition("*")
    if not star:
        return 1.0, loss
    if factor.strip() == "log":
        return None, name
    try:
        value = float(factor)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise InputError(f"the loss {loss!r} counts {factor!r} times; write a number above 0, as in 3*angular, or log")
    return value, name


def _refuse_classes(tasks: str, of_classes: dict[str, Any]) -> None:
    for what, value in of_classes.items():
        if value or value == 0:
            raise InputError(f"{tasks} has no {what}, found {value}; leave it out, or choose the task segmentation")
