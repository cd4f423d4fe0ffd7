"""The curves of a run: what is minimised, what it can tell apart, whether it collapses, what it waits for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from vivi_pretrain.watching.metrics import METRICS, read_metrics
from vtab_harness.api.errors import DataError, NotFoundError, OptionError
from vtab_harness.sweep.store import storage_errors

SPREAD = "spread of features (0: collapse)"
# Panels in order: title, and the figures in it by a word in their name.
PANELS = (
    ("losses", ("loss",)),
    ("accuracy of the pretext tasks", ("accuracy", "active_triplets")),
    (SPREAD, ("feature_",)),
    ("distances and scores", ("_distance", "_score")),
    ("learning rate", ("lr",)),
    ("images a second", ("images_per_second",)),
    ("share of time waiting for data", ("waiting_share",)),
    ("device memory, GB", ("device_memory_gb",)),
)
# Told apart without colour.
STYLES = ("-", "--", "-.", ":")


def plot_run(run: Path, out: Path) -> Path:
    """Draws the figures of a run.

    Args:
        run: Folder of the run.
        out: File to write, of a form that matplotlib knows.

    Returns:
        `out`.

    Raises:
        DataError: The run has no figures yet.
        OptionError: matplotlib does not write such files.
        NotFoundError: matplotlib is not installed.
        StorageError: The file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise NotFoundError("Plots need matplotlib.", "pip install 'vtab-harness[vivi]'") from error
    path = run / METRICS
    try:
        lines = read_metrics(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Name the --out folder of a run.") from error
    if not lines:
        raise DataError(f"{path} holds no figures yet.", "Wait for the first of the run's log_every steps.")
    panels = _panels(lines)
    rows = math.ceil(len(panels) / 2)
    figure = Figure(figsize=(11, 2.6 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).ravel()
    for axis, (title, names) in zip(axes, panels, strict=False):
        for number, name in enumerate(names):
            points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
            style = STYLES[number % len(STYLES)]
            # A line needs two points to be seen.
            marker = "o" if len(points) == 1 else ""
            axis.plot(
                *zip(*points, strict=True),
                style,
                marker=marker,
                label=_plain(name.removesuffix("_loss")),
                linewidth=1.3,
            )
        if title == SPREAD:
            axis.set_ylim(bottom=0)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.3)
        if len(names) > 1:
            axis.legend(fontsize=8)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.suptitle(_plain(run.resolve().name))
    try:
        with storage_errors(out.parent, "writing the plot"):
            out.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(out, dpi=120)
    except ValueError as error:
        raise OptionError(f"--out {out}: {error}", "For instance --out curves.png") from error
    return out


def _plain(name: str) -> str:
    # A name may hold what matplotlib takes for mathematics.
    return name.replace("$", r"\$")


def _panels(lines: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Returns the panels that have figures; a figure goes to the first panel that it fits."""
    names = [name for name in dict.fromkeys(key for line in lines for key in line) if name != "step"]
    panels = []
    for title, words in PANELS:
        mine = [name for name in names if any(word in name for word in words)]
        mine = [name for name in mine if any(line.get(name) is not None for line in lines)]
        names = [name for name in names if name not in mine]
        if mine:
            panels.append((title, mine))
    return panels
