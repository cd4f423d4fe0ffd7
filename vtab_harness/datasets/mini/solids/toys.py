"""What the toys of the image set mini_solids are made of."""

from __future__ import annotations

import numpy as np

from vtab_harness.datasets.mini.canvas import Field
from vtab_harness.datasets.mini.draws import Draws

INSTANCES = 5
"""Toys of a category in each of the two splits."""

BOX, BALL = "box", "ball"

# Part: kind, centre (forward, left, up) and half sizes along these axes, in units.
Part = tuple[str, tuple[float, float, float], tuple[float, float, float]]
TOYS: dict[str, tuple[Part, ...]] = {
    "animal": (
        (BALL, (0.0, 0.0, 0.1), (0.62, 0.27, 0.27)),
        (BALL, (0.68, 0.0, 0.42), (0.27, 0.17, 0.18)),
        (BALL, (-0.68, 0.0, 0.2), (0.22, 0.06, 0.06)),
        (BOX, (0.38, 0.16, -0.3), (0.09, 0.08, 0.32)),
        (BOX, (0.38, -0.16, -0.3), (0.09, 0.08, 0.32)),
        (BOX, (-0.38, 0.16, -0.3), (0.09, 0.08, 0.32)),
        (BOX, (-0.38, -0.16, -0.3), (0.09, 0.08, 0.32)),
    ),
    "human": (
        (BALL, (0.0, 0.0, 0.15), (0.2, 0.32, 0.42)),
        (BALL, (0.06, 0.0, 0.72), (0.19, 0.17, 0.2)),
        (BOX, (0.3, 0.34, 0.32), (0.34, 0.07, 0.07)),
        (BOX, (0.0, -0.38, 0.1), (0.08, 0.07, 0.32)),
        (BOX, (0.05, 0.14, -0.5), (0.1, 0.1, 0.4)),
        (BOX, (-0.05, -0.14, -0.5), (0.1, 0.1, 0.4)),
    ),
    "plane": (
        (BALL, (0.0, 0.0, 0.0), (0.92, 0.15, 0.16)),
        (BOX, (0.15, 0.0, 0.02), (0.2, 0.88, 0.04)),
        (BOX, (-0.74, 0.0, 0.06), (0.12, 0.34, 0.03)),
        (BOX, (-0.76, 0.0, 0.2), (0.12, 0.03, 0.2)),
    ),
    "truck": (
        (BOX, (-0.22, 0.0, 0.12), (0.6, 0.3, 0.36)),
        (BOX, (0.6, 0.0, -0.06), (0.2, 0.28, 0.24)),
        (BOX, (0.0, 0.0, -0.34), (0.8, 0.24, 0.08)),
        (BALL, (0.56, 0.0, -0.42), (0.16, 0.33, 0.16)),
        (BALL, (-0.5, 0.0, -0.42), (0.16, 0.33, 0.16)),
    ),
    "car": (
        (BOX, (0.0, 0.0, -0.16), (0.86, 0.36, 0.15)),
        (BALL, (-0.2, 0.0, 0.02), (0.46, 0.31, 0.3)),
        (BOX, (-0.8, 0.0, 0.08), (0.06, 0.34, 0.12)),
        (BALL, (0.54, 0.0, -0.3), (0.17, 0.39, 0.17)),
        (BALL, (-0.54, 0.0, -0.3), (0.17, 0.39, 0.17)),
    ),
}
"""Parts of the mean toy of each category."""


def proportions(category: int, parts: int) -> Field:
    """Returns by how much each instance's parts are longer than the mean toy's, shape (10, parts, 3), float32."""
    toys = Draws(f"toys of category {category}", "all", np.arange(2 * INSTANCES, dtype=np.int64))
    return toys.uniform("proportions", parts, 3, low=0.75, high=1.3)
