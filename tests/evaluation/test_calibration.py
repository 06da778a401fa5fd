import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapie.metrics.calibration import expected_calibration_error

from eco.evaluation.calibration import calibration_error, reliability


def test_the_error_is_the_one_that_mapie_computes():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.3, 1, 6000)
    correct = random.random(6000) < confidence**2
    expected = expected_calibration_error(
        correct, confidence, num_bins=15, split_strategy="uniform"
    )
    assert calibration_error(confidence, correct) == pytest.approx(expected, abs=0.01)
    assert expected > 0.1


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 20))
def test_every_sample_is_in_one_bin(samples, bins):
    confidence, correct = (np.array(column) for column in zip(*samples, strict=True))
    rows = reliability(confidence, correct, bins)
    assert sum(row["samples"] for row in rows) == len(samples)
    n_correct = sum(row["samples"] * row["accuracy"] for row in rows)
    assert n_correct == pytest.approx(correct.sum())
    for row in rows:
        assert -1e-9 <= row["confidence"] * bins % 1 <= 1 + 1e-9


def test_a_reader_can_check_two_bins():
    rows = reliability(np.array([0.2, 0.4, 1.0]), np.array([True, False, True]), bins=2)
    assert rows == [
        {"confidence": pytest.approx(0.3), "accuracy": 0.5, "samples": 2},
        {"confidence": 1.0, "accuracy": 1.0, "samples": 1},
    ]
