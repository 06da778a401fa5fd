"""Samples that are held out although near-copies of them are not."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import scale

from eco.estimators.samples import n_samples, take

Array = NDArray[Any]

#: At most so many held-out samples are compared with so many others, of so many numbers in all.
N_HELD_OUT, N_OTHERS, N_NUMBERS = 300, 20_000, 4_000_000
#: Of each so many neighbours are looked at.
N_NEIGHBOURS = 100
#: A gap between neighbours must be this wide, and among independent samples rarer than this.
LEAST_GAP, RARITY = 3.0, 0.01
#: From here on a share is warned of: independent samples may reach a few per cent.
SHARE = 0.15


def warn_of_near_copies(parts: Sequence[Any]) -> None:
    """Warn if the last of several parts of the samples holds near-copies of the first's."""
    share = share_of_near_copies(parts[-1], parts[0]) if len(parts) > 1 else 0.0
    if share >= SHARE:
        warnings.warn(
            f"{share:.0%} of the samples held out are nearly equal to others that aren't. If such "
            "samples belong together (one patient, one recording), what is found on them doesn't "
            "hold for new ones, nor does a certificate: give fit their groups, or X_val and y_val",
            UserWarning,
            stacklevel=3,
        )


def share_of_near_copies(held_out: Any, others: Any) -> float:
    """Share of the held-out samples that have near-copies among the others.

    Such a sample is so close to its first neighbours that there is a gap between them and the next
    one. Among independent samples of intrinsic dimension m, the next neighbour is g times as far
    as the first with probability g^-m; m is estimated from the farther half of the neighbours
    (Levina & Bickel 2004, "Maximum Likelihood Estimation of Intrinsic Dimension"). Columns are
    standardised, words compared for equality, texts by their trigrams. 0.0 where rows must
    coincide, since fewer different ones are possible than there are samples, and for samples that
    can't be compared.
    """
    random = np.random.RandomState(0)
    width = max(1, np.size(take(others, slice(0, 1))))
    few, many = _some(held_out, N_HELD_OUT, random), _some(others, N_NUMBERS // width, random)
    try:
        X = _as_numbers([few, many])
    except (TypeError, ValueError):
        return 0.0
    n_few, n = n_samples(few), n_samples(many)
    n_neighbours = min(N_NEIGHBOURS, n // 2)
    if n_neighbours < 4 or _n_possible(X) <= n:
        return 0.0
    index = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(X[n_few:])
    distances, _ = index.kneighbors(X[:n_few])
    # Equal rows come out of the arithmetic a hair apart.
    distances[distances < 1e-6 * np.median(distances[:, -1])] = 0
    return _share_with_gap(distances)


def share_of_copies(held_out: Array, others: Array) -> float:
    """Share of the held-out samples, rows of numbers, that are equal to one of the others.

    0.0 where rows must coincide, as for `share_of_near_copies`.
    """
    if _n_possible(others) <= len(others):
        return 0.0
    known = {row.tobytes() for row in others}
    return float(np.mean([row.tobytes() in known for row in held_out]))


def _share_with_gap(distances: Array) -> float:
    """Share of the rows of rising distances in which near ones are followed by a gap."""
    ranks = np.arange(distances.shape[1] // 2, distances.shape[1]) + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log(distances[:, -1:] / distances[:, ranks - 1]).mean(axis=1)
        gaps = np.log(distances[:, 1:] / distances[:, :-1])
    # The k-th of K neighbours is (k/K)^(1/m) times as far as the last.
    dimension = np.log(ranks[-1] / ranks).mean() / max(np.nan_to_num(np.median(ratios)), 1e-6)
    widest = np.nan_to_num(gaps, posinf=np.inf).max(axis=1)
    return float((widest > max(np.log(LEAST_GAP), -np.log(RARITY) / dimension)).mean())


def _some(X: Any, at_most: int, random: np.random.RandomState) -> Any:
    n, at_most = n_samples(X), min(at_most, N_OTHERS)
    return X if n <= at_most else take(X, np.sort(random.permutation(n)[:at_most]))


def _as_numbers(parts: list[Any]) -> Any:
    """The samples of all parts one below the other, as a matrix of standardised columns."""
    if all(map(sparse.issparse, parts)):
        X = sparse.vstack(parts).tocsr().astype(float)
    elif not hasattr(parts[0], "iloc") and isinstance(parts[0][0], str):
        texts = [text for part in parts for text in part]
        X = HashingVectorizer(analyzer="char", ngram_range=(3, 3)).transform(texts)
    else:
        frame = pd.concat([pd.DataFrame(_flat(part)) for part in parts], ignore_index=True)
        X = np.column_stack([_numbers(frame[column]) for column in frame])
    return scale(X, with_mean=False)


def _flat(X: Any) -> Any:
    """Rows of values, of images and the like too."""
    if hasattr(X, "iloc"):
        return X
    X = np.asarray(X)
    return X.reshape(len(X), -1)


def _numbers(column: Any) -> Array:
    is_number = pd.api.types.is_numeric_dtype(column)
    numbers = column.to_numpy(float, na_value=np.nan) if is_number else pd.factorize(column)[0]
    return np.nan_to_num(numbers)


def _n_possible(X: Any) -> float:
    """How many different rows the values of each column make possible."""
    if sparse.issparse(X):
        return np.inf
    with np.errstate(over="ignore"):
        return float(np.prod([len(np.unique(column)) for column in X.T], dtype=float))
