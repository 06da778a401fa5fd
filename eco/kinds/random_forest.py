"""A random forest."""

from typing import Any

from eco.classifiers import Classifier


class Model(Classifier):
    """`sklearn.ensemble.RandomForestClassifier` on whole pixels or on edges."""

    def __init__(
        self,
        n_estimators: int,
        min_samples_leaf: int,
        max_features: float,
        bootstrap: bool,
        pixels: str,
    ) -> None:
        self.n_estimators = n_estimators
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.bootstrap = bootstrap
        self.pixels = pixels

    def estimator(self, seed: int) -> Any:
        """The classifier before it has learnt."""
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(
            self.n_estimators,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            bootstrap=self.bootstrap,
            random_state=seed,
            n_jobs=-1,
        )
