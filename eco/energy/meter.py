"""CodeCarbon as a meter. kWh exist in this module only."""

import logging
import os
import platform
import time
from pathlib import Path
from typing import Any

from eco.commands import command
from eco.energy.machine import machine
from eco.energy.protocol import Window, Work
from eco.errors import MeasurementError, extra

with extra("energy"):
    import psutil

logger = logging.getLogger(__name__)

#: Where Linux has the counters of the processor.
POWERCAP = Path("/sys/class/powercap")
J_PER_KWH = 3.6e6
#: Wall seconds that a window of many calls must stay under: past 1 s CodeCarbon's background
#: sampler wakes up and can count work that holds the GIL twice.
WINDOW_WALL_S = 0.9


class CodeCarbonMeter:
    """Reads energy with one CodeCarbon tracker whose every option is set here.

    Nothing is taken from the user's home, the working folder or the environment. Without a
    hardware counter only the process's own work is billed (``tracking_mode="process"``); RAPL
    counts the whole processor, neighbours included. CPU energy is the figure for decisions:
    without a counter CodeCarbon's RAM power is a constant, that is, wall time. Counters that this
    user may not read are a warning under ``auto``, and stand in the provenance.

    Parameters
    ----------
    country : str
        ISO 3166 alpha-3 code of the country whose grid is used.
    watts_per_core : float
        Watts of a busy core where there is no hardware counter.
    mode : {"auto", "rapl", "load"}
        Where CPU energy comes from.

    Raises
    ------
    MeasurementError
        If the country is unknown, or `mode` isn't available on this machine.
    """

    def __init__(self, country: str, watts_per_core: float, mode: str) -> None:
        with extra("energy"):
            from codecarbon.input import DataSource

        logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
        grid = DataSource().get_global_energy_mix_data()
        if country not in grid:
            raise MeasurementError(
                f"params.yaml: energy.country must be one of CodeCarbon's {len(grid)} ISO codes, "
                f"such as FRA, USA or IND; got {country!r}"
            )
        self._counters = _find_counters(mode)
        rapl = self._counters == "read"
        self._cores = psutil.cpu_count() or 1
        self.watts_per_core = None if rapl else watts_per_core
        self._grid_g_per_kwh = float(grid[country]["carbon_intensity"])
        self._country = country
        self._tracker = _tracker(country, None if rapl else watts_per_core * self._cores)

    def calls_per_window(self, call: Work, window_s: float) -> int:
        """How many calls take `window_s` CPU seconds, after a warm-up; a window stays short."""
        call()
        calls, cpu, wall = 0, time.process_time(), time.perf_counter()
        while calls < 1 or time.perf_counter() - wall < 0.3 * window_s:
            call()
            calls += 1
        cpu_per_call = max((time.process_time() - cpu) / calls, 1e-9)
        wall_per_call = max((time.perf_counter() - wall) / calls, 1e-9)
        return max(1, int(min(window_s / cpu_per_call, WINDOW_WALL_S / wall_per_call)))

    def window(self, work: Work) -> Window:
        """Run `work` once inside a task of the tracker."""
        process = psutil.Process()
        self._tracker.start_task()
        others = _others_s(process)
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
        task = self._tracker.stop_task()
        others = _others_s(process) - others
        if task is None or task.cpu_energy is None:
            raise MeasurementError(
                "CodeCarbon gave no reading",
                f"Another tracker may hold its lock; stop it and measure: {command('measure')}",
            )
        return Window(
            energy_j=task.cpu_energy * J_PER_KWH,
            ram_j=task.ram_energy * J_PER_KWH,
            gpu_j=task.gpu_energy * J_PER_KWH,
            cpu_s=cpu_s,
            wall_s=wall_s,
            neighbours=max(0.0, others / max(wall_s, 1e-3)),
        )

    def provenance(self) -> dict[str, Any]:
        """Mode, machine, versions and grid behind every reading of this meter."""
        import codecarbon

        hardware = self._tracker.get_detected_hardware()
        modes = [getattr(part, "_mode", None) for part in self._tracker._hardware]
        return {
            "mode": next((mode for mode in modes if mode), "unknown"),
            "counters": self._counters,
            "figure": "cpu",
            "watts_per_core": self.watts_per_core,
            "cpu_model": hardware["cpu_model"],
            "cores": self._cores,
            "gpu_model": hardware["gpu_model"] or "none",
            "machine": machine(),
            "measured_on": time.strftime("%Y-%m-%d"),
            "python": platform.python_version(),
            "codecarbon": codecarbon.__version__,
            "country": self._country,
            "grid_g_co2e_per_kwh": self._grid_g_per_kwh,
        }


#: Options that aren't used; those that aren't passed would be taken from elsewhere.
UNUSED = (
    "country_2letter_iso_code", "region", "cloud_provider", "cloud_region", "force_ram_power",
    "force_carbon_intensity_g_co2e_kwh", "electricitymaps_api_token", "gpu_ids", "api_endpoint",
    "api_key", "emissions_endpoint", "experiment_id", "experiment_name", "logging_logger",
    "prometheus_url", "metadata",
)  # fmt: skip


def _tracker(country: str, cpu_watts: float | None) -> Any:
    """A tracker with every option set; `cpu_watts` of all cores, None to read counters."""
    from codecarbon import OfflineEmissionsTracker

    return OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="process",
        force_cpu_power=cpu_watts,
        force_mode_cpu_load=cpu_watts is not None,
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        pue=1.0,
        wue=0.0,
        measure_power_secs=3600,
        api_call_interval=-1,
        project_name="ecoinference",
        output_dir=".",
        output_file="emissions.csv",
        output_methods=[],
        output_handlers=[],
        logger_preamble="",
        log_level="critical",
        on_csv_write="append",
        allow_multiple_runs=True,
        **dict.fromkeys(UNUSED),
    )


def _find_counters(mode: str) -> str:
    """Whether counters are "read", "not readable", "not used" or there are "none".

    Those that `mode` demands and that can't be read are a MeasurementError.
    """
    from codecarbon.core.cpu import is_rapl_available

    if mode == "load":
        return "not used"
    # Those of a part of a processor, such as intel-rapl:0:1, aren't needed.
    counters = (p for p in POWERCAP.glob("*/*:*/energy_uj") if p.parent.name.count(":") == 1)
    closed = sorted(path for path in counters if not os.access(path, os.R_OK))
    if not closed and is_rapl_available():
        return "read"
    if closed:
        problem = f"this user may not read the processor's counter {closed[0]}"
        remedy = f"Make it readable (sudo chmod a+r {closed[0]}), or set energy.mode to load."
    else:
        problem = f"this machine has no counters under {POWERCAP}"
        remedy = "Set energy.mode to load."
    if mode == "rapl":
        raise MeasurementError(f"params.yaml: energy.mode is rapl, but {problem}", remedy)
    if closed:
        logger.warning("%s: energy is CPU time x energy.watts_per_core. %s", problem, remedy)
    return "not readable" if closed else "none"


def _others_s(process: psutil.Process) -> float:
    """CPU seconds so far of all other processes, stolen time included."""
    total, own = psutil.cpu_times(), process.cpu_times()
    busy = total.user + total.system + getattr(total, "steal", 0.0)
    return float(busy - own.user - own.system)
