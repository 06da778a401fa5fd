"""A convolutional network without pooling."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eco.models.keras import Network, convolution, space_to_depth
from eco.models.settings import ConvolutionalSettings


class Settings(ConvolutionalSettings):
    """Settings of a convolutional network without pooling."""


@dataclass(kw_only=True)
class Model(Network):
    """Convolutions of 3 x 3 that stride instead of pooling (Springenberg et al. 2015).

    As in "Striving for Simplicity: The All Convolutional Net", but every 2 x 2 pixels are the
    channels of one (space-to-depth, as in Ridnik et al. 2021, "TResNet"), and the last feature map
    is flattened instead of averaged.
    """

    filters: Sequence[int]
    strides: Sequence[int]

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels to probabilities."""
        import keras
        from keras import layers

        x = space_to_depth(pixels)
        for filters, stride in zip(self.filters, self.strides, strict=True):
            x = layers.ReLU()(convolution(x, filters, 3, stride))
        # Flatten would be exported with arithmetic on shapes, to be done at every call.
        x = keras.ops.reshape(x, (-1, math.prod(x.shape[1:])))
        softmax = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(pixels, softmax(x))
