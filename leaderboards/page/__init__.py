"""The leaderboard as a page: one HTML file that works offline, from the disk, with any number of rows."""

from leaderboards.page.build import write_page
from leaderboards.page.data import ReferenceRow

__all__ = ["ReferenceRow", "write_page"]
