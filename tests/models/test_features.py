"""Samples of every kind, and what scikit-learn and the routers make of them."""

import re

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from threadpoolctl import threadpool_limits

from eco.errors import DataError
from eco.models.base import make_model
from eco.models.features import ImageFeatures, TableFeatures, fit_features
from eco.models.onnx.quantize import quantize
from tests.models.conftest import SETTINGS

N = 400
#: Kinds that learn from features, and what of their settings is smaller here.
SMALL = {
    "decision_tree": {},
    "logistic_regression": {},
    "random_forest": {"n_estimators": 8},
    "gradient_boosting": {},
}
DATA = ["grey", "colour", "table", "one column", "text"]
#: Float32 numbers next to each other.
NEIGHBOURS = (1 + np.arange(64) * np.finfo(np.float32).eps).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other take longer than these small fits."""
    with threadpool_limits(1):
        yield


def samples(data, n_classes, n=N):
    """Random samples whose labels leave a trace in them."""
    random = np.random.default_rng(0)
    y = (np.arange(n) % n_classes).astype(np.min_scalar_type(n_classes - 1))
    if data in ("grey", "colour"):
        shape = (n, 7, 5) if data == "grey" else (n, 7, 5, 3)
        X = random.integers(0, 156, shape).astype(np.uint8)
        X[:, 2, 3] += (y % 2 * 90).astype(np.uint8).reshape(n, *[1] * (X.ndim - 3))
    elif data == "text":
        X = 2 + random.zipf(1.4, (n, 12)) * (1 + y[:, None] % 3) % 60
        X[random.random(X.shape) < 0.2] = 1
        X[:, 9:][random.random((n, 3)) < 0.8] = 0
        X = X.astype(np.int32)
    else:
        X = (100 * random.normal(size=(n, 4)) + 80 * (y[:, None] % 2)).astype(np.float32)
        X[random.random(X.shape) < 0.2] = np.nan
        X[:, 2], X[:, 3] = np.nan, 0.1
        X = X[:, :1] if data == "one column" else X
    return X, y


def fitted(kind, X, y, **settings):
    model = make_model(kind, SETTINGS[kind] | SMALL[kind] | settings)
    model.fit(X, y, X[-50:], y[-50:], 1)
    return model


def agrees_with_scikit_learn(model, X, run):
    expected = model.fitted.predict_proba(model.features(X))
    # A tree that splits one sample otherwise differs by far more.
    return np.abs(run(model.graph(), X) - expected).max() < 1e-5


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("kind", SMALL)
def test_a_graph_predicts_as_scikit_learn_does_for_samples_of_any_kind(kind, data, n_classes, run):
    X, y = samples(data, n_classes, 2 * N)
    model = fitted(kind, X[:N], y[:N])
    assert agrees_with_scikit_learn(model, X, run)
    p = run(model.graph(), X[N:])
    assert p.shape == (N, n_classes)
    assert ((p.argmax(axis=1) % 2 == 1) == (y[N:] % 2 == 1)).mean() > 0.5


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("data", ["one column", "text"])
@pytest.mark.parametrize("kind", SMALL)
def test_classes_may_be_more_than_a_byte_holds(kind, data, run):
    X, y = samples(data, 300, 600)
    small = {"max_iter": 1} if kind == "gradient_boosting" else {}
    model = fitted(kind, X, y, **small)
    assert run(model.graph(), X[:9]).shape == (9, 300)
    assert agrees_with_scikit_learn(model, X, run)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("data", ["table", "text"])
@pytest.mark.parametrize("kind", SMALL)
def test_the_same_seed_gives_the_same_bytes_for_rows_and_texts(kind, data):
    X, y = samples(data, 3)
    one, again = (fitted(kind, X, y).graph().SerializeToString() for _ in range(2))
    assert one == again


def test_an_array_of_no_kind_of_samples_is_refused():
    known = re.escape("float32 of 2 axes (table), int32 of 2 axes (text); got float64 of 2 axes")
    with pytest.raises(DataError, match=known + ".*astype"):
        fit_features(np.zeros((3, 2)))


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("pixels", ["linear", "square_root", "whole", "edges"])
def test_a_forest_or_regression_reads_colours_in_every_way(pixels, run):
    X, y = samples("colour", 3)
    kind = "logistic_regression" if pixels in ("linear", "square_root") else "random_forest"
    assert agrees_with_scikit_learn(fitted(kind, X, y, pixels=pixels), X, run)


def test_edges_of_colours_are_those_of_their_sum():
    X = np.random.default_rng(0).integers(0, 80, (3, 6, 5, 3), dtype=np.uint8)
    colour, grey = (ImageFeatures(shape, "edges") for shape in ((6, 5, 3), (6, 5)))
    assert (colour(X) == grey(X.sum(axis=3).astype(np.uint8))).all()


def test_columns_are_in_standard_deviations_from_their_mean():
    X = np.array([[1, 8], [3, 8], [np.nan, 8], [3, 8], [5, np.nan]], np.float32)
    features = fit_features(X)
    # The first column's median and mean are 3, its deviation the root of 8 / 5.
    rows = np.array([[-2, 0], [0, 0], [0, 0], [0, 0], [2, 0]]) / np.sqrt(8 / 5)
    assert features(X) == pytest.approx(rows, abs=1e-6)
    assert features.shape == (2,) and features.n_features == 2
    assert features(np.array([[3, 9.5]], np.float32)).tolist() == [[0, 1.5]]


@pytest.mark.parametrize("value", [np.nan, 0.1, 0, 1e30, 1e-45])
def test_a_column_that_says_nothing_becomes_0(value):
    X = np.full((7, 1), value, np.float32)
    X[:1] = np.nan
    assert fit_features(X)(X).tolist() == [[0]] * 7


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("kind", SMALL)
def test_samples_that_say_nothing_get_the_shares_of_the_classes(kind, run):
    missing = np.full((90, 1), np.nan, np.float32)
    unknown = np.ones((90, 4), np.int32)
    y = (np.arange(90) % 3 == 0).astype(np.uint8)
    for X in (missing, unknown):
        p = run(fitted(kind, X, y, **{"bootstrap": False} if "forest" in kind else {}).graph(), X)
        assert p == pytest.approx(np.tile([2 / 3, 1 / 3], (90, 1)), abs=1e-3)


def test_texts_are_the_latent_semantic_analysis_of_scikit_learn():
    X, _ = samples("text", 3)
    texts = [" ".join(f"w{word}" for word in row if word > 1) for row in X]
    features = fit_features(X)
    svd = TruncatedSVD(features.n_features, random_state=0)
    # Components of small singular values depend on how the analysis starts: dot products don't.
    analysis = make_pipeline(CountVectorizer(), TfidfTransformer(), svd, Normalizer())
    expected, rows = analysis.fit_transform(texts), features(X)
    assert rows @ rows.T == pytest.approx(expected @ expected.T, abs=2e-3)
    assert rows.dtype == np.float32


def test_texts_without_a_known_word_are_0_and_others_have_length_1(run):
    train = np.array([[2, 3, 4], [3, 4, 0], [5, 1, 0], [2, 2, 5]], np.int32)
    X = np.array([[0, 0, 0], [1, 1, 0], [9, 1, 0], [2, 9, 1], [2, 0, 0], [1, 2, 0]], np.int32)
    features = fit_features(train)
    rows = features(X)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([0, 0, 0, 1, 1, 1])
    assert (rows[3:] == rows[3]).all()
    assert run(features.graph(), X) == pytest.approx(rows)


def test_rows_of_texts_do_not_depend_on_the_order_of_words_by_a_single_bit(run):
    X, _ = samples("text", 3)
    features = fit_features(X)
    backwards = np.ascontiguousarray(X[:, ::-1])
    assert (features(X) == features(backwards)).all()
    assert (run(features.graph(), X) == run(features.graph(), backwards)).all()


def test_boosted_trees_split_neighbouring_numbers_as_scikit_learn_does(run):
    X, y = np.tile(NEIGHBOURS, 4)[:, None], np.tile(np.arange(64) % 2, 4)
    model = make_model("gradient_boosting", SETTINGS["gradient_boosting"] | {"min_samples_leaf": 1})
    nothing = np.zeros(1, np.float32)
    model.features = TableFeatures(nothing, nothing, nothing + 1)
    model.fitted = model.estimator(0).fit(X, y)
    assert agrees_with_scikit_learn(model, X, run)


@pytest.mark.parametrize("data", ["colour", "table", "one column", "text"])
def test_integers_predict_nearly_as_floats_do_on_features_of_any_kind(data, run):
    X, y = samples(data, 3)
    floats = fitted("logistic_regression", X, y, max_iter=300).graph()
    integers = quantize(floats, X)
    assert np.abs(run(floats, X) - run(integers, X)).mean() < 0.02
    assert "DequantizeLinear" in {node.op_type for node in integers.graph.node}


def test_a_table_without_a_value_can_be_quantized(run):
    X, y = np.full((90, 2), np.nan, np.float32), np.arange(90) % 3
    graph = quantize(fitted("logistic_regression", X, y).graph(), X)
    assert run(graph, X) == pytest.approx(np.full((90, 3), 1 / 3), abs=1e-3)
