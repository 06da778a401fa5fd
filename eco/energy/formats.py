"""The formats in which a model can run: the calls of its own library, ONNX Runtime, LiteRT.

Every format takes uint8 images (n, height, width) and returns probabilities (n, n_classes), not
yet calibrated, so preparing the pixels is part of what it costs.
"""

import contextlib
import copy
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.data.kinds import kind_of
from eco.errors import ModelError
from eco.models.base import Model, make_model
from eco.models.features import scale
from eco.models.keras import Network
from eco.models.sklearn import Classifier
from eco.runtime.session import CALL_PATH, Session

Array = NDArray[Any]
Run = Callable[[Array], Array]
Load = Callable[[], Run]

KERAS_CALL = "model(x)"
KERAS_PREDICT = "model.predict"
KERAS_FUNCTION = "tf.function"
SKLEARN = "predict_proba"
ONNX = "ONNX Runtime"
ONNX_INT8 = "ONNX Runtime int8"
LITERT = "LiteRT"
LITERT_INT8 = "LiteRT int8"
#: The calls that a model's own library offers.
NATIVE = (KERAS_CALL, KERAS_PREDICT, KERAS_FUNCTION, SKLEARN)
#: Native calls that take their images as one batch; for more there is `predict` (keras.io FAQ,
#: "What's the difference between Model methods predict() and __call__()?").
ONE_BATCH = (KERAS_CALL, KERAS_FUNCTION)
#: Images in such a batch at most, and in those of `predict`, whose loop is slow in batches of 32:
#: the activations of 10,000 take gigabytes.
CHUNK = 1000


def call_paths() -> str:
    """The libraries that run the formats, with their versions."""
    import keras
    import sklearn
    import tensorflow as tf

    keras_path = f"keras {keras.__version__} on tensorflow {tf.__version__}"
    return f"{CALL_PATH}, {keras_path}, scikit-learn {sklearn.__version__}"


def stand_in(kind: str, settings: Mapping[str, Any], X: Array, y: Array, seed: int) -> Model:
    """A model that costs what a fully trained one does.

    The joules of a network don't depend on its weights, so it keeps the initial ones. Anything
    else is fitted: what a tree costs is the depth that it grew to.

    Raises
    ------
    ModelError
        If the samples aren't images.
    """
    _check_images(X)
    model = make_model(kind, settings)
    if not isinstance(model, Network):
        model.fit(X, y, X[:CHUNK], y[:CHUNK], seed)
        return model
    import keras

    keras.utils.set_random_seed(seed)
    model.fitted = model.untrained(model.prepare(X), int(y.max()) + 1)
    return model


def _check_images(X: Array) -> None:
    if kind_of(X) != "images":
        raise ModelError(
            "Formats are compared for images only; this data set holds "
            f"{kind_of(X) or X.dtype.name}",
            "`make repro` leaves this stage out.",
        )


def available_formats(model: Model, X: Array, threads: int, folder: Path) -> dict[str, Load]:
    """Every format that a fitted model or a `stand_in` can run in, by name what loads it.

    A kind that is neither a `Classifier` nor a `Network` has its ONNX graph only, written to
    ``folder``; a graph that can't be quantized, such as a tree's, has no 8-bit form. The images
    ``X`` set the ranges of 8-bit activations.

    Raises
    ------
    ModelError
        If the samples aren't images.
    """
    _check_images(X)
    formats: dict[str, Load] = {}
    if isinstance(model, Classifier):
        formats[SKLEARN] = partial(_load_sklearn, model, threads)
    if isinstance(model, Network):
        calls = KERAS_CALL, KERAS_PREDICT, KERAS_FUNCTION
        formats |= {call: partial(_load_keras, model, call) for call in calls}
    formats |= _onnx_formats(model.graph(), X, threads, folder)
    if isinstance(model, Network):
        for name, content in _litert_files(model.fitted, X).items():
            formats[name] = partial(LiteRT, content, threads)
    return formats


def _load_sklearn(model: Classifier, threads: int) -> Run:
    classifier = copy.deepcopy(model.fitted)
    if getattr(classifier, "n_jobs", None) is not None:
        classifier.n_jobs = threads
    return lambda X: np.asarray(classifier.predict_proba(model.features(X)))


def _load_keras(model: Network, call: str) -> Run:
    """A native call of the same network, its layers and weights in new places."""
    import keras
    import tensorflow as tf

    shape = model.fitted.input_shape[1:]
    network = model.network(keras.Input(shape, name="pixels"), model.fitted.output_shape[-1])
    network.set_weights(model.fitted.get_weights())
    if call == KERAS_PREDICT:
        return lambda X: np.asarray(network.predict(scale(X), batch_size=CHUNK, verbose=0))
    run = partial(network, training=False)
    if call == KERAS_FUNCTION:
        # With a signature of its own each batch size would be traced anew.
        run = tf.function(run, input_signature=[tf.TensorSpec([None, *shape], tf.float32)])
    return lambda X: np.asarray(run(scale(X)))


def _onnx_formats(graph: Any, X: Array, threads: int, folder: Path) -> dict[str, Load]:
    from eco.models.onnx.quantize import can_be_quantized, quantize

    graphs = {ONNX: graph}
    if can_be_quantized(graph):
        graphs[ONNX_INT8] = quantize(graph, X)
    folder.mkdir(parents=True, exist_ok=True)
    loads: dict[str, Load] = {}
    for name, format_graph in graphs.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(format_graph.SerializeToString())
        loads[name] = partial(Session, path, threads)
    return loads


def _litert_files(network: Any, X: Array) -> dict[str, bytes]:
    """The LiteRT files of a network, in floats and in 8-bit integers.

    The softmax of the second one stays in floats, as in `eco.models.onnx.quantize`: a probability
    in steps of 1/256 would be too coarse to set thresholds by.
    """
    from tensorflow import lite

    def representative() -> Iterator[list[Array]]:
        yield from ([scale(X[i : i + 1])] for i in range(len(X)))

    converter = lite.TFLiteConverter.from_keras_model(network)
    quantizing = lite.TFLiteConverter.from_keras_model(network)
    quantizing.optimizations = [lite.Optimize.DEFAULT]
    quantizing.representative_dataset = representative
    floats = lite.experimental.QuantizationDebugOptions(denylisted_ops=["SOFTMAX"])
    with _quiet():
        quantizer = lite.experimental.QuantizationDebugger(
            converter=quantizing, debug_dataset=representative, debug_options=floats
        )
        return {LITERT: converter.convert(), LITERT_INT8: quantizer.get_nondebug_quantized_model()}


class LiteRT:
    """A loaded LiteRT file, from float32 pixels in [0, 1]: call it with uint8 images."""

    def __init__(self, content: bytes, threads: int) -> None:
        from tensorflow import lite

        with _quiet():
            self._interpreter = lite.Interpreter(model_content=content, num_threads=threads)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def __call__(self, X: Array) -> Array:
        """Run the model on one batch; a batch of another size than the last takes longer."""
        if X.shape != self._shape:
            self._interpreter.resize_tensor_input(self._input, X.shape)
            self._interpreter.allocate_tensors()
            self._shape = X.shape
        self._interpreter.set_tensor(self._input, scale(X))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._output))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what TensorFlow prints about every file, and its warnings that LiteRT moves out."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
