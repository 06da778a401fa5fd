"""Models of the pool that scikit-learn trains, on rows of features."""

import logging
from typing import Any

from numpy.typing import NDArray

from eco.models.features import fit_features

Array = NDArray[Any]

log = logging.getLogger(__name__)


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
        self.features = fit_features(X, self.pixels)
        self.fitted = self.estimator(seed)
        log.info("fitting %s", self.fitted)
        rows = self.features(X)
        self.fitted.fit(rows, y)
        held_out = self.features(X_held_out)
        return [self._scores("train", rows, y), self._scores("held out", held_out, y_held_out)]

    def graph(self) -> Any:
        """The ONNX graph from samples to probabilities."""
        from eco.models.onnx.export import export_classifier

        return export_classifier(self.fitted, self.features, "probabilities")

    def _scores(self, split: str, rows: Array, y: Array) -> dict[str, Any]:
        from sklearn.metrics import log_loss

        p, classes = self.fitted.predict_proba(rows), self.fitted.classes_
        accuracy = float((classes[p.argmax(axis=1)] == y).mean())
        loss = float(log_loss(y, p, labels=classes))
        return {"epoch": 1, "split": split, "accuracy": accuracy, "loss": loss}
