"""Where the committed boards are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
BOARDS = ROOT / "leaderboards" / "boards"
STUDIES = sorted(BOARDS.glob("*/study.toml"))
"""Every board is a folder with a study; its tables lie in folders beside that."""
