"""Models of the pool that scikit-learn trains, on rows of pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco import graphs

Array = NDArray[Any]


def scaled(X: Array) -> Array:
    """Pixels as float32 in [0, 1]: what every model learns from and its graph computes."""
    return X.astype(np.float32) / np.float32(255)


def flattened(X: Array, pixels: str) -> Array:
    """Images as rows of scaled pixels, of their square roots, of whole pixels, or of edges.

    Square roots bring out dark ones; whole ones save trees, which only compare, the scaling. Edges
    say how bright every block of pixels is and how much neighbours in it differ, from left to
    right and from top to bottom: aggregated channels, of which trees make more than of pixels
    (Dollár et al. 2014, "Fast Feature Pyramids for Object Detection").
    """
    if pixels == "edges":
        whole = X.astype(np.float32)
        differ = [abs(np.diff(whole, axis=axis)) for axis in (2, 1) if X.shape[axis] > 1]
        blocks = [block_means(whole, graphs.BRIGHT_BLOCK)]
        blocks += [block_means(much, graphs.EDGE_BLOCK) for much in differ]
        return np.hstack([part.reshape(len(X), -1) for part in blocks])
    rows = X.reshape(len(X), -1)
    if pixels == "whole":
        return rows.astype(np.float32)
    return np.sqrt(scaled(rows)) if pixels == "square_root" else scaled(rows)


def block_means(X: Array, side: int) -> Array:
    """Means of every block of side x side pixels; beyond the last row and column all is black.

    Of whole numbers, and for a side that is a power of two, they are exact in float32: a tree may
    split at a value that others have, and would send these either way.
    """
    for axis in (1, 2):
        X = np.add.reduceat(X, np.arange(0, X.shape[axis], side), axis)
    return X / np.float32(side**2)


class Classifier:
    """A model of the pool around a scikit-learn classifier: say which in `estimator`."""

    pixels = "linear"

    def estimator(self, seed: int) -> Any:
        """The classifier before it has learnt."""
        raise NotImplementedError

    def fit(
        self,
        X: Array,
        y: Array,
        X_watched: Array,
        y_watched: Array,
        seed: int,
        announce: Callable[[str], None],
    ) -> list[dict[str, Any]]:
        """Learn, and give the training curve, as `eco.pool.Model` asks."""
        self.shape = X.shape[1:]
        self.fitted = self.estimator(seed)
        announce(f"fitting {self.fitted}")
        rows = flattened(X, self.pixels)
        self.fitted.fit(rows, y)
        watched = flattened(X_watched, self.pixels)
        return [self._scores("train", rows, y), self._scores("held out", watched, y_watched)]

    def graph(self) -> Any:
        """The ONNX graph from images to probabilities."""
        return graphs.export_classifier(self.fitted, self.shape, "probabilities", self.pixels)

    def _scores(self, split: str, rows: Array, y: Array) -> dict[str, Any]:
        from sklearn.metrics import log_loss

        p, classes = self.fitted.predict_proba(rows), self.fitted.classes_
        accuracy = float((classes[p.argmax(axis=1)] == y).mean())
        loss = float(log_loss(y, p, labels=classes))
        return {"epoch": 1, "split": split, "accuracy": accuracy, "loss": loss}
