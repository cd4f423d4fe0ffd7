"""Lets these tests import what writes small prepared directories, and the records and images in them."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
