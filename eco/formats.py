"""The formats in which a model can be run: the calls of its own library, ONNX Runtime, LiteRT.

Every format takes uint8 images (n, height, width) and gives probabilities (n, n_classes), so what
it takes to prepare the pixels is part of what it costs. Nothing here is a model of the study: what
is compared are the ways to run one, before its probabilities are calibrated.
"""

import contextlib
import copy
import io
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco import quantization
from eco.classifiers import Classifier, flattened, scaled
from eco.errors import MeasurementError
from eco.inference import CALL_PATH, Session
from eco.networks import Network
from eco.pool import Model, made

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
#: Images in such a batch at most, and in those that `predict` makes: the activations of 10,000
#: take gigabytes, and each batch, of 32 if one doesn't say, takes a step of Keras's own loop.
CHUNK = 1000


def hold_threads(threads: int) -> None:
    """Hold TensorFlow and the linear algebra of NumPy and SciPy to so many threads.

    Raises
    ------
    MeasurementError
        If TensorFlow has begun to compute with another number of them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import sklearn.utils.extmath  # noqa: F401  what is loaded later would not be held
    import tensorflow as tf
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(threads)
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        raise MeasurementError(
            f"TensorFlow must be held to {threads} threads before it computes anything. Measure "
            "in a process of its own: dvc repro -f -s compare_formats"
        ) from None


def call_paths() -> str:
    """The libraries that run the formats, with their versions."""
    import keras
    import sklearn
    import tensorflow as tf

    keras_path = f"keras {keras.__version__} on tensorflow {tf.__version__}"
    return f"{CALL_PATH}, {keras_path}, scikit-learn {sklearn.__version__}"


def to_measure(
    kind: str,
    settings: Mapping[str, Any],
    X: Array,
    y: Array,
    seed: int,
    announce: Callable[[str], None],
) -> Model:
    """A model that costs what a trained one does.

    The joules of a network don't depend on what its weights are, so it keeps the initial ones.
    Anything else is fitted: what a tree costs is the depth that it grew to.

    Parameters
    ----------
    kind, settings, seed, announce
        See `eco.pool.train`.
    X : array of shape (n_samples, height, width), uint8
    y : array of shape (n_samples,), uint8
    """
    model = made(kind, settings)
    if not isinstance(model, Network):
        model.fit(X, y, X[:CHUNK], y[:CHUNK], seed, announce)
        return model
    import keras

    keras.utils.set_random_seed(seed)
    pixels = keras.Input(X.shape[1:], name="pixels")
    model.fitted = model.network(pixels, int(y.max()) + 1)
    model.fitted(scaled(X[:1]))  # Keras exports what has been called
    return model


def offered(model: Model, X: Array, threads: int, folder: Path) -> dict[str, Load]:
    """Every format that a model can take, by name a function that loads it.

    A kind that is neither a `Classifier` nor a `Network` has its ONNX graph only; a graph without
    a softmax on scores, such as a tree's, has no 8-bit form.

    Parameters
    ----------
    model : Model
        Fitted, or as `to_measure` gives it.
    X : array of shape (n_samples, height, width), uint8
        Images that set the ranges of 8-bit activations.
    threads : int
        Threads that one call may use.
    folder : Path
        Where the ONNX graphs are put.
    """
    formats: dict[str, Load] = {}
    if isinstance(model, Classifier):
        formats[SKLEARN] = partial(_predict_proba, model, threads)
    if isinstance(model, Network):
        calls = {KERAS_CALL: _call, KERAS_PREDICT: _predict, KERAS_FUNCTION: _function}
        formats |= {name: partial(load, model) for name, load in calls.items()}
    formats |= _of_onnx(model.graph(), X, threads, folder)
    if isinstance(model, Network):
        for name, content in _litert_contents(model.fitted, X).items():
            formats[name] = partial(LiteRT, content, threads)
    return formats


def _predict_proba(model: Classifier, threads: int) -> Run:
    classifier = copy.deepcopy(model.fitted)
    if getattr(classifier, "n_jobs", None) is not None:
        classifier.n_jobs = threads
    return lambda X: np.asarray(classifier.predict_proba(flattened(X, model.pixels)))


def _anew(model: Network) -> Any:
    """The same Keras network, layers and weights in new places."""
    import keras

    pixels = keras.Input(model.fitted.input_shape[1:], name="pixels")
    network = model.network(pixels, model.fitted.output_shape[-1])
    network.set_weights(model.fitted.get_weights())
    return network


def _call(model: Network) -> Run:
    network = _anew(model)
    return lambda X: np.asarray(network(scaled(X), training=False))


def _predict(model: Network) -> Run:
    network = _anew(model)
    return lambda X: np.asarray(network.predict(scaled(X), batch_size=CHUNK, verbose=0))


def _function(model: Network) -> Run:
    import tensorflow as tf

    # With a size of its own each batch size would be traced anew.
    images = tf.TensorSpec([None, *model.fitted.input_shape[1:]], tf.float32)
    run = tf.function(partial(_anew(model), training=False), input_signature=[images])
    return lambda X: np.asarray(run(scaled(X)))


def _of_onnx(graph: Any, X: Array, threads: int, folder: Path) -> dict[str, Load]:
    graphs = {ONNX: graph}
    if graph.graph.node[-1].op_type == "Softmax":
        graphs[ONNX_INT8] = quantization.quantized(graph, X)
    formats: dict[str, Load] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in graphs.items():
        path = folder / f"{name}.onnx"
        path.write_bytes(one.SerializeToString())
        formats[name] = partial(Session, path, threads)
    return formats


def _litert_contents(network: Any, X: Array) -> dict[str, bytes]:
    """The LiteRT files of a network, in floats and in 8-bit integers.

    The softmax of the second one stays in floats, as in `eco.quantization`: a probability in
    steps of 1/256 would be too coarse to set thresholds by.
    """
    from tensorflow import lite

    def representative() -> Iterator[list[Array]]:
        yield from ([scaled(X[at : at + 1])] for at in range(len(X)))

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
    """A loaded LiteRT model: call it with uint8 images.

    Parameters
    ----------
    content : bytes
        A LiteRT file from float32 pixels in [0, 1] to probabilities.
    threads : int
    """

    def __init__(self, content: bytes, threads: int) -> None:
        from tensorflow import lite

        with _quiet():
            self._interpreter = lite.Interpreter(model_content=content, num_threads=threads)
        self._given = self._interpreter.get_input_details()[0]["index"]
        self._made = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()

    def __call__(self, X: Array) -> Array:
        """Run the model on one batch; a batch of another size than the last takes longer."""
        if X.shape != self._shape:
            self._interpreter.resize_tensor_input(self._given, X.shape)
            self._interpreter.allocate_tensors()
            self._shape = X.shape
        self._interpreter.set_tensor(self._given, scaled(X))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._made))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what TensorFlow prints about every file, and its warnings that LiteRT moves out."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
