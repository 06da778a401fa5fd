"""dvc.yaml against the code that it runs, and dvc.lock against both."""

import ast
import importlib
import shutil
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grimp
import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import REPOSITORY, clone

PIPELINE = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
PARAMS = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
# What a stage over several models says of each stands under `do`.
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
DEAR = {"fetch", "sample", "train", "teach", "quantize", "calibrate", "predict", "benchmark",
        "compare_formats", "train_router", "benchmark_router", "meter"}  # fmt: skip
CHEAP = set(STAGES) - DEAR
#: Code that reads settings and files, declares types or names the machine: it decides no result
#: of a dear stage. eco.workflow is, too, but for what these stages take from it:
PLUMBING = {"eco.atomic", "eco.commands", "eco.errors", "eco.processes", "eco.models.settings",
            "eco.energy.machine", "eco.strategies.strategy", "eco.strategies.outcomes",
            "eco.strategies.decisions"}  # fmt: skip
DECIDING = {
    # How finely probabilities are kept.
    "predict": {"eco/strategies/confidence.py"},
    # Which strategies are metered.
    "meter": {"eco/workflow/selection.py", "eco/strategies/strategy.py",
              "eco/strategies/tuning.py"},
}  # fmt: skip
#: Folders of code that a dear stage may name.
WHOLE = {"compare_formats": {"eco/models"}, "meter": {"eco/runtime"}}


def paths(stage, *kinds):
    entries = [entry for kind in kinds for entry in STAGES[stage].get(kind, [])]
    return {next(iter(e)) if isinstance(e, dict) else e for e in entries}


def code(stage):
    """Files and folders of code among the dependencies, in no kind of model's file."""
    deps = {path for path in paths(stage, "deps") if path.startswith(("eco/", "stages/"))}
    return deps - {"eco/models/kinds/${item.kind}.py"}


@cache
def imports():
    graph = grimp.build_graph("eco", "stages", cache_dir=None)
    for module in graph.modules:
        if module in PLUMBING or module == "eco.workflow":
            graph.remove_module(module)
    return graph


def reached(stage, workflow=False):
    """Every file of eco that a stage imports, and its script, as paths."""
    graph = imports()
    found, new = set(), {f"stages.{stage}"}
    while new:
        found |= new
        new = {m for module in new for m in graph.find_modules_directly_imported_by(module)}
        new -= found | (
            {m for m in new if m.startswith("eco.workflow.")} if not workflow else set()
        )
    files = {Path(module.replace(".", "/") + ".py") for module in found}
    return {str(file) for file in files if (REPOSITORY / file).exists()}


@cache
def syntax(module):
    return ast.parse(Path(importlib.util.find_spec(module).origin).read_text())


def settings_read(module: str, node: ast.AST, seen: set[str]) -> Iterator[str]:
    """Sections of the settings that code reads, in itself or in functions of eco that it names."""
    imported = {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in ast.walk(syntax(module))
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
        if str(statement.module).startswith("eco")
    }
    own = {d.name: d for d in syntax(module).body if isinstance(d, ast.FunctionDef | ast.ClassDef)}
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            if part.value.id == "settings":
                yield "tuning" if part.attr == "candidates" else part.attr
            target = (".".join(imported.get(part.value.id, ())), part.attr)
        elif isinstance(part, ast.Name):
            target = (module, part.id) if part.id in own else imported.get(part.id, ("", ""))
        else:
            continue
        if target[0].startswith("eco.workflow.params") or ":".join(target) in seen:
            continue
        seen.add(":".join(target))
        with_that_name = [
            d
            for d in (syntax(target[0]).body if is_module(target[0]) else [])
            if isinstance(d, ast.FunctionDef | ast.ClassDef) and d.name == target[1]
        ]
        for definition in with_that_name:
            yield from settings_read(target[0], definition, seen)


@cache
def is_module(name):
    path = REPOSITORY / name.replace(".", "/")
    return name.startswith("eco.") and path.with_suffix(".py").exists()


def test_every_script_is_a_stage_and_every_stage_a_script():
    scripts = {p.stem for p in (REPOSITORY / "stages").glob("*.py") if p.stem != "__init__"}
    assert scripts == set(STAGES)


def test_the_pipeline_can_be_read_in_one_sitting():
    assert len((REPOSITORY / "dvc.yaml").read_text().splitlines()) <= 500


def test_no_model_is_named_outside_params():
    text = (REPOSITORY / "dvc.yaml").read_text()
    assert not [model for model in PARAMS["pool"] if f"{model}." in text or f"@{model}" in text]


@pytest.mark.parametrize("stage", STAGES)
class TestStage:
    def test_it_says_what_it_does(self, stage):
        assert len(STAGES[stage]["desc"]) > 20

    def test_it_runs_its_script(self, stage):
        assert STAGES[stage]["cmd"].startswith(f"python -m stages.{stage}")

    def test_it_declares_the_params_that_it_reads(self, stage):
        script = f"stages.{stage}"
        read = set(settings_read(script, syntax(script), set())) & set(PARAMS)
        declared = {key.split(".")[0] for key in paths(stage, "params")}
        if stage in ("train", "compare_formats"):
            read |= {"models"}
        assert declared == (set(PARAMS) if stage == "report" else read)

    def test_what_a_threshold_experiment_needs_is_in_git(self, stage):
        outs = [e for kind in ("outs", "metrics", "plots") for e in STAGES[stage].get(kind, [])]
        for path in [next(iter(e)) for e in outs if "cache" not in next(iter(e.values()))]:
            assert not path.startswith(("metrics", "models/calibrated", "models/routers"))
            assert not path.startswith("plots")
            for reader in CHEAP - {"report"}:
                assert path not in paths(reader, "deps")

    def test_results_survive_a_refused_setting(self, stage):
        for kind in ("outs", "metrics", "plots"):
            for entry in STAGES[stage].get(kind, []):
                assert next(iter(entry.values()))["persist"] is True


@pytest.mark.parametrize("stage", sorted(DEAR))
def test_a_dear_stage_depends_on_the_files_that_decide_its_result(stage):
    folders = WHOLE.get(stage, set())
    files = {
        path for path in reached(stage) if not path.startswith(tuple(f"{f}/" for f in folders))
    }
    files |= DECIDING.get(stage, set())
    if stage == "train":  # whose kinds are loaded by name; of kind onnx nothing is trained
        kinds = (REPOSITORY / "eco/models/kinds").glob("[a-z]*.py")
        for kind in (kind for kind in kinds if kind.stem != "onnx"):
            files |= {
                str(Path(module.replace(".", "/") + ".py"))
                for module in imports().find_upstream_modules(f"eco.models.kinds.{kind.stem}")
            }
    assert code(stage) == files | folders


@pytest.mark.parametrize("stage", sorted(CHEAP))
def test_a_cheap_stage_depends_on_the_folders_of_its_code(stage):
    folders = {path for path in code(stage) if not path.endswith(".py")}
    inside = tuple(f"{folder}/" for folder in folders)
    files = {path for path in reached(stage) if not path.startswith(inside)}
    assert code(stage) == files | folders
    assert "eco/workflow" in folders
    for folder in folders - {"eco/workflow"}:
        assert any(path.startswith(f"{folder}/") for path in reached(stage)), folder


def test_params_survive_an_experiment_byte_for_byte(tmp_path):
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    shutil.copy(REPOSITORY / "params.yaml", path)
    apply_overrides(path, [])
    assert path.read_text() == (REPOSITORY / "params.yaml").read_text()


def test_what_lives_in_git_stays_small(fresh):
    folders = ("data", "models", "metrics", "plots")
    stored = sum(p.stat().st_size for f in folders for p in (fresh / f).rglob("*") if p.is_file())
    assert 100_000 < stored < 11_000_000


def test_nothing_in_git_is_left_of_a_former_pool(fresh):
    """Whatever lies among the results is an output of a stage as it stands."""
    written = set()
    for name, stage in STAGES.items():
        outputs = paths(name, "outs", "metrics", "plots")
        several = "matrix" in stage or "foreach" in PIPELINE["stages"][name]
        for model in PARAMS["pool"] if several else [""]:
            places = ("${item.model}", "${key}")
            written |= {p.replace(places[0], model).replace(places[1], model) for p in outputs}
    folders = ("data", "models", "metrics", "plots")
    there = {str(p.relative_to(fresh)) for f in folders for p in (fresh / f).rglob("*.*")}
    there = {path for path in there if not path.endswith(".gitignore")}
    assert there <= written


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A clone without cache, remote, data or trained models."""
    return clone(tmp_path_factory.mktemp("fresh"))


def test_the_committed_lock_is_current_whatever_git_does_to_ends_of_lines(fresh, run_in, tmp_path):
    run = run_in(tmp_path)
    run("git", "-c", "core.autocrlf=true", "clone", "-q", str(fresh), "clone")
    for name in run_in(fresh)("git", "ls-files", "-z").stdout.split("\0")[:-1]:
        assert (tmp_path / "clone" / name).read_bytes() == (fresh / name).read_bytes(), name
    said = run_in(tmp_path / "clone")("dvc", "repro", "--allow-missing", "--dry").stdout
    assert "Data and pipelines are up to date." in said, said


@pytest.fixture(scope="module")
def up_to_date(tmp_path_factory):
    """A clone and its stages as DVC sees them after a run; missing outputs have stand-ins."""
    folder = clone(tmp_path_factory.mktemp("up_to_date"))
    with Repo(str(folder)) as repo:
        stages = list(repo.index.stages)
        for out in [Path(out.fs_path) for stage in stages for out in stage.outs]:
            if not out.exists():
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(f"stands in for {out.name}")
        for stage in stages:
            stage.save_deps()
        yield folder, stages


@pytest.fixture
def reruns(up_to_date):
    """A function that gives the stages that run after a change of one file."""
    folder, stages = up_to_date
    read_by = defaultdict(list)
    for stage in stages:
        for dep in stage.deps:
            read_by[dep.fs_path, tuple(getattr(dep, "params", ()))].append((stage, dep))

    def after(path: str, old: str, new: str) -> set[str]:
        file = folder / path
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new, 1))
        try:
            return {
                stage.name
                for (read, _), readers in read_by.items()
                # What lies elsewhere is as it was; what several stages read is looked at once.
                if file.is_relative_to(read) and readers[0][1].status()
                for stage, _ in readers
            }
        finally:
            file.write_text(before)

    return after


POOL = PARAMS["pool"]
QUANTIZATIONS = {f"quantize@{model}" for model in POOL}
CALIBRATIONS = {f"calibrate@{model}" for model in POOL}
EVALUATIONS = {"evaluate_cascading", "evaluate_frontier", "evaluate_routing"}
#: Of a chain the first is named: what follows runs if its outputs change.
DECISIONS = {
    "label_oracle",
    "tune",
    "certify",
    "check_targets",
    *EVALUATIONS,
    "compare",
    "footprint",
    "report",
}
USES_ENERGIES = DECISIONS | {"meter", "compare_formats"}
RERUNS = {
    "comment in params": ("params.yaml", "seed:", "# a comment\nseed:", set()),
    "readme": ("README.md", "#", "##", set()),
    "threshold": ("params.yaml", "- 0.7\n  - 0.0", "- 0.6\n  - 0.0", {"evaluate_cascading"}),
    "settings of a model": (
        "params.yaml",
        "min_samples_leaf: 5",
        "min_samples_leaf: 4",
        {"train@medium", "compare_formats", "report"},
    ),
    "quantized": (
        "params.yaml",
        "quantized:\n- slim\n",
        "quantized:\n",
        QUANTIZATIONS | {"meter", "compare_formats", "report"},
    ),
    "calibration": (
        "params.yaml",
        "method: temperature",
        "method: none",
        CALIBRATIONS | {"compare", "report"},
    ),
    "distillation": ("params.yaml", "weight: 0.7", "weight: 0.5", {"teach", "report"}),
    "router": ("params.yaml", "C: 1.0", "C: 2.0", {"train_router", "report"}),
    "price": ("params.yaml", "price: tuned", "price: 0.1", {"evaluate_routing", "report"}),
    "target": (
        "params.yaml",
        "max_accuracy_loss: 0.5",
        "max_accuracy_loss: 1.5",
        EVALUATIONS | {"report"},
    ),
    "bound on the loss": ("params.yaml", "max_loss: 0.5", "max_loss: 9.0", {"certify", "report"}),
    "batch size": ("params.yaml", "\n  batch_size: 256", "\n  batch_size: 1", USES_ENERGIES),
    "kind of model": (
        "eco/models/kinds/mlp.py",
        '"""',
        '"""About ',
        {"train@slim", "train@large", "compare_formats"},
    ),
    "networks": (
        "eco/models/keras.py",
        '"""',
        '"""About ',
        {f"train@{model}" for model in POOL} | {"compare_formats"},
    ),
    "decision module": ("eco/strategies/cascade.py", '"""', '"""About ', DECISIONS),
    "routing": ("eco/strategies/routing.py", '"""', '"""About ', DECISIONS | {"meter"}),
    "scoring": (
        "eco/evaluation/scoring.py",
        '"""',
        '"""About ',
        EVALUATIONS | QUANTIZATIONS | {"compare", "footprint", "report"},
    ),
    "engine": ("eco/runtime/engine.py", '"""', '"""About ', {"meter"}),
    "pictures": ("eco/report/charts.py", '"""', '"""About ', {"compare", "draw_pool", "report"}),
    "page": ("eco/report/templates/report.js", "const ", "const  ", {"report"}),
    "schema": (
        "eco/workflow/schema.py",
        '"""',
        '"""About ',
        DECISIONS | {"draw_pool"},
    ),
}


@pytest.mark.parametrize("change", RERUNS)
def test_a_change_reruns_what_it_must_and_no_more(reruns, change):
    path, old, new, stages = RERUNS[change]
    assert reruns(path, old, new) == stages
