"""What the tests of the prepared cache share."""

import sys
from pathlib import Path

import pytest

from vtab_harness.prepared.prepared_set import PreparedSet, prepare

sys.path.insert(0, str(Path(__file__).parent))
from ragged_source import IMAGE_SET


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def prepared(fresh: Path) -> PreparedSet:
    return prepare(IMAGE_SET, [], fresh)
