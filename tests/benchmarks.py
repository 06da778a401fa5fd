"""Timings of the arithmetic in process, and of DVC's commands side by side: `make bench`.

Ratios are of commands run in turn on one machine; single times on a shared one mean little.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from ruamel.yaml import YAML

from eco import files, params, tuning
from eco.cascading import cascade, cascade_energy_j, run_cascade
from eco.certification import resplit_violations
from eco.confidence import confidence, correct
from eco.scoring import operating_point
from tests.conftest import clone

RUNS = 5


def arithmetic() -> None:
    """One threshold setting on 10,000 samples, and 10,000 settings."""
    random = np.random.default_rng(0)
    confidence = random.random((10_000, 4))
    correct = random.random((10_000, 4)) < 0.9
    energy_j = np.array([1e-6, 1e-5, 1e-4, 1e-3])
    samples = np.arange(10_000)

    def evaluate(thresholds: np.ndarray) -> tuple[float, float]:
        answered_at = cascade(confidence, thresholds)
        right = correct[samples, answered_at].mean()
        return float(right), float(cascade_energy_j(answered_at, energy_j).mean())

    settings = np.column_stack([random.random((10_000, 3)), np.zeros(10_000)])
    begin = time.perf_counter()
    for thresholds in settings:
        evaluate(thresholds)
    seconds = time.perf_counter() - begin
    print(f"one setting on 10,000 samples: {seconds / 10:.3f} ms; 10,000 settings: {seconds:.1f} s")


def tuning_and_certification() -> None:
    """The committed pool: its frontier over all sub-chains, and 100 new splits of a certificate."""
    settings = params.load()
    pool, name, signal = settings.pool, settings.data.name, settings.cascading.confidence
    energy_j = files.load_energy(files.ENERGY, pool, settings.energy.batch_size, "benchmark")
    probabilities = files.load_predictions(pool, "tuning", name)
    right = correct(probabilities, files.load_labels("tuning", name))
    sure = confidence(probabilities, signal)
    begin = time.perf_counter()
    found = tuning.frontier(sure, right, energy_j, settings.tuning.settings_per_chain)
    bootstrap = [
        operating_point(
            *run_cascade(sure, setting.chain, setting.thresholds),
            right, energy_j, np.tile(energy_j, (5, 1)), pool,
        )
        for setting in found
    ]  # fmt: skip
    seconds = time.perf_counter() - begin
    print(
        f"tuning {len(pool)} models over all sub-chains on {len(right)} images, with intervals of "
        f"{len(bootstrap)} undominated settings: {seconds:.1f} s"
    )
    harmed = np.random.default_rng(0).random((400, 14_200)) < np.linspace(0, 0.05, 400)[:, None]
    begin = time.perf_counter()
    resplit_violations(harmed, 4200, np.array([0.005]), 0.05, 100, seed=0)
    print(f"certifying 400 settings on 100 new splits: {time.perf_counter() - begin:.1f} s")
    print(f"TensorFlow was {'' if 'tensorflow' in sys.modules else 'not '}imported")


def idle(folder: Path) -> None:
    """Make the one stage of a clone that follows from thresholds do nothing."""
    path = folder / "dvc.yaml"
    yaml = YAML()
    content = yaml.load(path)
    content["stages"]["evaluate_cascading"]["cmd"] = "true"
    with path.open("w") as stream:
        yaml.dump(content, stream)
    run(folder, "dvc", "commit", "-f", "evaluate_cascading")
    run(folder, "git", "commit", "-qam", "idle stages")


def run(folder: Path, *command: str) -> float:
    begin = time.perf_counter()
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{command}: {result.stdout}\n{result.stderr}")
    return time.perf_counter() - begin


def in_turn(label: str, ours: list[float], theirs: list[float]) -> None:
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    print(
        f"{label}: {statistics.median(ours):.2f} s to {statistics.median(theirs):.2f} s, ratio "
        f"median {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def commands() -> None:
    """DVC on this pipeline against DVC on one of equal size whose evaluation does nothing."""
    with tempfile.TemporaryDirectory() as temporary:
        ours, theirs = (clone(Path(temporary) / name) for name in ("ours", "idle"))
        idle(theirs)
        no_op: dict[Path, list[float]] = {ours: [], theirs: []}
        experiment: dict[Path, list[float]] = {ours: [], theirs: []}
        for turn in range(RUNS):
            for folder in (ours, theirs):
                override = f"cascading.thresholds=[0.9,0.8,{0.5 + turn / 100},0.0]"
                experiment[folder].append(
                    run(folder, "dvc", "exp", "run", "--allow-missing", "-S", override)
                )
                no_op[folder].append(run(folder, "dvc", "repro", "--allow-missing", "--dry"))
        in_turn("dvc exp run -S cascading.thresholds", experiment[ours], experiment[theirs])
        in_turn("dvc repro with nothing to do", no_op[ours], no_op[theirs])


if __name__ == "__main__":
    arithmetic()
    tuning_and_certification()
    commands()
