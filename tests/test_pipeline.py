"""dvc.yaml against the code that it runs, and dvc.lock against both."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from eco import files, params, pipeline
from tests.conftest import REPOSITORY, clone
from tests.test_layers import eco_imports

YAML_SAFE = YAML(typ="safe")
PIPELINE = YAML_SAFE.load((REPOSITORY / "dvc.yaml").read_text())
PARAMS = YAML_SAFE.load((REPOSITORY / "params.yaml").read_text())
# What a stage over several models says of each stands under `do`.
STAGES = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}
SECTIONS = set(PARAMS) - {"pool", "models"}


def paths(stage, *kinds):
    entries = [entry for kind in kinds for entry in STAGES[stage].get(kind, [])]
    return {next(iter(e)) if isinstance(e, dict) else e for e in entries}


def reached(path):
    """Every eco module that a file imports, directly or through others."""
    found, new = set(), {path}
    while new:
        modules = {REPOSITORY / "eco" / f"{name}.py" for file in new for name in eco_imports(file)}
        if REPOSITORY / "eco/pool.py" in modules:  # it loads kinds by name
            kinds = (REPOSITORY / "eco/kinds").glob("*.py")
            modules |= {
                REPOSITORY / "eco" / f"{name}.py" for kind in kinds for name in eco_imports(kind)
            }
        new = {module for module in modules if module.exists()} - found
        found |= new
    return {str(module.relative_to(REPOSITORY)) for module in found}


def test_every_script_is_a_stage_and_every_stage_a_script():
    scripts = {p.stem for p in (REPOSITORY / "stages").glob("*.py") if p.stem != "__init__"}
    assert scripts == set(STAGES)


@pytest.mark.parametrize("stage", STAGES)
class TestStage:
    def test_it_says_what_it_does(self, stage):
        assert len(STAGES[stage]["desc"]) > 20

    def test_it_runs_its_script(self, stage):
        assert STAGES[stage]["cmd"].startswith(f"python -m stages.{stage}")

    def test_it_depends_on_the_code_that_it_runs(self, stage):
        script = REPOSITORY / "stages" / f"{stage}.py"
        code = {path for path in paths(stage, "deps") if path.endswith(".py")}
        kinds = {path for path in code if path.startswith("eco/kinds/")}
        assert bool(kinds) == (stage in ("train", "compare_formats"))
        code -= kinds
        assert code == reached(script) | {f"stages/{stage}.py"}

    def test_it_depends_on_exact_files(self, stage):
        for path in paths(stage, "deps", "outs", "metrics", "plots"):
            assert Path(path).suffix, path

    def test_it_declares_the_params_that_it_reads(self, stage):
        source = (REPOSITORY / "stages" / f"{stage}.py").read_text()
        declared = {key.split(".")[0] for key in paths(stage, "params")}
        for section in SECTIONS:
            assert (f"settings.{section}" in source) == (section in declared), section
        assert ("settings.pool" in source) == ("pool" in declared)
        assert ("section = settings.model(" in source) == ("models" in declared)

    def test_what_a_threshold_experiment_needs_is_in_git(self, stage):
        cached = [e for kind in ("outs", "metrics", "plots") for e in STAGES[stage].get(kind, [])]
        for path in [next(iter(e)) for e in cached if "cache" not in next(iter(e.values()))]:
            assert not path.startswith(("metrics", "plots"))
            for reader in ("tune", "certify", "evaluate_cascading", "evaluate_frontier",
                           "evaluate_routing", "compare"):  # fmt: skip
                assert path not in paths(reader, "deps")

    def test_results_survive_a_refused_setting(self, stage):
        for kind in ("outs", "metrics", "plots"):
            for entry in STAGES[stage].get(kind, []):
                assert next(iter(entry.values()))["persist"] is True


def test_every_model_is_a_dependency_of_what_needs_all_of_them():
    whole = {
        stage
        for stage in STAGES
        if any(path.startswith("data/predictions/") for path in paths(stage, "deps"))
    } - {"benchmark_router"}  # it reads the probe's only
    assert {"label_oracle", "tune", "certify", "evaluate_cascading", "compare"} <= whole
    for stage in whole:
        predictions = {p for p in paths(stage, "deps") if p.startswith("data/predictions/")}
        assert predictions == {f"data/predictions/{model}.npz" for model in PARAMS["pool"]}
    models = {path for path in paths("benchmark", "deps") if path.startswith("models/")}
    assert models == {f"models/{model}.onnx" for model in PARAMS["pool"]}


def test_the_lines_of_each_model_are_those_that_make_pool_writes():
    text = (REPOSITORY / "dvc.yaml").read_text()
    settings = params.load(REPOSITORY / "params.yaml")
    learning = [m for m in settings.pool if hasattr(settings.models[m], "epochs")]
    assert pipeline.in_step(text, settings.pool, learning) == text
    changed = pipeline.in_step(text, ["tiny", "new", "extra"], ["new"])
    stages = YAML_SAFE.load(changed)["stages"]
    assert [d for d in stages["tune"]["deps"] if "predictions" in d] == [
        "data/predictions/tiny.npz", "data/predictions/new.npz", "data/predictions/extra.npz",
    ]  # fmt: skip
    assert "data/predictions/${router.probe}.npz" in stages["benchmark_router"]["deps"]
    routers = [f"models/{router}.onnx" for router in files.ROUTERS]
    assert set(routers) < set(stages["meter"]["deps"])
    assert "models/trained/extra.onnx" in stages["meter"]["deps"]
    assert "Training of new" in changed
    assert "Training of large" not in changed
    assert pipeline.in_step(changed, settings.pool, learning) == text
    without_networks = pipeline.in_step(text, ["tiny", "small"], [])
    assert "Training of" not in without_networks
    assert pipeline.in_step(without_networks, settings.pool, learning) == text


def test_params_survive_an_experiment_byte_for_byte(tmp_path):
    from dvc.utils.hydra import apply_overrides

    path = tmp_path / "params.yaml"
    shutil.copy(REPOSITORY / "params.yaml", path)
    apply_overrides(path, [])
    assert path.read_text() == (REPOSITORY / "params.yaml").read_text()


def test_what_lives_in_git_stays_small(fresh):
    folders = ("data", "models", "metrics", "plots")
    stored = sum(p.stat().st_size for f in folders for p in (fresh / f).rglob("*") if p.is_file())
    assert 100_000 < stored < 3_000_000


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
    """A clone without cache, remote, data or models."""
    return clone(tmp_path_factory.mktemp("fresh"))


def test_the_committed_lock_is_current(fresh, run_in):
    said = run_in(fresh)("dvc", "repro", "--allow-missing", "--dry").stdout
    assert "Data and pipelines are up to date." in said, said
