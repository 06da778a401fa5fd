"""A convolutional network that is over after a few strides."""

import math
from collections.abc import Sequence
from typing import Any

from eco.networks import Network, convolved, folded


class Model(Network):
    """Convolutions of 3 x 3 that stride instead of pooling (Springenberg et al. 2015).

    As in "Striving for Simplicity: The All Convolutional Net", but on pixels that are folded: every
    2 x 2 are the channels of one (space-to-depth, as in Ridnik et al. 2021, "TResNet"). What
    the last convolution gives is read place by place: averaged over the image, as is usual, it was
    right for 92.8 % of held-out images of Fashion-MNIST instead of 93.3 %.

    Parameters
    ----------
    filters, strides : sequences of int
        Of each convolution.
    **learning
        See `Network`.
    """

    def __init__(self, filters: Sequence[int], strides: Sequence[int], **learning: Any) -> None:
        super().__init__(**learning)
        self.filters, self.strides = filters, strides

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels to probabilities."""
        import keras
        from keras import layers

        x = folded(pixels)
        for filters, stride in zip(self.filters, self.strides, strict=True):
            x = layers.ReLU()(convolved(x, filters, 3, stride))
        # Flatten would be exported with arithmetic on shapes, to be done at every call.
        x = keras.ops.reshape(x, (-1, math.prod(x.shape[1:])))
        answer = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(pixels, answer(x))
