"""Measure what one prediction of each model costs in each format in which it can be run."""

import gc
import tempfile
from collections.abc import Collection, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from eco import energy, files, formats, params
from eco.errors import reported

#: The first images of train: those that models which must be fitted learn from, in seconds, and
#: those of them whose activations set the ranges of 8-bit integers.
FITTED_ON = 10_000
RANGES_FROM = 200
#: CPU seconds of a window: over a hundred workloads take turns. The tracker's ticks of 10 ms make
#: about 2 % of noise in one window of this length, 1 % in the mean of five rounds.
WINDOW_S = 0.2
#: What separates model and format in the name of a workload.
BETWEEN = ", "


def workloads(
    offered: Mapping[str, Mapping[str, formats.Load]], X: np.ndarray, batch_sizes: Sequence[int]
) -> list[energy.Workload]:
    """One workload per model, batch size and format; what is compared is measured side by side.

    Those of `formats.ONE_BATCH` are left out where a batch is larger than `formats.CHUNK`.

    Parameters
    ----------
    offered : mapping
        By model what `formats.offered` gives.
    X : array of shape (n_samples, height, width), uint8
    batch_sizes : sequence of int
    """

    def workload(name: str, load: formats.Load, size: int) -> energy.Workload:
        settled = partial(_settled, load, X[: min(size, formats.CHUNK)])
        if name.partition(BETWEEN)[2] in formats.NATIVE:
            # Tracing it anew in each round would take longer than measuring it.
            settled = cache(settled)
        return energy.Workload(name, size, energy.in_turn(settled, X, size))

    return [
        workload(f"{model}{BETWEEN}{name}", load, size)
        for model, loads in offered.items()
        for size in batch_sizes
        for name, load in loads.items()
        if size <= formats.CHUNK or name not in formats.ONE_BATCH
    ]


def _settled(load: formats.Load, X: np.ndarray) -> formats.Run:
    # What tracing and the network before left behind would be collected, and billed, in a window.
    run = load()
    run(X)
    gc.collect()
    return run


def compared(measurements: Sequence[Mapping[str, Any]], drift: float) -> list[dict[str, Any]]:
    """Each format of each model beside ONNX Runtime in floats at the same batch size.

    Parameters
    ----------
    measurements : sequence of mapping
        As `energy.measure` gives them for `workloads`.
    drift : float
        As in `energy.shares`.

    Returns
    -------
    list of dict
        Rows of `energy.shares`, with ``model`` and ``format`` in place of ``name``.
    """
    rows = []
    for model, of_model in _by_model(measurements).items():
        for row in energy.shares(of_model, f"{model}{BETWEEN}{formats.ONNX}", drift):
            format_name = row.pop("name").partition(BETWEEN)[2]
            rows.append({"model": model, "format": format_name} | row)
    return rows


def choice(
    measurements: Sequence[Mapping[str, Any]],
    quantized: Collection[str],
    batch_size: int,
    drift: float,
) -> dict[str, dict[str, Any]]:
    """The cheapest format of each model, beside the one that the study uses and native calls.

    Parameters
    ----------
    measurements : sequence of mapping
        As `energy.measure` gives them for `workloads`.
    quantized : collection of str
        Models that the study runs in 8-bit integers; it runs the others in floats.
    batch_size : int
    drift : float
        As in `energy.shares`.

    Returns
    -------
    dict
        For each model ``cheapest`` and ``in_use``, names of formats;
        ``in_use_over_cheapest``, a ratio of joules, with its 95 % interval under ``_low`` and
        ``_high``; and ``native_over_in_use``, the same ratio of the cheapest native call, where
        there is one.
    """
    at_size = [row for row in measurements if row["batch_size"] == batch_size]
    found = {}
    for model, rows in _by_model(at_size).items():
        joules = {row["name"].partition(BETWEEN)[2]: row["energy_j"] for row in rows}
        in_use = formats.ONNX_INT8 if model in quantized else formats.ONNX
        cheapest = min(joules, key=lambda name: joules[name])
        against = energy.shares(rows, f"{model}{BETWEEN}{cheapest}", drift)
        ratio = {row["name"]: row for row in against}
        ours = ratio[f"{model}{BETWEEN}{in_use}"]
        found[model] = {"cheapest": cheapest, "in_use": in_use} | {
            f"in_use_over_cheapest{end}": ours[f"energy_share{end}"]
            for end in ("", "_low", "_high")
        }
        native = [joules[name] for name in formats.NATIVE if name in joules]
        if native:
            found[model]["native_over_in_use"] = min(native) / joules[in_use]
    return found


def _by_model(
    measurements: Sequence[Mapping[str, Any]],
) -> dict[str, list[Mapping[str, Any]]]:
    models: dict[str, list[Mapping[str, Any]]] = {}
    for row in measurements:
        models.setdefault(row["name"].partition(BETWEEN)[0], []).append(row)
    return models


def main() -> None:
    """Write data/formats.json, its rows with shares, and which format is cheapest."""
    settings = params.load()
    config, pool, name = settings.energy, settings.pool, settings.data.name
    formats.hold_threads(config.threads)
    X_train, y_train = (part[:FITTED_ON] for part in files.load_images("train", name))
    X, _ = files.load_images("test", name)
    offered = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in pool:
            section = settings.model(model).model_dump()
            kind, _ = section.pop("kind"), section.pop("targets")
            made = formats.to_measure(kind, section, X_train, y_train, settings.seed, print)
            ranges, place = X_train[:RANGES_FROM], Path(folder, model)
            offered[model] = formats.offered(made, ranges, config.threads, place)
            print(f"{model}: {', '.join(offered[model])}", flush=True)
        gc.freeze()  # else every collection would go through all of TensorFlow
        measured = energy.measure(
            workloads(offered, X, config.batch_sizes),
            energy.CodeCarbonMeter(config.country, config.watts_per_core, config.mode),
            config.half_width, config.drift, config.budget_s, print, WINDOW_S,
        )  # fmt: skip
    measured["provenance"] |= {
        "call_path": formats.call_paths(),
        "threads": config.threads,
        "images_per_keras_call": formats.CHUNK,
        "weights": f"initial (networks), fitted on {len(X_train)} images of train (all others)",
    }
    files.save_json(files.FORMATS, measured)
    rows = measured["measurements"]
    files.save_rows("formats", compared(rows, config.drift))
    chosen = choice(rows, settings.quantized, config.batch_size, config.drift)
    files.save_metrics("formats", {"formats": chosen})
    print(energy.table(rows))
    for model, figures in chosen.items():
        print(
            f"{model}: {figures['cheapest']} is cheapest at batch size {config.batch_size}; "
            f"{figures['in_use']}, in use, takes {figures['in_use_over_cheapest']:.2f} times that"
        )


if __name__ == "__main__":
    with reported():
        main()
