"""Networks on each kind of data: what Keras computes, the graph does."""

from functools import cache

import numpy as np
import pytest

from eco.errors import ModelError
from eco.models.base import make_model, train
from eco.models.keras import numbers
from eco.models.onnx.quantize import quantize
from tests.models.conftest import LEARNING, SETTINGS
from tests.networks import learnt_at_its_end

N_SAMPLES, N_FITTED = 600, 400
CASES = [
    ("mlp", "grey"), ("mlp", "colour"), ("mlp", "table"), ("mlp", "text"),
    ("cnn", "grey"), ("cnn", "colour"), ("text_cnn", "text"),
]  # fmt: skip


@cache
def samples(data):
    """Samples of three classes that are easily told apart."""
    random, y = np.random.default_rng(0), np.arange(N_SAMPLES, dtype=np.uint8) % 3
    corners = np.array([[0, 0], [0, 5], [4, 2]])[y]
    images = random.integers(0, 60, (N_SAMPLES, 9, 10, 3), dtype=np.uint8)
    for image, (row, column) in zip(images, corners, strict=True):
        image[row : row + 5, column : column + 5] += 150
    table = random.normal(size=(N_SAMPLES, 4)) + 6 * np.eye(3, 4)[y]
    table[random.random(table.shape) < 0.05] = np.nan
    text = random.integers(20, 60, (N_SAMPLES, 12))
    text[:, 2:6] = 2 + 6 * y[:, None] + random.integers(0, 6, (N_SAMPLES, 4))
    text[random.random(N_SAMPLES) < 0.5, 8:] = 0
    X = {
        "grey": images[..., 0],
        "colour": images,
        "table": (table * [1, 100, 0.01, 1]).astype(np.float32),
        "text": text.astype(np.int32),
    }
    return X[data], y


@pytest.fixture(scope="module")
def learnt():
    """A function that gives a network whose last layer has learnt."""

    def learn(kind, data):
        X, y = samples(data)
        return learnt_at_its_end(kind, SETTINGS[kind], X[:N_FITTED], y[:N_FITTED], 0)

    return cache(learn)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "data"), CASES)
def test_a_graph_computes_what_keras_does(kind, data, learnt, run):
    X, y = (part[N_FITTED:] for part in samples(data))
    model = learnt(kind, data)
    p = run(model.graph(), X)
    expected = np.asarray(model.fitted(numbers(model.inputs(X))))
    np.testing.assert_allclose(p, expected, atol=1e-4)
    assert (p.argmax(axis=1) == y).mean() > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "data"), CASES)
def test_integers_agree_with_floats_on_most_samples(kind, data, learnt, run):
    X = samples(data)[0]
    floats = learnt(kind, data).graph()
    integers = quantize(floats, X[:N_FITTED])
    before, after = (run(graph, X[N_FITTED:]) for graph in (floats, integers))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).mean() > 0.97
    assert np.abs(before - after).mean() < 0.03
    again = quantize(floats, X[:N_FITTED])
    assert again.SerializeToString() == integers.SerializeToString()


@pytest.fixture(scope="module")
def trained():
    """A function that trains a network as a whole: its graph and training curve."""

    def train_anew(kind, data, settings):
        X, y = samples(data)
        parts = X[:N_FITTED], y[:N_FITTED], X[N_FITTED:], y[N_FITTED:]
        return train(kind, settings, *parts, 42)

    train_once = cache(lambda kind, data: train_anew(kind, data, SETTINGS[kind]))
    return lambda *case, settings=None: (
        train_anew(*case, settings) if settings else train_once(*case)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "data"), [("cnn", "colour"), ("mlp", "table"), ("text_cnn", "text")]
)
def test_training_learns_what_is_easy(kind, data, trained, run):
    X, y = (part[N_FITTED:] for part in samples(data))
    graph, curve = trained(kind, data)
    accuracy = (run(graph, X).argmax(axis=1) == y).mean()
    assert accuracy > 0.9
    assert accuracy == pytest.approx(curve[-1]["accuracy"], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "data"), [("mlp", "table"), ("text_cnn", "text")])
def test_rows_and_words_are_neither_shifted_nor_mirrored(kind, data, trained):
    moved = SETTINGS[kind] | {"max_shift": 3, "mirror": True}
    one, other = trained(kind, data)[0], trained(kind, data, settings=moved)[0]
    assert one.SerializeToString() == other.SerializeToString()


@pytest.mark.slow
def test_ids_beyond_those_of_training_are_the_largest_of_these(learnt, run):
    X = samples("text")[0][:5].copy()
    graph = learnt("text_cnn", "text").graph()
    largest, larger, largest_of_all = (run(graph, np.where(X, X, i)) for i in (59, 60, 2**31 - 1))
    assert np.array_equal(largest, larger)
    assert np.array_equal(largest, largest_of_all)


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        ("cnn", "table", "kind cnn take images; this data set holds rows of a table.*mlp"),
        ("cnn", "text", "kind cnn take images; .* holds texts.*mlp.*text_cnn"),
        ("text_cnn", "grey", "kind text_cnn take texts; .* holds images.*cnn.*mlp"),
    ],
)
def test_data_that_a_network_does_not_take_are_refused_with_the_kinds_that_do(kind, data, message):
    model = make_model(kind, SETTINGS[kind])
    with pytest.raises(ModelError, match=message):
        model.prepare(samples(data)[0])


def test_samples_of_no_kind_are_refused():
    model = make_model("mlp", SETTINGS["mlp"])
    with pytest.raises(
        ModelError, match=r"images or rows of a table or texts.*float64 with 3 axes"
    ):
        model.prepare(np.zeros((5, 4, 4)))


def test_images_are_neither_shifted_nor_mirrored_unless_the_settings_say_so():
    settings = {name: LEARNING[name] for name in LEARNING if name not in ("max_shift", "mirror")}
    model = make_model("mlp", {"units": [4], "dropout": 0.0, **settings})
    assert (model.max_shift, model.mirror) == (0, False)
