import numpy as np
import pytest

from tests.measure_check import compare, drift


def run(light, heavy, neighbours=0.1, half_width=0.02):
    def row(name, energy_j):
        return {
            "name": name,
            "batch_size": 1,
            "energy_j": energy_j,
            "energy_j_low": energy_j * (1 - half_width),
            "energy_j_high": energy_j * (1 + half_width),
            "half_width_by_rounds": half_width,
            "tracker_over_clock": 1.01,
        }

    provenance = {
        "neighbours_mean_cores": neighbours,
        "floor_share_of_window": 0.004,
        "seconds": 60.0,
    }
    return {"measurements": [row("light", light), row("heavy", heavy)], "provenance": provenance}


def test_runs_that_agree_are_said_to_agree():
    said = compare([run(1.0, 10.0), run(1.01, 10.1), run(0.99, 9.9)], "heavy")
    assert "beyond their intervals: none" in said
    assert "in 6 of 6 cases (100%)" in said
    assert "NOT A QUIET MACHINE" not in said


def test_runs_that_contradict_each_other_are_named():
    said = compare([run(1.0, 10.0), run(11.0, 10.0)], "heavy")
    assert "light and heavy at 1" in said
    assert "in 1 of 2 cases (50%)" in said
    assert "NOT A QUIET MACHINE" in said


def test_busy_neighbours_are_reported_even_where_figures_agree():
    said = compare([run(1.0, 10.0), run(1.0, 10.0, neighbours=0.8)], "heavy")
    assert "0.10, 0.80" in said
    assert "NOT A QUIET MACHINE" in said


def test_the_drift_between_runs_is_found_where_the_rounds_do_not_show_it():
    random = np.random.default_rng(0)
    machine = 1 + 0.02 * random.standard_normal(400)  # each run has a speed of its own
    runs = [{("light", 1): {"energy_j": speed, "half_width_by_rounds": 1e-4}} for speed in machine]
    assert drift(runs) == pytest.approx(1.96 * np.sqrt(2) * 0.02, rel=0.1)
    # What the rounds explain is no drift.
    explained = 1.96 * np.sqrt(2) * 0.02
    for run in runs:
        run["light", 1]["half_width_by_rounds"] = explained
    assert drift(runs) < 0.5 * explained
