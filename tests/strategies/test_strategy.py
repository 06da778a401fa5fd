import json

import pytest

from eco.strategies.strategy import OperatingPoint, Strategy, always

POOL = ("light", "mid", "heavy")
STRATEGIES = {
    "light 0.8, heavy 0": Strategy("cascade", ("light", "heavy"), (0.8, 0.0)),
    "heavy 0": always("heavy"),
    "light, mid, heavy": Strategy("agreement", POOL),
    "trained on oracle labels": Strategy("router", POOL),
    "price 0": Strategy("price_router", POOL, price=0.0),
    "price -0.1": Strategy("probe_router", POOL, price=-0.1, probe="mid"),
    "price 0.2, heavy below 0.9": Strategy("probe_cascade", POOL, (0.9,), 0.2, "mid"),
}


@pytest.mark.parametrize(("text", "strategy"), STRATEGIES.items())
def test_a_strategy_is_described_in_a_few_words(text, strategy):
    assert strategy.describe() == text


@pytest.mark.parametrize("strategy", STRATEGIES.values())
def test_a_strategy_and_its_figures_survive_their_file(strategy):
    point = OperatingPoint(strategy, 0.9, 1.5)
    assert OperatingPoint.from_json(json.loads(json.dumps(point.to_json()))) == point
    assert Strategy.from_json({"name": "mine", "accuracy": 0.9} | strategy.to_json()) == strategy


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "no such kind"},
        {"models": []},
        {"probe": "none of the models"},
        {"probe": None},
        {"thresholds": []},
        {"thresholds": [0.9, 0.0]},
        {"thresholds": ["0.9"]},
        {"price": None},
        {"price": "0.2"},
        {"accuracy": "0.9"},
    ],
)
def test_incomplete_settings_are_refused(changes):
    row = OperatingPoint(STRATEGIES["price 0.2, heavy below 0.9"], 0.9, 1.5).to_json()
    with pytest.raises(ValueError, match="not the"):
        OperatingPoint.from_json(row | changes)


def test_models_and_thresholds_are_lists_in_a_file():
    assert STRATEGIES["light 0.8, heavy 0"].to_json() == {
        "kind": "cascade", "models": ["light", "heavy"], "thresholds": [0.8, 0.0],
    }  # fmt: skip


def test_equal_settings_make_equal_strategies():
    assert Strategy("cascade", ("light", "heavy"), (0.8, 0.0)) in set(STRATEGIES.values())
    assert Strategy("cascade", ("heavy", "light"), (0.8, 0.0)) not in set(STRATEGIES.values())


def test_a_probe_cascade_shares_the_model_of_the_probe_router():
    routers = [s.router for s in STRATEGIES.values()]
    assert routers == [None] * 3 + ["router", "price_router", "probe_router", "probe_router"]
