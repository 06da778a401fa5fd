"""The results in README.md, generated from metrics/ so that no figure is typed in by hand."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from eco import files, params
from eco.errors import FileError, reported

RESULTS = (
    "<!-- results: made by `make readme` from metrics/ and plots/ -->",
    "<!-- end of results -->",
)
FOUND = ("<!-- found: made by `make readme` from metrics/ and plots/ -->", "<!-- end of found -->")
DOCTOR = (
    "<!-- doctor: made by `make readme` from metrics/doctor.json -->",
    "<!-- end of doctor -->",
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
HEAD = "| | accuracy | points lost | energy, {} = 1 |\n|---|---:|---:|---:|"


def results() -> str:
    """The table of results as Markdown: every model alone, and the strategies, on test."""
    settings = params.load()
    models = files.load_json(files.metrics_path("models"), "compare")["models"]
    *_, (reference, best) = models.items()
    lines = [HEAD.format(reference)]
    for name, row in models.items():
        lost = 100 * (best["accuracy"] - row["accuracy"])
        lines.append(f"| always {name} | {row['accuracy']:.2%} | {lost:.2f} | {_energy(row)} |")
    frontier = files.load_json(files.metrics_path("frontier"), "evaluate_frontier")["frontier"]
    presets = [row for row in _rows("strategies") if row["strategy"] == "preset"]
    thresholds = settings.cascading.presets
    for row in presets:
        listed = ", ".join(map(str, thresholds[row["name"]]))
        lines.append(_line(f"cascade, {row['name']} [{listed}]", row))
    goal, bound = settings.tuning, settings.certification
    if "tuned" in frontier:
        limit = {
            "max_accuracy_loss": f"to lose at most {goal.max_accuracy_loss:g} points",
            "energy_budget": f"for {goal.energy_budget:g} of the energy",
        }[goal.target]
        lines.append(_line(f"**cascade, tuned** {limit}", frontier["tuned"]))
    if "certified" in frontier:
        told = f"to harm at most {bound.max_harm:g} points, at {1 - bound.delta:.0%}"
        lines.append(_line(f"**cascade, certified** {told}", frontier["certified"]))
    lines += [_line(ROUTERS.get(row["name"], row["name"]), row) for row in _rows("routing")]
    for row in _rows("accuracy_energy"):
        if row["strategy"] == "oracle":
            rule = row["name"].removeprefix("oracle: ")
            lost = 100 * (best["accuracy"] - row["accuracy"])
            lines.append(
                f"| oracle, none right goes to the {rule} model | {row['accuracy']:.2%} "
                f"| {lost:.2f} | {_energy(row)} |"
            )
    return "\n".join(lines)


#: The routers as the table calls them.
ROUTERS = {
    "router": "router on the oracle's labels (the original study's)",
    "price_router": "router on pixels, P(correct) against a price",
    "price_router, certified": "the same, certified",
    "probe_router": "router on a probe's answer",
    "probe_router, certified": "the same, certified",
    "probe_cascade": "router on a probe's answer that goes on if unsure",
    "probe_cascade, certified": "the same, certified",
}


def found() -> str:
    """What tuning found for each loss, beside what published rules find, as Markdown."""
    rows = _rows("strategies")
    frontier = files.load_json(files.metrics_path("frontier"), "evaluate_frontier")["frontier"]
    lines = [
        "| found on the tuning images | points lost on test | energy share | thresholds |",
        "|---|---:|---:|---|",
    ]
    for row in rows:
        if row["strategy"] == "preset" or row["name"] in ("tuned", "certified"):
            continue
        pairs = zip_longest(row["models"].split(), row["thresholds"].split(), fillvalue="")
        chain = ", ".join(f"{model} {threshold}".strip() for model, threshold in pairs)
        name = f"**{row['name']}**" if row["strategy"] == "tuned" else row["name"]
        lines.append(f"| {name} | {_points(row)} | {_energy(row)} | {chain} |")
    areas = {key: value for key, value in frontier.items() if key.startswith("area_")}
    listed = ", ".join(
        f"{k.removeprefix('area_').replace('_', ' ')} {v:.4f}" for k, v in areas.items()
    )
    gains = [
        f"{key.removeprefix('against_').replace('_', ' ')} at {at.replace('_', ' ')}: "
        f"{g['gain_points']:+.2f} [{g['gain_points_low']:+.2f}, {g['gain_points_high']:+.2f}]"
        for key, losses in frontier.items()
        if key.startswith("against_")
        for at, g in losses.items()
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Mean accuracy over the logarithm of the energy share from 0.01 to 1: {listed}.",
            "",
            "Points of accuracy by which the tuned cascade is ahead of a rule within the energy "
            f"that the rule needs, both found on the tuning images: {'; '.join(gains)}.",
        ]
    )


def examined() -> str:
    """What the pool doctor found, as Markdown."""
    findings = files.load_json(files.metrics_path("doctor"), "compare")["doctor"]
    lines = [f"| {check.replace('_', ' ')} | {told} |" for check, told in findings.items()]
    return "\n".join(["| check | finding |", "|---|---|", *lines])


def footprint() -> str:
    """Energy, emissions and break-even of a thousand predictions as Markdown."""
    rows = files.load_json(files.metrics_path("footprint"), "footprint")["footprint"]
    lines = [
        "| per 1,000 predictions | mWh | mg CO2e | training beyond the largest model, kJ "
        "| has paid for it |",
        "|---|---:|---:|---:|---|",
    ]
    labels = {"always_last": "always the largest model", "tuned": "cascade, tuned"}
    labels |= {"certified": "cascade, certified"} | ROUTERS
    for name, row in rows.items():
        lines.append(
            f"| {labels[name]} | {1e3 * row['wh_per_1000']:.3g} "
            f"| {1e3 * row['g_co2e_per_1000']:.3g} | {row.get('extra_training_j', 0) / 1e3:.3g} "
            f"| {row.get('pays', '')} |"
        )
    return "\n".join(lines)


def _rows(name: str) -> list[dict[str, Any]]:
    stage = {"strategies": "evaluate_frontier", "routing": "evaluate_routing"}.get(name, "compare")
    return files.load_rows(name, ["strategy", "name"], stage)


def _line(label: str, row: Mapping[str, Any]) -> str:
    return f"| {label} | {row['accuracy']:.2%} | {_points(row)} | {_energy(row)} |"


def _points(row: Mapping[str, Any]) -> str:
    low, high = row["accuracy_loss_points_low"], row["accuracy_loss_points_high"]
    return f"{row['accuracy_loss_points']:.2f} [{low:.2f}, {high:.2f}]"


def _energy(row: Mapping[str, Any]) -> str:
    low, high = row["energy_share_low"], row["energy_share_high"]
    return f"{row['energy_share']:.4f} [{low:.4f}, {high:.4f}]"


def session() -> str:
    """What DVC prints of a threshold experiment in a fresh clone of the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        clone = f"{folder}/clone"
        _run(".", "git", "clone", "--quiet", ".", clone)
        _run(clone, "dvc", "exp", "run", "--allow-missing", "-S", THRESHOLDS)
        said = _run(clone, "dvc", "metrics", "diff")
        kept = [line for line in said.splitlines() if not line.rstrip().endswith("nan")]
        kept = [line for line in kept if "_low " not in line and "_high " not in line]
        return "```console\n$ dvc metrics diff    # without the bounds of the intervals\n" + (
            "\n".join(kept) + "\n```"
        )


def _run(folder: str, *command: str) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def between(marks: tuple[str, str], text: str) -> str:
    """What stands between two marks, each of which must occur once."""
    for mark in marks:
        if text.count(mark) != 1:
            raise FileError(f"README.md must hold {mark!r} once, got {text.count(mark)}.")
    return text.split(marks[0])[1].split(marks[1])[0]


TABLES = (
    (RESULTS, results),
    (FOUND, found),
    (DOCTOR, examined),
    (FOOTPRINT, footprint),
    (SESSION, session),
)


def refresh(readme: Path) -> None:
    """Put the present results and a real session between the marks of `readme`."""
    text = readme.read_text(encoding="utf-8")
    for marks, fresh in TABLES:
        old = between(marks, text)
        text = text.replace(f"{marks[0]}{old}{marks[1]}", f"{marks[0]}\n{fresh()}\n{marks[1]}")
    with files.replacing(readme) as stream:
        stream.write(text.encode())


if __name__ == "__main__":
    with reported():
        refresh(Path(sys.argv[1]))
