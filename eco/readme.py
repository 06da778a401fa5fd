"""The results in README.md, generated from metrics/ so that no figure is typed in by hand."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eco import files, params
from eco.errors import FileError, reported

RESULTS = (
    "<!-- results: made by `make readme` from metrics/ and plots/ -->",
    "<!-- end of results -->",
)
SESSION = (
    "<!-- session: run by `make readme` in a clone of the last commit -->",
    "<!-- end of session -->",
)
FOOTPRINT = (
    "<!-- footprint: made by `make readme` from metrics/footprint.json -->",
    "<!-- end of footprint -->",
)
THRESHOLDS = "cascading.thresholds=[0.95,0.9,0.85,0.0]"


def results() -> str:
    """The table of results as Markdown: every model alone and every strategy, on test."""
    chain = params.load().cascading
    rows = files.load_json(files.rows_path("accuracy_energy"), "compare")
    points = [row for row in rows if row["strategy"] in ("model", "cascade", "router", "oracle")]
    reference = [row for row in points if row["strategy"] == "model"][-1]
    lines = [
        f"| | accuracy | accuracy kept | µJ per prediction | energy, {reference['name']} = 1 "
        "| 95 % interval |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in points:
        lines.append(
            f"| {_label(row, chain)} | {row['accuracy']:.2%} "
            f"| {row['accuracy'] / reference['accuracy']:.1%} | {1e6 * row['energy_j']:.4g} "
            f"| {row['energy_share']:.4f} "
            f"| {row['energy_share_low']:.4f} to {row['energy_share_high']:.4f} |"
        )
    return "\n".join(lines)


def footprint() -> str:
    """Energy, emissions and break-even of a thousand predictions as Markdown."""
    rows = files.load_json(files.metrics_path("footprint"), "footprint")["footprint"]
    lines = [
        "| per 1,000 predictions | mWh | mg CO2e | training beyond the largest model, kJ "
        "| has paid for it |",
        "|---|---:|---:|---:|---|",
    ]
    labels = {"always_last": "always the largest model"}
    for name, row in rows.items():
        lines.append(
            f"| {labels.get(name, name)} | {1e3 * row['wh_per_1000']:.3g} "
            f"| {1e3 * row['g_co2e_per_1000']:.3g} | {row['extra_training_j'] / 1e3:.3g} "
            f"| {row.get('pays', '')} |"
        )
    return "\n".join(lines)


def _label(row: Mapping[str, Any], chain: params.Cascading) -> str:
    match row["strategy"]:
        case "model":
            return f"always {row['name']}"
        case "oracle":
            rule = row["name"].removeprefix("oracle: ")
            return f"oracle, none right goes to the {rule} model"
        case "router":
            return "**routing**, the router's own energy included"
    thresholds = chain.presets.get(row["name"], chain.chosen_thresholds)
    listed = ", ".join(str(threshold) for threshold in thresholds)
    return f"**cascading**, {row['name']} [{listed}]"


def session() -> str:
    """What DVC prints of a threshold experiment in a fresh clone of the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        clone = f"{folder}/clone"
        _run(".", "git", "clone", "--quiet", ".", clone)
        _run(clone, "dvc", "exp", "run", "--allow-missing", "-S", THRESHOLDS)
        return f"```console\n$ dvc metrics diff\n{_run(clone, 'dvc', 'metrics', 'diff')}```"


def _run(folder: str, *command: str) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def between(marks: tuple[str, str], text: str) -> str:
    """What stands between two marks, each of which must occur once."""
    for mark in marks:
        if text.count(mark) != 1:
            raise FileError(f"README.md must hold {mark!r} once, got {text.count(mark)}.")
    return text.split(marks[0])[1].split(marks[1])[0]


def refresh(readme: Path) -> None:
    """Put the present results and a real session between the marks of `readme`."""
    text = readme.read_text(encoding="utf-8")
    for marks, fresh in ((RESULTS, results), (FOOTPRINT, footprint), (SESSION, session)):
        old = between(marks, text)
        text = text.replace(f"{marks[0]}{old}{marks[1]}", f"{marks[0]}\n{fresh()}\n{marks[1]}")
    with files.replacing(readme) as stream:
        stream.write(text.encode())


if __name__ == "__main__":
    with reported():
        refresh(Path(sys.argv[1]))
