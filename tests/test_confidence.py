import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eco.confidence import confidence, correct, predictions


def test_a_reader_can_check_the_table(table):
    p, y = table["probabilities"], table["y"]
    assert predictions(p).tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]
    expected = [[0.95, 0.90, 0.99], [0.60, 0.85, 0.90], [0.92, 0.55, 0.80], [0.70, 0.60, 0.75]]
    assert confidence(p).tolist() == expected
    assert correct(p, y).sum(axis=0).tolist() == [1, 2, 3]


@given(st.integers(0, 10_000))
def test_a_stored_confidence_reaches_the_threshold_of_the_same_digits(four_decimals):
    threshold = four_decimals / 10_000
    stored = np.array([[[threshold, 1 - threshold]]]).round(4).astype(np.float32)
    assert confidence(stored)[0, 0] >= threshold
