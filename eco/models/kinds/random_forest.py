"""A random forest."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field

from eco.models.settings import Count, ModelSettings, PositiveFraction
from eco.models.sklearn import Classifier


class Settings(ModelSettings):
    """Settings of `sklearn.ensemble.RandomForestClassifier`."""

    quantizable: ClassVar[bool] = False
    n_estimators: Count = Field(description="Trees.")
    min_samples_leaf: Count = Field(description="Training samples in a leaf at least.")
    max_features: PositiveFraction = Field(
        description="Share of the features that are tried at each split."
    )
    bootstrap: bool = Field(
        description="Whether each tree learns from samples drawn with replacement, or from all."
    )
    pixels: Literal["whole", "edges"] = Field(
        "whole",
        description="Of images: `whole`: pixels as they are. `edges`: the brightness of every "
        "2 x 2 pixels, and how much neighbours differ in every 4 x 4.",
    )


@dataclass(kw_only=True)
class Model(Classifier):
    """`sklearn.ensemble.RandomForestClassifier` on features of any kind of samples."""

    n_estimators: int
    min_samples_leaf: int
    max_features: float
    bootstrap: bool
    pixels: str = "whole"

    def estimator(self, seed: int) -> Any:
        """The classifier, not fitted yet."""
        from sklearn.ensemble import RandomForestClassifier

        settings = asdict(self)
        del settings["pixels"]
        return RandomForestClassifier(**settings, random_state=seed, n_jobs=-1)
