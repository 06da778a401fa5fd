"""The samples of a data set, divided: at random, whole groups at random, or by time."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, shortened
from eco.predictions.times import by_time, ranks

Array = NDArray[Any]
Arrays = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Samples:
    """Images, rows of a data frame or texts, with labels, and groups or times as numbers."""

    X: Any
    y: Array
    groups: Array | None = None
    times: Array | None = None

    def take(self, rows: Array) -> Self:
        """Some of the samples, by row numbers."""
        groups, times = (None if each is None else each[rows] for each in (self.groups, self.times))
        X = self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]
        return type(self)(X, self.y[rows], groups, times)

    @property
    def unit_labels(self) -> Array:
        """What draws are stratified by: the label of each sample, or the rarest in each group."""
        if self.groups is None:
            return self.y
        pairs = np.unique(np.column_stack([self.groups, self.y]), axis=0)
        n_groups = np.bincount(pairs[:, 1])
        pairs = pairs[np.lexsort((n_groups[pairs[:, 1]], pairs[:, 0]))]
        return pairs[np.unique(pairs[:, 0], return_index=True)[1], 1]

    def take_units(self, units: Array) -> Self:
        """Some of the samples or groups, by the places of their labels in `unit_labels`."""
        if self.groups is None:
            return self.take(units)
        return self.take(np.flatnonzero(np.isin(self.groups, np.unique(self.groups)[units])))


def array_name(kind: str, part: str) -> str:
    """Name of an array of an .npz; where the file has one part, that has no name."""
    return f"{kind}_{part}" if part else kind


def group_numbers(where: str, given: Arrays, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Groups of the parts of a file as numbers, the same in every part for the same group.

    Raises a `DataError` that names the array if a group is missing, or in two parts.
    """
    names = [array_name("groups", part) for part in given]
    values, part_of = _joined(where, names, given, sizes)
    if values.dtype.kind not in "iufmMU":
        problem = f"{', '.join(names)} must hold numbers, text or dates; got {values.dtype}"
        raise DataError(f"{where}: {problem}")
    # NaN and NaT differ from themselves.
    if (missing := values == "" if values.dtype.kind == "U" else values != values).any():
        found = (
            f"{names[part_of[missing.argmax()]]} must name the group of every sample; got nothing"
        )
        raise DataError(f"{where}: {found}")
    groups, numbers = np.unique(values, return_inverse=True)
    first_of = part_of[np.unique(numbers, return_index=True)[1]][numbers]
    if (shared := part_of != first_of).any():
        row = shared.argmax()
        raise DataError(
            f"{where}: all samples of a group must be in one split; {names[first_of[row]]} and "
            f"{names[part_of[row]]} both hold {shortened(groups[numbers[row]], 40)}",
            "Put each group into one of them.",
        )
    return {part: numbers[part_of == place] for place, part in enumerate(given)}


def time_numbers(where: str, given: Arrays, sizes: Mapping[str, int]) -> dict[str, Array]:
    """Times of the parts of a file as numbers: the earlier, the less.

    Raises a `DataError` that names the array if a time is none, or if a part begins before the one
    in front of it ends.
    """
    names = [array_name("time", part) for part in given]
    values, part_of = _joined(where, names, given, sizes)

    def error(problem: str, row: int | None) -> DataError:
        if row is None:
            return DataError(f"{where}: {names[0]} {problem}")
        row_of_part = row - int((part_of < part_of[row]).sum())
        return DataError(f"{where}: {names[part_of[row]]}, row {row_of_part}: {problem}")

    numbers = ranks(values, error)
    times = [numbers[part_of == place] for place in range(len(names))]
    for place, (earlier, later) in enumerate(pairwise(times)):
        if later.min() < earlier.max():
            raise DataError(
                f"{where}: splits must follow each other in time; {names[place + 1]} begins before "
                f"{names[place]} ends",
                "Leave the times out, or give X, y and time, to have them divided.",
            )
    return dict(zip(given, times, strict=True))


def _joined(
    where: str, names: list[str], given: Arrays, sizes: Mapping[str, int]
) -> tuple[Array, Array]:
    """Values of all parts, one part after the other, and the place of the part of each."""
    kinds = set()
    for name, (part, values) in zip(names, given.items(), strict=True):
        if values.shape != (sizes[part],):
            raise DataError(
                f"{where}: {name} must hold a value for each of {sizes[part]} samples; got shape "
                f"{values.shape}"
            )
        kinds.add("number" if values.dtype.kind in "iuf" else values.dtype.kind)
    if len(kinds) > 1:
        raise DataError(f"{where}: {', '.join(names)} must be numbers alike, or dates, or text")
    part_of = np.repeat(np.arange(len(given)), [len(values) for values in given.values()])
    return np.concatenate(list(given.values())), part_of


def quarter(where: str, samples: Samples, seed: int) -> tuple[Samples, Samples]:
    """The samples without a quarter of them, and that quarter: drawn, or the latest by time."""
    if samples.times is not None:
        parts = _by_time(samples, {"train": 3, "test": 1})
        if min(len(part.y) for part in parts.values()) == 0:
            raise DataError(f"{where}: a latest quarter must be there; too many have one time")
        return parts["train"], parts["test"]
    labels = samples.unit_labels
    try:
        _require_groups(samples, 2)
        rest, test = _draw(samples, np.arange(len(labels)), -(-len(labels) // 4), seed)
    except ValueError as error:
        problem = f"a quarter of the samples can't become test ({error})"
        raise DataError(f"{where}: {problem}") from None
    return samples.take_units(rest), samples.take_units(test)


def hold_out(
    name: str, samples: Samples, shares: Mapping[str, float], seed: int, n_classes: int, key: str
) -> dict[str, Samples]:
    """Splits of samples, by the share of the samples or groups that each takes.

    ``train`` is what the others leave; where `shares` doesn't name it, they are in proportion to
    their shares and leave nothing. By time they follow in the order of `shares`. Raises a
    `DataError` if a split would lack a class; `key` is what it calls the shares.
    """
    labels = samples.unit_labels
    whole = 1.0 if "train" in shares else sum(shares.values())
    held_out = {split: share for split, share in shares.items() if split != "train"}
    sizes = {split: round(share / whole * len(labels)) for split, share in held_out.items()}
    try:
        if samples.times is None:
            splits = _at_random(samples, sizes, seed, "train" in shares)
        else:
            splits = _by_time(samples, shares)
        require_classes(splits, n_classes)
    except ValueError as error:
        unit, remedy = "samples", "Raise the smallest share."
        if samples.groups is not None:
            unit, remedy = "groups", "Raise the smallest share, or give more groups of each class."
        elif samples.times is not None:
            remedy = "Raise the smallest share, or leave time out."
        counts = ", ".join(f"{split} {size}" for split, size in sizes.items())
        raise DataError(
            f"{key} must leave samples of every class in each split of {name}; "
            f"got {counts} of {len(labels)} {unit} ({error})",
            remedy,
        ) from None
    return splits


def one_of_each_group(samples: Samples, seed: int) -> Samples:
    """A sample of each group, drawn: such samples are independent, as a certificate takes them."""
    if samples.groups is None:
        return samples
    order = np.random.default_rng(seed).permutation(len(samples.y))
    first = np.unique(samples.groups[order], return_index=True)[1]
    return samples.take(np.sort(order[first]))


def require_classes(splits: Mapping[str, Samples], n_classes: int) -> None:
    """Raise a ValueError if a split lacks a class, or holds out a single sample of one."""
    for split, samples in splits.items():
        counts, least = np.bincount(samples.y, minlength=n_classes), 1 if split == "train" else 2
        if counts.min() < least:
            raise ValueError(
                f"{split} has {counts.min()} samples of class {counts.argmin()}, and takes {least}"
            )


def _at_random(
    samples: Samples, sizes: Mapping[str, int], seed: int, has_train: bool
) -> dict[str, Samples]:
    _require_groups(samples, len(sizes) + has_train)
    units, drawn = np.arange(len(samples.unit_labels)), {}
    if has_train:
        # Everything held out is split off at once: the training split depends on its size only.
        drawn["train"], units = _draw(samples, units, sum(sizes.values()), seed)
    *first, last = sizes
    for split in first:
        units, drawn[split] = _draw(samples, units, sizes[split], seed)
    drawn[last] = units
    return {split: samples.take_units(units) for split, units in drawn.items()}


def _require_groups(samples: Samples, n_splits: int) -> None:
    """Raise a ValueError if a class is in fewer groups than there are splits."""
    if samples.groups is None:
        return
    pairs = np.unique(np.column_stack([samples.groups, samples.y]), axis=0)
    labels, n_groups = np.unique(pairs[:, 1], return_counts=True)
    if n_groups.min() < n_splits:
        label = labels[n_groups.argmin()]
        raise ValueError(
            f"class {label} is in {n_groups.min()} group(s), which can't be in {n_splits} splits"
        )


def _draw(samples: Samples, units: Array, size: int, seed: int) -> tuple[Array, Array]:
    """Some units without `size` of them, and these."""
    from sklearn.model_selection import train_test_split

    labels = samples.unit_labels[units]
    counts = np.unique(labels, return_counts=True)[1]
    # A group may hold every class; whether each is there is seen later.
    is_free = counts.min() < 2 or not len(counts) <= size <= len(units) - len(counts)
    stratify = None if is_free and samples.groups is not None else labels
    rest, drawn = train_test_split(units, test_size=size, stratify=stratify, random_state=seed)
    return rest, drawn


def _by_time(samples: Samples, shares: Mapping[str, float]) -> dict[str, Samples]:
    assert samples.times is not None
    parts = by_time(samples.times, list(shares.values()))
    return {split: samples.take(np.flatnonzero(parts == n)) for n, split in enumerate(shares)}
