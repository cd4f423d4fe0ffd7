"""Lets tests of the leaderboards import `made_boards`, which stands beside this file."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
