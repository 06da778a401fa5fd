import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.footprint import break_even_predictions, per_thousand
from tests.conftest import REPOSITORY


def test_a_reader_can_check_a_kilowatt_hour():
    found = per_thousand(3600.0, grid_g_per_kwh=56.0)
    assert found == {"j_per_1000": 3.6e6, "wh_per_1000": 1000.0, "g_co2e_per_1000": 56.0}


@given(st.floats(1e-6, 1e9), st.floats(1e-9, 1e3))
def test_after_break_even_the_training_is_paid_and_one_prediction_earlier_it_is_not(cost, saved):
    n = break_even_predictions(cost, saved)
    assert n * saved >= cost * (1 - 1e-9)
    assert n == 0 or (n - 1) * saved < cost * (1 + 1e-9)


def test_a_strategy_that_trained_less_pays_from_the_first_prediction():
    assert break_even_predictions(-5.0, 1.0) == 0


@pytest.mark.parametrize("saved", [0.0, -1e-6])
def test_what_saves_nothing_never_pays(saved):
    assert break_even_predictions(1.0, saved) is None


def test_what_is_certified_bills_the_images_of_the_certificate():
    found = json.loads((REPOSITORY / "metrics/footprint.json").read_text())
    bills = {name: row.get("extra_training_j") for name, row in found["footprint"].items()}
    pairs = [(name, name.removesuffix("_certified")) for name in bills if "_certified" in name]
    pairs += [("certified", "tuned")] if "certified" in bills else []
    for certified, plain in pairs:
        rounding = 1e-5 * bills[certified]  # to six digits, each of the two
        billed_j = bills[certified] - bills[plain]
        assert billed_j == pytest.approx(found["certifying_j"], abs=rounding)
