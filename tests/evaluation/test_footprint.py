import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eco.evaluation.footprint import (
    break_even,
    extra_joules,
    footprint_row,
    footprint_rows,
    per_thousand,
)
from eco.strategies.strategy import Strategy
from tests.conftest import REPOSITORY


def test_a_reader_can_check_a_kilowatt_hour():
    figures = per_thousand(3600.0, grid_g_per_kwh=56.0)
    assert figures == {"j_per_1000": 3.6e6, "wh_per_1000": 1000.0, "g_co2e_per_1000": 56.0}


@settings(deadline=None)
@given(st.floats(1e-6, 1e9), st.floats(1e-9, 1e3))
def test_after_break_even_the_training_is_paid_and_one_prediction_earlier_it_is_not(cost, saved):
    n = break_even(cost, saved)
    assert n * saved >= cost * (1 - 1e-9)
    assert n == 0 or (n - 1) * saved < cost * (1 + 1e-9)


def test_a_strategy_that_trained_less_pays_from_the_first_prediction():
    assert break_even(-5.0, 1.0) == 0


@pytest.mark.parametrize("saved", [0.0, -1e-6])
def test_what_saves_nothing_never_pays(saved):
    assert break_even(1.0, saved) is None


def share(value, low, high):
    return {"energy_share": value, "energy_share_low": low, "energy_share_high": high}


def test_a_row_says_after_how_many_predictions_it_pays():
    row = footprint_row(share(0.5, 0.25, 0.75), 2.0, 12345.0, grid_g_per_kwh=50.0)
    assert row["j_per_1000"] == 1000.0
    assert (row["extra_j"], row["break_even_predictions"]) == (12345.0, 12345)
    ends = row["break_even_predictions_low"], row["break_even_predictions_high"]
    assert ends == (8230, 24690)
    assert row["pays"] == "after 12,345 predictions"


def test_what_may_save_nothing_has_no_last_prediction_by_which_it_pays():
    row = footprint_row(share(0.75, 0.5, 1.1), 2.0, 1.0, grid_g_per_kwh=50.0)
    assert row["break_even_predictions"] == 2
    assert row["break_even_predictions_high"] is None
    row = footprint_row(share(1.1, 0.9, None), 2.0, 1.0, grid_g_per_kwh=50.0)
    assert (row["break_even_predictions"], row["pays"]) == (None, "never")


def test_what_was_metered_counts_before_what_was_modelled():
    tuned, router = Strategy("cascade", ("a", "b"), (0.5, 0.0)), Strategy("router", ("a", "b"))
    scored = [
        {"name": "tuned"} | tuned.to_json() | share(0.5, 0.4, 0.6),
        {"name": "router, certified"} | router.to_json() | share(0.8, 0.7, 0.9),
        {"name": "of no bill"} | router.to_json() | share(0.1, 0.1, 0.1),
    ]
    metered = [share(1.0, 1.0, 1.0), tuned.to_json() | share(0.25, 0.2, 0.3)]
    extra_j = {"tuned": 3.0, "router_certified": 4.0, "not found": 5.0}
    rows = footprint_rows(scored, metered, extra_j, 2.0, grid_g_per_kwh=50.0)
    assert list(rows) == ["always_last", "tuned", "router_certified"]
    assert rows["always_last"]["j_per_1000"] == 2000.0
    assert (rows["tuned"]["realised"], rows["tuned"]["j_per_1000"]) == (True, 500.0)
    assert rows["tuned"]["break_even_predictions"] == 2
    certified = rows["router_certified"]
    assert (certified["realised"], certified["j_per_1000"]) == (False, 1600.0)


def test_each_strategy_is_billed_for_what_found_it():
    routers_j = {"router": 1.0, "price_router": 2.0, "probe_router": 3.0}
    measuring_j = {"models": 10_000.0, "routers": 20_000.0}
    extra_j = extra_joules(1000.0, measuring_j, 100.0, 10.0, routers_j, certifying_j=0.5)
    assert extra_j["tuned"] == 11_100.0
    assert extra_j["certified"] == 11_100.5
    assert extra_j["router"] == 31_011.0
    assert extra_j["price_router_certified"] == 31_012.5
    assert extra_j["probe_router"] == extra_j["probe_cascade"] == 31_013.0
    assert extra_j["probe_cascade_certified"] == 31_013.5


def test_what_is_certified_bills_the_images_of_the_certificate():
    metrics = json.loads((REPOSITORY / "metrics/footprint.json").read_text())
    bills = {name: row.get("extra_j") for name, row in metrics["footprint"].items()}
    pairs = [(name, name.removesuffix("_certified")) for name in bills if "_certified" in name]
    pairs += [("certified", "tuned")] if "certified" in bills else []
    for certified, plain in pairs:
        rounding = 1e-5 * bills[certified]  # to six digits, each of the two
        billed_j = bills[certified] - bills[plain]
        assert billed_j == pytest.approx(metrics["certifying_j"], abs=rounding)
