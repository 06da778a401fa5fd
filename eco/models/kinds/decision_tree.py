"""A decision tree."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from eco.models.settings import ModelSettings
from eco.models.sklearn import Classifier


class Settings(ModelSettings):
    """Settings of `sklearn.tree.DecisionTreeClassifier`."""

    quantizable: ClassVar[bool] = False
    max_leaf_nodes: int = Field(ge=2, description="Leaves at most.")


@dataclass(kw_only=True)
class Model(Classifier):
    """`sklearn.tree.DecisionTreeClassifier` on features of any kind of samples."""

    max_leaf_nodes: int
    pixels = "whole"

    def estimator(self, seed: int) -> Any:
        """The classifier, not fitted yet."""
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(max_leaf_nodes=self.max_leaf_nodes, random_state=seed)
