"""The call path: how a trained model is loaded and run, for predictions and for joules alike.

ONNX Runtime, one session per model. Whatever measures energy or predicts goes through here, so a
faster format is one change.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from eco.errors import FileError

Array = NDArray[Any]

CALL_PATH = f"onnxruntime {onnxruntime.__version__}"


class Session:
    """A loaded model: call it with uint8 images.

    Parameters
    ----------
    path : Path
        An ONNX graph from ``X``, uint8 images (n, height, width), or, where it is a router that
        reads another model's answers, from ``answers``, float32 (n, n_classes).
    threads : int
        Threads that one call may use.

    Raises
    ------
    FileError
        If the file is missing or isn't such a graph.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would be billed to the model that runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        rebuild = (
            f"Bring it back with: dvc checkout; or make it anew: dvc repro -f -s {_stage(path)}"
        )
        if not path.exists():
            raise FileError(f"{path} is missing. {rebuild}")
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            reason = str(error).splitlines()[0]
            raise FileError(f"{path} is not an ONNX model ({reason}). {rebuild}") from None
        inputs = [(x.name, x.type) for x in self._session.get_inputs()]
        known = {("X", "tensor(uint8)"), ("answers", "tensor(float)")}
        if len(inputs) != 1 or inputs[0] not in known:
            raise FileError(f"{path} must take X, uint8 images, but takes {inputs}. {rebuild}")
        self._input = inputs[0][0]

    def __call__(self, X: Array) -> Array:
        """Run the model on one batch of what it takes, samples first."""
        try:
            return np.asarray(self._session.run(None, {self._input: X})[0])
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            reason = str(error).splitlines()[0]
            raise FileError(
                f"{self._path} can't be run on {X.dtype} of shape {X.shape} ({reason}). It was "
                f"made for other data; make it anew: dvc repro {_stage(self._path)}"
            ) from None

    def in_batches(self, X: Array, batch_size: int = 1000) -> Array:
        """Run the model on any number of samples, a batch at a time."""
        starts = range(0, len(X), batch_size)
        return np.concatenate([self(X[start : start + batch_size]) for start in starts])


def _stage(path: Path) -> str:
    if path.stem.endswith("router"):
        return "train_router"
    made_by = {"trained": "train", "quantized": "quantize"}.get(path.parent.name, "calibrate")
    return f"{made_by}@{path.stem}"
