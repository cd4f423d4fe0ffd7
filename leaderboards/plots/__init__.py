"""Plots of a board: one module a plot, all written by `write_all`.

Each module has a function `draw` that returns a `matplotlib.figure.Figure`, and raises
`leaderboards.plots.style.NotDrawnError` with a sentence where the records do not hold what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboards.board.board import Board
from leaderboards.board.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_all(
    board: Board,
    summary: Summary,
    out: Path,
    tell: Callable[[str], None] | None = None,
    plain: bool = False,
) -> list[Path]:
    """Writes every plot that the data can give, each as SVG, PNG and PDF.

    ``heatmap``, ``group_means``, ``accuracy_parameters``, ``accuracy_macs``, ``accuracy_images_per_second``,
    ``transfer``; ``wins`` of every two backbones; ``differences`` of the best complete backbone from the baseline, or
    from the next one where there is none; of the best one ``search`` and, where the protocol trains step by step,
    ``training``.

    Args:
        board: What is plotted.
        summary: Of that board.
        out: Folder, made if need be.
        tell: Called with a sentence for each plot that is not drawn, which says why.
        plain: Whether titles and captions are left out of the plots; ``captions.txt`` has them then.

    Returns:
        The files, in the order above. Equal boards give equal bytes.
    """
    from leaderboards.plots import cost, differences, groups, heatmap, search, transfer, wins
    from leaderboards.plots.style import SUFFIXES, NotDrawnError, best_first, save, words_of

    ranked = [int(i) for i in best_first(summary.mean)]
    complete = [i for i in ranked if summary.mean[i] == summary.mean[i]]

    def best_two() -> Figure:
        second = [b for b in (summary.baseline, *complete[1:2]) if b in complete][:1]
        first = [b for b in complete if b not in second][:1]
        if not first or not second:
            raise NotDrawnError("There are not two complete backbones to compare.")
        return differences.draw(board, first[0], second[0])

    def of_best(draw: Callable[[Board, int], Figure]) -> Figure:
        if not ranked:
            raise NotDrawnError("There is no backbone.")
        return draw(board, ranked[0])

    plots: dict[str, Callable[[], Figure]] = {
        "heatmap": lambda: heatmap.draw(board, summary),
        "group_means": lambda: groups.draw(board, summary),
        "accuracy_parameters": lambda: cost.draw(board, summary, "parameters"),
        "accuracy_macs": lambda: cost.draw(board, summary, "macs"),
        "accuracy_images_per_second": lambda: cost.draw(board, summary, "images_per_second"),
        "transfer": lambda: transfer.draw(board, summary),
        "wins": lambda: wins.draw(board, summary),
        "differences": best_two,
        "search": lambda: of_best(search.draw),
        "training": lambda: of_best(search.draw_training),
    }
    files: list[Path] = []
    words: dict[str, str] = {}
    for name, draw in plots.items():
        try:
            figure = draw()
        except NotDrawnError as reason:
            if tell is not None:
                tell(f"No plot {name}: {reason}")
            # An older plot of that name would be taken for one of these records.
            for suffix in SUFFIXES:
                (out / f"{name}{suffix}").unlink(missing_ok=True)
            continue
        words[name] = words_of(figure)
        files += save(figure, out, name, plain)
    if plain and words:
        files.append(out / "captions.txt")
        files[-1].write_text("\n".join(f"{name}: {text}" for name, text in words.items()), encoding="utf-8")
    return files
