import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.strategies.confidence import confidence, correct, predictions, round_probabilities


def test_a_reader_can_check_the_table(table):
    p, y = table["probabilities"], table["y"]
    assert predictions(p).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    expected = [[0.95, 0.90, 0.99], [0.60, 0.85, 0.90], [0.92, 0.55, 0.80], [0.70, 0.60, 0.75]]
    assert confidence(p, "max_probability").tolist() == expected
    assert correct(p, y).sum(axis=0).tolist() == [1, 2, 3]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_a_stored_confidence_reaches_the_threshold_of_the_same_digits(four_decimals):
    threshold = four_decimals / 10_000
    stored = round_probabilities(np.array([[[threshold, 1 - threshold]]])).astype(np.float32)
    assert confidence(stored, "max_probability")[0, 0] >= threshold


SIGNALS = ["max_probability", "margin", "entropy"]


@pytest.mark.parametrize("signal", SIGNALS)
@settings(deadline=None)
@given(arrays(np.float64, (3, 2, 4), elements=st.floats(0.001, 1)))
def test_every_signal_lies_between_0_and_1(signal, weights):
    score = confidence(weights / weights.sum(axis=-1, keepdims=True), signal)
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_is_1_where_one_class_is_certain(signal):
    assert confidence(np.array([[[1.0, 0.0, 0.0]]]), signal) == 1


@pytest.mark.parametrize("signal", SIGNALS[1:])
def test_a_tie_of_all_classes_is_no_confidence(signal):
    assert confidence(np.full((1, 1, 4), 0.25), signal) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(deadline=None)
@given(
    arrays(np.float64, (3, 2, 4), elements=st.sampled_from([0.25, 0.25002, 0.24997, 0.2501])),
)
def test_rounding_changes_no_prediction(dtype, p):
    p = p.astype(dtype)
    rounded = round_probabilities(p)
    assert (rounded.argmax(axis=-1) == p.argmax(axis=-1)).all()
    assert (rounded.max(axis=-1) == p.max(axis=-1).round(4)).all()
    assert np.abs(rounded - p).max() <= 1.5001e-4
    assert (round_probabilities(rounded.astype(np.float32)) == rounded.astype(np.float32)).all()


def test_a_class_that_would_be_equal_loses_a_unit_only_where_it_comes_first():
    p = np.array([[0.49998, 0.50002], [0.50002, 0.49998], [0.5, 0.5]])
    assert round_probabilities(p).tolist() == [[0.4999, 0.5], [0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize("n_classes", [1000, 20_001])
def test_many_classes_are_told_apart(n_classes):
    p = np.random.default_rng(0).dirichlet(np.full(n_classes, 1e4), 20)
    rounded = round_probabilities(p)
    assert (rounded.argmax(axis=-1) == p.argmax(axis=-1)).all()
    assert rounded.min() > 0
    uniform = np.full((1, 1, n_classes), 1 / n_classes, np.float32)
    assert confidence(round_probabilities(uniform), "entropy")[0, 0] < 0.01


def test_noise_below_zero_is_no_certainty():
    p = np.array([[[0.5, 0.5 + 1e-7, -1e-7]]])
    assert confidence(p, "entropy")[0, 0] < 0.5
