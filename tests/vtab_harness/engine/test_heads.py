"""The examples in the docstrings; what heads share is tested with the protocols that train them."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from vtab_harness.engine import heads, host_memory


@pytest.mark.parametrize("module", [heads, host_memory])
def test_the_examples_of_the_docstrings(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0
