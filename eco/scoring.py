"""Scores of a strategy: what it gets right, what it costs, and what that must be compared with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def operating_point(
    answered_by: Array,
    sample_energy_j: Array,
    correct: Array,
    energy_j: Array,
    pool: Sequence[str],
) -> dict[str, Any]:
    """One setting of a strategy, scored under the same keys as every other.

    Parameters
    ----------
    answered_by : array of shape (n_samples,)
        Index of the model whose label is returned.
    sample_energy_j : array of shape (n_samples,)
        J, everything that ran for the sample included.
    correct : array of shape (n_samples, n_models), bool
    energy_j : array of shape (n_models,)
        J per sample of each model alone.
    pool : sequence of str
        Model names; the last is the reference.

    Returns
    -------
    dict
        ``accuracy``; ``accuracy_loss_points`` below the last model, in percentage points;
        ``retention``, accuracy as a share of the last model's; ``energy_j`` per sample;
        ``energy_share`` of the last model's energy; ``gain_over_hull_points``, accuracy above
        that of the best random mixing at the same energy; and for each model the ``share`` of
        samples that it answered and its ``accuracy_on_share`` (None where it answered none).
    """
    right = correct[np.arange(len(correct)), answered_by]
    accuracy, energy = float(right.mean()), float(sample_energy_j.mean())
    reference = float(correct[:, -1].mean())
    answered = np.bincount(answered_by, minlength=len(pool))
    answered_right = np.bincount(answered_by, weights=right, minlength=len(pool))
    mixing = random_mixing_accuracy(energy, energy_j, correct.mean(axis=0))
    return {
        "accuracy": accuracy,
        "accuracy_loss_points": 100 * (reference - accuracy),
        "retention": accuracy / reference if reference else None,
        "energy_j": energy,
        "energy_share": energy / float(energy_j[-1]),
        "gain_over_hull_points": 100 * (accuracy - mixing),
        "share": {name: float(n / len(right)) for name, n in zip(pool, answered, strict=True)},
        "accuracy_on_share": {
            name: float(r / n) if n else None
            for name, n, r in zip(pool, answered, answered_right, strict=True)
        },
    }


def hull(energy_j: Array, accuracy: Array) -> Array:
    """Indices of the models on the upper concave envelope of accuracy over energy.

    Sending each sample to one of two neighbours on it at random reaches every point of the line
    between them, so any strategy worth its name must lie above.

    Parameters
    ----------
    energy_j, accuracy : arrays of shape (n_models,)

    Returns
    -------
    array of int64
        By rising energy, from the cheapest model to the most accurate.

    Examples
    --------
    >>> hull(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.6, 0.9]))
    array([0, 2])
    """
    envelope: list[int] = []
    for i in np.lexsort((-accuracy, energy_j)):
        if envelope and accuracy[i] <= accuracy[envelope[-1]]:
            continue
        while len(envelope) >= 2 and _is_below(energy_j, accuracy, envelope[-2], envelope[-1], i):
            envelope.pop()
        envelope.append(int(i))
    return np.array(envelope)


def _is_below(x: Array, y: Array, a: int, b: int, c: int) -> bool:
    """Whether point b lies on or below the line from a to c."""
    return bool((y[b] - y[a]) * (x[c] - x[a]) <= (y[c] - y[a]) * (x[b] - x[a]))


def random_mixing_accuracy(energy: float, energy_j: Array, accuracy: Array) -> float:
    """Accuracy of the best random mixing of models whose mean energy is at most `energy`.

    Below the cheapest model nothing can run, and its accuracy is returned.

    Parameters
    ----------
    energy : float
        J per sample.
    energy_j, accuracy : arrays of shape (n_models,)

    Returns
    -------
    float

    Examples
    --------
    >>> round(random_mixing_accuracy(2.0, np.array([1.0, 3.0]), np.array([0.5, 0.9])), 6)
    0.7
    """
    envelope = hull(energy_j, accuracy)
    return float(np.interp(energy, energy_j[envelope], accuracy[envelope]))


def random_mixing_curve(energy_j: Array, accuracy: Array, steps: int = 61) -> list[list[float]]:
    """Points of the hull, evenly spaced in the logarithm of energy.

    A line between two models is straight over energy, so a picture over log energy needs the
    points between them.

    Parameters
    ----------
    energy_j, accuracy : arrays of shape (n_models,)
    steps : int
        Number of points, the models on the hull not counted.

    Returns
    -------
    list of [energy_j, accuracy]
        By rising energy.
    """
    corners = energy_j[hull(energy_j, accuracy)]
    energies = np.union1d(np.geomspace(corners[0], corners[-1], steps)[1:-1], corners)
    return [[float(e), random_mixing_accuracy(e, energy_j, accuracy)] for e in energies]


def labelled(points: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Points of a plot with a ``label`` each; points that coincide share one.

    Examples
    --------
    >>> same = {"strategy": "cascade", "accuracy": 0.9, "energy_share": 0.2}
    >>> [p["label"] for p in labelled([{"name": "chosen"} | same, {"name": "balanced"} | same])]
    ['chosen = balanced', '']
    """
    rows = [dict(point) for point in points]
    at: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        at.setdefault((row["strategy"], row["accuracy"], row["energy_share"]), []).append(row)
    for first, *others in at.values():
        first["label"] = " = ".join(row["name"] for row in (first, *others))
        for row in others:
            row["label"] = ""
    return rows


def misordered(energy_j: Array, pool: Sequence[str]) -> list[str]:
    """Neighbours in pool order whose measured energies say the opposite.

    Returns
    -------
    list of str
        Such as ``"medium costs more than large"``.

    Examples
    --------
    >>> misordered(np.array([1.0, 3.0, 2.0]), ["tiny", "small", "medium"])
    ['small costs more than medium']
    """
    pairs = zip(pool[:-1], pool[1:], energy_j[:-1], energy_j[1:], strict=True)
    return [f"{a} costs more than {b}" for a, b, e, f in pairs if e > f]


def confusion(y: Array, labels: Array, n_classes: int) -> Array:
    """Number of samples of each true class (rows) that were given each label (columns).

    Examples
    --------
    >>> confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    array([[1, 0],
           [1, 1]])
    """
    counts = np.bincount(y.astype(np.int64) * n_classes + labels, minlength=n_classes**2)
    return counts.reshape(n_classes, n_classes)


def confusion_rows(y: Array, labels: Array, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """The confusion matrix as rows of a plot: ``actual``, ``predicted``, ``samples``."""
    counts = confusion(y, labels, len(class_names))
    return [
        {"actual": actual, "predicted": predicted, "samples": int(counts[i, j])}
        for i, actual in enumerate(class_names)
        for j, predicted in enumerate(class_names)
    ]
