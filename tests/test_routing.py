import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.routing import routed_energy_j


@given(st.lists(st.integers(0, 2), min_size=1), st.floats(0, 10))
def test_every_sample_pays_for_the_router_and_for_one_model(choices, router_j):
    energy_j = np.array([1.0, 10.0, 100.0])
    spent = routed_energy_j(np.array(choices), energy_j, router_j)
    assert spent == pytest.approx([[1.0, 10.0, 100.0][choice] + router_j for choice in choices])
