"""What every kind of model offers, and how one is trained."""

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from eco.errors import ModelError, ParamsError

Array = NDArray[Any]


class Model(Protocol):
    """What the class `Model` of a file in eco/models/kinds offers; its arguments are its settings.

    The file may hold a pydantic class `Settings` as well, which checks and describes them.
    """

    def fit(
        self, X: Array, y: Array, X_held_out: Array, y_held_out: Array, seed: int
    ) -> list[dict[str, Any]]:
        """Train, and return the training curve.

        Parameters
        ----------
        X, X_held_out : arrays of shape (n_samples, ...)
            Samples of any kind: see `eco.data.kinds`. Held-out samples are for the curve only:
            nothing is trained or chosen on them.
        y, y_held_out : arrays of shape (n_samples,), uint8 or uint16
            Labels 0, 1, 2, ...; training samples have all of them.
        seed : int
            The same seed gives the same graph on the same machine, byte by byte.
        soft : array of shape (n_samples, n_classes), float32, optional
            The share of each class to learn; only of kinds that can.

        Returns
        -------
        list of dict
            Rows with ``epoch``, ``split`` ("train" or "held out"), ``accuracy`` and ``loss``; the
            last two are of the finished model. On training samples a network's figures are means
            over an epoch, during which it changes.
        """
        ...

    def graph(self) -> Any:
        """The ONNX graph from ``X``, samples, to ``probabilities``: see `eco.models.onnx`."""
        ...


def train(
    kind: str,
    settings: Mapping[str, Any],
    X: Array,
    y: Array,
    X_held_out: Array,
    y_held_out: Array,
    seed: int,
    soft: Array | None = None,
) -> tuple[Any, list[dict[str, Any]]]:
    """Train a model: its ONNX graph and its training curve.

    Parameters
    ----------
    kind, settings
        See `make_model`.
    X, y, X_held_out, y_held_out, seed, soft
        See `Model.fit`.

    Raises
    ------
    ModelError
        If the kind takes no soft targets.
    """
    model = make_model(kind, settings)
    targets = {}
    if soft is not None:
        if "soft" not in inspect.signature(model.fit).parameters:
            raise ModelError(
                f"Models of kind {kind} learn from labels only: their targets in params.yaml must "
                "be hard, got soft"
            )
        targets["soft"] = soft
    curve = model.fit(X, y, X_held_out, y_held_out, seed, **targets)
    return model.graph(), curve


def make_model(kind: str, settings: Mapping[str, Any]) -> Model:
    """A model that isn't trained yet.

    Parameters
    ----------
    kind : str
        Name of a file in eco/models/kinds.
    settings : mapping
        The settings of that kind in params.yaml.

    Raises
    ------
    ParamsError
        If the kind doesn't take these settings.
    """
    try:
        model: Model = importlib.import_module(f"eco.models.kinds.{kind}").Model(**settings)
    except TypeError as error:
        raise ParamsError(
            f"eco/models/kinds/{kind}.py: {error}",
            "Its settings in params.yaml must be the arguments of its class Model; got "
            f"{', '.join(settings) or 'none'}.",
        ) from None
    return model
