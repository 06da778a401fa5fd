"""Small pools for property tests."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eco.strategies.outcomes import Outcomes

POOL = ("light", "mid", "heavy")
ENERGY_J = np.array([1.0, 10.0, 100.0])


def make_outcomes(confidence, correct, energy_j=ENERGY_J, labels=None):
    """Outcomes of models whose predictions don't matter, but only whether they are correct."""
    n_samples, n_models = correct.shape
    return Outcomes(
        pool=POOL if n_models == 3 else tuple("abcdefgh"[:n_models]),
        y=np.ones(n_samples, int),
        labels=correct.astype(int) if labels is None else labels,
        confidence=np.asarray(confidence, float),
        correct=correct,
        energy_j=energy_j,
    )


@st.composite
def outcomes(draw, energy_j=ENERGY_J, most=25):
    """Confidences in tenths, so that ties are common."""
    shape = draw(st.integers(2, most)), len(energy_j)
    tenths = st.integers(0, 10).map(lambda k: k / 10)
    confidence = draw(arrays(np.float64, shape, elements=tenths))
    return make_outcomes(confidence, draw(arrays(bool, shape)), energy_j)
