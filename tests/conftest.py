"""What all tests share: the example plugin's modules, counting of host reads, and where real data may lie."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "tests" / "plugin_package" / "src"
sys.path.insert(0, str(EXAMPLE))
sys.path.insert(0, str(ROOT / "tests" / "counting"))
# Commands started by tests see the modules as well; without an installed distribution they announce nothing.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(EXAMPLE), os.environ.get("PYTHONPATH", "")])

# Small tensors gain nothing from threads, and threads of many processes at once only wait for each other. Benchmarks
# ask for more (see the Makefile).
os.environ.setdefault("OMP_NUM_THREADS", "1")

SMALL = "python:vtab_plugin_example.backbones:SmallNetwork?input_size=32"


@pytest.fixture(scope="session")
def small_backbone() -> str:
    """Spec of a little convolutional network with random weights."""
    return SMALL


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the tests of a run share, so that image sets are rendered once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data beside the checkout."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data beside the checkout")
    return folder
