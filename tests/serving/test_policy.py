"""What the server does when images change, and when a limit is reached."""

import socket
import time
from pathlib import Path

import numpy as np
import pytest

from eco.cli.strategies import load_energy_j
from eco.evaluation.budget import BURST_S, HOUR_S
from eco.serving.policy import BudgetPolicy, DriftPolicy
from eco.strategies.decisions import decide
from eco.strategies.strategy import OperatingPoint
from eco.workflow import artifacts
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for
from tests.cli.conftest import eco, refused, settings, workflow  # noqa: F401
from tests.serving.conftest import serving
from tests.serving.test_answers import counted, images, post_raw, predicted
from tests.small_workflow import SHAPE, two_models


def exits(settings):  # noqa: F811
    """Which of the test images the first model of the preset called mine answers."""
    outcomes = load_outcomes(settings, "test")
    return decide(two_models(settings.pool), outcomes).answered_by == 0


def shifted(settings, n):  # noqa: F811
    """Images that the first model of mine doesn't answer."""
    return np.resize(images(settings, 300)[~exits(settings)], (n, *SHAPE))


def not_served(*arguments):
    """Why `eco serve` ends; had it no reason, its port would be one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return refused("serve", "--port", taken.getsockname()[1], *arguments)


def properties(client):
    return client.get("/v2/models/eco").json()["properties"]


def all_by(model, answer):
    return set(answer["answered_by"]) == {model}


@pytest.mark.parametrize("server", [(), ("--batch-wait-ms", 1)])
def test_after_a_shift_the_last_model_answers(small, folder, server):
    X = images(small[1], 300)
    pool, last = small[1].pool, f"always {small[1].pool[-1]}"
    with serving(folder, "-s", "mine", "--on-drift", "last", *server) as (client, process):
        assert properties(client)["models"] == [pool[0], pool[-1]]
        assert post_raw(client, X).json() == predicted(X, "mine")
        drift = properties(client)["drift"]
        assert (drift["alarm"], drift["samples"], drift["fallback"]) == (False, 300, last)
        assert counted(client)["eco_drift_alarm",] == 0
        for _ in range(100):
            post_raw(client, shifted(small[1], 4))
        drift = properties(client)["drift"]
        assert drift["alarm"] and drift["fallback_answers"] and "as they are" in drift["not_seen"]
        assert 300 < drift["alarm_at_sample"] <= 700
        assert drift["e_value"] >= drift["alarm_from_e_value"] == 1000
        figures = counted(client)
        assert figures["eco_drift_alarm",] == 1 and figures["eco_drift_e_value",] >= 1000
        for n in (1, 300):
            assert post_raw(client, X[:n]).json() == predicted(X[:n], last)
        process.terminate()
        log = process.communicate()[1]
    assert log.count("drift: the models answer other shares") == 1
    assert f"From now on {last} answers" in log and "Start the server again" in log


def test_a_warning_alone_changes_no_answer(small, folder):
    X = images(small[1], 300)
    with serving(folder, "-s", "mine", "--on-drift", "warn", "--alpha", 0.05) as (client, process):
        post_raw(client, shifted(small[1], 500))
        assert properties(client)["drift"]["alarm"]
        assert post_raw(client, X).json() == predicted(X, "mine")
        process.terminate()
        log = process.communicate()[1]
    assert "drift: the models answer" in log and "From now on" not in log


def test_the_certified_strategy_may_take_over(settings, tmp_path):  # noqa: F811
    """One of models that the served strategy doesn't have."""
    pool, key = settings.pool, made_for(settings)
    assert "no strategy is called certified" in not_served("-s", "mine", "--on-drift", "certified")
    strategy = two_models(pool[1:-1])
    results = artifacts.CERTIFIED.load(made_for=key)
    results["loss"] |= {"cascade": OperatingPoint(strategy, 0.99, 1e-5)}
    artifacts.CERTIFIED.save(results, made_for=key)
    rows = artifacts.STRATEGY_ROWS.load()
    row = {**rows[0], "strategy": "certified", "name": "certified"} | strategy.to_json()
    artifacts.STRATEGY_ROWS.save([*rows, row])
    assert "certified is certified" in not_served("-s", "certified", "--on-drift", "certified")
    X = images(settings, 300)
    with serving(tmp_path, "-s", "mine", "--on-drift", "certified") as (client, _):
        models = [pool[0], pool[-1], *strategy.models]
        assert properties(client)["models"] == models
        assert post_raw(client, X).json() == predicted(X, "mine")
        post_raw(client, shifted(settings, 500))
        found = post_raw(client, X).json()
        assert found == predicted(X, "certified") and set(found["answered_by"]) <= {*models[2:]}


def test_false_alarms_are_rarer_than_alpha():
    """Streams like the reference, which is a sample itself; looks at a hundred images each."""
    random, shares, alpha, alarms = np.random.default_rng(0), [0.6, 0.3, 0.1], 0.1, 0
    for _ in range(200):
        policy = DriftPolicy(random.multinomial(2000, shares), alpha, "another")
        for batch in random.choice(3, p=shares, size=(15, 100)):
            policy.observe(batch, 1.0)
        alarms += policy.choose()
    assert alarms <= 200 * alpha


def test_a_long_good_stream_hides_no_shift():
    random = np.random.default_rng(0)
    policy = DriftPolicy(np.array([6000, 3000, 1000]), 0.001, "another")
    for counts in random.multinomial(2500, [0.6, 0.3, 0.1], 400):
        policy.observe(np.repeat(range(3), counts), 1.0)
    assert policy.choose() == 0
    for _ in range(80):
        policy.observe(random.choice(3, p=[0.5, 0.3, 0.2], size=100), 1.0)
    assert policy.choose() == 1


def test_where_nothing_can_be_seen_or_nothing_changes_there_is_no_test(folder, small):
    last = f"always {small[1].pool[-1]}"
    assert f"{last} has one" in not_served("-s", last, "--on-drift", "warn")
    both = eco("serve", "--on-drift", "warn", "--max-j-per-hour", 1, ok=False)
    assert both.exit_code == 2 and "changes the shares" in " ".join(both.stderr.split())
    for value in ("last ", "stop"):
        assert eco("serve", "--on-drift", value, ok=False).exit_code == 2


def test_a_budget_makes_cheaper_settings_answer(small, folder):
    X, pool = images(small[1], 300), small[1].pool
    name = f"always {pool[-1]}"
    per_image = load_energy_j(small[1], pool)
    with serving(folder, "-s", name, "--max-j-per-hour", 1000) as (client, _):
        for n in (1, 300):
            assert post_raw(client, X[:n]).json() == predicted(X[:n], name)
        assert properties(client)["budget"]["debt"] == 0
    with serving(folder, "-s", name, "--max-j-per-hour", per_image[-1]) as (client, process):
        assert all_by(pool[-1], post_raw(client, X[:1]).json())  # what a minute allows, and more
        cheapest = properties(client)["budget"]["settings"] and post_raw(client, X[:4]).json()
        assert pool[-1] not in cheapest["answered_by"]
        budget = properties(client)["budget"]
        assert (budget["unit"], budget["debt"] > 0) == ("J", True)
        spent = per_image[-1] + sum(cheapest["energy_j"])
        assert budget["spent"] == pytest.approx(spent)
        figures = counted(client)
        assert figures["eco_budget_spent",] == pytest.approx(spent)
        assert figures["eco_modelled_joules_total",] == pytest.approx(spent)
        assert figures["eco_budget_fill",] < 0 and figures["eco_budget_setting",] == 0
        assert figures["eco_budget_limit",] == pytest.approx(per_image[-1])
        process.terminate()
        log = process.communicate()[1]
    assert log.count("an hour is spent though the cheapest setting answers") == 1


def test_what_is_over_the_budget_can_be_refused_until_it_is_not(small, folder):
    """The debt of the first request is what flows in within 1.9 seconds."""
    X, last = images(small[1], 4), small[1].pool[-1]
    limit = 4 * load_energy_j(small[1], [last])[0] * (HOUR_S + BURST_S) / (BURST_S + 1.9)
    given = "-s", f"always {last}", "--max-j-per-hour", limit, "--over-budget", "refuse"
    with serving(folder, *given) as (client, _):
        assert all_by(last, post_raw(client, X).json())
        octets = {"content-type": "application/octet-stream"}
        tensor = {"name": "X", "datatype": "UINT8", "shape": X.shape, "data": X.tolist()}
        infer, body = "/v2/models/eco/infer", {"inputs": [tensor]}
        begin = time.monotonic()
        for refused in (
            client.post("/predict", content=X.tobytes(), headers=octets),
            client.post(infer, json=body),
        ):
            assert refused.status_code == 429
            wait_s = int(refused.headers["retry-after"])
            assert 1 <= wait_s <= 2 and f"ask again in {wait_s} s" in refused.json()["error"]
        figures = counted(client)
        assert figures["eco_budget_refused",] == properties(client)["budget"]["refused"] == 8
        assert figures["eco_requests_total", "/predict", "429"] == 1
        time.sleep(begin + 2 - time.monotonic())
        assert client.post(infer, json=body).is_success


def test_refusals_end_when_the_debt_is_made_up_for():
    for refuses in (False, True):
        policy = BudgetPolicy(["a", "b"], [1.0, 10.0], 61.0, None, refuses)
        assert policy.refuse(1) == 0.0
        policy.observe(np.zeros(1, int), 2.0)  # twice what a minute allows
        assert policy.refuse(0) == (pytest.approx(60, abs=1) if refuses else 0.0)
        assert policy.refuse(3) == (pytest.approx(120, abs=1) if refuses else 0.0)
        assert policy.state()["budget"]["refused"] == 3 * refuses


def test_grams_are_joules_times_the_grid(small, folder):
    X = images(small[1], 10)
    with serving(folder, "-s", "mine", "--max-g-per-hour", 5, "--grid", 360) as (client, _):
        joules = sum(post_raw(client, X).json()["energy_j"])
        budget = properties(client)["budget"]
        assert (budget["unit"], budget["limit_per_hour"]) == ("g CO2e", 5)
        assert budget["spent"] == pytest.approx(joules * 1e-4)
        assert counted(client)["eco_grid_intensity",] == pytest.approx(360)


def test_a_grid_that_does_not_hold_now_is_named(folder):
    Path("old.csv").write_text("time,g_per_kwh\n2020-01-01,1\n2020-01-02,1\n")
    message = not_served("--max-g-per-hour", 1, "--grid", "old.csv")
    assert "--grid has 2020-01-01T00:00Z to 2020-01-03T00:00Z, but must have 20" in message


def test_an_hour_of_answers_keeps_the_limit_whatever_they_cost():
    """As the server does, with the clock of the machine: bursts of a whole hour's work at once."""
    policy = BudgetPolicy(["a", "b"], [1.0, 10.0], 100.0, None)
    chosen = []
    for _ in range(60):
        chosen.append(policy.choose())
        policy.observe(np.zeros(1, int), [1.0, 10.0][chosen[-1]])
    assert chosen[0] == 1 and not any(chosen[1:])
    assert policy.state()["budget"]["debt"] == pytest.approx(69 - 100 / 61, abs=1)
