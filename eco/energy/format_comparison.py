"""What one prediction costs in each format, and which format is the cheapest."""

import gc
import logging
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eco.energy import formats
from eco.energy.benchmark import EnergySettings, run_protocol
from eco.energy.formats import CHUNK, NATIVE, ONE_BATCH, ONNX, ONNX_INT8, Load, Run
from eco.energy.measurement import Measurements
from eco.energy.protocol import Workload, cycle_batches
from eco.energy.threads import limit_threads

Array = NDArray[Any]
logger = logging.getLogger(__name__)

#: CPU seconds of a window: over a hundred workloads take turns. The tracker's ticks of 10 ms make
#: about 2 % of noise in one window of this length, and less in the mean of many rounds.
WINDOW_S = 0.2
#: Images of train: those that models which must be fitted learn from, in seconds, and those of
#: them whose activations set the ranges of 8-bit integers.
N_FITTED = 10_000
N_RANGES = 200


def measure_formats(
    models: Mapping[str, tuple[str, Mapping[str, Any]]],
    train: tuple[Array, Array],
    X: Array,
    settings: EnergySettings,
    seed: int,
) -> Measurements:
    """Measure every format of models that cost what trained ones do.

    Parameters
    ----------
    models : mapping of str to (str, mapping)
        By name the kind of a model and its settings.
    train : (X, y)
        Images and labels, of which `N_FITTED` are used.
    X : (n_samples, height, width) uint8
        What the formats are run on.
    """
    limit_threads(settings.threads)
    X_fit, y_fit = (part[:N_FITTED] for part in train)
    available = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (kind, section) in models.items():
            model = formats.stand_in(kind, section, X_fit, y_fit, seed)
            available[name] = formats.available_formats(
                model, X_fit[:N_RANGES], settings.threads, Path(folder, name)
            )
            logger.info("%s: %s", name, ", ".join(available[name]))
        gc.freeze()  # else every collection would go through all of TensorFlow
        workloads = format_workloads(available, X, settings.batch_sizes)
        window_s = min(WINDOW_S, settings.window_s)
        measurements = run_protocol(workloads, settings, formats.call_paths(), window_s)
    return measurements.add_provenance(
        images_per_keras_call=formats.CHUNK,
        weights=f"initial (networks), fitted on {len(X_fit)} images of train (all others)",
    )


def format_workloads(
    available: Mapping[str, Mapping[str, Load]], X: Array, batch_sizes: Sequence[int]
) -> list[Workload]:
    """One workload per model, batch size and format; what is compared is measured side by side.

    ``available``: by model what `formats.available_formats` returns. Those of `ONE_BATCH` are left
    out where a batch is larger than `CHUNK`.
    """

    def workload(model: str, name: str, load: Load, size: int) -> Workload:
        load = partial(_load_warm, load, X[: min(size, CHUNK)])
        # Tracing native calls anew in each round would take longer than measuring them.
        load = cache(load) if name in NATIVE else load
        return Workload(model, size, cycle_batches(load, X, size), format=name)

    return [
        workload(model, name, load, size)
        for model, loads in available.items()
        for size in batch_sizes
        for name, load in loads.items()
        if size <= CHUNK or name not in ONE_BATCH
    ]


def _load_warm(load: Load, X: Array) -> Run:
    # What tracing and the network before left behind would be collected, and billed, in a window.
    run = load()
    run(X)
    gc.collect()
    return run


def choose_formats(
    measurements: Measurements, quantized: Collection[str], batch_size: int
) -> dict[str, dict[str, Any]]:
    """The cheapest format of each model, beside the one in use and native calls.

    The study runs ``quantized`` models in 8-bit integers and others in floats. For each model
    ``cheapest`` and ``in_use`` name formats; ``in_use_over_cheapest`` is their energies' ratio,
    with its 95 % interval, and ``native_over_in_use`` that of the cheapest native call, if any.
    """
    rows = [row for row in measurements.rows if row.batch_size == batch_size]
    choices = {}
    for model in dict.fromkeys(row.name for row in rows):
        of_model = replace(measurements, rows=tuple(row for row in rows if row.name == model))
        energy_j = {str(row.format): row.energy_j for row in of_model.rows}
        in_use = ONNX_INT8 if model in quantized else ONNX
        cheapest = min(energy_j, key=lambda name: energy_j[name])
        shares = of_model.shares(format_name=cheapest, key="in_use_over_cheapest")
        (share,) = (row for row in shares if row["format"] == in_use)
        choice: dict[str, Any] = {"cheapest": cheapest, "in_use": in_use}
        choice |= {key: value for key, value in share.items() if key.startswith("in_use")}
        if native := [energy_j[name] for name in NATIVE if name in energy_j]:
            choice["native_over_in_use"] = min(native) / energy_j[in_use]
        choices[model] = choice
    return choices
