"""A convolutional network over the words of a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from pydantic import Field

from eco.models.inputs import Words, words
from eco.models.keras import Network
from eco.models.settings import Count, Fraction, NetworkSettings


class Settings(NetworkSettings):
    """Settings of a convolutional network over words."""

    embedding: Count = Field(description="Numbers that stand for a word.")
    widths: list[Count] = Field(
        min_length=1, description="Words that the filters of each convolution cover."
    )
    filters: Count = Field(description="Filters of each width.")
    dropout: Fraction = Field(
        description="Share of the filters' answers that each training step leaves out."
    )


@dataclass(kw_only=True)
class Model(Network):
    """Convolutions of several widths over embedded words, and their largest answers.

    As in Kim 2014, "Convolutional Neural Networks for Sentence Classification"; the embedding is
    learnt from the labels alone.
    """

    reads: ClassVar = {"text": words}
    embedding: int
    widths: Sequence[int]
    filters: int
    dropout: float

    def network(self, inputs: Any, n_classes: int) -> Any:
        """The layers, from ids of words to probabilities."""
        import keras
        from keras import layers

        assert isinstance(self.inputs, Words)
        x = _embedding()(self.inputs.n_words, self.embedding)(inputs)
        x = keras.ops.expand_dims(x, axis=2)  # runtimes fuse convolutions over two axes
        largest = []
        for i, width in enumerate(self.widths):
            # Gradients are summed in the order of names: Keras would number on from other networks.
            convolution = layers.Conv2D(
                self.filters, (width, 1), padding="same", activation="relu", name=f"filters_{i}"
            )
            largest.append(layers.GlobalMaxPooling2D()(convolution(x)))
        x = layers.concatenate(largest) if len(largest) > 1 else largest[0]
        x = layers.Dropout(self.dropout)(x)
        softmax = layers.Dense(n_classes, activation="softmax", dtype="float32")
        return keras.Model(inputs, softmax(x))


@cache
def _embedding() -> Any:
    import tensorflow as tf
    from keras import layers

    class Embedding(layers.Embedding):  # type: ignore[misc]
        """Keras' own layer, without its arithmetic for ids below 0."""

        def call(self, inputs: Any) -> Any:
            return tf.cast(tf.gather(self.embeddings, inputs), self.compute_dtype)

    return Embedding
