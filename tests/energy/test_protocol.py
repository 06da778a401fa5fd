"""The protocol, checked against an exact fake meter."""

import logging

import numpy as np
import pytest

from eco.energy.protocol import MIN_ROUNDS, Window, Workload, cycle_batches, measure
from eco.errors import MeasurementError
from tests.energy.fake_meter import CALLS, WATTS, FakeMeter


def test_an_exact_meter_gives_exact_joules_per_sample():
    meter = FakeMeter()
    workloads = [
        meter.workload(name, batch, joules)
        for name, joules in (("light", 1e-6), ("heavy", 1e-3))
        for batch in (1, 32)
    ]
    result = measure(workloads, meter, 0.03, 0.0, 10)
    for row in result.rows:
        assert row.energy_j == pytest.approx({"light": 1e-6, "heavy": 1e-3}[row.name])
        assert row.energy_j_low == pytest.approx(row.energy_j)
        assert row.energy_j_high == pytest.approx(row.energy_j)
        assert row.tracker_over_clock == pytest.approx(1.0)
        assert row.flags == ()
    assert result.provenance["mode"] == "fake"
    assert result.provenance["rounds"] == MIN_ROUNDS
    assert "narrow" in result.provenance["stopped_because"]


def test_workloads_take_turns_round_by_round():
    meter = FakeMeter()
    workloads = [meter.workload(name, 1, 1e-3) for name in "ab"]
    measure(workloads, meter, 0.03, 0.0, 10)
    inside = [part.split(";")[0] for part in "".join(meter.order).split("|")[1:]]
    assert "".join(calls[:1] or "-" for calls in inside[1:9]) == "-ab-ba-a"


def test_rounds_go_on_until_every_interval_is_narrow():
    meter = FakeMeter(noise=0.05)
    result = measure([meter.workload("a", 1, 1e-3)], meter, 0.02, 0.0, 1e9)
    (row,) = result.rows
    assert result.provenance["rounds"] > MIN_ROUNDS
    assert (row.energy_j_high - row.energy_j_low) / 2 <= 0.02 * row.energy_j


def test_a_spent_budget_is_said_and_the_wide_interval_flagged():
    meter = FakeMeter(noise=0.2)
    result = measure([meter.workload("a", 1, 1e-3)], meter, 1e-6, 0.0, 0.0)
    assert result.provenance["stopped_because"] == "the budget is spent"
    assert result.rows[0].flags == ("wide interval",)


def test_nominal_95_percent_intervals_cover_the_truth_about_as_often():
    covered = 0
    for seed in range(200):
        meter = FakeMeter(noise=0.05, seed=seed)
        result = measure([meter.workload("a", 1, 1e-3)], meter, 0.03, 0.0, 1e9)
        (row,) = result.rows
        covered += row.energy_j_low <= 1e-3 <= row.energy_j_high
    assert covered >= 0.88 * 200


def test_windows_that_disagree_with_the_clock_do_not_count():
    meter = FakeMeter(wrong=lambda n: 2.0 if n % 7 == 0 else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 1e-9, 0.0, 0.0)
    (row,) = result.rows
    assert row.energy_j == pytest.approx(1e-1)
    assert row.windows_rejected > 0


def test_a_disturbed_window_is_measured_again_at_once():
    meter = FakeMeter(wrong=lambda n: 2.0 if n in (5, 10) else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10)
    (row,) = result.rows
    assert row.windows_rejected == 2
    assert len(row.readings_j) == result.provenance["rounds"] == MIN_ROUNDS
    assert None not in row.readings_j
    assert row.flags == ("disturbed windows",)


def test_a_round_without_an_undisturbed_window_is_left_out():
    meter = FakeMeter(wrong=lambda n: 2.0 if n in (3, 4, 5) else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10)
    (row,) = result.rows
    assert row.readings_j.count(None) == 1
    assert row.energy_j == pytest.approx(1e-1)


def test_busy_neighbours_are_flagged():
    meter = FakeMeter(neighbours=0.9)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10)
    assert result.rows[0].flags == ("busy neighbours",)
    assert result.provenance["neighbours_mean_cores"] == pytest.approx(0.9)


def test_a_meter_that_always_disagrees_is_refused():
    meter = FakeMeter(wrong=lambda n: 2.0)
    with pytest.raises(MeasurementError, match="disagree"):
        measure([meter.workload("a", 1, 1e-1)], meter, 1e-9, 0.0, 1e9)


@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -1.0])
def test_a_reading_that_is_no_energy_is_refused(reading):
    meter = FakeMeter(wrong=lambda n: reading)
    with pytest.raises(MeasurementError, match="energy can't be measured"):
        measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10)


@pytest.mark.parametrize("watts", [WATTS, None])
def test_a_meter_that_reads_nothing_is_refused(watts):
    meter = FakeMeter()
    meter.watts_per_core = watts
    with pytest.raises(MeasurementError, match="no energy at all"):
        measure([meter.workload("a", 1, 0.0)], meter, 0.03, 0.0, 0)


def counted(wrong, budget_s=0.0):
    """The one row of a meter with a counter, which the CPU clock can't check."""
    meter = FakeMeter(wrong=wrong)
    meter.watts_per_core = None
    return measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, budget_s).rows[0]


@pytest.mark.parametrize("factor", [0.0, 0.4, 3.0, 1e5])
def test_a_window_far_from_its_series_is_measured_again(factor):
    row = counted(lambda n: factor if n % 7 == 0 else 1.0)
    assert row.readings_j == pytest.approx([1e-1] * len(row.readings_j))
    assert row.windows_rejected > 0


@pytest.mark.parametrize("watts", [WATTS, None])
def test_a_window_of_0_joules_never_counts(watts):
    # 1 mJ a window is less than the ticks within which a reading and the clock always agree.
    meter = FakeMeter(wrong=lambda n: 0.0 if n % 5 == 0 else 1.0)
    meter.watts_per_core = watts
    (row,) = measure([meter.workload("a", 1, 1e-4)], meter, 0.03, 0.0, 10).rows
    assert row.energy_j == pytest.approx(1e-4)
    assert row.windows_rejected > 0


@pytest.mark.parametrize("factor", [0.4, 1e5])
def test_a_first_window_that_proves_far_off_is_dropped(factor):
    row = counted(lambda n: factor if n == 3 else 1.0)
    assert row.readings_j[0] is None
    assert row.energy_j == pytest.approx(1e-1)
    assert row.windows_rejected == 1


def test_a_counter_whose_windows_never_settle_is_refused():
    with pytest.raises(MeasurementError, match="readings for a differ in more rounds"):
        counted(lambda n: 4.0**n, 1e9)


def test_every_round_loads_a_workload_anew_and_warms_it_up_outside_the_window():
    loaded = []

    def load():
        loaded.append(0)

        def call():
            loaded[-1] += 1

        return call

    result = measure([Workload("a", 1, load)], BilledByCalls(loaded), 0.03, 0.0, 10)
    assert loaded == [CALLS + 1] * result.provenance["rounds"]
    assert result.rows[0].energy_j == pytest.approx(1.0)


class BilledByCalls(FakeMeter):
    """Bills a joule per call."""

    def __init__(self, loaded):
        super().__init__()
        self.loaded = loaded

    def window(self, work):
        before = sum(self.loaded)
        work()
        joules = float(sum(self.loaded) - before)
        return Window(joules, 0.0, 0.0, joules / WATTS, 0.5, 0.0)


def test_a_drift_between_runs_widens_intervals_that_the_rounds_call_narrow():
    meter = FakeMeter()
    result = measure([meter.workload("a", 1, 1e-3)], meter, 0.03, 0.05, 10)
    (row,) = result.rows
    assert row.energy_j_high == pytest.approx(1.05e-3)
    assert row.half_width_by_rounds == pytest.approx(0, abs=1e-12)
    assert row.flags == ()
    assert result.provenance["drift"] == 0.05


def test_batches_go_round_and_go_on_where_the_last_load_stopped():
    seen = []
    load = cycle_batches(lambda: lambda batch: seen.append(batch.tolist()), np.arange(5), 2)
    first = load()
    first()
    second = load()
    second()
    second()
    assert seen == [[0, 1], [2, 3], [0, 1]]


def test_progress_is_logged_between_windows(caplog):
    meter = FakeMeter()
    with caplog.at_level(logging.INFO, logger="eco"):
        measure([meter.workload("a", 1, 1e-3)], meter, 0.03, 0.0, 10)
    assert len(caplog.messages) == MIN_ROUNDS
    assert "round  1" in caplog.messages[0]
