"""One rule of rounding, so that files, page and plots show the same number.

A percentage has four decimals, as in ``leaderboard.csv`` and in the page's data. Where fewer are shown they are rounded
from these, and halves go up: anybody who has the file comes to the same, and so does the page in the browser.
"""

from __future__ import annotations

from math import floor, isnan

DECIMALS = 4


def rounded(percentage: float, decimals: int) -> str:
    """Returns a percentage with at most four decimals; halves go up, whatever their last binary digit is."""
    if isnan(percentage):
        return "nan"
    # As NumPy rounds an array.
    stated = round(percentage * 10**DECIMALS) / 10**DECIMALS
    return f"{floor(10**decimals * stated + 0.5 + 1e-9) / 10**decimals:.{decimals}f}"
