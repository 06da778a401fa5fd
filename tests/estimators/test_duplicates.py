import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_moons
from sklearn.model_selection import train_test_split

from eco.estimators.duplicates import SHARE, share_of_copies, share_of_near_copies

RANDOM = np.random.default_rng(0)


def share(X):
    others, held_out = train_test_split(X, test_size=0.3, random_state=0)
    return share_of_near_copies(held_out, others)


def copies(n_copies, noise, n_features=8):
    X = RANDOM.standard_normal((200, n_features)) * np.geomspace(1, 1e4, n_features)
    X = np.repeat(X, n_copies, axis=0)
    return X + noise * X.std(axis=0) * RANDOM.standard_normal(X.shape)


def text(i):
    return " ".join(np.random.default_rng(i).choice(["tea", "cup", "rain", "sun", "moon"], 30))


@pytest.mark.parametrize("n_copies", [2, 12])
@pytest.mark.parametrize("noise", [0, 1e-3, 0.03])
def test_copies_are_found(n_copies, noise):
    assert share(copies(n_copies, noise)) > 0.5


@pytest.mark.parametrize(
    "X",
    [
        load_iris().data,
        load_breast_cancer().data,
        load_digits().images,
        make_moons(600, noise=0.1, random_state=0)[0],
        RANDOM.random((600, 1)),
        np.exp(3 * RANDOM.standard_normal((600, 2))),
        RANDOM.standard_cauchy((600, 3)),
        RANDOM.integers(0, 2, (600, 6)),
        RANDOM.poisson(0.3, (600, 20)),
        sparse.random_array((600, 300), density=0.03, rng=0, format="csr"),
        [text(i) for i in range(300)],
        RANDOM.random((6, 3)),
        np.ones((600, 3)),
    ],
)
def test_independent_samples_are_left_alone(X):
    assert share(X) < SHARE


def test_copies_are_found_in_whatever_holds_samples():
    X = copies(5, 0.01)
    words = np.where(X[:, 0] > 0, "a", "b")
    frame = pd.DataFrame(X[:, 1:]).assign(word=words)
    assert share(frame) > 0.5
    assert share(X.reshape(len(X), 4, 2)) > 0.5
    assert share(X.tolist()) > 0.5
    rows = sparse.random_array((150, 300), density=0.03, rng=0, format="csr")
    assert share(sparse.vstack([rows] * 3).tocsr()) > 0.5
    assert share([text(i) + " indeed" * (i % 2) for i in range(100)] * 4) > 0.5


def test_large_images_are_compared_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert share(np.repeat(RANDOM.integers(0, 256, (60, 20, 30)), 3, axis=0)) > 0.5


def test_what_cannot_be_compared_is_no_fault():
    assert share([{"a": i} for i in range(50)]) == 0
    assert share(np.full((50, 3), np.nan)) == 0
    assert share(np.full((50, 3), None)) == 0


def test_equal_rows_are_counted_unless_rows_must_coincide():
    others = RANDOM.standard_normal((200, 3))
    others[0, 0] = np.nan
    held_out = np.concatenate([others[:30], RANDOM.standard_normal((70, 3))])
    assert share_of_copies(held_out, others) == 0.3
    assert share_of_copies(others > 0, others > 0) == 0
