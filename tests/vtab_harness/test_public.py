"""What `import vtab_harness` offers: each with an example that runs, and none of it at import."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import vtab_harness

PUBLIC = [name for name in vtab_harness.__all__ if name != "__version__"]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_has_an_example_that_runs(
    name: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    found = [
        test for test in doctest.DocTestFinder(recurse=False).find(getattr(vtab_harness, name), name) if test.examples
    ]
    assert found, f"{name} has no example"
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in found:
        test.globs = {name: getattr(vtab_harness, name), "Path": Path}
        runner.run(test)
    assert runner.summarize().failed == 0


def test_every_example_of_the_room_runs() -> None:
    from vtab_harness.notebook import words

    assert doctest.testmod(words, optionflags=FLAGS).failed == 0


def test_import_is_light() -> None:
    code = (
        "import sys, vtab_harness\n"
        "dir(vtab_harness), vtab_harness.Transform, vtab_harness.register\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules and 'numpy' not in sys.modules\n"
        "vtab_harness.ImageFolder, vtab_harness.Results\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        _ = vtab_harness.evalute
