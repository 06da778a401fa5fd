"""The largest model of the original study, run as that study runs it."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.energy.threads import limit_threads
from eco.errors import extra

Array = NDArray[Any]

#: What its energy is called among those of strategies.
NAME = "original CNN"
#: Pixels of a side that its convolutions and its pooling leave at least one of.
SMALLEST = 8


def takes(X: Array) -> bool:
    """Whether it can be run on samples: images, (n, height, width) or in colour, not too small."""
    return kind_of(X) == "images" and min(X.shape[1:3]) >= SMALLEST


def network(shape: tuple[int, ...], n_classes: int) -> Any:
    """The network of EcoInference-Dynamic-Selection's "Extra Large", with initial weights.

    ``shape`` is (height, width), or (height, width, 3) of images in colour.
    """
    with extra("train"):
        from keras import Sequential, layers

    return Sequential(
        [
            layers.Input(shape), layers.Reshape((*shape, 1)[:3]),
            layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"), layers.Flatten(),
            layers.Dense(n_classes, "softmax"),
        ]
    )  # fmt: skip


def load(shape: tuple[int, ...], n_classes: int, threads: int) -> Callable[[Array], Array]:
    """Its network, called image by image: what it costs doesn't depend on its weights."""
    limit_threads(threads)
    model = network(shape, n_classes)
    return lambda X: np.stack([model(image[None] / np.float32(255))[0] for image in X])
