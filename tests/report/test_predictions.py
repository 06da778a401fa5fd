"""The page of predictions: names are text, and its explorer has what Python counts with."""

import base64
import json
import re

import numpy as np
import pandas as pd
import pytest

from eco.predictions.columns import Columns, checked
from eco.predictions.division import SPLITS, divide
from eco.predictions.goals import Goals
from eco.predictions.study import run
from eco.report import predictions
from eco.strategies.strategy import Strategy
from eco.strategies.tuning import evaluate
from tests.predictions.pools import COSTS, confidence_and_correct
from tests.report.studies import NASTY

NAMES = ("a_b", f"{NASTY[:40]}", "$x_$1{")


@pytest.fixture(scope="module")
def study():
    confidence, correct = (
        pd.DataFrame(table.to_numpy(), columns=NAMES) for table in confidence_and_correct(600)
    )
    costs = dict(zip(NAMES, COSTS.values(), strict=True))
    samples = checked(Columns(NAMES, costs, confidence, correct))
    goals = Goals(max_accuracy_loss=1.0, max_loss=4.0, max_harm=4.0, settings_per_chain=100)
    return run(divide(samples, SPLITS, (0.4, 0.3, 0.3), 0), (), goals, "USD")


@pytest.fixture(scope="module")
def page(study):
    return predictions.render(study, {"file": NASTY, "seed": 0, "division": "at random"}).decode()


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL).group(1))


@pytest.mark.slow
def test_names_cannot_become_markup(page):
    assert NASTY not in page
    assert "<img src=x" not in page


@pytest.mark.slow
def test_the_explorer_counts_what_python_counts(study, page):
    data, test = data_of(page), study.test
    shape = len(NAMES), len(test)
    packed = np.frombuffer(base64.b64decode(data["confidence"]), "<u2").reshape(shape)
    bits = np.frombuffer(base64.b64decode(data["correct"]), "u1").reshape(len(NAMES), -1)
    correct = np.unpackbits(bits, axis=1, count=len(test)).astype(bool)
    np.testing.assert_array_equal(packed.T / 10_000, test.confidence)
    np.testing.assert_array_equal(correct.T, test.correct)
    names = [setting["name"] for setting in data["settings"]]
    assert any("tuned" in name for name in names)
    for setting in data["settings"]:
        models = tuple(NAMES[place] for place in setting["chain"])
        point = evaluate(Strategy("cascade", models, tuple(setting["thresholds"])), test)
        rows = [row for row in data["points"] if row.get("name") == setting["name"]]
        for row in rows:
            assert row["accuracy"] == pytest.approx(point.accuracy)
            assert row["energy_share"] == pytest.approx(point.energy_j / COSTS["large"])
    assert data["words"] == {"cost": "cost", "samples": "samples", "unit": "USD", "scale": 1.0}


@pytest.mark.slow
def test_names_of_any_characters_are_drawn(study):
    files = dict(predictions.contents(study, {"file": "x.npz", "division": "at random"}))
    assert set(files) == set(predictions.FILES)
    assert files["shares.png"].startswith(b"\x89PNG")


def test_tables_have_the_unit_and_a_row_for_each(study):
    table = predictions.compared(study, study.strategies)
    assert list(table["strategy"][:2]) == ["tuned", "certified"]
    assert "cost, USD" in table
    assert predictions.realised(study).empty
