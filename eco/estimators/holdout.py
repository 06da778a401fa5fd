"""Which samples the models are fitted on, and which are held out, alone or by groups."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from eco.estimators.samples import take

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples with their labels, and the number of each one's group where there are groups."""

    X: Any
    y: Array
    groups: Array | None = None

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_units(self) -> int:
        """How many draws these are: of groups, where there are any, or of samples."""
        return len(self) if self.groups is None else len(np.unique(self.groups))

    def take(self, rows: Array) -> Self:
        """Some of the samples, by row numbers."""
        groups = None if self.groups is None else self.groups[rows]
        return type(self)(take(self.X, rows), self.y[rows], groups)

    def rows_of(self, units: Array) -> Array:
        """Row numbers of some groups, by their numbers, or of samples, which are these."""
        return units if self.groups is None else np.flatnonzero(np.isin(self.groups, units))


def hold_out(
    samples: Part,
    own: Part | None,
    n_parts: int,
    holdout: Any,
    prefit: bool,
    random_state: Any,
) -> tuple[Array, list[Part]]:
    """Rows to fit models on, and 0, 1 or 2 held-out parts.

    The parts are those of `own`, if that is given; of what the last split of a splitter leaves
    out, the latest samples where splits go forward in time; of a share `holdout` of the samples,
    or of all of them if the models are fitted already.
    Groups stay together. A second part is drawn plainly at random: a certificate takes draws that
    are independent of each other.
    """
    random, rows = check_random_state(random_state), np.arange(len(samples))
    if own is not None:
        if prefit:
            raise ValueError(
                "X_val must be None where the estimators are fitted: all samples are held out "
                "then. Give the held-out samples as X and y."
            )
        return rows, _divided(own, n_parts, random)
    if not n_parts:
        return rows[:0] if prefit else rows, []
    if is_splitter(holdout):
        rows, held_out = _last_split(samples, holdout)
        require_apart(samples.take(rows).groups, samples.take(held_out).groups)
        return rows[:0] if prefit else rows, _divided(samples.take(held_out), n_parts, random)
    if prefit:
        return rows[:0], _divided(samples, n_parts, random)
    rows, *parts = _split(samples, n_parts, holdout, random)
    return rows, [samples.take(part) for part in parts]


def is_splitter(holdout: Any) -> bool:
    """Whether an object splits samples, as scikit-learn's splitters do; text splits otherwise."""
    return callable(getattr(holdout, "split", None)) and not isinstance(holdout, str | bytes)


def _last_split(samples: Part, splitter: Any) -> tuple[Array, Array]:
    """Rows to fit on and rows held out; a ValueError says what is wrong with a splitter."""
    splits = list(splitter.split(samples.X, samples.y, samples.groups))
    if not splits:
        raise ValueError(f"holdout must give a split of the samples; {splitter!r} gives none")
    rows, held_out = (np.asarray(part, int) for part in splits[-1])
    if shared := np.intersect1d(rows, held_out).size:
        raise ValueError(
            f"holdout must hold out samples that it doesn't give to fit on; {splitter!r} has "
            f"{shared} of {len(held_out)} on both sides"
        )
    return rows, held_out


def numbered(*groups: Any) -> list[Array | None]:
    """Groups of samples as numbers from 0, the same for the same group; None where there are none.

    Raises a ValueError if a sample's group is missing.
    """
    given = [np.asarray(one, object) for one in groups if one is not None]
    if not given:
        return [None for _ in groups]
    codes, _ = pd.factorize(np.concatenate(given))
    if codes.min(initial=0) < 0:
        raise ValueError("groups must name the group of every sample; got missing values")
    parts = iter(np.split(codes, np.cumsum([len(one) for one in given])[:-1]))
    return [None if one is None else next(parts) for one in groups]


def require_apart(groups: Array | None, held_out: Array | None) -> None:
    """Raise a ValueError if a group has samples on both sides of a split."""
    if groups is None or held_out is None:
        return
    shared = np.intersect1d(groups, held_out)
    if shared.size:
        raise ValueError(
            f"samples of a group must be on one side of the split; {shared.size} of "
            f"{len(np.unique(held_out))} groups held out have samples to fit on as well. Give a "
            "splitter that keeps them together, such as GroupShuffleSplit, or other X_val."
        )


def _divided(part: Part, n_parts: int, random: np.random.RandomState) -> list[Part]:
    """A part as it is, or the two halves of its groups or samples."""
    if not n_parts:
        return [part]
    units = np.arange(len(part)) if part.groups is None else np.unique(part.groups)
    if len(units) < n_parts:
        raise ValueError(
            f"{n_parts} samples or groups must be held out at least, one for each purpose; got "
            f"{len(units)}"
        )
    halves = np.array_split(random.permutation(units), n_parts)
    return [part.take(part.rows_of(half)) for half in halves]


def _split(
    samples: Part, n_parts: int, holdout: float, random: np.random.RandomState
) -> list[Array]:
    """Rows to fit on and of 1 or 2 parts, together a share `holdout` of the samples or groups.

    Every class is among the rows to fit on and in the first part; a ValueError says which has too
    few samples or groups for that.
    """
    y, (labels, counts) = _labels_of_units(samples)
    units, last = np.arange(len(y)), list[Array]()
    size = max(1, round(holdout * len(units) / n_parts))
    if n_parts == 2 and size < len(units):
        units, *last = train_test_split(units, test_size=size, random_state=random)
    known, left = np.unique(y[units], return_counts=True)
    parts = [units[:0], units]
    if left.min() > 1 and len(known) <= size <= len(units) - len(known):
        parts = train_test_split(units, test_size=size, stratify=y[units], random_state=random)
    rows = [samples.rows_of(part) for part in (*parts, *last)]
    if all(np.isin(labels, samples.y[part]).all() for part in rows[:2]):
        return rows
    share, unit = min(holdout / n_parts, 1 - holdout), "groups"
    if samples.groups is None:
        unit = "samples"
    raise ValueError(
        "every class must be among the samples that the models are fitted on and among those held "
        f"out; got {samples.n_units} {unit}, of class {labels.tolist()[counts.argmin()]!r} only "
        f"{counts.min()}, and holdout={holdout} in {n_parts} part(s). Give "
        f"{int(np.ceil(n_parts / share))} {unit} of each class, or so, or change holdout."
    )


def _labels_of_units(samples: Part) -> tuple[Array, tuple[Array, Array]]:
    """Labels of the samples, or the rarest one in each group; the classes and their counts."""
    labels, y = np.unique(samples.y, return_inverse=True)
    if samples.groups is None:
        return samples.y, (labels, np.bincount(y))
    pairs = np.unique(np.column_stack([samples.groups, y]), axis=0)
    counts = np.bincount(pairs[:, 1])
    pairs = pairs[np.lexsort((counts[pairs[:, 1]], pairs[:, 0]))]
    _, first = np.unique(pairs[:, 0], return_index=True)
    return labels[pairs[first, 1]], (labels, counts)
