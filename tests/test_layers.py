"""The rooms of a package import downwards only, in the order of its docstring, and no two classes share a name."""

import ast
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

import leaderboards
import vivi_pretrain

of_both = pytest.mark.parametrize("package", [vivi_pretrain, leaderboards], ids=lambda package: package.__name__)


def root(package: ModuleType) -> Path:
    return Path(package.__path__[0])


def imported(path: Path, package: str) -> set[str]:
    """Rooms of a package that a module imports, also inside functions and for type checking."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith(f"{package}.")}


@of_both
def test_imports_go_down_only(package: ModuleType) -> None:
    rooms = re.findall(r"^    (\w+)  ", package.__doc__ or "", re.MULTILINE)
    there = {path.stem for path in root(package).iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__"} == set(rooms)
    for path in sorted(root(package).rglob("*.py")):
        room = path.relative_to(root(package)).parts[0].removesuffix(".py")
        allowed = set(rooms) if room == "__init__" else {room, *rooms[rooms.index(room) + 1 :]}
        assert imported(path, package.__name__) <= allowed, f"{path.relative_to(root(package))} imports upwards"


@of_both
def test_every_class_has_a_name_of_its_own(package: ModuleType) -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in root(package).rglob("*.py")]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
