"""What the tests of sweeps share: makers that cost nothing, and the small image set of the tests of its preparation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "prepared"))
sys.path.insert(0, str(Path(__file__).parent))
