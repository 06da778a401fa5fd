"""A residual convolutional network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import Field, model_validator

from eco.models.keras import Network, convolution
from eco.models.settings import ConvolutionalSettings, Count


class Settings(ConvolutionalSettings):
    """Settings of a residual convolutional network."""

    stem_filters: Count = Field(
        description="Filters of the first convolution, over all pixels; the largest of every "
        "2 x 2 of its answers is kept."
    )
    small_epochs: int = Field(
        ge=0,
        description="Of the epochs, the first ones, on images of five sevenths the height and "
        "width.",
    )

    @model_validator(mode="after")
    def _ends_on_whole_images(self) -> Self:
        if self.small_epochs >= self.epochs:
            raise ValueError(
                f"must have small_epochs below its {self.epochs} epochs, got {self.small_epochs}"
            )
        return self


@dataclass(kw_only=True)
class Model(Network):
    """A small residual network (He et al. 2016, "Deep Residual Learning")."""

    stem_filters: int
    filters: Sequence[int]
    strides: Sequence[int]

    def network(self, pixels: Any, n_classes: int) -> Any:
        """The layers, from pixels to probabilities."""
        import keras
        from keras import layers

        grey = len(pixels.shape) == 3
        x = keras.ops.expand_dims(pixels, axis=-1) if grey else pixels
        x = layers.MaxPooling2D(2)(layers.ReLU()(convolution(x, self.stem_filters, 3)))
        for filters, stride in zip(self.filters, self.strides, strict=True):
            changes_shape = stride > 1 or filters != x.shape[-1]
            shortcut = convolution(x, filters, 1, stride) if changes_shape else x
            y = layers.ReLU()(convolution(x, filters, 3, stride))
            x = layers.ReLU()(layers.Add()([convolution(y, filters, 3), shortcut]))
        x = layers.GlobalAveragePooling2D()(x)
        softmax = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(pixels, softmax(x))
