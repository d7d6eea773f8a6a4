"""Names beside the points of a figure, as many as fit without covering each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

SIZE = 8
HEIGHT = 10
GAP, DOT = 4, 3
"""In points of 1/72 inch: the letters, a line of them, the gap to a dot, a dot's radius."""

SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Where a name may stand, seen from its point; the first that is free is taken."""


def place_labels(axes: Axes, points: NDArray[np.float64], names: Sequence[str]) -> int:
    """Write names beside points, (n, 2) in data units; returns how many found room.

    The axes must have their final size.
    """
    # In points, the unit of letters, so that the figure's resolution does not matter.
    per_point = 72 / axes.figure.dpi
    centres = axes.transData.transform(points) * per_point
    box = axes.bbox
    inside = np.array([box.x0, box.y0, box.x1, box.y1]) * per_point
    taken: NDArray[np.float64] = np.empty((0, 4))
    for point, centre, name in zip(points, centres, names, strict=True):
        # Measured from the letters' outlines, as nothing is drawn before it has room.
        width = TextPath((0, 0), name, size=SIZE).get_extents().width + 1
        for side in SIDES:
            rectangle = _rectangle(centre, side, width)
            if _is_free(rectangle, inside, taken, centres):
                break
        else:
            # No side is free: the point stays without a name.
            continue
        taken = np.vstack([taken, rectangle])
        axes.annotate(
            name,
            point,
            (GAP * side[0], GAP * side[1]),
            textcoords="offset points",
            ha={1: "left", -1: "right", 0: "center"}[side[0]],
            va={1: "bottom", -1: "top", 0: "center"}[side[1]],
            fontsize=SIZE,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
    return len(taken)


def _rectangle(
    centre: NDArray[np.float64], side: tuple[int, int], width: float
) -> NDArray[np.float64]:
    """Give left, bottom, right and top of a name, in points."""
    size = np.array([width, HEIGHT])
    middle = centre + np.array(side) * (GAP + size / 2)
    return np.concatenate([middle - size / 2, middle + size / 2])


def _is_free(
    rectangle: NDArray[np.float64],
    inside: NDArray[np.float64],
    taken: NDArray[np.float64],
    centres: NDArray[np.float64],
) -> bool:
    """Check whether a rectangle lies inside the axes and covers neither a name nor a point."""
    left, bottom, right, top = rectangle
    if left < inside[0] or bottom < inside[1] or right > inside[2] or top > inside[3]:
        return False
    x, y = centres.T
    if np.any((x > left - DOT) & (x < right + DOT) & (y > bottom - DOT) & (y < top + DOT)):
        return False
    overlaps = (
        (taken[:, 0] < right) & (taken[:, 2] > left) & (taken[:, 1] < top) & (taken[:, 3] > bottom)
    )
    return not overlaps.any()
