"""Models of the pool that scikit-learn trains, on rows of features."""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: Sides of the blocks of pixels over which brightness, and differences, are averaged.
BRIGHTNESS_BLOCK, EDGE_BLOCK = 2, 4


def scale(X: Array) -> Array:
    """Pixels as float32 in [0, 1]."""
    return X.astype(np.float32) / np.float32(255)


def features(X: Array, pixels: str) -> Array:
    """Images as rows of numbers.

    Parameters
    ----------
    X : array of shape (n_samples, height, width), uint8
    pixels : {"linear", "square_root", "whole", "edges"}
        Pixels in [0, 1]; their square roots, which bring out dark ones; pixels as they are, which
        saves trees the scaling; or aggregated channels (Dollár et al. 2014, "Fast Feature Pyramids
        for Object Detection"): the brightness of blocks of pixels, and how much horizontal and
        vertical neighbours differ in them.

    Returns
    -------
    array of shape (n_samples, n_features), float32
    """
    if pixels == "edges":
        whole = X.astype(np.float32)
        differences = [abs(np.diff(whole, axis=axis)) for axis in (2, 1) if X.shape[axis] > 1]
        blocks = [_block_means(whole, BRIGHTNESS_BLOCK)]
        blocks += [_block_means(difference, EDGE_BLOCK) for difference in differences]
        return np.hstack([part.reshape(len(X), -1) for part in blocks])
    rows = X.reshape(len(X), -1)
    if pixels == "whole":
        return rows.astype(np.float32)
    return np.sqrt(scale(rows)) if pixels == "square_root" else scale(rows)


def _block_means(X: Array, side: int) -> Array:
    """Means of blocks of side x side pixels, black ones appended where the last is cut off."""
    # Exact in float32 if side is a power of two, so that trees split here as in the graph.
    for axis in (1, 2):
        X = np.add.reduceat(X, np.arange(0, X.shape[axis], side), axis)
    return X / np.float32(side**2)


class Classifier:
    """A model of the pool around the scikit-learn classifier that `estimator` returns."""

    pixels: str = "linear"

    def estimator(self, seed: int) -> Any:
        """The classifier, not fitted yet."""
        raise NotImplementedError

    def fit(
        self, X: Array, y: Array, X_held_out: Array, y_held_out: Array, seed: int
    ) -> list[dict[str, Any]]:
        """Train, and return the training curve: see `eco.models.base.Model`."""
        self.shape = X.shape[1:]
        self.fitted = self.estimator(seed)
        log.info("fitting %s", self.fitted)
        rows = features(X, self.pixels)
        self.fitted.fit(rows, y)
        held_out = features(X_held_out, self.pixels)
        return [self._scores("train", rows, y), self._scores("held out", held_out, y_held_out)]

    def graph(self) -> Any:
        """The ONNX graph from images to probabilities."""
        from eco.models.onnx.export import export_classifier

        return export_classifier(self.fitted, self.shape, "probabilities", self.pixels)

    def _scores(self, split: str, rows: Array, y: Array) -> dict[str, Any]:
        from sklearn.metrics import log_loss

        p, classes = self.fitted.predict_proba(rows), self.fitted.classes_
        accuracy = float((classes[p.argmax(axis=1)] == y).mean())
        loss = float(log_loss(y, p, labels=classes))
        return {"epoch": 1, "split": split, "accuracy": accuracy, "loss": loss}
