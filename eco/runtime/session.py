"""The call path: how ONNX Runtime loads and runs a model, for predictions and joules alike."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import EcoError, FileError, ModelError, extra
from eco.runtime.checks import TOLERANCE, check_probabilities

with extra("onnx"):
    import onnxruntime

Array = NDArray[Any]

CALL_PATH = f"onnxruntime {onnxruntime.__version__}"
#: The stage that makes the models of a folder.
STAGES = {
    "trained": "train@{}",
    "quantized": "quantize@{}",
    "calibrated": "calibrate@{}",
    "routers": "train_router",
    "models": "teach",
}


#: Types of what may be probabilities or scores.
FLOATS = {f"tensor({name})" for name in ("float16", "float", "double")}
#: So many rows, all of them probabilities, are no logits.
NOT_BY_CHANCE = 10
#: What a graph may take: its one input, by name and type.
INPUTS = {("X", f"tensor({name})") for name in ("uint8", "float", "int32")}
INPUTS |= {("answers", "tensor(float)")}


class Session:
    """A loaded model, of which one call uses `threads` threads.

    The ONNX graph takes ``X``, samples of uint8, float32 or int32, or, where it is a router that
    reads the probabilities of a probe, ``answers``, float32 (n, n_classes). A file that is missing,
    isn't such a graph or has weights in other files is refused by a FileError.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.path = path
        self._stage = STAGES.get(path.parent.name, "calibrate@{}").format(path.stem)
        remedy = f"Bring it back with: dvc checkout; or make it anew: dvc repro -f -s {self._stage}"
        self._session = load_graph(path, threads, remedy)
        inputs = [(x.name, x.type) for x in self._session.get_inputs()]
        if len(inputs) != 1 or inputs[0] not in INPUTS:
            raise FileError(
                f"{path} must take X, samples of uint8, float or int32, but takes {inputs}", remedy
            )
        self._input = inputs[0][0]

    def __call__(self, X: Array) -> Array:
        """Run the model on one batch of its input, samples first."""
        try:
            return np.asarray(self._session.run(None, {self._input: X})[0])
        except Exception as error:  # ONNX Runtime's errors share no base class of their own
            raise FileError(
                f"{self.path} can't be run on {X.dtype} of shape {X.shape} ({reason(error)})",
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


def load_graph(path: Path, threads: int, remedy: str) -> Any:
    """ONNX Runtime's session of a file, of which one call uses `threads` threads.

    Raises
    ------
    FileError
        If the file is missing, isn't an ONNX model or has weights in other files; `remedy` says
        what to do then.
    """
    content = read_graph(path, remedy)
    try:
        return start_session(content, threads)
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise FileError(f"{path} is not an ONNX model ({reason(error)})", remedy) from None


def read_graph(path: Path, remedy: str) -> bytes:
    """The content of an ONNX file that holds all its weights: see `load_graph`."""
    if not path.exists():
        raise FileError(f"{path} is missing", remedy)
    try:
        content = path.read_bytes()
        elsewhere = _other_files(content)
    except EcoError:
        raise
    except Exception as error:  # of the file system, and of protocol buffers
        raise FileError(f"{path} is not an ONNX model ({reason(error)})", remedy) from None
    if elsewhere:
        problem = f"must hold its weights, but says that they are in {elsewhere[0][:100]!r}"
        raise FileError(f"{path} {problem}", remedy)
    return content


def start_session(content: bytes, threads: int) -> Any:
    """ONNX Runtime's session of a serialized graph, as predictions and joules run it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would log is raised
    # Idle threads that spin would be billed to the model that runs next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def find_output(path: Path, outputs: Sequence[Any], name: str | None, naming: str) -> Any:
    """The one of a session's outputs that may hold probabilities or scores of classes.

    Parameters
    ----------
    path : Path
    outputs : sequence
        Of `get_outputs`.
    name : str or None
        By default the only one that can be it.
    naming : str
        How a user names one.

    Raises
    ------
    FileError
        If there is none, or more than one.
    """
    named = [one for one in outputs if name in (None, one.name) and len(one.shape) in (0, 2)]
    fits = [one for one in named if one.type in FLOATS]
    if len(fits) == 1:
        return fits[0]
    which = "exactly one output" if name is None else f"an output {name!r}"
    found = ", ".join(f"{one.name}: {one.type} {one.shape}" for one in outputs)
    remedy = naming if len(fits) > 1 else ""
    if any(one.type.startswith("seq(map(") for one in outputs):
        remedy = "Have skl2onnx give an array: to_onnx(..., options={'zipmap': False})."
    problem = f"{path} must have {which} of floats, (n_samples, n_classes), but has {found}"
    raise FileError(problem, remedy)


def are_probabilities(scores: Array) -> bool:
    """Whether rows, (n_samples, n_classes), sum to 1, and are so many that it is no chance."""
    sums = scores.sum(axis=1)
    is_share = (scores >= 0).all() and (abs(sums - 1) < TOLERANCE).all()
    return len(sums) >= NOT_BY_CHANCE and bool(is_share)


def reason(error: Exception) -> str:
    """The first line of an error of another library."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:200]


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
