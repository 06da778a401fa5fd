"""The whole study by the real `dvc repro`, on scikit-learn's bundled digits, in a clean clone."""

import json
import re
import shlex
import time

import numpy as np
import pytest
from dvc.utils.hydra import apply_overrides

from eco.runtime.session import Session
from eco.workflow import params
from tests.digits_study import POOL, THRESHOLDS, study_and_output
from tests.documents import QUEUE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study_and_said(tmp_path_factory):
    return study_and_output(tmp_path_factory)


@pytest.fixture(scope="module")
def study(study_and_said):
    return study_and_said[0]


@pytest.fixture
def run(study, run_in):
    return run_in(study)


@pytest.fixture
def run_and_undo(run):
    """Of commands that change nothing but what is in git."""
    yield run
    run("git", "checkout", "-q", "HEAD", "--", ".")


@pytest.fixture
def score(study, run_and_undo):
    """A function that scores the cascade under other settings: what an experiment does, sooner."""

    def with_settings(*settings, ok=True):
        apply_overrides(study / "params.yaml", settings)
        said = run_and_undo("dvc", "repro", "evaluate_cascading", ok=ok)
        return said.stdout + said.stderr

    return with_settings


def metrics(folder, name):
    return json.loads((folder / f"metrics/{name}.json").read_text())


def test_after_a_kill_the_next_repro_finishes_without_doing_anew_what_was_done(study_and_said):
    _, said = study_and_said
    assert "Running stage 'train@medium'" in said
    assert "Running stage 'fetch'" not in said


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
        trained = metrics(study, "training/large")["training"]["large"]
        assert trained["targets"] == "soft"
        joules = metrics(study, "footprint")["training_j"]
        assert joules["large"] == pytest.approx(4 * trained["cpu_seconds"], rel=1e-4)
        found = metrics(study, "footprint")
        taught_j = 4 * metrics(study, "teaching")["teaching"]["cpu_seconds"]
        assert found["teaching_j"] == pytest.approx(taught_j, rel=1e-4)
        beyond_j = sum(joules.values()) - joules["extra"] + taught_j  # made once for all pupils
        billed_j = found["footprint"]["tuned"]["extra_j"] - found["tuning_j"]
        billed_j -= found["measuring_j"]["models"]
        assert billed_j == pytest.approx(beyond_j, rel=1e-4)

    def test_integers_cost_little_accuracy(self, study):
        for model in POOL:
            told = metrics(study, f"quantization/{model}")["quantization"][model]
            assert told["agreement"] > 0.9
            assert told["gain_points_low"] <= told["gain_points"] <= told["gain_points_high"]

    def test_every_picture_is_a_png(self, study):
        pictures = sorted((study / "plots").glob("*.png"))
        assert len(pictures) == 7
        for picture in pictures:
            assert picture.read_bytes().startswith(b"\x89PNG")

    def test_nothing_half_written_is_left(self, study):
        assert not [p for p in study.rglob("*.part") if ".dvc" not in p.parts]

    def test_a_second_repro_has_nothing_to_do(self, run):
        assert "up to date" in run("dvc", "repro").stdout

    def test_metrics_and_params_show_a_change_of_thresholds(self, run_and_undo, study):
        run = run_and_undo
        said = run("dvc", "exp", "run", "-S", THRESHOLDS).stdout
        assert "Running stage 'evaluate_cascading'" in said
        assert "Running stage 'train" not in said
        assert "Running stage 'benchmark'" not in said
        changed = run("dvc", "metrics", "diff").stdout
        assert "cascading.accuracy" in changed
        assert "cascading.energy_share" in changed
        assert "cascading.thresholds" in run("dvc", "params", "diff").stdout
        assert params.load(study / "params.yaml").cascading.thresholds == [0.95, 0.9, 0.85, 0.0]
        run("dvc", "plots", "diff", "HEAD", "-o", "page")
        page = (study / "page/index.html").read_text()
        assert "random mixing" in page

    def test_a_preset_by_name_gives_what_its_row_says(self, score, study):
        rows = json.loads((study / "plots/strategies.json").read_text())
        expected = next(row for row in rows if row["name"] == "aggressive")
        score("cascading.thresholds=aggressive")
        chosen = metrics(study, "cascading")["cascading"]
        for key in ("accuracy", "energy_j", "retention", "share"):
            assert chosen[key] == expected[key]

    def test_tuned_thresholds_follow_their_target(self, score, study):
        score("cascading.thresholds=tuned")
        by_loss = metrics(study, "cascading")["cascading"]
        assert by_loss["accuracy"] == metrics(study, "frontier")["frontier"]["tuned"]["accuracy"]
        models = metrics(study, "models")["models"]
        least = min(models[model]["energy_share"] for model in POOL)
        budget = (least + by_loss["energy_share"]) / 2  # energies are of a short, noisy reading
        score("tuning.target=energy_budget", f"tuning.energy_budget={budget:.6f}")
        by_budget = metrics(study, "cascading")["cascading"]
        assert by_loss["cascade"]
        assert by_budget["cascade"]
        assert by_budget["energy_share"] < by_loss["energy_share"]

    def test_a_target_that_can_not_be_met_is_told_what_can(self, score):
        said = score(
            "cascading.thresholds=tuned", "tuning.target=energy_budget",
            "tuning.energy_budget=0.0001", ok=False,
        )  # fmt: skip
        assert "the least that can be met is 0.0" in said

    def test_certified_thresholds_hold_what_the_certificate_says(self, score, study):
        score("cascading.thresholds=certified")
        told = metrics(study, "certificate")["certificate"]
        assert told["loss"]["cascade"]["settings_certified"] >= 1
        assert told["loss"]["cascade"]["loss_on_certification"] <= 0.05
        point = metrics(study, "cascading")["cascading"]
        lost = 100 * told["loss"]["cascade"]["loss_on_test"]
        assert point["accuracy_loss_points"] == pytest.approx(lost, abs=1e-3)

    def test_a_certificate_that_takes_more_samples_says_how_many(self, score):
        said = score("certification.delta=1e-09", "cascading.thresholds=certified", ok=False)
        assert re.search(r"takes \d+ samples of which none is harmed", said)

    def test_a_queue_of_experiments_fills_a_table(self, run):
        def experiments():
            refs = run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
            return [ref for ref in refs if re.fullmatch(r"refs/exps/\w\w/\w{38}/.+", ref)]

        before = len(experiments())
        assert len(QUEUE) == 3
        for command in QUEUE:
            run(*shlex.split(command))
        deadline = time.monotonic() + 900  # a guard against hanging
        while len(experiments()) < before + 2:
            assert time.monotonic() < deadline, run("dvc", "queue", "status").stdout
            time.sleep(0.5)
        table = run("dvc", "exp", "show", "--csv", "--keep", "cascading.thresholds").stdout
        for command in QUEUE[:2]:
            assert command.rpartition("=")[2] in table
        run("dvc", "queue", "stop", "--kill", ok=None)

    # Every message is tested in tests/workflow/test_params.py.
    @pytest.mark.parametrize(
        ("override", "told"),
        [
            ("cascading.thresholds=[0.9,0.8,0.0]", "each of the 4 active models"),
            ("+cascading.treshold=0.5", "did you mean cascading.thresholds?"),
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
        assert "make back" in refused.stdout + refused.stderr
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
