"""A multi-layer perceptron."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from eco.models.inputs import pixels, rows
from eco.models.keras import Network
from eco.models.settings import Count, Fraction, NetworkSettings


class Settings(NetworkSettings):
    """Settings of a multi-layer perceptron."""

    units: list[Count] = Field(min_length=1, description="Width of each hidden layer.")
    dropout: Fraction = Field(description="Share of the units that each training step leaves out.")


@dataclass(kw_only=True)
class Model(Network):
    """Dense layers with batch normalization and dropout."""

    reads: ClassVar = {"images": pixels, "table": rows, "text": rows}
    units: Sequence[int]
    dropout: float

    def network(self, inputs: Any, n_classes: int) -> Any:
        """The layers, from pixels or features to probabilities."""
        import keras
        from keras import layers

        x = layers.Flatten()(inputs) if len(inputs.shape) > 2 else inputs
        for units in self.units:
            x = layers.Dense(units, use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
            x = layers.Dropout(self.dropout)(x)
        softmax = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(inputs, softmax(x))
