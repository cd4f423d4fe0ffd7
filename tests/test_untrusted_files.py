"""What the packages do with files that others wrote, told from their source: no code of theirs runs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vtab_harness", "vivi_pretrain", "leaderboards")
# Function -> an argument that it has to be given, and its value where that matters.
CAREFUL = {
    # Without it Pillow takes EPS in a photo.jpg to Ghostscript, which runs it.
    "Image.open": ("formats", None),
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
}
FORBIDDEN = {
    *(f"{module}.{name}" for module in ("pickle", "dill", "marshal", "shelve", "joblib") for name in ("load", "loads")),
    *("pickle.Unpickler", "yaml.load", "eval", "exec", "os.system", "torch.jit.load", "tarfile.extractall"),
}


OWN = ("vtab_harness/testing/tasks.py", "vtab_harness/executors/beginning.py")
"""The one finds out whether a task can be pickled, by reading what it has just written; the other reads, in a worker,
the function that the process which began that worker has sent it. Neither reads a file."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yields the place, the name of the function and the call of every call in the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func)
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", name.removeprefix("PIL."), node


def test_files_are_opened_with_care() -> None:
    careless = []
    found = set()
    for place, name, call in calls():
        if name not in CAREFUL:
            continue
        found.add(name)
        argument, value = CAREFUL[name]
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        there = given.get(argument)
        if there is None or (value is not None and not (isinstance(there, ast.Constant) and there.value is value)):
            careless.append(f"{place}: {name} without {argument}{'' if value is None else f'={value}'}")
    assert not careless
    # A test that looks for names which nobody uses would never fail.
    assert found == CAREFUL.keys()


def test_nothing_is_unpickled_or_evaluated() -> None:
    # `model.eval()` is another function.
    used = [f"{place}: {name}" for place, name, _ in calls() if name in FORBIDDEN and not place.startswith(OWN)]
    assert used == []


@pytest.mark.parametrize("package", PACKAGES)
def test_pickle_is_imported_for_its_errors_alone(package: str) -> None:
    used = {
        ast.unparse(node)
        for path in (ROOT / package).rglob("*.py")
        if str(path.relative_to(ROOT)) not in OWN
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle"
    }
    assert used <= {"pickle.UnpicklingError"}
