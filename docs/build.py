"""Fill the generated blocks of README.md and docs/*.md from results, schema and a real experiment.

A block stands between ``<!-- begin: NAME -->`` and ``<!-- end: NAME -->``, and
docs/templates/NAME.md.j2 makes it. ``python docs/build.py`` fills all of them; with ``--check`` it
writes nothing and fails if a block isn't up to date. The check leaves the experiment out, which
runs the pipeline.
"""

import functools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from eco.atomic import replacing
from eco.errors import FileError, reported
from eco.evaluation.frontier import LOSSES
from eco.models.settings import kinds, settings_class
from eco.report import tables
from eco.report.rows import Row, strategy_of
from eco.report.study import Study, load_study
from eco.strategies.names import CERTIFIED, OTHER_CERTIFIED, as_key, strategy_name
from eco.strategies.routing import KINDS
from eco.workflow import artifacts, params
from eco.workflow.schema import Params

TEMPLATES = Path(__file__).parent / "templates"
BLOCK = re.compile(r"(<!-- begin: (\w+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)
MARK = re.compile(r"<!-- (?:begin|end): \w+ -->")

#: The experiment of the README, and the metrics of it that are shown.
EXPERIMENT = "cascading.thresholds=[0.95,0.9,0.85,0.0]"
METRICS = ("accuracy", "accuracy_loss_points", "harm", "energy_share")
STAGES = ("evaluate_cascading", "compare")

#: The routers as the tables call them.
LABELS = {
    "router": "router on oracle labels (the original study's)",
    "price_router": "router on pixels, P(correct) against a price",
    "price_router, certified": "router on pixels, certified",
    "probe_router": "router on a probe's probabilities",
    "probe_router, certified": "router on a probe's probabilities, certified",
    "probe_cascade": "router on a probe's probabilities, with fallback",
    "probe_cascade, certified": "router on a probe's probabilities, with fallback, certified",
    "oracle: last": "oracle, what none gets right goes to the last model",
    "oracle: cheapest": "oracle, what none gets right goes to the cheapest model",
}
#: The same for keys of metrics/footprint.json.
FOOTPRINTS = {"always_last": "always the last model", "tuned": "cascade, tuned"}
FOOTPRINTS |= {"certified": "cascade, certified"}
FOOTPRINTS |= {name: f"cascade, certified for {of}" for of, name in OTHER_CERTIFIED.items()}
FOOTPRINTS |= {as_key(name): label for name, label in LABELS.items()}
#: Cascades for a target, by name.
FOUND = ("tuned", "certified", *OTHER_CERTIFIED.values())


def main(check: bool) -> None:
    """Fill the blocks, or fail if they aren't up to date."""
    render = renderer()
    stale = []
    for path in [Path("README.md"), *sorted(Path("docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        fresh = fill(text, render, str(path), skip=("experiment",) if check else ())
        if fresh != text:
            stale.append(str(path))
            if not check:
                with replacing(path) as stream:
                    stream.write(fresh.encode())
    if check and stale:
        raise FileError(f"not up to date: {', '.join(stale)}", "Write them with: make docs")
    print("written" if stale else "up to date", *stale)


def fill(text: str, render: Callable[[str], str], path: str, skip: tuple[str, ...] = ()) -> str:
    """The text with its blocks filled.

    Raises
    ------
    FileError
        If a mark stands alone.
    """
    blocks = list(BLOCK.finditer(text))
    if len(MARK.findall(text)) != 2 * len(blocks):
        raise FileError(
            f"{path} must hold marks in pairs, <!-- begin: NAME --> and <!-- end: NAME -->",
            "Bring the missing one back.",
        )

    def block(match: re.Match[str]) -> str:
        begin, name, old, end = match.groups()
        return begin + (old if name in skip else f"{render(name).strip()}\n") + end

    return BLOCK.sub(block, text)


def renderer() -> Callable[[str], str]:
    """A function that makes the content of a block."""
    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,  # Markdown: the filter `cell` escapes what tables hold
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters["cell"] = lambda value: str(value).replace("|", "\\|").replace("\n", " ")
    settings = params.load()
    study = load_study(settings)
    values = {
        "study": study,
        "settings": settings,
        "tables": tables,
        "labels": LABELS | cascade_labels(study),
        "footprints": FOOTPRINTS,
        "found": FOUND,
        "targets": artifacts.TARGET_ROWS.load(),
        "experiment": EXPERIMENT,
        "headline": functools.partial(headline, study),
        "formats": functools.partial(formats, settings.energy.batch_size),
        "gains": gains,
        "router_gains": functools.partial(router_gains, study),
        "setting_tables": functools.partial(setting_tables, settings),
        "difference": functools.cache(difference),
    }

    def render(name: str) -> str:
        if not (TEMPLATES / f"{name}.md.j2").is_file():
            raise FileError(
                f"nothing makes the block {name}: {TEMPLATES / name}.md.j2 is missing",
                "Write the template, or take the block out.",
            )
        return templates.get_template(f"{name}.md.j2").render(values)

    return render


def cascade_labels(study: Study) -> dict[str, str]:
    """What the presets, and the tuned and the certified cascades, are called in the tables."""
    goal, bound = study.settings.tuning, study.settings.certification
    aim = {
        "max_accuracy_loss": f"to lose at most {goal.max_accuracy_loss:g} points",
        "energy_budget": f"for {goal.energy_budget:g} of the energy",
    }[goal.target]
    presets = {name: f"cascade, preset {name}" for name in study.settings.cascading.presets}
    found = {"tuned": f"**cascade, tuned** {aim}"}
    loss, harm = f"lose at most {bound.max_loss:g}", f"harm at most {bound.max_harm:g}"
    for of, limit in {"loss": loss, "harm": harm}.items():
        name = CERTIFIED if of == bound.of else OTHER_CERTIFIED[of]
        promise = f"to {limit} points, at {100 * (1 - bound.delta):g} %"
        found[name] = f"**cascade, certified** {promise}"
    return presets | found


def headline(study: Study) -> list[tuple[str, Row]]:
    """Labels and rows of the README's table.

    The router is the cheapest of those that are tuned for the same target as the cascade.
    """
    tuned = [row for row in study.routing if row["name"] in KINDS[1:]]
    best = min(tuned, key=lambda row: row["energy_share"], default=None)
    router = next((row for row in study.routing if row["name"] == "router"), None)
    names = cascade_labels(study)
    last, size = study.models[-1]["name"], study.settings.energy.batch_size
    ran = {row["name"]: row for row in study.metered if row["batch_size"] == size}
    as_trained = ran.pop(strategy_name("as trained", strategy_name("model", last)), None)
    # Only beside images it is metered, and is no strategy.
    original = next((row for row in ran.values() if not strategy_of(row)), None)
    quantization = artifacts.QUANTIZATION_METRICS.value("quantization", last, model=last)
    in_floats = {"accuracy": quantization["float_accuracy"]}
    rows = [
        ("the original study's largest model, as it runs it", original),
        (f"always *{last}*, in floats, as trained", as_trained and {**as_trained, **in_floats}),
        (f"always *{last}*, the largest model", study.models[-1]),
        *((names[name], study.named(name)) for name in FOUND[:2]),
        (f"cheapest router tuned for the same: {best['name']}" if best else "", best),
        ("the original study's router", router),
    ]
    return [(label, row) for label, row in rows if row is not None]


def formats(batch_size: int) -> pd.DataFrame:
    """µJ per prediction of each model in each format; the cheapest of each model in bold."""
    rows = [row for row in artifacts.FORMAT_ROWS.load() if row["batch_size"] == batch_size]
    energy_uj = 1e6 * pd.DataFrame(rows).pivot_table("energy_j", "format", "model", sort=False)
    text = energy_uj.map(lambda uj: f"{uj:.3g}" if uj < 1000 else f"{uj:,.0f}").where(
        energy_uj.notna(), ""
    )
    text = text.where(energy_uj != energy_uj.min(), "**" + text + "**")
    return text.rename_axis(f"µJ per prediction, {batch_size} per call").reset_index()


def gains() -> pd.DataFrame:
    """Points by which the tuned cascade is ahead of each published rule, by what is kept."""
    frontier = artifacts.FRONTIER_METRICS.value("frontier")
    areas = frontier["mean_accuracy_over_log_energy_0_01_to_1"]
    columns = {key: f"to lose {loss:g}" for key, loss in LOSSES.items()}
    columns["retention_95"] = "to keep 95 %"
    lines = [{"rule": "tuned cascade", "mean accuracy": f"{areas['accuracy']:.4f}"}]
    for rule in areas:
        if rule != "accuracy":
            ahead = frontier.get(f"against_{rule}".replace(" ", "_"), {})
            line = {"rule": rule, "mean accuracy": f"{areas[rule]:.4f}"}
            for key, title in columns.items():
                line[title] = tables.with_interval(ahead.get(key, {}), "gain_points", "+.2f")
            lines.append(line)
    return pd.DataFrame(lines).fillna("")


def router_gains(study: Study) -> pd.DataFrame:
    """Points by which the tuned cascade is ahead of each router, at the router's energy."""
    key = "tuned_cascade_gain_points"
    return pd.DataFrame(
        {
            "router": LABELS.get(row["name"], row["name"]),
            "points ahead": tables.with_interval(row, key, "+.2f"),
        }
        for row in study.routing
        if key in row
    )


def setting_tables(settings: Params) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Title, description and table of each section of params.yaml, and of each kind of model."""
    schema, values = Params.model_json_schema(), settings.model_dump(by_alias=True)
    yield "Top level", "", _leaves(schema["properties"], values, "")
    yield from _sections(schema["properties"], schema["$defs"], values, "")
    used = {model: section.kind for model, section in settings.models.items()}
    for kind in kinds():
        of_kind = [model for model, its_kind in used.items() if its_kind == kind]
        schema = settings_class(kind).model_json_schema()
        example = values["models"][of_kind[0]] if of_kind else {}
        models = f"In the study: {', '.join(of_kind)}." if of_kind else ""
        text = " ".join(filter(None, (schema.get("description", ""), models)))
        yield f"models.NAME of kind {kind}", text, _leaves(schema["properties"], example, "")


def _sections(
    properties: Row, definitions: Row, values: Row, prefix: str
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for name, field in properties.items():
        if "$ref" in field:
            section = definitions[Path(field["$ref"]).name]
            inner, dotted = section["properties"], f"{prefix}{name}."
            table = _leaves(inner, values[name], dotted)
            yield f"{prefix}{name}", section.get("description", ""), table
            yield from _sections(inner, definitions, values[name], dotted)


def _leaves(properties: Row, values: Row, prefix: str) -> pd.DataFrame:
    """The settings of a section that are no sections themselves, with their values in the study."""
    return pd.DataFrame(
        {
            "setting": f"`{prefix}{name}`",
            "in the study": _code(values[name]) if name in values else "",
            "meaning": field.get("description", ""),
        }
        for name, field in properties.items()
        if "$ref" not in field
    )


def _code(value: Any) -> str:
    return "" if isinstance(value, Mapping) else f"`{json.dumps(value)}`"


def difference() -> pd.DataFrame:
    """Lines that `dvc metrics diff` prints of the experiment in a clone of the last commit."""
    with tempfile.TemporaryDirectory() as folder:
        clone = f"{folder}/clone"
        _run(".", "git", "clone", "--quiet", ".", clone)
        if "up to date" not in _run(clone, "dvc", "repro", "--allow-missing", "--dry"):
            raise FileError(
                "dvc.lock of the last commit must be of its code and settings; an experiment would "
                "train there",
                "Commit the results first: dvc repro, git add -A, git commit",
            )
        _run(clone, "dvc", "exp", "run", "--allow-missing", "-S", EXPERIMENT, *STAGES)
        header, *lines = _run(clone, "dvc", "metrics", "diff").splitlines()
    shown = [f"cascading.{name}" for name in METRICS]
    rows = [line.split() for line in lines]
    return pd.DataFrame([row for row in rows if row[1] in shown], columns=header.split())


def _run(folder: str, *command: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        message = (result.stderr or result.stdout).strip()[-500:]
        raise FileError(
            f"{' '.join(command)} failed in a clone of the last commit: {message}",
            "Commit what it needs, and run again.",
        )
    return result.stdout


if __name__ == "__main__":
    with reported():
        main("--check" in sys.argv[1:])
