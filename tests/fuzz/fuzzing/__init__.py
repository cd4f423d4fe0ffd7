"""Mutated inputs for everything that the packages read from outside: mutators, limits, and the list of readers."""

import sys
from pathlib import Path

# What the tests of single readers write their small files with.
_TESTS = Path(__file__).parents[2] / "vtab_harness"
sys.path[:0] = [str(_TESTS / name) for name in ("", "formats", "formats/tfds", "formats/community", "prepared")]
