"""Lets the tests of the readers import what they share."""

import sys
from pathlib import Path

FORMATS = Path(__file__).parents[1] / "formats"
sys.path[:0] = [str(Path(__file__).parent), str(FORMATS), str(FORMATS / "community")]
