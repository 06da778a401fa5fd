import numpy as np
import pytest

from eco.energy.measurement import Measurement, Measurements
from tools.measure_check import compare, drift


def run(light, heavy, neighbours=0.1, half_width=0.02):
    def row(name, energy_j):
        ends = energy_j * (1 - half_width), energy_j * (1 + half_width)
        return Measurement(
            name, 1, energy_j, *ends, (), half_width_by_rounds=half_width, tracker_over_clock=1.01
        )

    provenance = {
        "neighbours_mean_cores": neighbours,
        "floor_share_of_window": 0.004,
        "seconds": 60.0,
    }
    return Measurements(provenance, (row("light", light), row("heavy", heavy)))


def test_runs_that_agree_are_said_to_agree():
    text = compare([run(1.0, 10.0), run(1.01, 10.1), run(0.99, 9.9)], "heavy")
    assert "beyond their intervals: none" in text
    assert "in 6 of 6 cases (100%)" in text
    assert "NOT A QUIET MACHINE" not in text


def test_runs_that_contradict_each_other_are_named():
    text = compare([run(1.0, 10.0), run(11.0, 10.0)], "heavy")
    assert "light and heavy at 1" in text
    assert "in 1 of 2 cases (50%)" in text
    assert "NOT A QUIET MACHINE" in text


def test_busy_neighbours_are_reported_even_where_figures_agree():
    text = compare([run(1.0, 10.0), run(1.0, 10.0, neighbours=0.8)], "heavy")
    assert "0.10, 0.80" in text
    assert "NOT A QUIET MACHINE" in text


@pytest.mark.parametrize("explained", [False, True])
def test_the_drift_between_runs_is_what_the_rounds_do_not_explain(explained):
    half_width = 1.96 * np.sqrt(2) * 0.02
    by_rounds = half_width if explained else 1e-4
    random = np.random.default_rng(0)
    machine = 1 + 0.02 * random.standard_normal(400)  # each run has a speed of its own
    runs = [
        {("light", 1): Measurement("light", 1, j, j, j, (), half_width_by_rounds=by_rounds)}
        for j in machine
    ]
    if explained:
        assert drift(runs) < 0.5 * half_width
    else:
        assert drift(runs) == pytest.approx(half_width, rel=0.1)
