"""The rooms of the package import downwards only, in the order of its docstring, and no two classes share a name."""

import ast
import re
from collections import Counter
from pathlib import Path

import vivi_pretrain

ROOT = Path(vivi_pretrain.__file__).parent


def imported(path: Path) -> set[str]:
    """Rooms that a module imports, also inside functions and for type checking."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("vivi_pretrain.")}


def test_imports_go_down_only() -> None:
    rooms = re.findall(r"^    (\w+)  ", vivi_pretrain.__doc__ or "", re.MULTILINE)
    there = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - {"__init__", "__pycache__"} == set(rooms)
    for path in sorted(ROOT.rglob("*.py")):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        allowed = set(rooms) if room == "__init__" else {room, *rooms[rooms.index(room) + 1 :]}
        assert imported(path) <= allowed, f"{path.relative_to(ROOT)} imports upwards"


def test_every_class_has_a_name_of_its_own() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
