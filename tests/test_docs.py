"""The documentation: the site builds without a warning, links lead somewhere, and options and names are real ones."""

import dataclasses
import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from pixelnet.cli import COMMANDS, Train
from pixelnet.config import TrainConfig

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
AT_THE_ROOT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
FENCE = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)(?![\w>-])")
# Options of training that the pages already name; to be emptied as they arrive.
COMING: set[str] = set()


def options_of(command: str) -> set[str]:
    """The names that a command's options have on the command line."""
    kind = TrainConfig if COMMANDS[command] is Train else COMMANDS[command]
    return {field.name.replace("_", "-") for field in dataclasses.fields(kind)}


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and Python-Markdown make them of plain ones."""
    headings = re.findall(r"^#+ +(.*?) *$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("mkdocs", "material", "mkdocstrings"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed; `make docs` sets it up")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_builds_without_a_warning(site: Path) -> None:
    for page in PAGES:
        assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()


def test_the_site_fetches_nothing(site: Path) -> None:
    """Links may lead elsewhere; scripts, styles, fonts and pictures are the site's own."""
    fetched = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>")
    styles = re.compile(
        r"<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preconnect|preload|icon))[^>]*href=[\"']?(?:https?:)?//"
    )
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not fetched.search(text), page.name
        assert not styles.search(text), page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_the_site_documents_every_public_name(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    import pixelnet

    for name in pixelnet.__all__:
        assert name.startswith("__") or re.search(rf'id="pixelnet\.(?:[\w.]+\.)?{name}"', page), name


@pytest.mark.parametrize("page", [*PAGES, *AT_THE_ROOT], ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        path, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        found = (page.parent / path) if path else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor and found.suffix == ".md" and not anchor.startswith("pixelnet."):
            assert anchor in anchors(found), f"{page.name} links to {target}"


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert named == {page.relative_to(DOCS).as_posix() for page in PAGES}


def sections_of_cli() -> dict[str, str]:
    """Of docs/cli.md, what is said of each command."""
    _, *parts = re.split(r"^## (\w+)$", (DOCS / "cli.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_reference_has_every_command() -> None:
    assert list(sections_of_cli()) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_has_the_options_that_there_are(command: str) -> None:
    rows = re.findall(r"^\| `--([a-z0-9-]+)", sections_of_cli()[command], re.MULTILINE)
    positional = {"check": {"data"}, "evaluate": {"model"}, "predict": {"inputs"}, "models": {"name"}}
    positional |= {"measure": {"step", "inputs"}, "studio": {"folder"}, "push": {"model", "to"}, "export": {"model"}}
    assert len(rows) == len(set(rows))
    missing = options_of(command) - positional.get(command, set()) - {row.removeprefix("no-") for row in rows}
    assert not missing
    assert {row.removeprefix("no-") for row in rows} - options_of(command) <= (COMING if command == "train" else set())


@pytest.mark.parametrize("page", [*PAGES, *AT_THE_ROOT[:2]], ids=lambda page: str(page.relative_to(ROOT)))
def test_options_that_pages_name_exist(page: Path) -> None:
    """In lines that call a command, its own; anywhere else, some command's, or of the programs named below."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    others = {"help", "version", "out", "data", "weights", "full", "hed", "images", "thresholds", "every", "scenes"}
    others |= {"picture", "run", "editable", "constraint", "cases", "seed", "seeds", "steps", "peers"}
    others |= {"nproc-per-node", "nnodes", "node-rank", "master-addr", "master-port"}  # torchrun's
    known = {option for command in COMMANDS for option in options_of(command)} | others
    for line in text.splitlines():
        if "-->" in line:  # an arrow
            continue
        called = re.search(r"(?<!/)\bpixelnet (\w+)\b", line)
        own = options_of(called[1]) | {"help"} if called and called[1] in COMMANDS and line.count("`") < 3 else known
        for option in OPTION.findall(line):
            assert option.removeprefix("no-") in own | COMING, f"{page.name}: {line.strip()}"


WITH_CODE = [page for page in (*PAGES, *AT_THE_ROOT) if page.name != "design.md"]  # which sketches interfaces


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_in_pages_is_code_and_names_what_there_is(page: Path) -> None:
    for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        compile(code, str(page), "exec")
        for module, names in re.findall(r"^from (pixelnet[\w.]*) import (.+)$", code, re.MULTILINE):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {module}.{name}"
        for name in re.findall(r"\bpixelnet\.(\w+)", code):
            assert hasattr(importlib.import_module("pixelnet"), name), f"{page.name}: pixelnet.{name}"


@pytest.mark.parametrize("page", [*PAGES, *AT_THE_ROOT[:2]], ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_pages_name_are_there(page: Path) -> None:
    """Names in backquotes that are written as paths of the repository."""
    for path in re.findall(r"`((?:pixelnet|tests|recipes|benchmarks|docs)/[\w/]+\.\w+)`", prose(page)):
        assert "NAME" in path or (ROOT / path).exists(), f"{page.name} names {path}"


def test_scores_of_models_that_ship_are_those_of_their_cards() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.*)$", (DOCS / "numbers.md").read_text(encoding="utf-8"), re.MULTILINE)
    for folder in sorted((ROOT / "pixelnet" / "shipped").iterdir()):
        card = json.loads((folder / "config.json").read_text(encoding="utf-8"))["card"]
        text = dict(rows)[folder.name]
        for name, words in (("mean IoU", r"mean IoU ([\d.]+)"), ("mean angle in degrees", r"([\d.]+) degrees")):
            value = next((row["value"] for row in card["scores"] if row["score"] == name), None)
            found = re.search(words, text)
            assert (value is None) == (found is None), folder.name
            if value is not None and found:
                assert float(found[1]) == pytest.approx(value, abs=0.05 if "angle" in name else 0.0005), folder.name
