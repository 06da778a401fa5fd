"""A study of a table by `eco init` and the real `dvc repro`: scikit-learn's digits, as rows."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from tests.cli.conftest import eco
from tests.cli.test_init import said_by

pytestmark = pytest.mark.slow

#: As little as still shows that it works.
SHORT = [
    "energy.budget_s=1.0", "energy.window_s=0.05", "energy.batch_sizes=[1,256]",
    "models.extra.max_iter=20", "tuning.settings_per_chain=1000", "certification.resplits=100",
    "certification.max_loss=10.0", "certification.max_harm=10.0",
]  # fmt: skip


def table():
    """Rows of digits, with a category, and with missing values; the class is a word."""
    rows = load_digits(as_frame=True)
    columns = rows.data.assign(ink=pd.cut(rows.data.sum(axis=1), 3, labels=["a", "b", "c"]))
    missing = np.random.default_rng(0).random(len(columns)) < 0.1
    columns.loc[missing, "pixel_3_3"] = np.nan
    return columns.assign(target="number " + rows.target.astype(str))


def add_own_model(study):
    """A network of scikit-learn, trained by itself on train, as an ONNX file in the pool."""
    said_by("dvc", "repro", "fetch", cwd=study)
    with np.load(study / "data/train.npz") as train:
        X, y = train["X"], train["y"]
    own = make_pipeline(SimpleImputer(), MLPClassifier([32], max_iter=60, random_state=0))
    own.fit(X, y)
    content = to_onnx(own, X[:1], options={"zipmap": False}).SerializeToString()
    (study / "own.onnx").write_bytes(content)
    path = study / "params.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["pool"].insert(-1, "own")
    digest = hashlib.sha256(content).hexdigest()
    settings["models"]["own"] = {
        "kind": "onnx", "targets": "hard", "path": "own.onnx", "sha256": digest,
    }  # fmt: skip
    path.write_text(yaml.safe_dump(settings, sort_keys=False))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        table().to_csv("numbers.csv", index=False)
        eco("init", "study", "--data", "numbers.csv", "--models", "tiny,small,extra")
    apply_overrides(folder / "study/params.yaml", SHORT)
    add_own_model(folder / "study")
    said_by("dvc", "repro", cwd=folder / "study")
    return folder / "study"


def test_every_stage_runs_and_is_up_to_date_then(study):
    assert "Data and pipelines are up to date" in said_by("dvc", "repro", cwd=study)
    models = json.loads((study / "metrics/models.json").read_text())["models"]
    assert models["extra"]["accuracy"] > 0.9
    assert models["own"]["accuracy"] > 0.9
    assert models["tiny"]["accuracy"] < models["extra"]["accuracy"]
    assert (study / "plots/report.html").stat().st_size > 100_000


def test_new_rows_are_answered_by_their_columns(study, monkeypatch):
    monkeypatch.chdir(study)
    rows = table()
    rows[rows.columns[::-1]].to_csv("new.csv", index=False)
    assert "accuracy" in eco("predict", "new.csv", "-o", "answers.csv").stdout
    answers = pd.read_csv("answers.csv")
    assert (answers["label"].to_numpy() == load_digits().target).mean() > 0.9


def test_a_threshold_changes_the_metrics(study, monkeypatch):
    monkeypatch.chdir(study)
    before = json.loads((study / "metrics/cascading.json").read_text())["cascading"]
    apply_overrides(study / "params.yaml", ["cascading.thresholds=[0.0,0.0]"])
    said_by("dvc", "repro", "evaluate_cascading", cwd=study)
    after = json.loads((study / "metrics/cascading.json").read_text())["cascading"]
    assert after["energy_share"] < before["energy_share"]
