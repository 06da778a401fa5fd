"""The results in README.md, generated from metrics/ so that no figure is typed in by hand."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from eco import files, params
from eco.cascading import is_same
from eco.errors import FileError, reported

RESULTS = (
    "<!-- results: made by `make readme` from metrics/ and plots/ -->",
    "<!-- end of results -->",
)
FOUND = ("<!-- found: made by `make readme` from metrics/ and plots/ -->", "<!-- end of found -->")
DOCTOR = ("<!-- doctor: made by `make readme` from metrics/ -->", "<!-- end of doctor -->")
SESSION = (
    "<!-- session: run by `make readme` in a clone of the last commit -->",
    "<!-- end of session -->",
)
FOOTPRINT = (
    "<!-- footprint: made by `make readme` from metrics/footprint.json -->",
    "<!-- end of footprint -->",
)
THRESHOLDS = "cascading.thresholds=[0.95,0.9,0.85,0.0]"
FORMATS = (
    "<!-- formats: made by `make readme` from plots/formats.json -->",
    "<!-- end of formats -->",
)
HEAD = (
    "| | accuracy | points lost | energy realised, {0} = 1 | modelled "
    "| realised, {0} in floats = 1 |\n|---|---:|---:|---:|---:|---:|"
)
METERED = (
    "<!-- metered: made by `make readme` from plots/metered.json -->",
    "<!-- end of metered -->",
)


def results() -> str:
    """The table of results as Markdown: every model alone, and the strategies, on test."""
    settings = params.load()
    models = files.load_metric("models", ["models"], "compare")
    *_, (reference, best) = models.items()
    lines = [HEAD.format(reference)]
    for name, row in models.items():
        lost = 100 * (best["accuracy"] - row["accuracy"])
        lines.append(f"| always {name} | {row['accuracy']:.2%} | {lost:.2f} | | {_energy(row)} | |")
    frontier = files.load_metric("frontier", ["frontier"], "evaluate_frontier")
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
        lines.append(_line(f"**cascade, tuned** {limit}", _named("tuned") | frontier["tuned"]))
    if "certified" in frontier:
        told = f"to harm at most {bound.max_harm:g} points, at {100 * (1 - bound.delta):.10g} %"
        lines.append(
            _line(f"**cascade, certified** {told}", _named("certified") | frontier["certified"])
        )
    lines += [_line(ROUTERS.get(row["name"], row["name"]), row) for row in _rows("routing")]
    for row in _rows("accuracy_energy"):
        if row["strategy"] == "oracle":
            rule = row["name"].removeprefix("oracle: ")
            lost = 100 * (best["accuracy"] - row["accuracy"])
            lines.append(
                f"| oracle, none right goes to the {rule} model | {row['accuracy']:.2%} "
                f"| {lost:.2f} | | {_energy(row)} | |"
            )
    return "\n".join(lines)


#: What a setting was found for, as the table says it.
AT = {
    "loss_0": "to lose 0",
    "loss_0_5": "to lose 0.5",
    "loss_1": "to lose 1",
    "loss_2": "to lose 2",
    "retention_95": "to keep 95 %",
}
#: The routers as the table calls them.
ROUTERS = {
    "router": "router on the oracle's labels (the original study's)",
    "price_router": "router on pixels, P(correct) against a price",
    "price_router, certified": "router on pixels, certified",
    "probe_router": "router on a probe's answer",
    "probe_router, certified": "router on a probe's answer, certified",
    "probe_cascade": "router on a probe's answer that goes on if unsure",
    "probe_cascade, certified": "router on a probe's answer that goes on if unsure, certified",
}


def found() -> str:
    """What tuning found for each loss, beside what published rules find, as Markdown."""
    rows = _rows("strategies")
    frontier = files.load_metric("frontier", ["frontier"], "evaluate_frontier")
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
    areas = frontier["mean_accuracy_over_log_energy_0_01_to_1"]
    areas["tuned cascade"] = areas.pop("accuracy")
    listed = ", ".join(f"{rule} {area:.4f}" for rule, area in areas.items())
    gains = [
        f"{key.removeprefix('against_').replace('_', ' ')} {AT[at]}: "
        f"{g['gain_points']:+.2f} [{g['gain_points_low']:+.2f}, {g['gain_points_high']:+.2f}]"
        for key, losses in frontier.items()
        if key.startswith("against_")
        for at, g in losses.items()
    ]
    routers = [
        f"{row['name'].replace('_', ' ')} {row['tuned_cascade_gain_points']:+.2f} "
        f"[{row['tuned_cascade_gain_points_low']:+.2f}, "
        f"{row['tuned_cascade_gain_points_high']:+.2f}]"
        for row in _rows("routing")
        if "tuned_cascade_gain_points" in row
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Mean accuracy over the logarithm of the energy share from 0.01 to 1: {listed}.",
            "",
            "Points of accuracy by which the tuned cascade is ahead of a rule within the energy "
            f"that the rule needs, both found on the tuning images: {'; '.join(gains)}.",
            "",
            "The same ahead of each router, at the router's energy (in brackets the 95 % interval; "
            f"one that holds 0 says that neither is better): {'; '.join(routers)}.",
        ]
    )


def examined() -> str:
    """What the pool doctor found, as Markdown."""
    findings = files.load_metric("doctor", ["doctor"], "compare")
    lines = [f"| {check.replace('_', ' ')} | {told} |" for check, told in findings.items()]
    return "\n".join(["| check | finding |", "|---|---|", *lines])


def footprint() -> str:
    """Energy, emissions and break-even of a thousand predictions as Markdown."""
    rows = files.load_metric("footprint", ["footprint"], "footprint")
    lines = [
        "| per 1,000 predictions | mWh | mg CO2e | training beyond the largest model, kJ "
        "| has paid for it |",
        "|---|---:|---:|---:|---|",
    ]
    labels = {"always_last": "always the largest model", "tuned": "cascade, tuned"}
    labels |= {"certified": "cascade, certified"}
    labels |= {name.replace(", ", "_"): label for name, label in ROUTERS.items()}
    for name, row in rows.items():
        lines.append(
            f"| {labels[name]} | {1e3 * row['wh_per_1000']:.3g} "
            f"| {1e3 * row['g_co2e_per_1000']:.3g} | {row.get('extra_training_j', 0) / 1e3:.3g} "
            f"| {row.get('pays', '')} |"
        )
    return "\n".join(lines)


def formats() -> str:
    """What each model would take in each format at the batch size of the study, as Markdown."""
    batch_size = params.load().energy.batch_size
    rows = files.load_rows("formats", ["model", "format", "energy_j"], "compare_formats")
    joules: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["batch_size"] == batch_size:
            joules.setdefault(row["format"], {})[row["model"]] = row["energy_j"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    head = [f"| µJ per image, {batch_size} a call | {' | '.join(models)} |"]
    head.append("|---|" + "---:|" * len(models))
    cheapest = {m: min(of[m] for of in joules.values() if m in of) for m in models}

    def cell(of: Mapping[str, float], model: str) -> str:
        if model not in of:
            return ""
        figure = f"{1e6 * of[model]:.3g}"
        return f"**{figure}**" if of[model] == cheapest[model] else figure

    lines = [
        f"| {name} | {' | '.join(cell(of, model) for model in models)} |"
        for name, of in joules.items()
    ]
    return "\n".join(head + lines)


def _rows(name: str) -> list[dict[str, Any]]:
    stage = {"strategies": "evaluate_frontier", "routing": "evaluate_routing"}.get(name, "compare")
    return files.load_rows(name, ["strategy", "name"], stage)


def _named(name: str) -> dict[str, Any]:
    """The strategy of that name, with its models and thresholds."""
    return next(row for row in _rows("strategies") if row["name"] == name)


def _line(label: str, row: Mapping[str, Any]) -> str:
    ran = next((found for found in _metered() if is_same(found, row)), {})
    shares = [_interval(ran, key) for key in ("energy_share", "share_of_trained")]
    told = [f"{row['accuracy']:.2%}", _points(row), shares[0], _energy(row), shares[1]]
    return f"| {label} | {' | '.join(told)} |"


def _metered() -> list[dict[str, Any]]:
    """What was metered at the batch size of the study."""
    batch_size = params.load().energy.batch_size
    rows = files.load_rows("metered", ["name", "batch_size", "energy_share"], "meter")
    return [row for row in rows if row["batch_size"] == batch_size]


def metered() -> str:
    """What the running strategies took, as Markdown."""
    rows = files.load_rows("metered", ["name", "batch_size", "energy_share"], "meter")
    lines = [
        "| | images per call | µJ per image | share of always the last | of it as trained "
        "| realised / modelled | images per s | ms a call, half / 95 % / 99 % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        low, high = (1e6 * row[f"energy_j_{end}"] for end in ("low", "high"))
        ratio = row.get("realised_over_modelled")
        waits = [row.get(f"latency_p{level}_ms") for level in (50, 95, 99)]
        listed = " / ".join(f"{wait:.2g}" for wait in waits if wait is not None)
        lines.append(
            f"| {row['name'].replace('_', ' ')} | {row['batch_size']:,} "
            f"| {1e6 * row['energy_j']:.3g} [{low:.3g}, {high:.3g}] | {_energy(row)} "
            f"| {_interval(row, 'share_of_trained')} "
            f"| {'' if ratio is None else f'{ratio:.2f}'} | {row['throughput_per_s']:,.0f} "
            f"| {listed} |"
        )
    return "\n".join(lines)


def _points(row: Mapping[str, Any]) -> str:
    low, high = row["accuracy_loss_points_low"], row["accuracy_loss_points_high"]
    return f"{row['accuracy_loss_points']:.2f} [{low:.2f}, {high:.2f}]"


def _energy(row: Mapping[str, Any]) -> str:
    return _interval(row, "energy_share")


def _interval(row: Mapping[str, Any], key: str) -> str:
    """A share with its interval; nothing, where the row has none of that name."""
    if key not in row:
        return ""
    bounds = [row[f"{key}_{end}"] for end in ("low", "high")]
    low, high = ("unknown" if bound is None else f"{bound:.4f}" for bound in bounds)
    return f"{row[key]:.4f} [{low}, {high}]"


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
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines()[-1:]
        raise FileError(f"{' '.join(command)} failed in a clone of the last commit: {said}")
    return result.stdout


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
    (METERED, metered),
    (FORMATS, formats),
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
