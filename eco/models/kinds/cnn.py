"""A residual convolutional network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from eco.models.keras import Network, convolution
from eco.models.settings import Count, NetworkSettings


class Settings(NetworkSettings):
    """Settings of a residual convolutional network."""

    stem_filters: Count = Field(
        description="Filters of the first convolution, over all pixels; the largest of every "
        "2 x 2 of its answers is kept."
    )
    filters: list[Count] = Field(min_length=1, description="Filters of each residual block.")
    strides: list[Annotated[int, Field(ge=1, le=4)]] = Field(
        description="Stride of each residual block."
    )

    @field_validator("strides")
    @classmethod
    def _one_stride_for_each(cls, strides: list[int], info: ValidationInfo) -> list[int]:
        n_blocks = len(info.data.get("filters", strides))
        if len(strides) != n_blocks:
            raise ValueError(f"must hold one number for each of the {n_blocks} filters")
        return strides


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
