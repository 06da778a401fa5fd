"""Calibration: probabilities that mean what they say."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def inverse_temperature(probabilities: Array, y: Array) -> float:
    """Factor on the logarithms of the probabilities that makes the labels likeliest.

    Above 1 the model was too modest, below 1 too sure. One factor for all classes changes no
    prediction (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_classes)
        Of one model, on samples that it was not trained on.
    y : array of shape (n_samples,)

    Returns
    -------
    float
        Positive.
    """
    (calibrator,) = _fitted(probabilities, y, "temperature").calibrators
    return float(calibrator.beta_)


def isotonic_tables(probabilities: Array, y: Array) -> list[tuple[Array, Array]]:
    """For each class, probabilities and the shares of samples that proved to be of that class.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_classes)
        Of one model, on samples that it was not trained on.
    y : array of shape (n_samples,)

    Returns
    -------
    list of (x, y)
        Knots of a rising line, one pair of arrays per class.
    """
    calibrators = _fitted(probabilities, y, "isotonic").calibrators
    tables = [(line.X_thresholds_, line.y_thresholds_) for line in calibrators]
    if len(tables) == 1:  # of two classes scikit-learn fits the second: the first is its mirror
        tables.insert(0, tuple(1 - knots[::-1] for knots in tables[0]))
    return tables


def _fitted(probabilities: Array, y: Array, method: str) -> Any:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A fitted classifier whose samples are its probabilities."""

        classes_ = np.arange(probabilities.shape[1])

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, X: Array, y: Array) -> "Given":  # noqa: ARG002
            return self

        def predict_proba(self, X: Array) -> Array:
            return X

        def predict(self, X: Array) -> Array:
            return X.argmax(axis=1)

    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    calibrated = CalibratedClassifierCV(FrozenEstimator(Given()), method=method, cv=2)
    return calibrated.fit(exact, y).calibrated_classifiers_[0]


def calibration_error(confidence: Array, correct: Array, bins: int = 15) -> float:
    """Expected calibration error: mean distance of confidence from accuracy over equal bins.

    Parameters
    ----------
    confidence : array of shape (n_samples,)
        Largest probability, in [0, 1].
    correct : array of shape (n_samples,), bool
    bins : int

    Returns
    -------
    float
        In [0, 1]; 0 is perfect (Naeini et al. 2015, as used by Guo et al. 2017).

    Examples
    --------
    >>> calibration_error(np.array([0.9, 0.9, 0.1]), np.array([True, True, False]))
    0.1
    """
    rows = reliability(confidence, correct, bins)
    gaps = [row["samples"] * abs(row["confidence"] - row["accuracy"]) for row in rows]
    return round(sum(gaps) / len(confidence), 12)


def reliability(confidence: Array, correct: Array, bins: int = 15) -> list[dict[str, float]]:
    """Mean confidence, accuracy and number of samples of each bin that has any.

    Parameters
    ----------
    confidence : array of shape (n_samples,)
    correct : array of shape (n_samples,), bool
    bins : int
        Bins of equal width over [0, 1].

    Returns
    -------
    list of dict
        ``confidence``, ``accuracy``, ``samples``.
    """
    at = np.minimum((np.asarray(confidence) * bins).astype(np.int64), bins - 1)
    samples = np.bincount(at, minlength=bins)
    sure = np.bincount(at, weights=confidence, minlength=bins)
    right = np.bincount(at, weights=correct, minlength=bins)
    return [
        {
            "confidence": float(sure[i] / samples[i]),
            "accuracy": float(right[i] / samples[i]),
            "samples": int(samples[i]),
        }
        for i in np.flatnonzero(samples)
    ]
