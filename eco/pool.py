"""The pool: models of any kind, trained and given as ONNX graphs."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from eco.errors import ModelError

Array = NDArray[Any]


class Model(Protocol):
    """What the class `Model` of a file in eco/kinds must offer; its settings are its arguments."""

    def fit(
        self,
        X: Array,
        y: Array,
        X_watched: Array,
        y_watched: Array,
        seed: int,
        announce: Callable[[str], None],
    ) -> list[dict[str, Any]]:
        """Learn, and give the training curve.

        A kind that can learn from soft targets takes them as one more argument, ``soft``, of shape
        (n_samples, n_classes), float32: the share of each class, or None.

        Parameters
        ----------
        X, X_watched : arrays of shape (n_samples, height, width), uint8
            The watched samples are for the curve only: never learnt from, and nothing is chosen
            on them.
        y, y_watched : arrays of shape (n_samples,), uint8
            Labels 0, 1, 2, ...
        seed : int
            The same seed must give the same graph on the same machine, byte by byte.
        announce : callable
            Told how the training gets on.

        Returns
        -------
        list of dict
            Rows with ``epoch``, ``split`` ("train" or "held out"), ``accuracy`` and ``loss``. The
            last of images held out is that of the finished model; what a network says of training
            images is the mean over an epoch, while it learnt.
        """
        ...

    def graph(self) -> Any:
        """The ONNX graph from ``X``, uint8 images, to ``probabilities``: see `eco.graphs`."""
        ...


class Trained(NamedTuple):
    """A trained model: its ONNX graph and its training curve."""

    graph: Any
    curve: list[dict[str, Any]]


def train(
    kind: str,
    settings: Mapping[str, Any],
    X: Array,
    y: Array,
    X_watched: Array,
    y_watched: Array,
    seed: int,
    announce: Callable[[str], None],
    soft: Array | None = None,
) -> Trained:
    """Train a model of the given kind.

    Parameters
    ----------
    kind : str
        Name of a file in eco/kinds.
    settings : mapping
        The settings of that kind in params.yaml.
    X, y, X_watched, y_watched, seed, announce, soft
        See `Model.fit`.

    Raises
    ------
    ModelError
        If the kind doesn't take these settings, or no soft targets.
    """
    model = made(kind, settings)
    taught = {}
    if soft is not None:
        if "soft" not in inspect.signature(model.fit).parameters:
            raise ModelError(
                f"Models of kind {kind} learn from labels only: their targets in params.yaml must "
                "be hard, got soft."
            )
        taught["soft"] = soft
    curve = model.fit(X, y, X_watched, y_watched, seed, announce, **taught)
    return Trained(model.graph(), curve)


def made(kind: str, settings: Mapping[str, Any]) -> Model:
    """A model of the given kind that has not learnt yet.

    Parameters
    ----------
    kind, settings
        See `train`.

    Raises
    ------
    ModelError
        If the kind doesn't take these settings.
    """
    try:
        model: Model = importlib.import_module(f"eco.kinds.{kind}").Model(**settings)
    except TypeError as error:
        raise ModelError(
            f"eco/kinds/{kind}.py: {error}. Its settings in params.yaml must be the arguments of "
            f"its class Model; got {', '.join(settings) or 'none'}."
        ) from None
    return model
