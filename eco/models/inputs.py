"""What a network reads of samples: pixels, rows of features, or ids of words."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import KINDS, Kind, kind_of
from eco.errors import ModelError
from eco.models.features import fit_features, pixel_graph
from eco.models.settings import kinds

Array = NDArray[Any]

#: What a data set of each kind holds, for messages.
NAMES = {"images": "images", "table": "rows of a table", "text": "texts"}


class Inputs(Protocol):
    """How samples become what a network reads, in NumPy and as the front of its graph."""

    def __call__(self, X: Array) -> Array:
        """What the network is trained on; pixels become floats batch by batch."""
        ...

    def graph(self) -> Any:
        """An ONNX graph from ``X`` to what the network reads."""
        ...


@dataclass
class Pixels:
    """Pixels in [0, 1], of images of one shape."""

    shape: tuple[int, ...]

    def __call__(self, X: Array) -> Array:
        """The images as they are."""
        return X

    def graph(self) -> Any:
        """The scaling of pixels."""
        return pixel_graph(self.shape, self.shape)


@dataclass
class Words:
    """Ids of words, of which the largest stands for any that is larger."""

    n_tokens: int
    n_words: int

    def __call__(self, X: Array) -> Array:
        """The ids, none of them too large."""
        return np.clip(X, 0, self.n_words - 1)

    def graph(self) -> Any:
        """The limit of the ids."""
        from eco.models.onnx.export import parse

        n = self.n_tokens
        return parse(
            f"""front (int32[n, {n}] X, int32 first, int32 last) => (int32[n, {n}] features)
            {{ features = Clip(X, first, last) }}""",
            {"first": np.int32(0), "last": np.int32(self.n_words - 1)},
        )


#: What makes inputs from the samples of train.
Fit = Callable[[Array], Inputs]


def pixels(X: Array) -> Inputs:
    """Pixels as they are placed."""
    return Pixels(X.shape[1:])


def rows(X: Array) -> Inputs:
    """Features, as scikit-learn's models read them."""
    return fit_features(X)


def words(X: Array) -> Inputs:
    """Ids of the words that train holds."""
    return Words(X.shape[1], int(X.max()) + 1)


def fit_inputs(reads: Mapping[Kind, Fit], X: Array, kind: str) -> Inputs:
    """The inputs of a network on these samples of train.

    Parameters
    ----------
    reads : mapping
        For each kind of data that the network takes, what makes its inputs.
    X : array of shape (n_samples, ...)
    kind : str
        Kind of model, for the message.

    Raises
    ------
    ModelError
        If the network can't take such samples.
    """
    found = kind_of(X)
    if found is not None and found in reads:
        return reads[found](X)
    holds = NAMES[found] if found else f"{X.dtype.name} with {X.ndim} axes"
    raise ModelError(
        f"Models of kind {kind} take {' or '.join(NAMES[one] for one in reads)}; this data set "
        f"holds {holds}",
        f"Kinds that take these: {', '.join(_kinds_that_take(found)) or 'none'}.",
    )


def _kinds_that_take(found: Kind | None) -> list[str]:
    """Those whose class says so, or says nothing."""
    models = {kind: importlib.import_module(f"eco.models.kinds.{kind}").Model for kind in kinds()}
    every = KINDS.values()
    return [kind for kind, model in models.items() if found in getattr(model, "reads", every)]
