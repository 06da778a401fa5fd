import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.confidence import confidence, correct, predictions


def test_a_reader_can_check_the_table(table):
    p, y = table["probabilities"], table["y"]
    assert predictions(p).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    expected = [[0.95, 0.90, 0.99], [0.60, 0.85, 0.90], [0.92, 0.55, 0.80], [0.70, 0.60, 0.75]]
    assert confidence(p, "max_probability").tolist() == expected
    assert correct(p, y).sum(axis=0).tolist() == [1, 2, 3]


@given(st.integers(0, 10_000))
def test_a_stored_confidence_reaches_the_threshold_of_the_same_digits(four_decimals):
    threshold = four_decimals / 10_000
    stored = np.array([[[threshold, 1 - threshold]]]).round(4).astype(np.float32)
    assert confidence(stored, "max_probability")[0, 0] >= threshold


SIGNALS = ["max_probability", "margin", "entropy"]


@pytest.mark.parametrize("signal", SIGNALS)
@given(arrays(np.float64, (3, 2, 4), elements=st.floats(0.001, 1)))
def test_every_signal_lies_between_certainty_and_none(signal, weights):
    score = confidence(weights / weights.sum(axis=-1, keepdims=True), signal)
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_is_1_where_one_class_has_it_all(signal):
    assert confidence(np.array([[[1.0, 0.0, 0.0]]]), signal) == 1


@pytest.mark.parametrize("signal", SIGNALS[1:])
def test_a_tie_of_all_classes_is_no_confidence(signal):
    assert confidence(np.full((1, 1, 4), 0.25), signal) == 0
