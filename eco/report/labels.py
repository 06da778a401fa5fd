"""Where the labels of a picture find room."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra

with extra("report"):
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Text

Array = NDArray[Any]
#: x, y, text and colour.
Label = tuple[Any, ...]

#: Directions from a point, the preferred ones first.
SIDES = np.array([(1, -1), (-1, 1), (1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)])
#: Distances from a point, in points of 1/72 inch; beyond `NEAR` a line leads to it.
DISTANCES, NEAR = (5, 10, 18, 30, 45, 60, 80), 10
#: The cost of covering another label, a marker, and 3 pixels of a curve or of an interval.
ON_LABEL, ON_MARKER, ON_CURVE = 1000.0, 40.0, 4.0
#: Half the width of a marker, in points of 1/72 inch.
MARKER = 4
#: How often each label may move again, once the others have found a place.
PASSES = 4


def place_labels(axes: Axes, labels: Sequence[Label]) -> None:
    """Write a label beside each point, where it covers the least of what is drawn already."""
    pixels = _lay_out(axes)
    notes = [
        axes.annotate(
            text, (x, y), (0, 0), textcoords="offset points", color=colour, fontsize=8.5,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkA": 0, "shrinkB": 4},
        )
        for x, y, text, colour in labels
    ]  # fmt: skip
    sizes = np.array([Text.get_window_extent(note).size for note in notes])[:, None]
    at = axes.transData.transform([label[:2] for label in labels])[:, None]
    distances, sides = np.repeat(DISTANCES, len(SIDES)), np.tile(SIDES, (len(DISTANCES), 1))
    corners = at + sides * (pixels * distances[:, None] + sizes / 2) - sizes / 2
    options = np.concatenate([corners, corners + sizes], axis=2)
    costs = 2 * distances + np.tile(np.arange(len(SIDES)) / 2, len(DISTANCES))
    costs = costs + [_covered(axes, boxes, pixels) for boxes in options]
    chosen = np.full((len(labels), 4), np.nan)  # overlaps nothing
    for _ in range(PASSES):
        for i, boxes in enumerate(options):
            others = np.delete(chosen, i, axis=0)
            overlaps = _pairs(
                (boxes[:, None, :2] < others[:, 2:]) & (others[:, :2] < boxes[:, None, 2:])
            )
            best = np.argmin(costs[i] + ON_LABEL * overlaps)
            chosen[i] = boxes[best]
            notes[i].set_position(tuple((chosen[i, :2] - at[i, 0]) / pixels))
            if (line := notes[i].arrow_patch) is not None:
                line.set_visible(bool(distances[best] > NEAR))


def label_ends(axes: Axes, labels: Sequence[Label]) -> None:
    """Write a label to the right of the end of each line, moved so that none overlap."""
    pixels = _lay_out(axes)
    ordered = sorted(labels, key=lambda label: label[1])
    ends = np.array([axes.transData.transform((x, y))[1] for x, y, *_ in ordered]) / pixels
    heights = ends.copy()
    for _ in range(200):  # neighbours that are too close push each other apart
        lacking = np.maximum(11 - np.diff(heights), 0) / 2
        heights[1:] += lacking
        heights[:-1] -= lacking
    for (x, y, text, colour), offset in zip(ordered, heights - ends, strict=True):
        axes.annotate(
            text, (x, y), (10, offset), textcoords="offset points", va="center", color=colour,
            annotation_clip=False,
        )  # fmt: skip


def _lay_out(axes: Axes) -> float:
    """Give the axes their final place; pixels per point of 1/72 inch."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    return figure.dpi / 72


def _covered(axes: Axes, boxes: Array, pixels: float) -> Array:
    """What it costs to write in each of some boxes, (n_boxes,): what is drawn or ends there."""
    frame = np.array(axes.get_window_extent().extents)
    outside = (boxes[:, :2] < frame[:2]).any(axis=1) | (boxes[:, 2:] > frame[2:]).any(axis=1)
    cost = ON_LABEL * outside
    for places, each in _obstacles(axes, pixels):
        inside = _pairs((places > boxes[:, None, :2]) & (places < boxes[:, None, 2:]))
        cost = cost + each * inside
    return np.asarray(cost)


def _pairs(both: Array) -> Array:
    """How many of the second axis hold in x and in y, by the first axis."""
    return np.asarray(both.all(axis=2).sum(axis=1))


def _obstacles(axes: Axes, pixels: float) -> Iterator[tuple[Array, float]]:
    """Pixels that something is drawn on, (n, 2), and what covering each costs."""
    intervals = [c for c in axes.collections if isinstance(c, LineCollection)]
    for segment in itertools.chain.from_iterable(c.get_segments() for c in intervals):
        yield _along(axes.transData.transform(segment)), ON_CURVE
    for line in axes.get_lines():
        xy = axes.transData.transform(np.column_stack(line.get_data()))
        if line.get_linestyle() == "None":
            corners = MARKER * pixels * np.array([(0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)])
            yield (xy[:, None] + corners).reshape(-1, 2), ON_MARKER
        else:
            yield _along(xy), ON_CURVE


def _along(xy: Array) -> Array:
    """Points every 3 pixels along a line."""
    length = np.concatenate([[0], np.hypot(*np.diff(xy, axis=0).T).cumsum()])
    at = np.arange(0, length[-1], 3)
    return np.column_stack([np.interp(at, length, xy[:, i]) for i in (0, 1)])
