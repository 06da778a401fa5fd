import numpy as np
import onnx
import pytest
from sklearn.datasets import load_digits

from eco.errors import ModelError
from eco.models.base import train
from eco.models.features import ImageFeatures
from eco.models.onnx.export import export_softmax
from eco.models.onnx.quantize import quantize
from tests.models.conftest import LEARNING as SHORT
from tests.models.conftest import SETTINGS as SETTINGS_OF_ALL
from tests.networks import learnt_at_its_end

LEARNING = SHORT | {"epochs": 6, "precision": "float32"}
SETTINGS = {
    "logistic_regression": {"C": 1.0, "max_iter": 100, "pixels": "linear"},
    "mlp": {"units": [128, 128], "dropout": 0.1, **LEARNING},
    "cnn": {
        "stem_filters": 16, "filters": [16, 32], "strides": [1, 2], **LEARNING,
    },
}  # fmt: skip


#: Trained as a whole, so that batch normalization has learnt something too.
TRAINED = ("logistic_regression", "cnn")


@pytest.mark.slow
@pytest.mark.parametrize("kind", SETTINGS)
def test_integers_predict_nearly_as_floats_do(kind, digits, run):
    X, y = digits["test"]
    if kind in TRAINED:
        floats, _ = train(kind, SETTINGS[kind], *digits["train"], *digits["tuning"], 1)
    else:
        floats = learnt_at_its_end(kind, SETTINGS[kind], *digits["train"], 1).graph()
    integers = quantize(floats, digits["train"].X[:300])
    before, after = (run(graph, X) for graph in (floats, integers))
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
    again = quantize(floats, digits["train"].X[:300])
    assert again.SerializeToString() == integers.SerializeToString()


def test_square_roots_of_pixels_are_computed_in_floats(digits, run):
    settings = SETTINGS["logistic_regression"] | {"pixels": "square_root"}
    floats, _ = train("logistic_regression", settings, *digits["train"], *digits["tuning"], 1)
    integers = quantize(floats, digits["train"].X[:300])
    assert "Sqrt" in {node.op_type for node in integers.graph.node}
    before, after = (run(graph, digits["test"].X) for graph in (floats, integers))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() > 0.97


def test_weights_leave_a_bit_so_that_no_sum_overflows():
    coefficients = np.random.default_rng(0).standard_normal((10, 64))
    floats = export_softmax(coefficients, np.zeros(10), ImageFeatures((8, 8)))
    X = (load_digits().images * 15).astype(np.uint8)
    integers = quantize(floats, X[:200])
    arrays = [onnx.numpy_helper.to_array(w) for w in integers.graph.initializer]
    (weights,) = [a for a in arrays if a.dtype == np.int8 and a.ndim == 2]
    assert 32 < np.abs(weights.astype(int)).max() <= 64


def test_images_without_white_pixels_keep_their_biases(run):
    random = np.random.default_rng(0)
    coefficients, intercepts = random.standard_normal((4, 64)), np.array([0.0, 9.0, -9.0, 4.0])
    floats = export_softmax(coefficients, intercepts, ImageFeatures((8, 8)))
    X = random.integers(0, 100, (500, 8, 8), dtype=np.uint8)
    before, after = (run(graph, X) for graph in (floats, quantize(floats, X[:200])))
    assert np.abs(before - after).max() < 0.05


@pytest.mark.parametrize(
    ("kind", "end"),
    [("decision_tree", "TreeEnsembleClassifier"), ("gradient_boosting", "Softmax")],
)
def test_a_model_without_products_at_its_end_is_refused(kind, end, digits):
    floats, _ = train(kind, SETTINGS_OF_ALL[kind], *digits["tuning"], *digits["tuning"], 1)
    with pytest.raises(ModelError, match=rf"end in a softmax of its scores.*no trees.*{end}$"):
        quantize(floats, digits["train"].X[:300])
