"""What all plots share: type, colours that survive a photocopier, names that may hold anything, the caption.

The Figure interface of matplotlib is used and never pyplot: no window, no state, nothing to close.
"""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import font_manager, rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from leaderboards.board.board import Board

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

FONT = "DejaVu Sans"  # Comes with matplotlib, so that a plot looks the same everywhere.
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12.0, 9.0, 8.0
GREY, LIGHT = "#6e6e6e", "#d9d9d9"

# Okabe and Ito (2008), "Color Universal Design", without the yellow, which is lost on white. Black comes first, and the
# lightness differs as well; markers and dashes say the same again, for print without colours.
COLOURS = ("#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 3)))

NAMED = 30
"""How many backbones a plot names; more could not be read."""


class NotDrawnError(Exception):
    """The records do not hold what a plot needs; the message says what, as a sentence."""


@cache
def _characters() -> frozenset[int]:
    """Returns the code points that the font can draw."""
    face = font_manager.get_font([font_manager.findfont(FONT)])
    return frozenset(face.get_charmap())


def printable(name: str, length: int = 40) -> str:
    r"""Returns a name as a plot can show it.

    Control characters become spaces, what the font lacks (emoji, for instance) a white square, and a long name loses
    its middle, because both ends tell backbones apart. Dollars are escaped: matplotlib would take them for formulas.
    """
    known = _characters()
    clean = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Zs") else c if ord(c) in known else "□"
        for c in name
    )
    clean = re.sub(r"\s+", " ", clean).strip() or "(no name)"
    clean = re.sub("□{2,}", "□", clean)
    if len(clean) > length:
        head = (length - 1) * 3 // 5
        clean = f"{clean[:head].rstrip()}…{clean[-(length - 1 - head) :].lstrip()}"
    return clean.replace("$", r"\$")


def row_names(board: Board, length: int = 40) -> list[str]:
    """Returns what plots call the backbones of a board; names that look alike get the end of their key."""
    names = [printable(row.name, length) for row in board.backbones]
    return [
        f"{name} [{printable(row.key[-8:])}]" if names.count(name) > 1 else name
        for name, row in zip(names, board.backbones, strict=True)
    ]


def best_first(mean: NDArray[np.float64]) -> NDArray[np.intp]:
    """Returns the rows by falling mean, int64 (B,); those without a mean last, in their order."""
    return np.argsort(np.where(np.isnan(mean), np.inf, -mean), kind="stable")


def label_of(board: Board) -> str:
    """Returns what a plot has to say about where its numbers come from."""
    learned = "" if board.train_examples == "1000" else f" · learned from {board.train_examples}"
    seeds = f"{board.aggregation} of {len(board.seeds)} seeds" if len(board.seeds) > 1 else "one seed"
    parts = (
        f"suite {board.suite} {board.suite_version}",
        f"protocol {board.protocol}{learned}",
        f"data {board.variant}",
        board.date or "no date",
        seeds,
    )
    return " · ".join(printable(part, 120) for part in parts)


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of a size in inches that lays itself out."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.08, hspace=0.06, wspace=0.04)  # type: ignore[union-attr,call-arg]
    return figure


def frame(figure: Figure, board: Board, title: str, *notes: str) -> None:
    """Writes the title above, and below it all what the numbers are and how they are to be read.

    Args:
        figure: With its axes.
        board: Named in the caption.
        title: One line.
        notes: Sentences.
    """
    width = figure.get_size_inches()[0]
    # A character of the caption is about 0.063 inches wide.
    columns = max(40, int(width / (SMALL_SIZE * 0.0079)))
    figure.suptitle(
        "\n".join(textwrap.wrap(title, int(columns * 0.62))),
        x=0.01,
        ha="left",
        fontsize=TITLE_SIZE,
        fontweight="bold",
    )
    lines = [*textwrap.wrap(label_of(board), columns), *textwrap.wrap(" ".join(notes), columns)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL_SIZE, color="#333333", linespacing=1.35)


def bare(axes: Axes, grid: str = "both") -> None:
    """Leaves only what carries information: two spines, a thin grid behind the marks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL_SIZE)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=LIGHT, linewidth=0.6)  # type: ignore[arg-type]


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Gives a logarithmic axis between two values at least three labelled ticks, at numbers as round as that allows."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    else:
        # Less than a factor of two: as on a linear axis, on which a step may fall on both sides of the ends.
        for most in (5, 8):
            found = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
            ticks = [tick for tick in found if low <= tick <= high]
            if len(ticks) >= 3:
                break
    axis.set_major_locator(FixedLocator(ticks[:: 1 + (len(ticks) - 1) // 9]))
    axis.set_minor_formatter(NullFormatter())


SUFFIXES = (".svg", ".png", ".pdf")


def save(figure: Figure, out: Path, name: str, plain: bool = False) -> list[Path]:
    """Writes `name`.svg, .png and .pdf, the same bytes for the same figure.

    Args:
        figure: With title and caption.
        out: Folder, made if need be.
        name: Of the files.
        plain: Whether title and caption are left out, for a paper that has its own.

    Returns:
        The files.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{name}{suffix}" for suffix in SUFFIXES]
    # Dates and random identifiers would make two equal plots differ.
    metadata: list[dict[str, Any]] = [{"Date": None}, {"Software": None}, {"CreationDate": None}]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # Once is enough: laying out takes half the time.
    cut: dict[str, Any] = {}
    if plain:
        for text in (figure.suptitle(""), figure.supxlabel("")):
            text.set_in_layout(False)
        cut = {"bbox_inches": "tight", "pad_inches": 0.02}
    # Glyphs as outlines in SVG: whoever opens it need not have the font. In PDF as TrueType, which journals ask for.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": name, "pdf.fonttype": 42, "font.family": FONT}):
        for file, facts in zip(files, metadata, strict=True):
            figure.savefig(file, metadata=facts, dpi=160, **cut)
    return files


def words_of(figure: Figure) -> str:
    """Returns title and caption of a figure as text."""
    return f"{figure.get_suptitle()}\n\n{figure.get_supxlabel()}\n"
