"""The house rules of docs/design.md: which way imports point, how long things are, who owns which library."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import pixelnet

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "pixelnet").rglob("*.py"))

# The storeys of docs/design.md: a room may use those of the lines above its own, and none of its own line or below.
ORDER = [
    {"errors", "memory", "signals"},
    {"files", "devices"},
    {"config", "rasters"},
    {"points", "geometry", "hypercolumn", "metrics"},
    {"tasks", "nn"},
    {"model"},
    {"data"},
    {"report"},
    {"runs"},
    {"inference"},
    {"evaluation"},
    {"label_errors"},
    {"learning"},
    {"training"},
    {"measure"},
    {"export"},
    {"demo", "studio"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
# The places that look up the stairs, inside a function: the README's best lines need them.
DOORS = {
    ("model", "encode"): "inference.encoded",
    ("model", "save"): "runs.checkpoint",
    ("measure.command", "_page"): "studio.asking",
}

FREE_OF_TORCH = ("dataset", "folder/__init__", "camvid", "scenes/__init__")
OWNERS = {
    "timm": {"nn"},
    "tyro": {"cli", "export.command", "inference.command", "measure.command", "studio.command"},
    "accelerate": {"training", "evaluation", "runs"},
    "matplotlib": {"report"},
    "safetensors": {"nn.pretrained", "runs.checkpoint"},
    "huggingface_hub": {"runs.hub", "runs.publish", "nn.pretrained"},
    "torchvision": {"data"},
    "h5py": {"data"},
    "tifffile": {"rasters"},
    "imagecodecs": {"rasters"},
    "rasterio": {"rasters"},
    "pyogrio": {"rasters"},
    "shapely": {"rasters"},
    "zarr": {"rasters"},
    "fastapi": {"studio"},
    "starlette": {"studio"},
    "pydantic": {"studio"},
    "uvicorn": {"studio"},
    "threadpoolctl": {"devices"},
    "onnx": {"export"},
    "onnxruntime": {"export"},
    "onnxscript": {"export"},
    "sklearn": set(),
    "skimage": {"inference.objects"},
    "fsspec": {"inference.remote"},
    "ray": {"inference.fleet"},
}


def place_of(path: Path) -> str:
    """A file's dotted name within the package; a folder's for its __init__."""
    return ".".join(path.relative_to(ROOT / "pixelnet").with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[str, int, str | None]]:
    """(dotted name, line, the function around it) of what is imported; blocks under TYPE_CHECKING are left out."""

    def walk(node: ast.AST, function: str | None) -> Iterator[tuple[str, int, str | None]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, child.lineno, function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{path}:{child.lineno} is a relative import"
                yield from ((f"{child.module}.{alias.name}", child.lineno, function) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            else:
                yield from walk(child, child.name if isinstance(child, ast.FunctionDef) else function)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), None)


PLACES = {place_of(path): path for path in PACKAGE}


def imported_files(path: Path) -> Iterator[tuple[str, int, str | None]]:
    """(place, line, function) of each of the package's own files that a file imports."""
    for name, line, function in imports(path):
        parts = name.split(".")
        if parts[0] == "pixelnet":
            places = [".".join(parts[1:end]) for end in range(len(parts), 1, -1)]
            yield next((place for place in places if place in PLACES), ""), line, function


def tracked(*endings: str) -> list[Path]:
    """The repository's files, git's own list where there is one."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
        files = [ROOT / line for line in listed]
    except (OSError, subprocess.CalledProcessError):
        files = [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.parts)]
    return sorted(path for path in files if path.is_file() and path.name.endswith(endings))


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    own = place_of(path)
    if path.parent == ROOT / "pixelnet" and path.name == "__init__.py":
        return
    room = own.split(".")[0]
    assert room in RANK, f"{own} has no place in ORDER; give its room one, here and in docs/design.md"
    for place, line, function in imported_files(path):
        if DOORS.get((own, str(function))) == place or room in ("cli", "__main__"):
            continue
        assert place, f"{own}:{line} imports from the package itself"
        other = place.split(".")[0]
        assert other == room or RANK[other] < RANK[room], f"{own}:{line} imports {place}, which is not below it"


def test_no_imports_go_round_in_circles() -> None:
    graph = {
        own: {
            place for place, _, function in imported_files(path) if DOORS.get((own, str(function))) != place and place
        }
        for own, path in PLACES.items()
    }
    list(TopologicalSorter(graph).static_order())  # which raises CycleError


def test_the_doors_are_there() -> None:
    for (own, function), place in DOORS.items():
        assert (place, function) in [(there, by) for there, _, by in imported_files(PLACES[own])]


def test_a_library_stays_with_its_owners() -> None:
    for path in PACKAGE:
        own = place_of(path)
        for name, line, _ in imports(path):
            owners = OWNERS.get(name.split(".")[0])
            assert owners is None or {own, own.split(".")[0]} & owners, f"{own}:{line} imports {name}"


def test_metrics_and_data_sets_know_no_model() -> None:
    free = [*(ROOT / "pixelnet" / "metrics").glob("*.py"), ROOT / "pixelnet" / "points.py"]
    free += [ROOT / "pixelnet" / "data" / f"{name}.py" for name in FREE_OF_TORCH]
    for path in free:
        assert "torch" not in {name.split(".")[0] for name, *_ in imports(path)}, path.name


def test_no_file_is_over_400_lines() -> None:
    for path in tracked(".py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path.relative_to(ROOT)


def test_no_function_needs_scrolling() -> None:
    for path in tracked(".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                # Arguments and docstring are read, not followed: a long signature is no long function.
                length -= node.body[0].lineno - node.lineno
                if ast.get_docstring(node):
                    first = node.body[0]
                    length -= (first.end_lineno or 0) - first.lineno + 1
                assert length <= 60, f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines"


def test_each_module_says_what_it_is() -> None:
    for path in PACKAGE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree) or not tree.body, f"{path.relative_to(ROOT)} says nothing of itself"


def test_the_public_surface() -> None:
    assert pixelnet.__all__ == sorted(pixelnet.__all__) == [
        "Backbone", "Dataset", "InputError", "PixelNet", "Sampler", "Session", "Task", "__version__", "evaluate",
        "fit", "load", "open_dataset", "predict", "predict_files", "train",
    ]  # fmt: skip
    assert all(hasattr(pixelnet, name) for name in pixelnet.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'evaluat'"):
        pixelnet.evaluat  # noqa: B018


def test_functions_do_not_hide_modules() -> None:
    modules = {place for place in PLACES if "." not in place}
    assert not modules & set(pixelnet.__all__)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, pixelnet.cli; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_no_path_of_one_machine_is_written_down() -> None:
    anywhere = re.compile(r"(?<![\w.~:])/(?:work|home|root|Users|mnt|tmp)/[\w.-]")
    for path in tracked(".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".json", "run", "Makefile"):
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert not anywhere.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
