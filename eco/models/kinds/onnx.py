"""A model of one's own: an ONNX file, trained elsewhere."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eco.models.settings import ModelSettings, Positive

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: Training samples of the curve.
SAMPLES = 5000


class Settings(ModelSettings):
    """Settings of an ONNX file, which is taken as it is."""

    path: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="The file, seen from `params.yaml`. Its weights must be in it."
    )
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?\Z")] = Field(
        default="",
        description="SHA-256 of the file: change it with the file, so that DVC notices. Where it "
        "is missing or wrong, the message holds the right one.",
    )
    gives: Literal["probabilities", "logits"] = Field(
        default="probabilities",
        description="What it gives for each sample: numbers that sum to 1, or scores whose softmax "
        "does.",
    )
    output: Annotated[str, Field(max_length=1000)] = Field(
        default="", description="Name of that output; `''`: the only one that can be it."
    )
    scale: Positive = Field(
        default=1 / 255, description="Of images: what pixels, 0 to 255, are multiplied by."
    )
    mean: list[float] = Field(
        default=[],
        description="Of images: what is then subtracted, one number for each channel; `[]`: none.",
    )
    std: list[Positive] = Field(
        default=[],
        description="Of images: what is then divided by, one number for each channel; `[]`: none.",
    )
    layout: Literal["none", "first", "last"] = Field(
        default="none",
        description="Of images: where it takes channels, `first` (n, c, h, w) or `last` (n, h, w, "
        "c). `none`: images as they are. What takes (n, pixels) gets them flattened.",
    )


@dataclass(kw_only=True)
class Model:
    """A file that is checked and adapted, not trained."""

    path: str
    sha256: str = ""
    gives: str = "probabilities"
    output: str = ""
    scale: float = 1 / 255
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    layout: str = "none"

    def fit(
        self, X: Array, y: Array, X_held_out: Array, y_held_out: Array, seed: int
    ) -> list[dict[str, Any]]:
        """Train nothing; the curve is of a sample of train: see `eco.models.base.Model`."""
        from eco.models.onnx.adapt import adapt, read
        from eco.models.onnx.front import Interface

        path, n_classes = Path(self.path), int(max(y.max(), y_held_out.max())) + 1
        log.info("reading %s", path)
        settings = asdict(self)
        del settings["path"], settings["sha256"]
        self._graph = adapt(path, read(path, self.sha256), X, n_classes, Interface(**settings))
        drawn = np.random.default_rng(seed).permutation(len(X))[:SAMPLES]
        return [
            self._scores("train", X[drawn], y[drawn]),
            self._scores("held out", X_held_out, y_held_out),
        ]

    def graph(self) -> Any:
        """The ONNX graph from samples to probabilities."""
        return self._graph

    def _scores(self, split: str, X: Array, y: Array) -> dict[str, Any]:
        from eco.models.onnx.adapt import probabilities

        p = probabilities(Path(self.path), self._graph, X)
        accuracy = float((p.argmax(axis=1) == y).mean())
        likely = np.maximum(p[np.arange(len(y)), y], np.finfo(p.dtype).eps)
        return {
            "epoch": 1, "split": split, "accuracy": accuracy, "loss": float(-np.log(likely).mean()),
        }  # fmt: skip
