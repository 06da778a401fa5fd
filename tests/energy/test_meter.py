"""CodeCarbon itself, for its pitfalls."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from eco.energy.meter import CodeCarbonMeter
from eco.energy.protocol import Workload, measure
from eco.errors import MeasurementError

WATTS = 4.0


def test_it_bills_cpu_time_at_the_given_watts(monkeypatch, tmp_path):
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
        end = time.process_time() + 0.5
        while time.process_time() < end:
            numbers @ numbers

    meter.window(work)
    # A busy machine stretches windows past what the tracker reads well: the protocol repeats them.
    windows = [meter.window(work) for _ in range(5)]
    best = min(windows, key=lambda window: abs(window.energy_j - window.cpu_s * WATTS))
    assert best.energy_j == pytest.approx(best.cpu_s * WATTS, rel=0.08)
    provenance = meter.provenance()
    assert provenance["mode"] == "cpu_load"
    assert provenance["watts_per_core"] == WATTS
    assert 20 < provenance["grid_g_co2e_per_kwh"] < 120
    assert sorted(p.name for p in tmp_path.iterdir()) == [".codecarbon.config"]


def test_a_stale_lock_of_another_tracker_does_not_silence_it():
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


def test_a_task_without_a_reading_is_refused(monkeypatch):
    monkeypatch.setattr("codecarbon.OfflineEmissionsTracker.stop_task", lambda self: None)
    meter = CodeCarbonMeter("FRA", WATTS, "load")
    with pytest.raises(MeasurementError, match="gave no reading"):
        meter.window(lambda: None)


def test_an_unknown_country_is_refused():
    with pytest.raises(MeasurementError, match=r"energy\.country.*'XXX'"):
        CodeCarbonMeter("XXX", WATTS, "load")


def test_counters_that_are_not_there_are_not_replaced_in_silence(monkeypatch):
    monkeypatch.setattr("codecarbon.core.cpu.is_rapl_available", lambda *a: False)
    with pytest.raises(MeasurementError, match=r"energy\.mode is rapl"):
        CodeCarbonMeter("FRA", WATTS, "rapl")


def test_calls_fill_a_window_by_the_cpu_clock_and_keep_it_short():
    def busy():
        end = time.process_time() + 0.005
        while time.process_time() < end:
            pass

    meter = CodeCarbonMeter("FRA", WATTS, "load")
    assert 1 <= meter.calls_per_window(busy, 0.1) <= 20
    assert meter.calls_per_window(lambda: time.sleep(0.02), 0.1) <= 45, "0.9 s at most"
    assert meter.calls_per_window(lambda: time.sleep(0.1), 1e-6) == 1


def test_measuring_takes_neither_onnx_nor_the_workflow():
    code = (
        "import sys, eco.energy.protocol, eco.energy.meter\n"
        "loaded = {'onnx', 'onnxruntime', 'pydantic', 'sklearn', 'keras', 'eco.workflow'}\n"
        "sys.exit(', '.join(loaded & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Processor:
    """A fake powercap tree whose counters advance with the work, and wrap at `wrap_j`."""

    def __init__(self, folder, wrap_j, max_range=True, packages=1):
        self.spent_j, self.wrap_j = 1.0, wrap_j
        self.files = []
        for package in range(packages):
            zone = folder / "intel-rapl" / f"intel-rapl:{package}"
            zone.mkdir(parents=True)
            (zone / "name").write_text(f"package-{package}\n")
            if max_range:
                (zone / "max_energy_range_uj").write_text(f"{wrap_j * 1e6:.0f}\n")
            self.files.append(zone / "energy_uj")
        self.spend(0)

    def spend(self, joules):
        self.spent_j += joules
        for number, file in enumerate(self.files):
            shown_j = (self.spent_j + 7 * number) % self.wrap_j
            file.write_text(f"{shown_j * 1e6:.0f}\n")


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """What makes the fake tree that both CodeCarbon and the meter look at."""
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    root = str(tmp_path / "intel-rapl")
    rapl, is_available = cpu.IntelRAPL, cpu.is_rapl_available
    monkeypatch.setattr("eco.energy.meter.POWERCAP", tmp_path)
    monkeypatch.setattr(cpu, "is_rapl_available", lambda: is_available(root))
    monkeypatch.setattr(hardware, "IntelRAPL", lambda rapl_dir, **options: rapl(root, **options))
    # Root may read everything: here the file's mode decides for everybody.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path).stat().st_mode & 0o004 != 0)
    return lambda *arguments, **options: Processor(tmp_path, *arguments, **options)


def read_counters(fake, mode="auto"):
    """The one row of a measurement of calls that take 0.1 J each, by the fake counters."""
    meter = CodeCarbonMeter("FRA", WATTS, mode)
    workload = Workload("a", 1, lambda: lambda: fake.spend(0.1))
    measured = measure([workload], meter, 1e-9, 0.0, budget_s=0.0, window_s=1e-6)
    return measured.rows[0], measured.provenance


def test_the_counters_of_the_processor_are_read(processor):
    row, provenance = read_counters(processor(wrap_j=1e6))
    assert row.energy_j == pytest.approx(0.1, rel=1e-3)
    assert (provenance["mode"], provenance["counters"]) == ("intel_rapl", "read")
    assert row.windows_rejected == 0


@pytest.mark.parametrize("max_range", [True, False])
def test_a_counter_that_wraps_leaves_no_trace_in_the_mean(processor, max_range):
    fake = processor(wrap_j=0.45, max_range=max_range)
    row, _ = read_counters(fake)
    assert row.energy_j == pytest.approx(0.1, rel=1e-3)
    assert (row.windows_rejected > 0) is not max_range


def test_a_counter_that_stands_still_is_refused(processor):
    fake = processor(wrap_j=1e6)
    fake.files = []
    with pytest.raises(MeasurementError, match=r"no energy at all for a .*energy\.mode"):
        read_counters(fake)


def test_counters_that_may_not_be_read_are_not_replaced_in_silence(processor, caplog):
    fake = processor(wrap_j=1e6, packages=2)
    fake.files[1].chmod(0o400)
    with pytest.raises(MeasurementError, match=r"may not read .*intel-rapl:1/energy_uj.*chmod"):
        CodeCarbonMeter("FRA", WATTS, "rapl")
    assert not caplog.messages
    meter = CodeCarbonMeter("FRA", WATTS, "auto")
    assert "may not read the processor's counter" in caplog.text
    assert "watts_per_core" in caplog.text
    assert meter.provenance()["counters"] == "not readable"
    assert meter.watts_per_core == WATTS


def test_a_machine_without_counters_is_billed_by_cpu_time(processor, caplog):
    provenance = CodeCarbonMeter("FRA", WATTS, "auto").provenance()
    assert (provenance["mode"], provenance["counters"]) == ("cpu_load", "none")
    assert not caplog.messages
