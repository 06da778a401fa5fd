"""Scores of a strategy: what it gets right, what it costs, and what that must be compared with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.intervals import (
    Readings,
    bootstrap_means,
    percentile_interval,
    strategy_half_widths,
)

Array = NDArray[Any]


class Selector(NamedTuple):
    """What picks the model: J per sample, and the single readings behind that figure."""

    energy_j: float
    readings_j: Array


def operating_point(
    answered_by: Array,
    ran: Array,
    correct: Array,
    energy_j: Array,
    readings: Readings,
    pool: Sequence[str],
    selector: Selector | None = None,
) -> dict[str, Any]:
    """One setting of a strategy, scored under the same keys as every other.

    Parameters
    ----------
    answered_by : array of shape (n_samples,)
        Index of the model whose label is returned.
    ran : array of shape (n_samples, n_models), bool
        Which models ran on each sample.
    correct : array of shape (n_samples, n_models), bool
    energy_j : array of shape (n_models,)
        J per sample of each model alone.
    readings : Readings
        Those behind `energy_j`.
    pool : sequence of str
        Model names; the last is the reference.
    selector : Selector, optional
        The router, where there is one.

    Returns
    -------
    dict
        ``accuracy``; ``accuracy_loss_points`` below the last model, in percentage points;
        ``retention``, accuracy as a share of the last model's; ``harm``, the share of samples on
        which the last model is right and the strategy isn't; ``energy_j`` per sample;
        ``energy_share`` of the last model's energy; ``gain_over_hull_points``, accuracy above
        that of the best random mixing at the same energy; ``gap_to_oracle_points``, accuracy below
        what some model of the pool gets right; each with its 95 % interval under ``_low`` and
        ``_high``; and for each model the ``share`` of samples that it answered
        and its ``accuracy_on_share`` (None where it answered none).

        Accuracies vary with the samples (paired bootstrap), energies with the samples and with
        the measurement; the two are independent, so their half-widths add as squares. The gain
        over the hull takes the measured energies as exact.
    """
    right = correct[np.arange(len(correct)), answered_by]
    harm, n_models = correct[:, -1] & ~right, len(pool)
    values = np.column_stack([right, harm, correct.any(axis=1), correct, ran])
    drawn, means = bootstrap_means(values), values.mean(axis=0)[None]
    selector_j = selector.energy_j if selector else 0.0

    def figures(means: Array) -> dict[str, Array]:
        accuracy, harm, bound, alone = means[:, 0], means[:, 1], means[:, 2], means[:, 3:-n_models]
        reference, energy = alone[:, -1], means[:, -n_models:] @ energy_j + selector_j
        mixing = [
            random_mixing_accuracy(e, energy_j, a) for e, a in zip(energy, alone, strict=True)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            retention = accuracy / reference
        return {
            "accuracy": accuracy,
            "accuracy_loss_points": 100 * (reference - accuracy),
            "retention": retention,
            "harm": harm,
            "energy_j": energy,
            "energy_share": energy / energy_j[-1],
            "gain_over_hull_points": 100 * (accuracy - np.array(mixing)),
            "gap_to_oracle_points": 100 * (bound - accuracy),
        }

    point: dict[str, Any] = {}
    measured = strategy_half_widths(
        ran.mean(axis=0), readings, selector.readings_j if selector else None
    )
    resampled = figures(drawn)
    for key, (value,) in figures(means).items():
        low, high = percentile_interval(resampled[key])
        below, above = (np.hypot(d, measured.get(key, 0.0)) for d in (value - low, high - value))
        point |= {key: float(value), f"{key}_low": value - below, f"{key}_high": value + above}
    answered = np.bincount(answered_by, minlength=n_models)
    answered_right = np.bincount(answered_by, weights=right, minlength=n_models)
    point = {key: float(value) if np.isfinite(value) else None for key, value in point.items()}
    return point | {
        "share": {name: float(n / len(right)) for name, n in zip(pool, answered, strict=True)},
        "accuracy_on_share": {
            name: float(r / n) if n else None
            for name, n, r in zip(pool, answered, answered_right, strict=True)
        },
    }


def accuracy_gain(right: Array, other: Array) -> dict[str, float]:
    """How many points more accurate one strategy is than another on the same samples.

    Parameters
    ----------
    right, other : arrays of shape (n_samples,), bool
        Whether each answers the true label.

    Returns
    -------
    dict
        ``gain_points``, and its 95 % interval by the paired bootstrap under ``gain_points_low``
        and ``gain_points_high``.
    """
    drawn = bootstrap_means(np.column_stack([right, other]))
    low, high = percentile_interval(100 * (drawn[:, 0] - drawn[:, 1]))
    gain = 100 * float(right.mean() - other.mean())
    return {"gain_points": gain, "gain_points_low": low, "gain_points_high": high}


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


def by_class(
    right: Array, correct: Array, ran: Array, energy_j: Array, y: Array, class_names: Sequence[str]
) -> list[dict[str, Any]]:
    """What a strategy does to each class, beside what the last model does.

    Parameters
    ----------
    right : array of shape (n_samples,), bool
        Whether the strategy answers the true label.
    correct, ran : arrays of shape (n_samples, n_models), bool
    energy_j : array of shape (n_models,)
    y : array of shape (n_samples,)
    class_names : sequence of str

    Returns
    -------
    list of dict
        ``class``, ``accuracy``, ``accuracy_loss_points`` below the last model, ``energy_share``
        and ``last_model_share``, how often the last model ran. Classes without samples are left
        out.
    """
    rows = []
    for label, name in enumerate(class_names):
        of_class = y == label
        if of_class.any():
            accuracy = right[of_class].mean()
            loss = correct[of_class, -1].mean() - accuracy
            share = ran[of_class].mean(axis=0) @ energy_j / energy_j[-1]
            rows.append(
                {
                    "class": name,
                    "accuracy": float(accuracy),
                    "accuracy_loss_points": float(100 * loss),
                    "energy_share": float(share),
                    "last_model_share": float(ran[of_class, -1].mean()),
                }
            )
    return rows


def worst_class(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The class that loses most, and how many points.

    Examples
    --------
    >>> worst_class([{"class": "a", "accuracy_loss_points": 1.0},
    ...              {"class": "b", "accuracy_loss_points": 3.0}])
    {'class': 'b', 'accuracy_loss_points': 3.0}
    """
    worst = max(rows, key=lambda row: row["accuracy_loss_points"])
    return {key: worst[key] for key in ("class", "accuracy_loss_points")}


def mean_accuracy_over_energy(energy_share: Array, accuracy: Array, low: float = 0.01) -> float:
    """Area under the accuracy-energy curve: mean accuracy over log energy shares from `low` to 1.

    At each energy the dearest point within it counts, whether or not a cheaper one proved better;
    below the cheapest point the accuracy is 0.

    Parameters
    ----------
    energy_share, accuracy : arrays of shape (n_points,)
        The share of the last model's energy of each point.
    low : float
        Where the range begins.

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> mean_accuracy_over_energy(np.array([0.01, 0.1]), np.array([0.8, 0.9]))
    0.85
    """
    order = np.argsort(energy_share, kind="stable")
    edges = np.clip(np.concatenate([[low], energy_share[order], [1.0]]), low, 1.0)
    widths = np.diff(np.log(edges))
    return round(float(widths @ np.concatenate([[0.0], accuracy[order]]) / -np.log(low)), 12)


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
