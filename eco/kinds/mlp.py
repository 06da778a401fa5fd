"""A multi-layer perceptron."""

from collections.abc import Sequence
from typing import Any

from eco.networks import Network


class Model(Network):
    """Dense layers with batch normalization and dropout."""

    def __init__(self, units: Sequence[int], dropout: float, **learning: Any) -> None:
        super().__init__(**learning)
        self.units = units
        self.dropout = dropout

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels to probabilities."""
        import keras
        from keras import layers

        x = layers.Flatten()(pixels)
        for units in self.units:
            x = layers.Dense(units, use_bias=False)(x)
            x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
            x = layers.Dropout(self.dropout)(x)
        answer = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(pixels, answer(x))
