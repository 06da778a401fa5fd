"""Samples in any container that scikit-learn takes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples as the engine takes arrays: with a length, and indexed by rows."""

    X: Any

    def __len__(self) -> int:
        return n_samples(self.X)

    def __getitem__(self, rows: Any) -> "Samples":
        return Samples(take(self.X, rows))


def n_samples(X: Any) -> int:
    """Number of samples of an array, a sparse matrix, a frame or a list."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def take(X: Any, rows: Any) -> Any:
    """Some of the samples, by a slice or by row numbers, in a container of the same type."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "shape") or isinstance(rows, slice):
        return X[rows]
    return [X[row] for row in rows]
