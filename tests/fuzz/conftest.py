"""Lets these tests import the fuzzing package, and with it what writes small archives."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
