"""Measurements as they are written, read and compared."""

import json

import numpy as np
import pytest

from eco.energy.measurement import Measurement, Measurements
from eco.errors import MeasurementError

PROVENANCE = {"machine": "mine", "mode": "cpu_load", "grid_g_co2e_per_kwh": 50.0}


def row(name, readings, batch_size=1, **fields):
    """A measurement of whose figures only the readings matter."""
    return Measurement(name, batch_size, 1.0, 1.0, 1.0, tuple(readings), wall_s=0.5, **fields)


def measurements(*rows, **provenance):
    return Measurements(PROVENANCE | provenance, rows)


MEASURED = measurements(
    row("light", [1.0, None, 3.0], flags=("wide interval", "busy neighbours")),
    row("heavy", [4.0, 5.0, 6.0], tracker_over_clock=1.01),
    row("heavy", [2.0, 2.0, 2.0], batch_size=32, format="LiteRT"),
    drift=0.1,
)


def test_what_is_written_is_read_back():
    content = json.loads(json.dumps(MEASURED.to_json()))
    assert Measurements.from_json(content) == MEASURED
    assert content["measurements"][0]["flags"] == ["wide interval", "busy neighbours"]
    assert "format" not in content["measurements"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"energy_j": 0.0}, "must give light a positive number of joules, got 0.0"),
        ({"energy_j": True}, "positive number of joules, got True"),
        ({"energy_j": "much"}, "positive number of joules, got 'much'"),
        ({"energy_j": float("inf")}, "positive number of joules, got inf"),
        ({"energy_j": 1e308}, "positive number of joules, got 1e"),
        ({"wall_s": "0.5"}, "light a number as wall_s, got '0.5'"),
        ({"gpu_j": False}, "light a number as gpu_j, got False"),
        ({"batch_size": float("nan")}, "light a number as batch_size, got nan"),
        ({"tracker_over_clock": []}, "light a number as tracker_over_clock"),
        ({"readings_j": [1.0, None, float("nan")]}, "light numbers as readings_j"),
        ({"readings_j": "1 2 3"}, "light a list of readings_j"),
        ({"readings_j": ["1", 2, 3]}, "light numbers as readings_j"),
        ({"readings_j": [1.0]}, "equally many readings_j"),
        ({"flags": "wide interval"}, "light a list of flags"),
        ({"unknown": 1}, "must hold measurements with name, batch_size, energy_j"),
    ],
)
def test_a_row_that_is_no_measurement_is_refused(change, message):
    content = MEASURED.to_json()
    content["measurements"][0] |= change
    with pytest.raises(ValueError, match=message):
        Measurements.from_json(content)


def test_content_without_measurements_or_provenance_is_refused():
    lacking = MEASURED.to_json()
    del lacking["measurements"][1]["readings_j"]
    for content in (None, [], {}, {"measurements": []}, {"measurements": [1]}, lacking):
        with pytest.raises(ValueError, match="measurements"):
            Measurements.from_json(content)
    for provenance in (None, {"mode": "cpu_load"}):
        with pytest.raises(ValueError, match="where it was measured"):
            Measurements.from_json(MEASURED.to_json() | {"provenance": provenance})


def test_energies_and_readings_by_name_and_batch_size():
    assert MEASURED.energy_j(["heavy", "light"], 1).tolist() == [1.0, 1.0]
    readings = MEASURED.readings(["heavy", "light"], 1)
    assert np.array_equal(
        readings.per_round_j, [[4.0, 1.0], [5.0, np.nan], [6.0, 3.0]], equal_nan=True
    )
    assert readings.drift == 0.1
    with pytest.raises(MeasurementError, match="has no energy of light at batch size 32"):
        MEASURED.energy_j(["light"], 32)


def test_measurements_of_another_machine_can_not_be_added_up():
    assert MEASURED.incomparable(MEASURED.add_provenance(seconds=9)) == {}
    other = MEASURED.add_provenance(machine="another", threads=2)
    assert MEASURED.incomparable(other) == {"machine": ("mine", "another"), "threads": (None, 2)}


def test_shares_are_paired_round_by_round():
    rows = row("all", [1.0, 2.0, 4.0, 1.0, None]), row("half", [0.5, 1.0, 2.0, 0.5, 9.0])
    shares = measurements(*rows).shares("all")
    assert [r["energy_share"] for r in shares] == [1.0, 0.5]
    assert shares[1]["energy_share_high"] == pytest.approx(0.5)
    assert shares[1]["throughput_per_s"] == 2.0
    drifting = measurements(*rows, drift=0.1).shares("all", key="part")
    assert [r["part"] for r in drifting] == [1.0, 0.5]
    assert [r["part_high"] for r in drifting] == pytest.approx([1.0, 0.55]), "1 is 1 by definition"
    assert [r["part_low"] for r in drifting] == pytest.approx([1.0, 0.45])
    assert "energy_share" not in drifting[0]


def test_a_share_of_fewer_than_three_rounds_has_no_interval():
    few = measurements(row("all", [1.0]), row("half", [0.5]), drift=0.1).shares("all")[1]
    assert (few["energy_share_low"], few["energy_share_high"]) == (None, None)


def test_the_table_names_each_workload_with_its_flags():
    lines = MEASURED.table().splitlines()
    assert lines[1].endswith("wide interval, busy neighbours")
    assert lines[3].startswith("heavy, LiteRT")
