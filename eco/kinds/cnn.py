"""A residual convolutional network."""

from collections.abc import Sequence
from typing import Any

from eco.networks import Network, convolved, folded


class Model(Network):
    """A small residual network (He et al. 2016, "Deep Residual Learning").

    Parameters
    ----------
    stem : {"pooled", "folded"}
        How the first convolution halves the image: 3 x 3 over all pixels, and the largest of
        every 2 x 2 is kept; or 2 x 2 over every 2 x 2 pixels as four channels of one
        (space-to-depth, as in Ridnik et al. 2021, "TResNet"), which costs less energy and some
        accuracy.
    stem_filters : int
    filters, strides : sequences of int
        Of each residual block of two convolutions of 3 x 3.
    **learning
        See `Network`.
    """

    def __init__(
        self,
        stem: str,
        stem_filters: int,
        filters: Sequence[int],
        strides: Sequence[int],
        **learning: Any,
    ) -> None:
        super().__init__(**learning)
        self.stem, self.stem_filters = stem, stem_filters
        self.filters, self.strides = filters, strides

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels to probabilities."""
        import keras
        from keras import layers

        if self.stem == "pooled":
            x = keras.ops.expand_dims(pixels, axis=-1)
            x = layers.MaxPooling2D(2)(layers.ReLU()(convolved(x, self.stem_filters, 3)))
        else:
            x = layers.ReLU()(convolved(folded(pixels), self.stem_filters, 2))
        for filters, stride in zip(self.filters, self.strides, strict=True):
            changes_shape = stride > 1 or filters != x.shape[-1]
            shortcut = convolved(x, filters, 1, stride) if changes_shape else x
            y = layers.ReLU()(convolved(x, filters, 3, stride))
            x = layers.ReLU()(layers.Add()([convolved(y, filters, 3), shortcut]))
        x = layers.GlobalAveragePooling2D()(x)
        answer = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(pixels, answer(x))
