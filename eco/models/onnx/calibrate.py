"""Calibration of a model: what is fitted, and the graph that computes it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra
from eco.models.onnx.export import canonical, parse

with extra("onnx"):
    import onnx

Array = NDArray[Any]

#: What may be added to probabilities of 0 and 1, as trees have them, before their logarithm.
SMOOTHINGS = (1e-12, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3)


def calibrated(
    graph: onnx.ModelProto, probabilities: Array, y: Array, method: str
) -> tuple[onnx.ModelProto, float | None]:
    """A model's graph with calibrated probabilities.

    Parameters
    ----------
    graph : onnx.ModelProto
    probabilities : array of shape (n_samples, n_classes)
        Of the model, on samples that it was not trained on.
    y : array of shape (n_samples,)
    method : {"temperature", "isotonic", "none"}

    Returns
    -------
    graph : onnx.ModelProto
    temperature : float or None
        That the scores are divided by, where the method has one.
    """
    if method == "temperature":
        smoothings = SMOOTHINGS[:1] if _end(graph).op_type == "Softmax" else SMOOTHINGS
        factor, smoothing = inverse_temperature(probabilities, y, smoothings)
        return with_temperature(graph, factor, smoothing), 1 / factor
    if method == "isotonic":
        graph = with_interpolation(graph, isotonic_tables(probabilities, y))
    return graph, None


def inverse_temperature(
    probabilities: Array, y: Array, smoothings: Sequence[float] = SMOOTHINGS
) -> tuple[float, float]:
    """Factor on the logarithms of the probabilities that makes the labels likeliest, and smoothing.

    One factor for all classes changes no prediction (Guo et al. 2017, "On Calibration of Modern
    Neural Networks"), nor does a number that is added to all probabilities first. Leaves of trees
    need one (Provost and Domingos 2003, "Tree Induction for Probability-Based Ranking"): a label
    to which one of them gives no probability would draw the factor to 0.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_classes)
        Of one model, on samples that it was not trained on.
    y : array of shape (n_samples,)
    smoothings : sequence of float
        Numbers to choose from, above 0.

    Returns
    -------
    factor : float
        Positive; above 1 if the model was underconfident, below 1 if overconfident.
    smoothing : float
    """
    from sklearn.metrics import log_loss

    def fit(smoothing: float) -> tuple[float, float, float]:
        fitted = _fitted(smoothed := probabilities + smoothing, y, "temperature")
        loss = log_loss(y, fitted.predict_proba(_exact(smoothed)), labels=fitted.classes)
        return float(loss), float(fitted.calibrators[0].beta_), smoothing

    _, factor, smoothing = min(map(fit, smoothings))
    return factor, smoothing


def isotonic_tables(probabilities: Array, y: Array) -> list[tuple[Array, Array]]:
    """For each class, probabilities and the shares of samples that proved to be of that class.

    Parameters
    ----------
    probabilities : array of shape (n_samples, n_classes)
        Of one model, on samples that it was not trained on.
    y : array of shape (n_samples,)

    Returns
    -------
    list of (x, y)
        Knots of a rising line, one pair of arrays per class.
    """
    calibrators = _fitted(probabilities, y, "isotonic").calibrators
    tables = [(line.X_thresholds_, line.y_thresholds_) for line in calibrators]
    if len(tables) == 1:  # of two classes scikit-learn fits the second: the first is its mirror
        tables.insert(0, tuple(1 - knots[::-1] for knots in tables[0]))
    return tables


def _fitted(probabilities: Array, y: Array, method: str) -> Any:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Precomputed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """A fitted classifier whose samples are its probabilities."""

        classes_ = np.arange(probabilities.shape[1])

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, X: Array, y: Array) -> "Precomputed":  # noqa: ARG002
            return self

        def predict_proba(self, X: Array) -> Array:
            return X

        def predict(self, X: Array) -> Array:
            return X.argmax(axis=1)

    exact = _exact(probabilities)
    calibrated = CalibratedClassifierCV(FrozenEstimator(Precomputed()), method=method, cv=2)
    return calibrated.fit(exact, y).calibrated_classifiers_[0]


def _exact(probabilities: Array) -> Array:
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return exact


def with_temperature(
    graph: onnx.ModelProto, inverse_temperature: float, smoothing: float = SMOOTHINGS[0]
) -> onnx.ModelProto:
    """A model's graph whose probabilities are softmax(log(p + smoothing) x inverse temperature).

    Where the graph ends in a softmax of scores, these are multiplied instead of the logarithms,
    without smoothing: the same probabilities without a second softmax.
    """
    factor = np.asarray(inverse_temperature, np.float32)
    end = _end(graph)
    if end.op_type == "Softmax":
        result = onnx.ModelProto.FromString(graph.SerializeToString())
        body, index = result.graph, list(graph.graph.node).index(end)
        body.initializer.append(onnx.numpy_helper.from_array(factor, "factor"))
        body.node[index].input[0] = "multiplied"
        product = onnx.helper.make_node("Mul", [end.input[0], "factor"], ["multiplied"])
        body.node.insert(index, product)
        return canonical(result, "probabilities")
    n_classes = graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    back = parse(
        f"""temperature (float[n, {n_classes}] probabilities, float smoothing, float factor)
        => (float[n, {n_classes}] calibrated)
        {{
            positive = Add(probabilities, smoothing)
            logits = Log(positive)
            multiplied = Mul(logits, factor)
            calibrated = Softmax<axis = -1>(multiplied)
        }}""",
        {"smoothing": np.float32(smoothing), "factor": factor},
        _opset(graph),
    )
    return _followed_by(graph, back)


def with_interpolation(
    graph: onnx.ModelProto, tables: Sequence[tuple[Array, Array]]
) -> onnx.ModelProto:
    """A model's graph whose probabilities are looked up, class by class, and sum to 1 again.

    Parameters
    ----------
    graph : onnx.ModelProto
    tables : sequence of (x, y)
        For each class, rising probabilities and what replaces them; between two of them it is
        interpolated. Where every class is replaced by 0, all classes are equal.
    """
    n_classes, length = len(tables), max(len(x) for x, _ in tables)
    padded = [[np.pad(c, (0, length - len(c)), "edge") for c in pair] for pair in tables]
    x, y = np.array(padded, np.float32).swapaxes(0, 1)
    back = parse(
        f"""lookup (float[n, {n_classes}] probabilities, float[{n_classes}, {length - 1}] x,
            float[{n_classes}, {length - 1}] slope, float[{n_classes}, {length - 1}] rise,
            float[{n_classes}] start, int64[1] knot_axis, int64[1] class_axis,
            float tiny, float zero, float one, float uniform)
        => (float[n, {n_classes}] calibrated)
        {{
            wide = Unsqueeze(probabilities, knot_axis)
            distance = Sub(wide, x)
            way = Mul(distance, slope)
            share = Clip(way, zero, one)
            risen = Mul(share, rise)
            sum = ReduceSum<keepdims = 0>(risen, knot_axis)
            looked_up = Add(sum, start)
            total = ReduceSum<keepdims = 1>(looked_up, class_axis)
            is_zero = LessOrEqual(total, zero)
            positive_total = Max(total, tiny)
            normalized = Div(looked_up, positive_total)
            calibrated = Where(is_zero, uniform, normalized)
        }}""",
        {
            "x": x[:, :-1], "slope": 1 / np.maximum(np.diff(x), np.float32(1e-12)),
            "rise": np.diff(y), "start": y[:, 0], "knot_axis": [2], "class_axis": [1],
            "tiny": np.float32(1e-12), "zero": np.float32(0), "one": np.float32(1),
            "uniform": np.float32(1 / n_classes),
        },
        _opset(graph),
    )  # fmt: skip
    return _followed_by(graph, back)


def _end(graph: onnx.ModelProto) -> onnx.NodeProto:
    """The node that makes the probabilities."""
    return next(node for node in graph.graph.node if graph.graph.output[0].name in node.output)


def _opset(graph: onnx.ModelProto) -> int:
    """Version of the operators, which graphs that become one share."""
    return next(opset.version for opset in graph.opset_import if not opset.domain)


def _followed_by(graph: onnx.ModelProto, back: onnx.ModelProto) -> onnx.ModelProto:
    """A model's graph with another behind its probabilities."""
    back = onnx.compose.add_prefix(back, "back_")
    names = [(graph.graph.output[0].name, back.graph.input[0].name)]
    return canonical(onnx.compose.merge_models(graph, back, io_map=names), "probabilities")
