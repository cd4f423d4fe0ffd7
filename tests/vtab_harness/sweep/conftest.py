"""What the tests of sweeps share: the small image set that the tests of its preparation use as well."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "prepared"))
