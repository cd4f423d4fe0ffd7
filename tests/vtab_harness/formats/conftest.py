"""Lets these tests import what writes small archives and records."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
