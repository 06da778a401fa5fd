"""The protocol, held against an exact fake meter; and CodeCarbon itself, for its pitfalls."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from eco import energy
from eco.energy import CodeCarbonMeter, Window, Workload, measure
from eco.errors import MeasurementError
from tests.conftest import measured_row

WATTS = 4.0


class FakeMeter:
    """Bills each call of a workload its known joules, with a noise of known size."""

    watts_per_core = WATTS

    def __init__(self, noise=0.0, wrong=lambda n: 1.0, seed=0, neighbours=0.1):
        self.spent_j = 0.0
        self.windows = 0
        self.order = []
        self.noise, self.wrong, self.neighbours = noise, wrong, neighbours
        self.random = np.random.default_rng(seed)

    def workload(self, name, batch_size, joules_per_sample):
        def call():
            self.spent_j += joules_per_sample * batch_size
            self.order.append(name)

        return Workload(name, batch_size, lambda: call)

    def window(self, work):
        before = self.spent_j
        self.order.append("|")
        work()
        self.order.append(";")
        self.windows += 1
        true_j = (self.spent_j - before) * (1 + self.noise * self.random.standard_normal())
        return Window(
            true_j * self.wrong(self.windows), 0.0, 0.0, true_j / WATTS, 0.5, self.neighbours
        )

    def provenance(self):
        return {"mode": "fake"}


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    monkeypatch.setattr(energy, "_repeats", lambda call, window_s: 10)


def rows(result):
    return {(row["name"], row["batch_size"]): row for row in result["measurements"]}


def test_an_exact_meter_gives_exact_joules_per_sample():
    meter = FakeMeter()
    workloads = [
        meter.workload(name, batch, joules)
        for name, joules in (("light", 1e-6), ("heavy", 1e-3))
        for batch in (1, 32)
    ]
    result = measure(workloads, meter, 0.03, 0.0, 10, print)
    for (name, _), row in rows(result).items():
        assert row["energy_j"] == pytest.approx({"light": 1e-6, "heavy": 1e-3}[name])
        assert row["energy_j_low"] == pytest.approx(row["energy_j"])
        assert row["energy_j_high"] == pytest.approx(row["energy_j"])
        assert row["tracker_over_clock"] == pytest.approx(1.0)
        assert row["flags"] == ""
    assert result["provenance"]["mode"] == "fake"
    assert result["provenance"]["rounds"] == energy.MIN_ROUNDS
    assert "narrow" in result["provenance"]["stopped_because"]


def test_workloads_take_turns_round_by_round():
    meter = FakeMeter()
    workloads = [meter.workload(name, 1, 1e-3) for name in "ab"]
    measure(workloads, meter, 0.03, 0.0, 10, print)
    inside = [part.split(";")[0] for part in "".join(meter.order).split("|")[1:]]
    assert "".join(calls[:1] or "-" for calls in inside[1:9]) == "-ab-ba-a"


def test_rounds_go_on_until_every_interval_is_narrow():
    meter = FakeMeter(noise=0.05)
    result = measure([meter.workload("a", 1, 1e-3)], meter, 0.02, 0.0, 1e9, print)
    (row,) = result["measurements"]
    assert result["provenance"]["rounds"] > energy.MIN_ROUNDS
    assert (row["energy_j_high"] - row["energy_j_low"]) / 2 <= 0.02 * row["energy_j"]


def test_a_spent_budget_is_said_and_the_wide_interval_flagged():
    meter = FakeMeter(noise=0.2)
    result = measure([meter.workload("a", 1, 1e-3)], meter, 1e-6, 0.0, 0.0, print)
    assert result["provenance"]["stopped_because"] == "the budget is spent"
    assert result["measurements"][0]["flags"] == "wide interval"


def test_nominal_95_percent_intervals_cover_the_truth_about_as_often():
    covered = 0
    for seed in range(200):
        meter = FakeMeter(noise=0.05, seed=seed)
        result = measure([meter.workload("a", 1, 1e-3)], meter, 0.03, 0.0, 1e9, lambda _: None)
        (row,) = result["measurements"]
        covered += row["energy_j_low"] <= 1e-3 <= row["energy_j_high"]
    assert covered >= 0.88 * 200


def test_windows_that_disagree_with_the_clock_do_not_count():
    meter = FakeMeter(wrong=lambda n: 2.0 if n % 7 == 0 else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 1e-9, 0.0, 0.0, print)
    (row,) = result["measurements"]
    assert row["energy_j"] == pytest.approx(1e-1)
    assert row["windows_rejected"] > 0


def test_a_disturbed_window_is_measured_again_at_once():
    meter = FakeMeter(wrong=lambda n: 2.0 if n in (5, 10) else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10, print)
    (row,) = result["measurements"]
    assert row["windows_rejected"] == 2
    assert len(row["readings_j"]) == result["provenance"]["rounds"] == energy.MIN_ROUNDS
    assert None not in row["readings_j"]
    assert row["flags"] == "disturbed windows"


def test_a_round_without_an_undisturbed_window_is_left_out():
    meter = FakeMeter(wrong=lambda n: 2.0 if n in (3, 4, 5) else 1.0)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10, print)
    (row,) = result["measurements"]
    assert row["readings_j"].count(None) == 1
    assert row["energy_j"] == pytest.approx(1e-1)


def test_busy_neighbours_are_flagged():
    meter = FakeMeter(neighbours=0.9)
    result = measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10, print)
    assert result["measurements"][0]["flags"] == "busy neighbours"
    assert result["provenance"]["neighbours_mean_cores"] == pytest.approx(0.9)


def test_a_meter_that_always_disagrees_is_refused():
    meter = FakeMeter(wrong=lambda n: 2.0)
    with pytest.raises(MeasurementError, match="disagree"):
        measure([meter.workload("a", 1, 1e-1)], meter, 1e-9, 0.0, 1e9, print)


@pytest.mark.parametrize("reading", [float("nan"), float("inf"), -1.0])
def test_a_reading_that_is_no_energy_is_refused(reading):
    meter = FakeMeter(wrong=lambda n: reading)
    with pytest.raises(MeasurementError, match="energy can't be measured"):
        measure([meter.workload("a", 1, 1e-1)], meter, 0.03, 0.0, 10, print)


def test_a_meter_that_reads_nothing_is_refused():
    meter = FakeMeter()
    meter.watts_per_core = None
    with pytest.raises(MeasurementError, match="no energy at all"):
        measure([meter.workload("a", 1, 0.0)], meter, 0.03, 0.0, 0, print)


class TestCodeCarbon:
    def test_it_bills_cpu_time_at_the_given_watts(self, monkeypatch, tmp_path):
        # What a user's folder, home or environment says must change nothing.
        (tmp_path / ".codecarbon.config").write_text(
            "[codecarbon]\nforce_cpu_power=1000\ntracking_mode=machine\npue=9\n"
        )
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("CODECARBON_FORCE_CPU_POWER", "1000")
        monkeypatch.setenv("CODECARBON_TRACKING_MODE", "machine")
        monkeypatch.setenv("CODECARBON_PUE", "9")
        monkeypatch.chdir(tmp_path)
        meter = CodeCarbonMeter("FRA", WATTS, "load")
        numbers = np.random.default_rng(0).random((200, 200))

        def work():
            end = energy.time.process_time() + 0.5
            while energy.time.process_time() < end:
                numbers @ numbers

        meter.window(work)
        window = meter.window(work)
        assert window.energy_j == pytest.approx(window.cpu_s * WATTS, rel=0.08)
        provenance = meter.provenance()
        assert provenance["mode"] == "cpu_load"
        assert provenance["watts_per_core"] == WATTS
        assert 20 < provenance["grid_g_co2e_per_kwh"] < 120
        assert sorted(p.name for p in tmp_path.iterdir()) == [".codecarbon.config"]

    def test_a_stale_lock_of_another_tracker_does_not_silence_it(self):
        lock = Path(tempfile.gettempdir()) / ".codecarbon.lock"
        existed = lock.exists()
        lock.touch()
        try:
            meter = CodeCarbonMeter("FRA", WATTS, "load")
            assert np.isfinite(meter.window(lambda: None).energy_j)
            assert lock.exists()
        finally:
            if not existed:
                lock.unlink(missing_ok=True)

    def test_a_task_without_a_reading_is_refused(self, monkeypatch):
        meter = CodeCarbonMeter("FRA", WATTS, "load")
        monkeypatch.setattr(meter._tracker, "stop_task", lambda: None)
        with pytest.raises(MeasurementError, match="gave no reading"):
            meter.window(lambda: None)

    def test_an_unknown_country_is_refused(self):
        with pytest.raises(MeasurementError, match=r"energy\.country.*'XXX'"):
            CodeCarbonMeter("XXX", WATTS, "load")

    def test_counters_that_are_not_there_are_not_replaced_in_silence(self, monkeypatch):
        monkeypatch.setattr("codecarbon.core.cpu.is_rapl_available", lambda *a: False)
        with pytest.raises(MeasurementError, match=r"energy\.mode is rapl"):
            CodeCarbonMeter("FRA", WATTS, "rapl")


def test_every_round_loads_a_workload_anew_and_warms_it_up_outside_the_window():
    loaded = []

    def load():
        loaded.append(0)

        def call():
            loaded[-1] += 1

        return call

    result = measure([Workload("a", 1, load)], BilledByCalls(loaded), 0.03, 0.0, 10, print)
    assert loaded == [11] * result["provenance"]["rounds"]
    assert result["measurements"][0]["energy_j"] == pytest.approx(1.0)


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
    result = measure([meter.workload("a", 1, 1e-3)], meter, 0.03, 0.05, 10, print)
    (row,) = result["measurements"]
    assert row["energy_j_high"] == pytest.approx(1.05e-3)
    assert row["half_width_by_rounds"] == pytest.approx(0, abs=1e-12)
    assert row["flags"] == ""
    assert result["provenance"]["drift"] == 0.05


def test_batches_go_round_and_go_on_where_the_last_load_stopped():
    seen = []
    load = energy.in_turn(lambda: lambda batch: seen.append(batch.tolist()), np.arange(5), 2)
    first = load()
    first()
    second = load()
    second()
    second()
    assert seen == [[0, 1], [2, 3], [0, 1]]


def test_shares_are_paired_round_by_round():
    slow = [1.0, 2.0, 4.0, 1.0, None]
    read = [measured_row("all", slow), measured_row("half", [0.5, 1.0, 2.0, 0.5, 9.0])]
    rows = energy.shares(read, "all", drift=0.0)
    assert [r["energy_share"] for r in rows] == [1.0, 0.5]
    assert rows[1]["energy_share_high"] == pytest.approx(0.5)
    assert rows[1]["throughput_per_s"] == 2.0
    drifting = energy.shares(read, "all", drift=0.1, key="part")
    assert [r["part"] for r in drifting] == [1.0, 0.5]
    assert [r["part_high"] for r in drifting] == pytest.approx([1.0, 0.55]), "1 is 1 by definition"
    assert [r["part_low"] for r in drifting] == pytest.approx([1.0, 0.45])
    assert "energy_share" not in drifting[0]
    few = [measured_row("all", [1.0]), measured_row("half", [0.5])]
    unknown = energy.shares(few, "all", drift=0.1)[1]
    assert unknown["energy_share_low"] is None
    assert unknown["energy_share_high"] is None
