"""Samples in the order of their times, whatever these are given as."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import shortened

Array = NDArray[Any]


def ranks(values: Any, error: Callable[[str, int | None], Exception]) -> Array:
    """Place of each sample's time among the different times, (n_samples,) int64 from 0.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Numbers, dates, or text that ISO 8601 reads as a date, perhaps with a time of day; in
        UTC, unless it says otherwise.
    error : callable
        Makes the exception that is raised where a sample has no such time, of the problem and the
        number of the sample, or None.

    Examples
    --------
    >>> ranks(["2026-03-01", "2026-02-01 12:00", "2026-03-01"], ValueError)
    array([1, 0, 1])
    """
    given = np.asarray(values)
    if given.ndim != 1:
        raise error(f"must hold one time for each sample; got {given.shape}", None)
    comparable = given
    if given.dtype.kind in "OUS":
        comparable = _numbers(given) if _holds_numbers(given) else _dates(given)
    if comparable.dtype.kind not in "iufmM":
        raise error(f"must hold numbers or dates; got {given.dtype}", None)
    missing = ~np.isfinite(comparable)
    if missing.any():
        row = int(missing.argmax())
        (found,) = given[row : row + 1].tolist()
        text = "nothing" if found is None or found != found else shortened(repr(found), 40)
        problem = f"must hold a number or a date such as 2026-01-31 in every row; got {text}"
        raise error(problem, row)
    return np.unique(comparable, return_inverse=True)[1]


def _holds_numbers(given: Array) -> bool:
    return any(isinstance(value, int | np.number) for value in given.tolist())


def _numbers(given: Array) -> Array:
    """Numbers of an array of objects; NaN for what is none."""
    is_number = [isinstance(value, int | float | np.number) for value in given.tolist()]
    return np.where(is_number, given, np.nan).astype(float)


def _dates(given: Array) -> Array:
    """Dates, (n_samples,) datetime64; NaT for what is none."""
    import pandas as pd

    text = pd.Series([str(value) for value in given.tolist()], dtype=object)
    text = text.where(text.str.match(r"\d{4}"))  # "now" and "today" are dates, too
    dates = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    return np.asarray(dates.dt.tz_localize(None).to_numpy())


def by_time(ranks: Array, shares: Sequence[float]) -> Array:
    """Number of each sample's part, (n_samples,): the earliest are in part 0, and so on.

    Samples of one time are in one part: that in which the middle one of them lies.

    Parameters
    ----------
    ranks : array of shape (n_samples,)
        As `ranks` gives them.
    shares : sequence of float
        Relative sizes of the parts.

    Examples
    --------
    >>> by_time(np.array([3, 2, 1, 0, 0]), [0.5, 0.25, 0.25])
    array([2, 1, 1, 0, 0])
    """
    _, places, counts = np.unique(ranks, return_inverse=True, return_counts=True)
    ends = np.cumsum(shares)[:-1] / np.sum(shares) * len(ranks)
    return np.searchsorted(ends, np.cumsum(counts) - counts / 2, side="right")[places]
