"""Repeat the whole energy protocol three times and compare the runs: `make measurecheck`.

Do the runs rank the models alike wherever their intervals don't overlap, how far apart are the
ratios to the largest model, how often does a run's interval hold a later figure, do tracker and
CPU clock agree, and what does the tracker itself cost. A busy machine is named.
"""

import itertools
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from eco.energy.benchmark import benchmark
from eco.energy.measurement import Measurement, Measurements
from eco.energy.protocol import BUSY_NEIGHBOURS
from eco.errors import reported
from eco.workflow import params
from eco.workflow.artifacts import MODEL, SPLITS

RUNS = 3
#: The measurements of one run, by name and batch size.
ByKey = Mapping[tuple[str, int], Measurement]


def by_key(run: Measurements) -> ByKey:
    """The measurements of one run, by name and batch size."""
    return {(row.name, row.batch_size): row for row in run.rows}


def compare(runs: Sequence[Measurements], reference: str) -> str:
    """The comparison of complete runs of the protocol, as text.

    Parameters
    ----------
    runs : sequence of Measurements
    reference : str
        The largest model.
    """
    keyed = [by_key(run) for run in runs]
    lines = [f"{'':10} {'batch':>6}  {'µJ per sample, run by run':32} ratio to {reference}"]
    apart = []
    for name, size in keyed[0]:
        figures = [run[name, size].energy_j for run in keyed]
        ratios = [run[name, size].energy_j / run[reference, size].energy_j for run in keyed]
        apart.append(max(ratios) / min(ratios) - 1)
        shown = "  ".join(f"{1e6 * figure:9.4g}" for figure in figures)
        lines.append(
            f"{name:10} {size:6}  {shown:32} "
            f"{'  '.join(f'{ratio:.4f}' for ratio in ratios)}  (apart {apart[-1]:.1%})"
        )
    pairs = [(a[key], b[key]) for key in keyed[0] for a, b in itertools.combinations(keyed, 2)]
    held = sum(a.energy_j_low <= b.energy_j <= a.energy_j_high for a, b in pairs)
    contradictions = "; ".join(f"{a} and {b} at {size}" for a, b, size in misranked(keyed))
    lines += [
        f"rankings that contradict each other beyond their intervals: {contradictions or 'none'}",
        f"ratios to {reference} apart: median {np.median(apart):.1%}, largest {max(apart):.1%}",
        f"a run's interval holds a later run's figure in {held} of {len(pairs)} cases "
        f"({held / len(pairs):.0%})",
        f"beyond their rounds the runs differ by {drift(keyed):.1%} (half-width of 95 %): that or "
        "more is what energy.drift in params.yaml should be on this machine",
        *about_the_machine(runs, max(apart)),
    ]
    return "\n".join(lines)


def about_the_machine(runs: Sequence[Measurements], apart: float) -> list[str]:
    """Lines about tracker, clock and neighbours."""
    neighbours = [run.provenance["neighbours_mean_cores"] for run in runs]
    seconds = [run.provenance["seconds"] for run in runs]
    overhead = max(run.provenance["floor_share_of_window"] for run in runs)
    clock = [row.tracker_over_clock for run in runs for row in run.rows if row.tracker_over_clock]
    lines = [
        f"the tracker's overhead is {overhead:.2%} of a window or less",
        f"seconds per run: {', '.join(f'{s:.0f}' for s in seconds)}",
        "cores that neighbours kept busy, run by run: "
        f"{', '.join(f'{cores:.2f}' for cores in neighbours)}",
    ]
    if clock:
        lines.append(f"tracker / CPU clock: from {min(clock):.4f} to {max(clock):.4f}")
    if max(neighbours) > BUSY_NEIGHBOURS / 2 or apart > 0.05:
        lines.append(
            "NOT A QUIET MACHINE: neighbours that keep cores busy, or a host that is not seen from "
            "here (other guests, clock rate, caches), changed between these runs; intervals of a "
            "single run are too narrow for that. Measure again when nothing else runs."
        )
    return lines


def drift(runs: Sequence[ByKey]) -> float:
    """Half-width, as a share, by which a later run differs from an earlier one beyond its rounds.

    Of each figure the variance between the runs, less what the rounds within them explain, pooled
    over the figures; a difference of two runs has twice that variance.
    """
    between = []
    for key in runs[0]:
        rows = [run[key] for run in runs]
        figures = np.array([row.energy_j for row in rows]) / rows[0].energy_j
        # A half-width is that of a difference of two runs: of one run it is less by root 2.
        within = [row.half_width_by_rounds / (1.96 * np.sqrt(2)) for row in rows]
        between.append(figures.var(ddof=1) - np.mean(np.square(within)))
    return float(1.96 * np.sqrt(2 * max(0.0, np.mean(between))))


def misranked(runs: Sequence[ByKey]) -> list[tuple[str, str, int]]:
    """Two models, at a batch size, that two runs rank in opposite order beyond their intervals."""

    def below(a: Measurement, b: Measurement) -> bool:
        return a.energy_j_high < b.energy_j_low

    contradictions = set()
    for one, other in itertools.permutations(runs, 2):
        for a, b in itertools.combinations(one, 2):
            if a[1] == b[1] and below(one[a], one[b]) and below(other[b], other[a]):
                contradictions.add((a[0], b[0], a[1]))
    return sorted(contradictions)


def main() -> None:
    """Run the protocol on the trained models, three times over."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("eco").setLevel(logging.INFO)
    settings = params.load()
    X, _ = SPLITS.load(split="test", dataset=settings.data.name)
    models = {model: (MODEL.path(model=model), X) for model in settings.pool}
    runs = []
    for run in range(RUNS):
        print(f"run {run + 1} of {RUNS}")
        runs.append(benchmark(models, settings.energy))
    print(compare(runs, settings.pool[-1]))


if __name__ == "__main__":
    with reported():
        main()
