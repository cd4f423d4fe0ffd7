"""The flow of the package goes down only: a room imports from the rooms above it in this list, and from itself."""

import ast
from pathlib import Path

import pytest

import vtab_harness

ROOMS = (
    *(
        "api",
        "builtin",
        "registry",
        "leases",
        "formats",
        "datasets",
        "fetch",
        "prepared",
        "backbones",
        "engine",
        "protocols",
    ),
    *("sweep", "executors", "testing", "cli", "notebook"),
)
"""From the ground up; docs/architecture.md draws them."""
PACKAGE = Path(vtab_harness.__file__).parent
FREE = {"__version__"}


def imported_rooms(path: Path) -> set[str]:
    """Returns the rooms that a module imports from, those behind ``if TYPE_CHECKING`` and in functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        found |= {name.split(".")[1] for name in names if name.startswith("vtab_harness.")}
    return found


def test_every_room_has_its_place() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__", "__main__"} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_from_lower_rooms_only(room: str) -> None:
    modules = list((PACKAGE / room).rglob("*.py")) or [PACKAGE / f"{room}.py"]
    if room == "registry":
        # It names the contracts that things are checked against, and imports what it is asked for by name.
        assert imported_rooms(modules[0]) <= {"api", "builtin"}
    allowed = {*ROOMS[: ROOMS.index(room) + 1], *FREE}
    wrong = {str(path.relative_to(PACKAGE)): imported_rooms(path) - allowed for path in modules}
    assert {path: rooms for path, rooms in wrong.items() if rooms} == {}


def test_no_image_set_imports_another() -> None:
    folders = [
        path for path in (PACKAGE / "datasets").iterdir() if path.is_dir() and path.name not in ("mini", "vtab_1k")
    ]
    names = {path.name for path in folders if (path / "__init__.py").is_file()}
    assert len(names) >= 16
    for name in names:
        text = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "datasets" / name).glob("*.py"))
        assert not [other for other in names - {name} if f"vtab_harness.datasets.{other}" in text], name
