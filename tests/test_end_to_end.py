"""The whole study by the real `dvc repro`, on scikit-learn's bundled digits, in a clean clone."""

import json
import os
import re
import signal
import subprocess
import time

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from eco import params
from eco.inference import Session
from tests.conftest import REPOSITORY, clone

THRESHOLDS = "cascading.thresholds=[0.95,0.9,0.85,0.0]"
# Of a chain, DVC's dry run names the stages whose own dependencies have changed: what follows
# depends on whether their outputs do.
EVALUATIONS = {"evaluate_cascading", "evaluate_frontier", "evaluate_routing", "compare"}
USES_ENERGIES = {"label_oracle", "tune", "certify", "footprint", "meter", *EVALUATIONS}
CASCADES = {"certify", "evaluate_cascading", "evaluate_frontier", "evaluate_routing"}
POOL = params.load(REPOSITORY / "params.yaml").pool
CALIBRATIONS = {f"calibrate@{model}" for model in POOL}
QUANTIZATIONS = {f"quantize@{model}" for model in POOL}
# The page shows every setting but the thresholds.
SHOWN = {"report"}
RERUNS = [
    ("params.yaml", "seed:", "# a comment\nseed:", set()),
    ("params.yaml", "- 0.7\n  - 0.0", "- 0.6\n  - 0.0", {"evaluate_cascading"}),
    (
        "params.yaml",
        "min_samples_leaf: 2",
        "min_samples_leaf: 4",
        {"train@medium", "compare_formats"} | SHOWN,
    ),
    (
        "params.yaml",
        "quantized:\n- slim\n",
        "quantized:\n",
        QUANTIZATIONS | {"meter", "compare_formats"} | SHOWN,
    ),
    ("params.yaml", "method: temperature", "method: none", CALIBRATIONS | {"compare"} | SHOWN),
    ("params.yaml", "weight: 0.7", "weight: 0.5", {"teach"} | SHOWN),
    ("params.yaml", "C: 1.0", "C: 2.0", {"train_router"} | SHOWN),
    (
        "params.yaml",
        "max_accuracy_loss: 0.5",
        "max_accuracy_loss: 1.5",
        {"evaluate_cascading", "evaluate_frontier", "evaluate_routing"} | SHOWN,
    ),
    ("params.yaml", "price: tuned", "price: 0.1", {"evaluate_routing"} | SHOWN),
    ("params.yaml", "max_harm: 5.0", "max_harm: 9.0", {"certify"} | SHOWN),
    (
        "params.yaml",
        "  batch_size: 256",
        "  batch_size: 1",
        USES_ENERGIES | {"compare_formats"} | SHOWN,
    ),
    ("eco/cascading.py", '"""Cascades', '"""About cascades', CASCADES | {"tune", "meter"} | SHOWN),
    ("eco/routing.py", '"""Routing', '"""About routing', {"certify", "evaluate_routing", "meter"}),
    ("eco/scoring.py", '"""Scores', '"""About scores', EVALUATIONS | QUANTIZATIONS),
    ("eco/figures.py", '"""Pictures', '"""About pictures', {"compare", "draw_pool"}),
    ("eco/engine.py", '"""The strategies', '"""About the strategies', {"meter"}),
    (
        "eco/kinds/mlp.py",
        '"""A multi',
        '"""The multi',
        {"train@slim", "train@large", "compare_formats"},
    ),
    ("eco/report.js", "const ", "const  ", {"report"}),
    ("README.md", "#", "##", set()),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A clone with the settings of `make quick` and a shorter measurement, not yet run."""
    folder = clone(tmp_path_factory.mktemp("study"))
    quick = re.search(r"^QUICK := (.*)$", (folder / "Makefile").read_text(), re.MULTILINE)
    apply_overrides(folder / "params.yaml", [*quick.group(1).split(), "energy.budget_s=1.0"])
    return folder


@pytest.fixture
def run(study, run_in):
    return run_in(study)


def metrics(folder, name):
    return json.loads((folder / f"metrics/{name}.json").read_text())


@pytest.fixture(scope="module")
def killed_and_finished(study):
    """`dvc repro` killed in the middle of a training, then run again to the end."""
    log = (study.parent / "killed.log").open("w")
    process = subprocess.Popen(
        ["dvc", "repro"], cwd=study, stdout=log, stderr=log, start_new_session=True
    )
    deadline = time.monotonic() + 300
    while "Running stage 'train@medium'" not in (study.parent / "killed.log").read_text():
        assert process.poll() is None, (study.parent / "killed.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = subprocess.run(
        ["dvc", "repro"], cwd=study, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    subprocess.run(["git", "add", "-A"], cwd=study, check=True)
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "digits"],
        cwd=study,
        check=True,
    )
    return result.stdout


def test_after_a_kill_the_next_repro_finishes_without_doing_anew_what_was_done(killed_and_finished):
    assert "Running stage 'train@medium'" in killed_and_finished
    assert "Running stage 'fetch'" not in killed_and_finished


@pytest.mark.usefixtures("killed_and_finished")
class TestStudy:
    def test_every_model_learnt_something(self, study):
        models = metrics(study, "models")["models"]
        assert list(models) == POOL
        for scores in models.values():
            assert scores["accuracy"] > 0.6
            assert scores["energy_j"] > 0
        assert models["extra"]["energy_share"] == 1

    def test_the_cascade_pays_for_every_model_that_ran(self, study):
        rows = json.loads((study / "plots/cascading.json").read_text())
        presets = json.loads((study / "plots/strategies.json").read_text())
        rows += [row for row in presets if row["strategy"] == "preset"]
        names = ["chosen", "aggressive", "balanced", "conservative"]
        assert [row["name"] for row in rows] == names
        models = metrics(study, "models")["models"]
        chain = ["tiny", "medium", "large", "extra"]
        for row in rows:
            paid, total = 0.0, 0.0
            for model in chain:
                paid += models[model]["energy_j"]
                total += row["share"][model] * paid
            assert row["energy_j"] == pytest.approx(total, rel=1e-4)

    def test_no_strategy_beats_the_oracle(self, study):
        rows = json.loads((study / "plots/accuracy_energy.json").read_text())
        oracle = metrics(study, "oracle")["oracle"]
        bound = oracle["accuracy"]
        assert oracle["energy_share"]["cheapest"] <= oracle["energy_share"]["last"]
        assert max(row["accuracy"] for row in rows) <= bound + 1e-6

    def test_what_runs_is_what_was_modelled(self, study):
        rows = json.loads((study / "plots/metered.json").read_text())
        presets = json.loads((study / "plots/strategies.json").read_text())
        accuracy = {row["name"]: row["accuracy"] for row in presets}
        names = {row["name"] for row in rows}
        assert {"always extra", "always extra, as trained", "router", "balanced"} <= names
        assert {row["batch_size"] for row in rows} == {1, 256}
        for row in rows:
            assert row["energy_j_low"] < row["energy_j"] < row["energy_j_high"]
            assert row["throughput_per_s"] > 0
            assert ("latency_p99_ms" in row) == (row["batch_size"] == 1)
            if row["name"] in accuracy:  # the engine answers what the arithmetic says
                assert row["accuracy"] == pytest.approx(accuracy[row["name"]], abs=1e-6)
        assert set(metrics(study, "metered")["metered"]) == {
            name.replace(", ", "_").replace(" ", "_").replace(".", "_") for name in names
        }

    def test_soft_targets_are_labels_and_what_the_last_model_answers(self, study):
        with np.load(study / "data/train.npz") as train:
            X, y = train["X"], train["y"]
        answers = Session(study / "models/trained/extra.onnx", threads=1).in_batches(X)
        with np.load(study / "data/targets/soft.npz") as targets:
            soft = targets["y"]
        assert np.abs(soft - 0.3 * np.eye(10)[y] - 0.7 * answers).max() < 1e-3
        trained = metrics(study, "training/narrow")["training"]["narrow"]
        assert trained["targets"] == "soft"
        joules = metrics(study, "footprint")["training_j"]
        assert joules["narrow"] == pytest.approx(4 * trained["cpu_seconds"], rel=1e-4)
        found = metrics(study, "footprint")
        taught_j = 4 * metrics(study, "teaching")["teaching"]["cpu_seconds"]
        assert found["teaching_j"] == pytest.approx(taught_j, rel=1e-4)
        beyond_j = sum(joules.values()) - joules["extra"] + taught_j  # made once for all pupils
        billed_j = found["footprint"]["tuned"]["extra_training_j"] - found["tuning_j"]
        assert billed_j == pytest.approx(beyond_j, rel=1e-4)

    def test_integers_cost_little_accuracy(self, study):
        for model in POOL:
            told = metrics(study, f"quantization/{model}")["quantization"][model]
            assert told["agreement"] > 0.9
            assert told["gain_points_low"] <= told["gain_points"] <= told["gain_points_high"]

    def test_every_picture_is_a_png(self, study):
        pictures = sorted((study / "plots").glob("*.png"))
        assert len(pictures) == 6
        for picture in pictures:
            assert picture.read_bytes().startswith(b"\x89PNG")

    def test_nothing_half_written_is_left(self, study):
        assert not [p for p in study.rglob("*.part") if ".dvc" not in p.parts]

    def test_a_second_repro_has_nothing_to_do(self, run):
        assert "up to date" in run("dvc", "repro").stdout

    @pytest.mark.parametrize(("path", "old", "new", "stages"), RERUNS)
    def test_a_change_reruns_what_it_must_and_no_more(self, run, study, path, old, new, stages):
        file = study / path
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new, 1))
        try:
            said = run("dvc", "repro", "--dry").stdout
        finally:
            file.write_text(before)
        assert {line.split("'")[1] for line in said.splitlines() if "Running" in line} == stages

    def test_metrics_and_params_show_a_change_of_thresholds(self, run, study):
        said = run("dvc", "exp", "run", "-S", THRESHOLDS).stdout
        assert "Running stage 'evaluate_cascading'" in said
        assert "Running stage 'train" not in said
        assert "Running stage 'benchmark'" not in said
        assert "cascading.accuracy" in run("dvc", "metrics", "diff").stdout
        assert "cascading.thresholds" in run("dvc", "params", "diff").stdout
        assert "cascading.energy_share" in run("dvc", "metrics", "show").stdout
        assert params.load(study / "params.yaml").cascading.thresholds == [0.95, 0.9, 0.85, 0.0]
        run("dvc", "plots", "diff", "HEAD", "-o", "page")
        page = (study / "page/index.html").read_text()
        assert "random mixing" in page
        run("git", "checkout", "-q", ".")
        run("dvc", "checkout")

    def test_a_preset_by_name_gives_what_its_row_says(self, run, study):
        rows = json.loads((study / "plots/strategies.json").read_text())
        expected = next(row for row in rows if row["name"] == "aggressive")
        run("dvc", "exp", "run", "-S", "cascading.thresholds=aggressive")
        chosen = metrics(study, "cascading")["cascading"]
        for key in ("accuracy", "energy_j", "retention", "share"):
            assert chosen[key] == expected[key]
        run("git", "checkout", "-q", ".")
        run("dvc", "checkout")

    def test_tuned_thresholds_follow_their_target(self, run, study):
        chosen = []
        for target in ("max_accuracy_loss", "energy_budget"):
            run(
                "dvc", "exp", "run", "-S", "cascading.thresholds=tuned",
                "-S", f"tuning.target={target}", "-S", "tuning.energy_budget=0.06",
            )  # fmt: skip
            point = metrics(study, "cascading")["cascading"]
            assert point["cascade"]
            chosen.append(point["energy_share"])
            if target == "max_accuracy_loss":
                tuned = metrics(study, "frontier")["frontier"]["tuned"]
                assert point["accuracy"] == tuned["accuracy"]
            run("git", "checkout", "-q", ".")
            run("dvc", "checkout")
        assert chosen[1] < chosen[0]

    def test_a_target_that_can_not_be_met_is_told_what_can(self, run):
        said = run(
            "dvc", "exp", "run", "-S", "cascading.thresholds=tuned",
            "-S", "tuning.target=energy_budget", "-S", "tuning.energy_budget=0.0001", ok=False,
        )  # fmt: skip
        assert "the least that can be met is 0.0" in said.stdout + said.stderr
        run("git", "checkout", "-q", ".")
        run("dvc", "checkout")

    def test_certified_thresholds_hold_what_the_certificate_says(self, run, study):
        run("dvc", "exp", "run", "-S", "cascading.thresholds=certified")
        told = metrics(study, "certificate")["certificate"]
        assert told["cascade"]["settings_certified"] >= 1
        assert told["cascade"]["harm_on_certification"] <= 0.05
        point = metrics(study, "cascading")["cascading"]
        assert point["harm"] == pytest.approx(told["cascade"]["harm_on_test"])
        run("git", "checkout", "-q", ".")
        run("dvc", "checkout")

    def test_a_certificate_that_takes_more_samples_says_how_many(self, run, study):
        said = run("dvc", "exp", "run", "-S", "certification.delta=1e-09",
                   "-S", "cascading.thresholds=certified", ok=False)  # fmt: skip
        assert "takes at least 405 samples" in said.stdout + said.stderr
        run("git", "checkout", "-q", ".")
        run("dvc", "checkout")

    def test_a_queue_of_experiments_fills_a_table(self, run):
        for last in (0.5, 0.6):
            run("dvc", "exp", "run", "--queue", "-S", f"cascading.thresholds=[0.9,0.8,{last},0.0]")
        run("dvc", "queue", "start", "-j", "1")
        deadline = time.monotonic() + 120
        while run("dvc", "queue", "status").stdout.count("Success") < 2:
            assert time.monotonic() < deadline, run("dvc", "queue", "status").stdout
            time.sleep(2)
        table = run("dvc", "exp", "show", "--csv", "--keep", "cascading.thresholds").stdout
        assert "[0.9, 0.8, 0.5, 0.0]" in table
        assert "[0.9, 0.8, 0.6, 0.0]" in table
        run("dvc", "queue", "stop", ok=None)

    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("cascading.thresholds=[0.9,0.8,0.0]", "each of the 4 active models"),
            ("cascading.thresholds=[0.9,0.8,1.5,0.0]", "got 1.5"),
            ("cascading.thresholds=unknown", "name of a preset"),
            ("+cascading.treshold=0.5", "Did you mean cascading.thresholds?"),
            ("cascading.active_models=[tiny,huge,large,extra]", "got huge"),
            ("oracle.none_correct=foo", "oracle.none_correct must be"),
            ("energy.batch_size=7", "energy.batch_size must be one of"),
        ],
    )
    def test_a_refused_setting_loses_nothing(self, run, study, override, told):
        def results():
            folders = ("metrics", "plots", "data")
            found = (p for folder in folders for p in (study / folder).rglob("*"))
            return {p: p.read_bytes() for p in found if p.is_file()}

        before = results()
        refused = run("dvc", "exp", "run", "-S", override, ok=False)
        assert told in refused.stdout + refused.stderr
        assert "git checkout HEAD -- params.yaml" in refused.stdout + refused.stderr
        assert results() == before
        run("git", "checkout", "-q", "HEAD", "--", "params.yaml")

    def test_a_damaged_prediction_is_named_and_comes_back(self, run, study):
        path = study / "data/predictions/large.npz"
        good = path.read_bytes()
        path.write_bytes(good[:100])
        refused = run("python", "-m", "stages.evaluate_cascading", ok=False)
        assert "data/predictions/large.npz" in refused.stderr
        assert "dvc repro -f -s predict@large" in refused.stderr
        assert "Traceback" not in refused.stderr
        run("dvc", "repro", "-f", "-s", "predict@large")
        assert path.read_bytes() == good

    def test_a_clone_with_no_cache_tries_thresholds_at_once(self, run_in, study, tmp_path):
        run_in(tmp_path)("git", "clone", "-q", str(study), "clone")
        run = run_in(tmp_path / "clone")
        dry = run("dvc", "repro", "--allow-missing", "--dry").stdout
        assert "Data and pipelines are up to date." in dry
        said = run("dvc", "exp", "run", "--allow-missing", "-S", THRESHOLDS).stdout
        ran = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running")]
        assert ran == ["evaluate_cascading"]
        assert "cascading.accuracy" in run("dvc", "metrics", "diff", "HEAD").stdout
        run("git", "checkout", "-q", ".")
        said = run(
            "dvc", "exp", "run", "--allow-missing", "-S", "cascading.thresholds=tuned",
            "-S", "tuning.max_accuracy_loss=3.0", "-S", "certification.max_harm=7.0",
            "evaluate_cascading", "compare", "footprint",
        ).stdout  # fmt: skip
        assert "Running stage 'certify'" in said
        assert "Running stage 'train" not in said
