import re

from eco.strategies.strategy import Strategy
from eco.strategies.tuning import evaluate
from eco.workflow.outcomes import load_outcomes
from tests.cli.conftest import eco, refused


def test_tune_meets_the_target_and_says_how_to_use_it(settings):
    text = eco("tune", "--energy-budget", 0.2).stdout
    assert "-S tuning.target=energy_budget -S tuning.energy_budget=0.2" in text
    on_tuning, on_test = (line for line in text.splitlines() if line.startswith("on "))
    assert float(on_tuning.split("  ")[-1].split()[0]) <= 0.2
    for line in (on_tuning, on_test):  # points lost and energy, each with its interval
        assert len(re.findall(r"[\d.-]+ \[[\d.-]+, [\d.-]+\]", line)) == 2
    models, thresholds = zip(*(p.split() for p in text.splitlines()[0].split(", ")), strict=True)
    strategy = Strategy("cascade", models, tuple(map(float, thresholds)))
    point = evaluate(strategy, load_outcomes(settings, "test"))
    assert f"{point.accuracy:.2%}" == on_test.split()[2]


def test_tune_says_what_can_be_met(settings):
    for option in ("--energy-budget", "--max-accuracy-loss"):
        assert "finite number; got nan" in eco("tune", option, "nan", ok=False).stderr
    message = refused("tune", "--energy-budget", 1e-9)
    assert "the least that can be met is" in message and "Raise --energy-budget" in message
    assert "params.yaml" not in message
    assert eco("tune", ok=False).exit_code == 2
    assert eco("tune", "--max-accuracy-loss", 1, "--energy-budget", 1, ok=False).exit_code == 2
    assert eco("tune", "--max-accuracy-loss", -1, ok=False).exit_code == 2
    assert "0<x<=1" in eco("tune", "--energy-budget", 1.5, ok=False).stderr
