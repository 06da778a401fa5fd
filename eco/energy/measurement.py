"""Measured energies: one row per workload and batch size, and what can be read from them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eco.commands import command
from eco.errors import MeasurementError
from eco.evaluation.intervals import trimmed_mean
from eco.strategies.outcomes import Readings

Array = NDArray[Any]

#: What must be equal in two provenances before their joules may be added up.
COMPARED = ("mode", "machine", "watts_per_core", "threads", "call_path")
#: No figure of a measurement is as large.
LARGEST = 1e30
#: Fields of a measurement that a file must give.
REQUIRED = ("name", "batch_size", "energy_j", "energy_j_low", "energy_j_high", "readings_j")


@dataclass(frozen=True)
class Measurement:
    """Energy and time per sample of one workload at one batch size.

    ``energy_j``: J per sample, between ``energy_j_low`` and ``energy_j_high`` in 95 % of later
    runs; ``readings_j``: J per sample in each round, None where no window of it counted;
    ``half_width_by_rounds``: of the interval, as a share, by the rounds alone; ``ram_j``,
    ``gpu_j``: J per sample, not part of ``energy_j``; ``cpu_s``, ``wall_s``: seconds per sample;
    ``neighbours_cores``: cores that other processes kept busy; ``flags``: what speaks against the
    readings, in words; ``tracker_over_clock``: the tracker's joules over those of the CPU clock,
    None where a hardware counter was read; ``format``: that of the model, where formats are
    compared.
    """

    name: str
    batch_size: int
    energy_j: float
    energy_j_low: float
    energy_j_high: float
    readings_j: tuple[float | None, ...]
    half_width_by_rounds: float = 0.0
    ram_j: float = 0.0
    gpu_j: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    calls_per_window: int = 1
    windows_rejected: int = 0
    neighbours_cores: float = 0.0
    flags: tuple[str, ...] = ()
    tracker_over_clock: float | None = None
    format: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; those that are None are left out."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return values | {"readings_j": list(self.readings_j), "flags": list(self.flags)}

    @classmethod
    def from_json(cls, values: Any) -> Self:
        """The measurement that `to_json` wrote; ValueError if it can't be one."""
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or not set(REQUIRED) <= values.keys() <= known:
            raise ValueError(f"must hold measurements with {', '.join(REQUIRED)}")
        name, energy_j, readings_j = (values[key] for key in ("name", "energy_j", "readings_j"))
        if not _is_number(energy_j) or energy_j <= 0:
            raise ValueError(f"must give {name} a positive number of joules, got {energy_j!r}")
        for key in NUMBERS & values.keys():
            if not _is_number(values[key]):
                raise ValueError(f"must give {name} a number as {key}, got {values[key]!r}")
        flags = values.get("flags", [])
        for key, value in (("readings_j", readings_j), ("flags", flags)):
            if not isinstance(value, list):
                raise ValueError(f"must give {name} a list of {key}, got {value!r}")
        if not all(reading is None or _is_number(reading) for reading in readings_j):
            raise ValueError(f"must give {name} numbers as readings_j, got {readings_j!r}")
        return cls(**{**values, "readings_j": tuple(readings_j), "flags": tuple(flags)})


#: Fields of a measurement that are numbers, beside ``energy_j``.
NUMBERS = {f.name for f in fields(Measurement) if f.type in (int, float)} | {"tracker_over_clock"}


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a reading can be: not NaN, infinite or beyond all sense."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < LARGEST


@dataclass(frozen=True)
class Measurements:
    """What one run of the protocol measured: ``rows``, all with equally many readings.

    ``provenance``: where, when and how; by how much later runs may differ is its ``drift``.
    """

    provenance: Mapping[str, Any]
    rows: tuple[Measurement, ...]

    def to_json(self) -> dict[str, Any]:
        """Provenance and measurements as JSON values."""
        rows = [row.to_json() for row in self.rows]
        return {"provenance": dict(self.provenance), "measurements": rows}

    @classmethod
    def from_json(cls, content: Any) -> Self:
        """The measurements that `to_json` wrote.

        What is missing or can't be is a ValueError, whose message continues the name of a file.
        """
        values = content if isinstance(content, dict) else {}
        measurements, provenance = values.get("measurements"), values.get("provenance")
        if not isinstance(measurements, list) or not measurements:
            raise ValueError("must hold a list of measurements")
        rows = tuple(map(Measurement.from_json, measurements))
        if len({len(row.readings_j) for row in rows}) > 1:
            raise ValueError("must hold measurements with equally many readings_j")
        if not isinstance(provenance, dict) or "grid_g_co2e_per_kwh" not in provenance:
            raise ValueError("must say where it was measured, under provenance")
        return cls(provenance, rows)

    def add_provenance(self, **entries: Any) -> Self:
        """The same measurements with further entries in their provenance."""
        return replace(self, provenance={**self.provenance, **entries})

    @property
    def drift(self) -> float:
        """Half-width, as a share, by which later runs differ beyond their rounds."""
        return float(self.provenance.get("drift", 0.0))

    def at(self, name: str, batch_size: int) -> Measurement:
        """The measurement of one workload.

        Without one a MeasurementError, whose problem continues the name of a file.
        """
        for row in self.rows:
            if (row.name, row.batch_size) == (name, batch_size):
                return row
        problem = f"has no energy of {name} at batch size {batch_size}"
        raise MeasurementError(problem, f"Measure it: {command('measure')}")

    def energy_j(self, names: Sequence[str], batch_size: int) -> Array:
        """J per sample of each named workload, (n_names,) float64; raises as `at` does."""
        return np.array([self.at(name, batch_size).energy_j for name in names], np.float64)

    def readings(self, names: Sequence[str], batch_size: int) -> Readings:
        """The readings behind `energy_j`; raises as `at` does."""
        per_model_j = [self.at(name, batch_size).readings_j for name in names]
        return Readings(np.array(per_model_j, np.float64).T, self.drift)

    def incomparable(self, other: "Measurements") -> dict[str, tuple[Any, Any]]:
        """Entries of the two provenances that differ, so that joules can't be added up."""
        pairs = {key: (self.provenance.get(key), other.provenance.get(key)) for key in COMPARED}
        return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}

    def shares(
        self, name: str | None = None, format_name: str | None = None, key: str = "energy_share"
    ) -> list[dict[str, Any]]:
        """Energy of each workload as a share of a reference at the same batch size.

        The reference has the given name and format, or else the workload's own. The two were read
        in the same rounds, so what slowed the machine in one of them cancels. The drift between
        runs doesn't: it differs from one workload to the next.

        Each row has the share under ``key``, with its 95 % interval under ``_low`` and ``_high``
        (None where fewer than three rounds count for both), and its energy, flags and throughput;
        it is that of a ``name``, or of a ``model`` and ``format`` where formats are compared.
        """
        by_key = {(row.name, row.format, row.batch_size): row for row in self.rows}
        rows = []
        for row in self.rows:
            reference = by_key[name or row.name, format_name or row.format, row.batch_size]
            share, low, high = self._share(row, reference)
            is_format = row.format is not None
            names = {"model": row.name, "format": row.format} if is_format else {"name": row.name}
            figures = {
                "batch_size": row.batch_size,
                "energy_j": row.energy_j,
                "energy_j_low": row.energy_j_low,
                "energy_j_high": row.energy_j_high,
                "flags": list(row.flags),
                "throughput_per_s": 1 / row.wall_s,
            }
            rows.append(names | figures | {key: share, f"{key}_low": low, f"{key}_high": high})
        return rows

    def _share(
        self, row: Measurement, reference: Measurement
    ) -> tuple[float, float | None, float | None]:
        pairs = zip(row.readings_j, reference.readings_j, strict=True)
        share, half_width = trimmed_mean(np.array([a / b if a and b else np.nan for a, b in pairs]))
        if row is not reference:  # whose share is 1 by definition
            half_width = float(np.hypot(half_width, self.drift * share))
        if not math.isfinite(half_width):
            return share, None, None
        return share, share - half_width, share + half_width

    def table(self) -> str:
        """Lines of text: µJ per sample by workload and batch size, with intervals and flags."""
        names = [", ".join(filter(None, (row.name, row.format))) for row in self.rows]
        width = max(12, *map(len, names))
        lines = [f"{'':{width}} {'batch':>6} {'µJ/sample':>10}  95 % interval"]
        for name, row in zip(names, self.rows, strict=True):
            interval = f"[{1e6 * row.energy_j_low:.4g}, {1e6 * row.energy_j_high:.4g}]"
            line = f"{name:{width}} {row.batch_size:6} {1e6 * row.energy_j:10.4g}  {interval}"
            lines.append(f"{line} {', '.join(row.flags)}")
        return "\n".join(lines)
