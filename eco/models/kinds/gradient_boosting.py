"""Gradient-boosted trees."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from eco.models.settings import Count, ModelSettings
from eco.models.sklearn import Classifier


class Settings(ModelSettings):
    """Settings of `sklearn.ensemble.HistGradientBoostingClassifier`."""

    quantizable: ClassVar[bool] = False
    max_iter: Count = Field(description="Trees for each class; of two classes, trees.")
    learning_rate: Annotated[float, Field(ge=1e-9, le=1)] = Field(
        description="Share of each tree's answer that is added."
    )
    max_leaf_nodes: int = Field(ge=2, description="Leaves of a tree at most.")
    min_samples_leaf: Count = Field(description="Training samples in a leaf at least.")


@dataclass(kw_only=True)
class Model(Classifier):
    """`sklearn.ensemble.HistGradientBoostingClassifier` on features of any kind of samples."""

    max_iter: int
    learning_rate: float
    max_leaf_nodes: int
    min_samples_leaf: int
    pixels = "whole"

    def estimator(self, seed: int) -> Any:
        """The classifier, not fitted yet."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        return HistGradientBoostingClassifier(
            **asdict(self), early_stopping=False, random_state=seed
        )

    def graph(self) -> Any:
        """The ONNX graph, whose trees split float32 features as those of scikit-learn do."""
        from eco.models.onnx.export import export_boosting

        rounds, base = self.fitted._predictors, self.fitted._baseline_prediction.ravel()
        # Of two classes there are trees for the second alone, whose score is against 0.
        first = 1 if len(base) == 1 else 0
        trees = [(first + i, tree.nodes) for trees in rounds for i, tree in enumerate(trees)]
        return export_boosting(trees, [0.0] * first + base.tolist(), self.features)
