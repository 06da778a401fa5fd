import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits

from eco import graphs, pool, quantization
from eco.data import load_splits
from eco.errors import ModelError
from eco.inference import Session

LEARNING = {
    "epochs": 6, "batch_size": 32, "learning_rate": 0.01, "weight_decay": 0.01,
    "label_smoothing": 0.05, "max_shift": 1, "mirror": False,
    "precision": "float32",
}  # fmt: skip
SETTINGS = {
    "logistic_regression": {"C": 1.0, "max_iter": 100, "pixels": "linear"},
    "mlp": {"units": [64, 32], "dropout": 0.1, **LEARNING},
    "strided_cnn": {"filters": [16, 32], "strides": [1, 2], **LEARNING},
    "cnn": {
        "stem": "pooled",
        "stem_filters": 16,
        "filters": [16, 32],
        "strides": [1, 2],
        **LEARNING,
    },
}


@pytest.fixture(scope="module")
def digits():
    shares = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}
    return load_splits("digits", "", shares, 42, print)[0]


def run(graph, X, folder):
    path = folder / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    return Session(path, threads=1)(X)


@pytest.mark.parametrize("kind", SETTINGS)
def test_integers_answer_nearly_as_floats_do(kind, digits, tmp_path):
    X, y = digits["test"]
    floats = pool.train(kind, SETTINGS[kind], *digits["train"], *digits["tuning"], 1, print).graph
    integers = quantization.quantized(floats, digits["train"].X[:300])
    before, after = (run(graph, X, tmp_path) for graph in (floats, integers))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() > 0.97
    assert np.abs(before - after).mean() < 0.02
    assert np.abs(after.sum(axis=1) - 1).max() < 1e-5
    assert (after.argmax(axis=1) == y).mean() > 0.85
    types = {onnx.numpy_helper.to_array(w).dtype for w in integers.graph.initializer if w.dims}
    assert np.dtype(np.int8) in types
    largest = max(floats.graph.initializer, key=lambda w: np.prod(w.dims))
    assert np.dtype(np.float32) == onnx.numpy_helper.to_array(largest).dtype
    # Pixels are integers already: nothing turns them into floats and back.
    assert not {"Cast", "Div"} & {node.op_type for node in integers.graph.node}
    again = quantization.quantized(floats, digits["train"].X[:300])
    assert again.SerializeToString() == integers.SerializeToString()


def test_pixels_that_are_bent_stay_floats_until_they_are(digits, tmp_path):
    settings = SETTINGS["logistic_regression"] | {"pixels": "square_root"}
    floats = pool.train(
        "logistic_regression", settings, *digits["train"], *digits["tuning"], 1, print
    ).graph
    integers = quantization.quantized(floats, digits["train"].X[:300])
    assert "Sqrt" in {node.op_type for node in integers.graph.node}
    X = digits["test"].X
    before, after = (run(graph, X, tmp_path) for graph in (floats, integers))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() > 0.97


def test_weights_leave_a_bit_so_that_no_sum_overflows(digits):
    bunch = load_digits()
    coefficients = np.random.default_rng(0).standard_normal((10, 64))
    floats = graphs.export_softmax(coefficients, np.zeros(10), (8, 8), "linear")
    X = (bunch.images * 15).astype(np.uint8)
    integers = quantization.quantized(floats, X[:200])
    arrays = [onnx.numpy_helper.to_array(w) for w in integers.graph.initializer]
    (weights,) = [a for a in arrays if a.dtype == np.int8 and a.ndim == 2]
    assert 32 < np.abs(weights.astype(int)).max() <= 64


def test_a_model_without_scores_at_its_end_is_refused(digits):
    trees = {"max_leaf_nodes": 20}
    floats = pool.train("decision_tree", trees, *digits["train"], *digits["tuning"], 1, print).graph
    with pytest.raises(ModelError, match="ends in a softmax of its scores"):
        quantization.quantized(floats, digits["train"].X[:300])


@pytest.mark.parametrize("stem", ["pooled", "folded"])
@pytest.mark.parametrize("shape", [(8, 8), (7, 9)])
def test_a_filter_over_pixels_answers_nearly_as_in_floats(stem, shape, digits):
    X, y = digits["train"].X[:, : shape[0]], digits["train"].y
    X = np.concatenate([X, X[:, :, : shape[1] - 8]], axis=2) if shape[1] > 8 else X
    # Pixels of a photograph: alike where they are near each other, and far from black.
    X = (128 + X // 4).astype(np.uint8)
    settings = SETTINGS["cnn"] | {"stem": stem, "epochs": 2, "strides": [2, 1]}
    floats = pool.train("cnn", settings, X, y, X[:50], y[:50], 1, print).graph
    integers = quantization.quantized(floats, X[:300])
    ours = first_layer(integers, X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantization, "rounded_together", lambda w, step, rounded, products: rounded)
        one_by_one = first_layer(quantization.quantized(floats, X[:300]), X)
    wanted = first_layer(floats, X)
    assert np.abs(ours - wanted).mean() < 0.7 * np.abs(one_by_one - wanted).mean()


def first_layer(graph, X):
    """What a graph's first convolution answers to images."""
    import onnxruntime

    convolution = next(node for node in graph.graph.node if node.op_type == "Conv")
    answer = onnx.helper.make_tensor_value_info(convolution.output[0], onnx.TensorProto.FLOAT, None)
    cut = onnx.ModelProto.FromString(graph.SerializeToString())
    cut.graph.output.insert(0, answer)
    session = onnxruntime.InferenceSession(cut.SerializeToString())
    return session.run([convolution.output[0]], {graph.graph.input[0].name: X})[0]


def alike(random, n_weights):
    """Weights of a filter over pixels that are nearly alike, and those pixels' mean products."""
    under = random.normal(100, 5, (500, 1)) + random.normal(0, 1, (500, n_weights))
    return random.uniform(-10, 10, n_weights), under.T @ under / len(under)


def change(rounded, weights, products):
    return np.einsum("...i,ij,...j", rounded - weights, products, rounded - weights)


def test_rounding_together_changes_the_answer_less_than_rounding_one_by_one():
    random = np.random.default_rng(3)
    before = after = 0.0
    for _ in range(30):
        weights, products = alike(random, 16)
        start = np.rint(weights).astype(np.int8)
        found = quantization.rounded_together(0.1 * weights, 0.1, start, products)
        assert np.abs(found).max() <= np.abs(start).max()
        before += change(start, weights, products)
        after += change(found, weights, products)
    assert after < 0.15 * before


def test_rounding_together_is_nearly_the_best_of_all_roundings():
    random = np.random.default_rng(3)
    steps = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 4), -1).reshape(-1, 4)
    found, best = [], []
    for _ in range(30):
        weights, products = alike(random, 4)
        start = np.rint(weights).astype(np.int8)
        every = np.clip(start + steps, -np.abs(start).max(), np.abs(start).max())
        together = quantization.rounded_together(weights, 1.0, start, products)
        found.append(change(together, weights, products))
        best.append(change(every, weights, products).min())
    assert np.sum(found) < 1.5 * np.sum(best)


def test_rounding_together_leaves_what_is_exact():
    weights = np.array([3.0, -5.0, 0.0]) * 0.1
    start = np.array([3, -5, 0], np.int8)
    products = np.ones((3, 3)) + np.eye(3)
    assert quantization.rounded_together(weights, 0.1, start, products).tolist() == [3, -5, 0]
