"""A logistic regression."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from eco.models.settings import Count, ModelSettings, Positive
from eco.models.sklearn import Classifier


class Settings(ModelSettings):
    """Settings of `sklearn.linear_model.LogisticRegression`."""

    C: Positive = Field(description="Inverse strength of the penalty on large weights.")
    max_iter: Count = Field(description="Iterations of the solver at most.")
    pixels: Literal["linear", "square_root"] = Field(
        "linear", description="Of images: whether it reads pixels in [0, 1] or their square roots."
    )


@dataclass(kw_only=True)
class Model(Classifier):
    """`sklearn.linear_model.LogisticRegression` on features of any kind of samples."""

    C: float
    max_iter: int
    pixels: str = "linear"

    def estimator(self, seed: int) -> Any:
        """The classifier, not fitted yet."""
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=self.C, max_iter=self.max_iter, random_state=seed)

    def graph(self) -> Any:
        """One matrix product, which can be quantized."""
        from eco.models.onnx.export import export_softmax

        W, b = self.fitted.coef_, self.fitted.intercept_
        if len(W) == 1:  # of two classes scikit-learn scores the second, against 0
            W, b = np.vstack([0 * W, W]), np.append(0.0, b)
        return export_softmax(W, b, self.features)
