"""What the packages import is declared in pyproject.toml, and docs/dependencies.md lists it with a reason."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("vtab_harness", "vivi_pretrain", "leaderboards")
# Where the name of the distribution is another than that of the module.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "torch.utils.tensorboard": "tensorboard",
}

UNDECLARED_BY_OTHERS = {"importlib-resources"}
"""What a dependency imports and does not declare itself: TensorFlow Datasets 4.9."""


def normalised(name: str) -> str:
    return name.lower().replace("_", "-")


def imported() -> set[str]:
    """Distributions that a package imports, also inside functions and by name."""
    modules: set[str] = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(node.module or "")
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
                modules |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    tops = {module if module in DISTRIBUTIONS else module.split(".")[0] for module in modules}
    # The plugin for pytest is loaded by pytest itself.
    return {normalised(DISTRIBUTIONS.get(top, top)) for top in tops - sys.stdlib_module_names - {*PACKAGES, "pytest"}}


def declared() -> dict[str, set[str]]:
    """``required``, ``optional`` and ``development`` distributions of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = dict(project["optional-dependencies"])
    lists = {
        "required": project["dependencies"],
        "development": extras.pop("dev"),
        "optional": [requirement for extra in extras.values() for requirement in extra],
    }
    names = {kind: {normalised(re.split(r"[\[<>=]", line)[0]) for line in lines} for kind, lines in lists.items()}
    return {kind: found - {project["name"]} for kind, found in names.items()}


def documented() -> dict[str, set[str]]:
    """The same of docs/dependencies.md: first words of the rows of the tables that have a column ``distribution``."""
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    tables = re.findall(r"^\| distribution .*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert len(tables) == 3
    found = []
    for table in tables:
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
        assert all(len(cell) > 3 for row in rows for cell in row if row[0] != cell), "a cell gives no reason"
        firsts = (re.sub(r"\(.*\)", "", row[0]) for row in rows)
        found.append({normalised(name.strip()) for first in firsts for name in first.split(",")})
    return dict(zip(("required", "optional", "development"), found, strict=True))


def test_what_is_imported_is_declared_and_nothing_else_is() -> None:
    lists = declared()
    assert lists["required"] | lists["optional"] == imported() | UNDECLARED_BY_OTHERS
    assert not lists["required"] & lists["optional"]


def test_the_page_lists_what_is_declared() -> None:
    lists, page = declared(), documented()
    assert page["required"] == lists["required"]
    assert page["optional"] == lists["optional"]
    assert page["development"] == lists["development"] - lists["optional"]
