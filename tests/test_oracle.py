import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.cascading import cascade
from eco.confidence import correct
from eco.oracle import oracle


def test_a_reader_can_check_the_table(table):
    right = correct(table["probabilities"], table["y"])
    assert oracle(right, table["energy_j"], "last").tolist() == [0, 1, 2, 2]
    assert oracle(right, table["energy_j"], "cheapest").tolist() == [0, 1, 2, 0]


def test_cheapest_is_by_measured_energy_not_by_position():
    right = np.array([[True, True, True]])
    assert oracle(right, np.array([5.0, 1.0, 9.0]), "last").tolist() == [1]


@given(
    arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 5))),
    st.data(),
    st.sampled_from(["last", "cheapest"]),
)
def test_no_choice_of_models_beats_its_accuracy(right, data, none_correct):
    n_samples, n_models = right.shape
    joules = st.floats(1e-6, 1.0)
    energy_j = np.array(data.draw(st.lists(joules, min_size=n_models, max_size=n_models)))
    best = oracle(right, energy_j, none_correct)
    sure = data.draw(arrays(np.float64, right.shape, elements=st.floats(0, 1)))
    other = cascade(sure, np.append(np.full(n_models - 1, 0.5), 0.0))
    samples = np.arange(n_samples)
    assert right[samples, best].sum() >= right[samples, other].sum()
    assert right[samples, best].sum() == right.any(axis=1).sum()


@given(arrays(bool, st.tuples(st.integers(1, 20), st.just(3))))
def test_no_cheaper_model_is_right_where_it_names_one(right):
    energy_j = np.array([3.0, 1.0, 2.0])
    best = oracle(right, energy_j, "last")
    for row, chosen in zip(right, best, strict=True):
        if row.any():
            assert row[chosen]
            assert not row[energy_j < energy_j[chosen]].any()
