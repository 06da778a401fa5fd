"""The call path: how ONNX Runtime loads and runs a model, for predictions and joules alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import EcoError, FileError, ModelError, extra
from eco.runtime.checks import check_probabilities

with extra("onnx"):
    import onnxruntime

Array = NDArray[Any]

CALL_PATH = f"onnxruntime {onnxruntime.__version__}"
#: The stage that makes the models of each folder.
STAGES = {
    "trained": "train@{}",
    "quantized": "quantize@{}",
    "calibrated": "calibrate@{}",
    "routers": "train_router",
}


class Session:
    """A loaded model, of which one call uses `threads` threads.

    The ONNX graph takes ``X``, uint8 images (n, height, width), or, where it is a router that
    reads the probabilities of a probe, ``answers``, float32 (n, n_classes). A file that is missing,
    isn't such a graph or has weights in other files is refused by a FileError.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._stage = STAGES.get(path.parent.name, "calibrate@{}").format(path.stem)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would be billed to the model that runs next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        remedy = f"Bring it back with: dvc checkout; or make it anew: dvc repro -f -s {self._stage}"
        if not path.exists():
            raise FileError(f"{path} is missing", remedy)
        try:
            content = path.read_bytes()
            elsewhere = _other_files(content)
            if elsewhere:
                problem = f"must hold its weights, but says that they are in {elsewhere[0][:100]!r}"
                raise FileError(f"{path} {problem}", remedy)
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except EcoError:
            raise
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise FileError(f"{path} is not an ONNX model ({_reason(error)})", remedy) from None
        inputs = [(x.name, x.type) for x in self._session.get_inputs()]
        known = {("X", "tensor(uint8)"), ("answers", "tensor(float)")}
        if len(inputs) != 1 or inputs[0] not in known:
            raise FileError(f"{path} must take X, uint8 images, but takes {inputs}", remedy)
        self._input = inputs[0][0]

    def __call__(self, X: Array) -> Array:
        """Run the model on one batch of its input, samples first."""
        try:
            return np.asarray(self._session.run(None, {self._input: X})[0])
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise FileError(
                f"{self.path} can't be run on {X.dtype} of shape {X.shape} ({_reason(error)})",
                f"It was made for other data; make it anew: dvc repro {self._stage}",
            ) from None

    def in_batches(self, X: Array, batch_size: int = 1000) -> Array:
        """Run the model on any number of samples, a batch at a time."""
        starts = range(0, len(X), batch_size)
        return np.concatenate([self(X[start : start + batch_size]) for start in starts])

    def probabilities(self, X: Array, n_classes: int, batch_size: int = 1000) -> Array:
        """Probabilities of so many classes for any number of samples, (n, n_classes), checked.

        Raises a FileError if the model gives anything else.
        """
        parts = []
        for start in range(0, len(X), batch_size):
            batch = X[start : start + batch_size]
            try:
                p, _ = check_probabilities(self(batch), len(batch))
                if p.shape[1] != n_classes:
                    raise ModelError(f"must know {n_classes} classes, but knows {p.shape[1]}")
            except ModelError as error:
                raise FileError(
                    f"{self.path} {error.problem}", f"Make it anew: dvc repro -f -s {self._stage}"
                ) from None
            parts.append(p)
        return np.concatenate(parts)


def _other_files(content: bytes) -> list[str]:
    """The files that an ONNX model has weights in: anything but itself would be read."""
    with extra("onnx"):
        import onnx

    tensors = _parts(onnx.load_model_from_string(content), onnx.TensorProto)
    return [
        ", ".join(entry.value for entry in tensor.external_data if entry.key == "location")
        for tensor in tensors
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data
    ]


def _parts(message: Any, of_type: type) -> Iterator[Any]:
    """All of one type inside a protocol buffer: in subgraphs, functions, wherever they may be."""
    if isinstance(message, of_type):
        yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _parts(part, of_type)


def _reason(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]
