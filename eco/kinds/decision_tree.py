"""A decision tree."""

from typing import Any

from eco.classifiers import Classifier


class Model(Classifier):
    """`sklearn.tree.DecisionTreeClassifier`."""

    pixels = "whole"

    def __init__(self, max_leaf_nodes: int) -> None:
        self.max_leaf_nodes = max_leaf_nodes

    def estimator(self, seed: int) -> Any:
        """The classifier before it has learnt."""
        from sklearn.tree import DecisionTreeClassifier

        return DecisionTreeClassifier(max_leaf_nodes=self.max_leaf_nodes, random_state=seed)
