"""A logistic regression."""

from typing import Any

import numpy as np

from eco import graphs
from eco.classifiers import Classifier


class Model(Classifier):
    """`sklearn.linear_model.LogisticRegression` on the pixels or on their square roots."""

    def __init__(self, C: float, max_iter: int, pixels: str) -> None:
        self.C = C
        self.max_iter = max_iter
        self.pixels = pixels

    def estimator(self, seed: int) -> Any:
        """The classifier before it has learnt."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.C, max_iter=self.max_iter, random_state=seed)

    def graph(self) -> Any:
        """One matrix product, which integers can compute as well."""
        W, b = self.fitted.coef_, self.fitted.intercept_
        if len(W) == 1:  # of two classes scikit-learn scores the second, against 0
            W, b = np.vstack([0 * W, W]), np.append(0.0, b)
        return graphs.export_softmax(W, b, self.shape, self.pixels)
