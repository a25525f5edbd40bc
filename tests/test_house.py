"""The house rules of docs/design.md: which way imports point, how long things are, who owns which library."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import pixelnet

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "pixelnet").rglob("*.py"))

# A module may import those of its own line, of the lines above it, and nothing below.
ORDER = [
    {"errors", "files", "config", "page", "memory"},
    {"points", "geometry"},
    {"linear"},
    {"hypercolumn"},
    {"metrics"},
    {"tasks"},
    {"backbone", "head"},
    {"fuse"},
    {"model"},
    {"data"},
    {"answers"},
    {"adaptive", "predict", "checkpoint", "hub", "predictions", "scorecard"},
    {"evaluate", "report", "record"},
    {"train"},
    {"demo"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}

OWNERS = {
    "timm": {"backbone"},
    "tyro": {"cli"},
    "accelerate": {"train", "evaluate", "predict"},
    "matplotlib": {"report", "page", "demo", "scorecard"},
    "safetensors": {"backbone", "checkpoint"},
    "huggingface_hub": {"hub"},
    "torchvision": {"data"},
    "h5py": {"data"},
    "sklearn": set(),
    "skimage": set(),
}


def module_of(path: Path) -> str:
    """The part of the house a file belongs to: "model", or "data" for all of data/."""
    return path.relative_to(ROOT / "pixelnet").parts[0].removesuffix(".py")


def imports(path: Path, inside_functions: bool = True) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of what is imported; blocks under TYPE_CHECKING are left out."""

    def walk(node: ast.AST) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{path}:{child.lineno} is a relative import"
                yield from ((f"{child.module}.{alias.name}", child.lineno) for alias in child.names)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            elif inside_functions or not isinstance(child, ast.FunctionDef):
                yield from walk(child)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")))


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
    own = module_of(path)
    if own == "__init__":
        return
    assert own in RANK, f"{path.name} has no place in ORDER; give it one, here and in docs/design.md"
    for name, line in imports(path, inside_functions=own != "model"):
        parts = name.split(".")
        if parts[0] == "pixelnet":
            # `from pixelnet import checkpoint` names a part; `from pixelnet import load` would go through the roof.
            assert parts[1] in RANK, f"{path.name}:{line} imports {name} from the package itself"
            assert RANK[parts[1]] <= RANK[own], f"{path.name}:{line} imports {name}, which lies above it"


def test_a_library_stays_with_its_owners() -> None:
    for path in PACKAGE:
        for name, line in imports(path):
            owners = OWNERS.get(name.split(".")[0])
            assert owners is None or module_of(path) in owners, f"{path.name}:{line} imports {name}"


def test_metrics_and_data_sets_know_no_model() -> None:
    free = [*(ROOT / "pixelnet" / "metrics").glob("*.py"), ROOT / "pixelnet" / "points.py"]
    free += [ROOT / "pixelnet" / "data" / f"{name}.py" for name in ("dataset", "folder", "scenes", "images", "camvid")]
    for path in free:
        assert "torch" not in {name.split(".")[0] for name, _ in imports(path)}, path.name


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
    assert sorted(pixelnet.__all__) == ["InputError", "PixelNet", "evaluate", "load", "train"]
    assert all(hasattr(pixelnet, name) for name in pixelnet.__all__)


def test_no_path_of_one_machine_is_written_down() -> None:
    anywhere = re.compile(r"(?<![\w.~:])/(?:work|home|root|Users|mnt|tmp)/[\w.-]")
    for path in tracked(".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".cfg", ".json", "run", "Makefile"):
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert not anywhere.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
