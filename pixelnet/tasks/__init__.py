"""All that differs between problems: one file a task, one class in one dict."""

from collections.abc import Sequence

from pixelnet.errors import InputError
from pixelnet.tasks.edges import Edges
from pixelnet.tasks.normals import Normals
from pixelnet.tasks.regression import Regression
from pixelnet.tasks.segmentation import Segmentation
from pixelnet.tasks.task import Scorer, Task

__all__ = ["TASKS", "Scorer", "Task", "make_task"]

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

    classes (2..255), names, colours and class_weights are for segmentation, which needs the first; the others have
    none. Raises InputError for an unknown name and for what does not fit the task.
    """
    if name not in TASKS:
        raise InputError(f"there is no task {name!r}; choose one of {', '.join(TASKS)}")
    if name == Segmentation.name:
        if isinstance(classes, bool) or not isinstance(classes, int) or not 2 <= classes <= 255:
            raise InputError(f"segmentation needs the number of classes, 2 to 255; found {classes}")
        return Segmentation(classes, names, colours, loss, class_weights)
    given = {"classes": classes, "names": names, "colours": colours, "class_weights": class_weights}
    for what, value in given.items():
        if value or value == 0:
            raise InputError(f"{name} has no {what}, found {value}; leave it out, or choose the task segmentation")
    return TASKS[name](loss)
