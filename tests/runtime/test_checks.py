"""Whatever a model may return: probabilities pass, anything else is named in a short message."""

import numpy as np
import pytest

from eco.errors import ModelError
from eco.runtime.checks import BELOW_ZERO, check_probabilities


def rows(*, n, n_classes, dtype=np.float32):
    return np.full((n, n_classes), 1 / n_classes, dtype)


def with_row(row, n=5):
    p = np.full((n, len(row)), 1 / len(row))
    p[-1] = row
    return p


@pytest.mark.parametrize("n", [1, 5, 300])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_pass_in_float32_or_finer(n, dtype):
    p, largest = check_probabilities(rows(n=n, n_classes=4, dtype=dtype), n)
    assert p.dtype == largest.dtype == np.promote_types(dtype, np.float32)
    assert (largest == 0.25).all()


@pytest.mark.parametrize("n", [1, 3])
def test_sums_of_very_many_classes_are_exact(n):
    p, _ = check_probabilities(rows(n=n, n_classes=200_000), n)
    assert p.shape == (n, 200_000)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([np.nan, 0.5, 0.5], "nan"),
        ([np.inf, -np.inf, 1.0], "inf"),
        ([3.0, -1.0, 4.0], "[3.0, -1.0, 4.0]"),
        ([1 + 2 * BELOW_ZERO, -2 * BELOW_ZERO, 0.0], "numbers from 0 to 1"),
        ([0.2, 0.3, 0.4], "sum to 1"),
        (np.full(300, 1.0), "and 290 more"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_rows_that_are_no_probabilities_are_named(n, row, said):
    with pytest.raises(ModelError) as error:
        check_probabilities(with_row(row, n), n)
    message = str(error.value)
    assert f"row {n - 1} is" in message and said in message
    assert len(message) < 500


@pytest.mark.parametrize(
    "p",
    [
        np.full((5, 1), 1.0),
        np.full((5, 2, 2), 0.25),
        np.full((4, 2), 0.5),
        np.full((1, 2), 0.5),
        np.full(5, 1.0),
        np.float64(1),
        np.full((5, 2), "0.5"),
        np.full((5, 2), 0.5, object),
        np.array([{0: 1.0}] * 5),
        np.full((5, 2), 0.5 + 0j),
        np.tile([0, 1], (5, 1)),
    ],
)
def test_answers_of_another_form_are_named(p):
    with pytest.raises(ModelError) as error:
        check_probabilities(np.asarray(p), 5)
    assert f"(5, n_classes); got shape {np.shape(p)} of {np.asarray(p).dtype}" in str(error.value)
