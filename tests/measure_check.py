"""Repeat the whole energy protocol three times and compare the runs: `make measurecheck`.

What it answers: do the runs rank the models alike wherever their intervals don't overlap, how far
apart are the ratios to the largest model, how often does a run's interval hold a later figure, do
tracker and CPU clock agree, and what does the tracker itself cost. A busy machine is named.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eco import energy, files, params
from eco.errors import reported

RUNS = 3
Row = Mapping[str, Any]


def compare(runs: Sequence[Mapping[str, Any]], reference: str) -> str:
    """The comparison of complete runs of the protocol, as text.

    Parameters
    ----------
    runs : sequence of mapping
        What `energy.benchmark` returned, once per run.
    reference : str
        The largest model.
    """
    by_key = [
        {(row["name"], row["batch_size"]): row for row in run["measurements"]} for run in runs
    ]
    lines = [f"{'':10} {'batch':>6}  {'µJ per sample, run by run':32} ratio to {reference}"]
    apart, held, cases = [], 0, 0
    for key in by_key[0]:
        rows = [run[key] for run in by_key]
        figures = [row["energy_j"] for row in rows]
        ratios = [
            row["energy_j"] / run[reference, key[1]]["energy_j"]
            for row, run in zip(rows, by_key, strict=True)
        ]
        spread = max(ratios) / min(ratios) - 1
        apart.append(spread)
        for earlier, later in itertools.combinations(rows, 2):
            cases += 1
            held += earlier["energy_j_low"] <= later["energy_j"] <= earlier["energy_j_high"]
        shown = "  ".join(f"{1e6 * figure:9.4g}" for figure in figures)
        lines.append(
            f"{key[0]:10} {key[1]:6}  {shown:32} "
            f"{'  '.join(f'{ratio:.4f}' for ratio in ratios)}  (apart {spread:.1%})"
        )
    rows = [row for run in by_key for row in run.values()]
    clock = [row["tracker_over_clock"] for row in rows if "tracker_over_clock" in row]
    neighbours = [run["provenance"]["neighbours_mean_cores"] for run in runs]
    floors = [run["provenance"]["floor_share_of_window"] for run in runs]
    seconds = [run["provenance"]["seconds"] for run in runs]
    upside_down, seen = misranked(by_key), drift(by_key)
    lines += [
        f"rankings that contradict each other beyond their intervals: {upside_down or 'none'}",
        f"ratios to {reference} apart: median {np.median(apart):.1%}, largest {max(apart):.1%}",
        f"a run's interval holds a later run's figure in {held} of {cases} cases "
        f"({held / cases:.0%})",
        f"beyond their rounds the runs differ by {seen:.1%} (half-width of 95 %): that or more is "
        "what energy.drift in params.yaml should be on this machine",
        f"the tracker's overhead is {max(floors):.2%} of a window or less",
        f"seconds per run: {', '.join(f'{s:.0f}' for s in seconds)}",
        f"cores that neighbours kept busy, run by run: "
        f"{', '.join(f'{cores:.2f}' for cores in neighbours)}",
    ]
    if clock:
        lines.append(f"tracker / CPU clock: from {min(clock):.4f} to {max(clock):.4f}")
    if max(neighbours) > energy.BUSY_NEIGHBOURS / 2 or max(apart) > 0.05:
        lines.append(
            "NOT A QUIET MACHINE: neighbours that keep cores busy, or a host that is not seen from "
            "here (other guests, clock rate, caches), changed between these runs; intervals of a "
            "single run are too narrow for that. Measure again when nothing else runs."
        )
    return "\n".join(lines)


def drift(by_key: Sequence[Mapping[tuple[str, int], Row]]) -> float:
    """Half-width, as a share, by which a later run differs from an earlier one beyond its rounds.

    Of each figure the variance between the runs, less what the rounds within them explain, pooled
    over the figures; a difference of two runs has twice that variance.
    """
    between = []
    for key in by_key[0]:
        rows = [run[key] for run in by_key]
        figures = np.array([row["energy_j"] for row in rows]) / rows[0]["energy_j"]
        # A half-width is that of a difference of two runs: of one run it is less by root 2.
        within = [row["half_width_by_rounds"] / (1.96 * np.sqrt(2)) for row in rows]
        between.append(figures.var(ddof=1) - np.mean(np.square(within)))
    return float(1.96 * np.sqrt(2 * max(0.0, np.mean(between))))


def misranked(by_key: Sequence[Mapping[tuple[str, int], Row]]) -> str:
    """Pairs that two runs rank in opposite order, both beyond their intervals."""
    found = set()
    for one, other in itertools.combinations(by_key, 2):
        for a, b in itertools.combinations(one, 2):
            if a[1] != b[1]:
                continue
            if _below(one[a], one[b]) and _below(other[b], other[a]):
                found.add(f"{a[0]} and {b[0]} at {a[1]}")
            if _below(one[b], one[a]) and _below(other[a], other[b]):
                found.add(f"{a[0]} and {b[0]} at {a[1]}")
    return "; ".join(sorted(found))


def _below(a: Row, b: Row) -> bool:
    return bool(a["energy_j_high"] < b["energy_j_low"])


def main() -> None:
    """Run the protocol on the trained models, three times over."""
    settings = params.load()
    X, _ = files.load_images("test", settings.data.name)
    models = {model: (files.model_path(model), X) for model in settings.pool}
    protocol = settings.energy.model_dump(exclude={"batch_size"})
    runs = []
    for run in range(RUNS):
        print(f"run {run + 1} of {RUNS}")
        runs.append(energy.benchmark(models, announce=print, **protocol))
    print(compare(runs, settings.pool[-1]))


if __name__ == "__main__":
    with reported():
        main()
