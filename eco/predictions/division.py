"""The samples of a file, divided into those that tune, certify and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError, EcoError
from eco.evaluation.targets import subset
from eco.predictions.columns import Samples
from eco.predictions.times import by_time
from eco.strategies.outcomes import Outcomes

Array = NDArray[Any]

#: What samples are for; each serves one purpose.
SPLITS = ("tuning", "certification", "test")


@dataclass(frozen=True, eq=False)
class Part:
    """The samples of one split."""

    outcomes: Outcomes
    groups: Array | None = None  #: (n_samples,) numbers.
    cost_per_sample: Array | None = None  #: (n_samples, n_models), where costs vary.


def divide(
    samples: Samples, splits: Sequence[str], shares: Sequence[float], seed: int
) -> dict[str, Part]:
    """Some of the `SPLITS`: as the samples say, or else by time or at random, groups whole.

    By time the earliest samples tune, the next ones certify, the latest test. Where the samples
    name all splits but that of the certificate, half of the tuning samples certify. A model costs
    what it costs on average on the tuning samples.

    Parameters
    ----------
    samples : Samples
    splits : sequence of str
        The splits that are needed, tuning first.
    shares : sequence of float
        Of the samples, or of their groups, for each split. Samples of one time stay together.
    seed : int
        Of the random division.

    Raises
    ------
    DataError
        If the split of a sample is none of these, one has no samples, a group is in two, one
        begins before that in front of it ends, or samples with groups would have to be divided by
        time.
    EcoError
        If a share is no finite number above 0.
    """
    if not (min(shares) > 0 and np.isfinite(sum(shares))):
        found = ", ".join(f"{share:g}" for share in shares)
        raise EcoError(f"shares must be finite numbers above 0; got {found}")
    names = samples.split
    if names is None or set(names) <= {"tuning"}:
        names = _drawn(samples, np.arange(len(samples.outcomes)), splits, shares, seed)
    else:
        _check(names, splits)
        _refuse_shared_groups(samples, names)
        _refuse_disorder(samples, names, splits)
        if "certification" in splits and "certification" not in names:
            tuning, names = np.flatnonzero(names == "tuning"), names.copy()
            names[tuning] = _drawn(samples, tuning, SPLITS[:2], (0.5, 0.5), seed)
    parts = {split: _part(samples, np.flatnonzero(names == split)) for split in splits}
    costs = parts["tuning"].cost_per_sample
    if costs is None:
        return parts
    means = costs.mean(axis=0)
    return {
        name: replace(part, outcomes=replace(part.outcomes, energy_j=means))
        for name, part in parts.items()
    }


def _check(names: Array, splits: Sequence[str]) -> None:
    if unknown := sorted(set(names) - set(SPLITS)):
        raise DataError(
            f"split must be one of {', '.join(SPLITS)} in every row; got {unknown[0]}",
            "Rename the splits, or leave the column out: then they are drawn at random.",
        )
    for split in splits:
        if split != "certification" and not (names == split).any():
            raise DataError(
                f"split must name samples for {split}; got {', '.join(sorted(set(names)))} alone",
                "Name them, or leave the column out: then they are drawn at random.",
            )


def division(samples: Samples, splits: Sequence[str]) -> str:
    """How `divide` divides samples, in words for the results."""
    drawn = "at random"
    if samples.times is not None:
        drawn = "by time, from the earliest to the latest"
    elif samples.groups is not None:
        drawn = "at random, each group as a whole"
    if samples.split is None or set(samples.split) <= {"tuning"}:
        return drawn
    if "certification" in splits and "certification" not in samples.split:
        return f"as split has them, its tuning samples in two halves {drawn}"
    return "as split has them"


def _drawn(
    samples: Samples, rows: Array, splits: Sequence[str], shares: Sequence[float], seed: int
) -> Array:
    """Names of splits for some of the samples: by time or at random."""
    groups, times = samples.groups, samples.times
    if times is None:
        return _at_random(None if groups is None else groups[rows], len(rows), splits, shares, seed)
    if groups is not None:
        raise DataError(
            "samples can be divided by time or by group, not by both; got time and group",
            "Leave one out, or name the split of every sample.",
        )
    parts = by_time(times[rows], shares)
    if len(np.unique(parts)) < len(splits):
        raise DataError(
            f"there must be a time at least for each of {', '.join(splits)}; got "
            f"{len(np.unique(times[rows]))} in all, or too many samples of one",
            "Name the split of every sample, or leave time out.",
        )
    return np.array(splits, object)[parts]


def _at_random(
    groups: Array | None, n_samples: int, splits: Sequence[str], shares: Sequence[float], seed: int
) -> Array:
    """Names of splits for samples, the same for those of one group."""
    units = np.arange(n_samples) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(units.max(initial=-1)) + 1
    sizes = np.diff(np.round(np.cumsum(shares) / np.sum(shares) * n_units).astype(int), prepend=0)
    if sizes.min() < 1:
        unit = "sample" if groups is None else "group"
        raise DataError(
            f"there must be a {unit} at least for each of {', '.join(splits)}; got {n_units} in all"
        )
    names = np.repeat(np.array(splits, object), sizes)
    return names[np.random.default_rng(seed).permutation(n_units)][units]


def _refuse_shared_groups(samples: Samples, names: Array) -> None:
    if (groups := samples.groups) is None:
        return
    first_of = np.unique(groups, return_index=True)[1]
    _, numbers = np.unique(groups, return_inverse=True)
    shared = names != names[first_of][numbers]
    if shared.any():
        row = int(shared.argmax())
        raise DataError(
            f"group: all samples of a group must be in one split; {samples.place(row)} is in "
            f"{names[row]}, another one of its group in {names[first_of[numbers[row]]]}",
            "Put each group into one split, or leave the splits out.",
        )


def _refuse_disorder(samples: Samples, names: Array, splits: Sequence[str]) -> None:
    """Refuse splits that don't follow each other in time: a test would be no later stream."""
    if (times := samples.times) is None:
        return
    rows_of = [np.flatnonzero(names == split) for split in splits if split in names]
    for earlier, later in pairwise(rows_of):
        first = later[times[later].argmin()]
        if times[first] < times[earlier].max():
            raise DataError(
                f"time: splits must follow each other in time; {names[first]} begins, in "
                f"{samples.place(int(first))}, before {names[earlier[0]]} ends",
                "Leave the times out, or leave split out, to have samples divided by time.",
            )


def _part(samples: Samples, rows: Array) -> Part:
    groups, costs = samples.groups, samples.cost_per_sample
    return Part(
        subset(samples.outcomes, rows),
        None if groups is None else groups[rows],
        None if costs is None else costs[rows],
    )


def sizes(parts: Mapping[str, Part]) -> dict[str, int]:
    """Number of samples of each split."""
    return {name: len(part.outcomes) for name, part in parts.items()}
