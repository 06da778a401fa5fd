"""The whole study on a table and on texts: every stage, one after the other, and `eco predict`."""

import contextlib
import importlib
import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from eco.data.kinds import kind_of
from eco.energy import benchmark
from eco.energy.protocol import Window
from eco.errors import DataError
from eco.workflow import artifacts, params
from tests.cli.conftest import eco, refused
from tests.conftest import REPOSITORY
from tests.energy.fake_meter import WATTS, FakeMeter
from tests.serving.conftest import serving
from tests.serving.test_answers import predicted
from tests.small_workflow import PROVENANCE

pytestmark = pytest.mark.slow

POOL = ["light", "heavy"]
MODELS = {
    "light": {"kind": "decision_tree", "targets": "hard", "max_leaf_nodes": 6},
    "heavy": {"kind": "logistic_regression", "targets": "hard", "C": 1.0, "max_iter": 50},
}
STAGES = [
    ["fetch"], ["sample"],
    *([stage, model] for model in POOL for stage in ("train", "quantize", "calibrate", "predict")),
    ["teach"], ["benchmark"], ["label_oracle"], ["train_router"], ["benchmark_router"], ["tune"],
    ["certify"], ["check_targets"], ["meter"], ["evaluate_cascading"], ["evaluate_frontier"],
    ["evaluate_routing"], ["compare"], ["footprint"], ["draw_pool"], ["report"],
]  # fmt: skip


class Clock(FakeMeter):
    """Bills CPU time at so many watts."""

    def window(self, work):
        begin = time.process_time()
        work()
        cpu_s = max(time.process_time() - begin, 1e-6)
        return Window(WATTS * cpu_s, 0.0, 0.0, cpu_s, cpu_s, 0.0)

    def provenance(self):
        return PROVENANCE


def table(n):
    """Two classes, by two numbers, some of them missing, and a category."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(n, 2)), columns=["age", "income"])
    frame["city"] = random.choice(["Lyon", "Nice", "Metz"], n)
    score = frame["age"] + frame["income"] ** 2 + 2 * (frame["city"] == "Nice")
    frame["target"] = np.where(score > 1.5, "buys", "leaves")
    frame.loc[random.random(n) < 0.1, "income"] = np.nan
    return frame


def texts(n):
    """Three classes of texts, each with words of its own."""
    random = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(60)])
    y = random.integers(0, 3, n)
    chosen = [random.choice(words[20 * c : 20 * c + 30], random.integers(3, 9)) for c in y]
    return pd.DataFrame({"text": map(" ".join, chosen), "target": np.array(["a", "b", "c"])[y]})


def very_many(n):
    """More classes than a byte tells apart."""
    random, n_classes = np.random.default_rng(0), 300
    y = np.arange(n) % n_classes
    frame = pd.DataFrame(np.column_stack([y // 20, y % 20]) + random.normal(0, 0.1, (n, 2)))
    return frame.set_axis(["x", "y"], axis=1).assign(target=[f"a class called {i:03}" for i in y])


def write_settings(folder, kind):
    """Settings of the repository, for a small study of own.csv."""
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    settings["data"] |= {"name": "own", "path": "own.csv", "kind": kind}
    settings["data"]["shares"] = {"calibration": 0.15, "tuning": 0.2, "certification": 0.2}
    settings |= {"pool": POOL, "models": MODELS, "quantized": ["heavy"]}
    settings["energy"] |= {"batch_sizes": [1, 256], "budget_s": 0.1, "window_s": 0.05}
    settings["router"] |= {"probe": "light", "hidden_units": 4}
    settings["cascading"] |= {"active_models": POOL, "thresholds": [0.9, 0.0]}
    settings["cascading"]["presets"] = {"fast": [0.7, 0.0]}
    settings["tuning"] |= {"candidates": [], "settings_per_chain": 100}
    settings["certification"] |= {"resplits": 100}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


@pytest.fixture(scope="module", params=["table", "text", "very many classes"])
def study(request, tmp_path_factory):
    """The folder and the kind of a finished study, and what its stages said."""
    folder, kind = tmp_path_factory.mktemp("study"), request.param
    make, n = {"table": (table, 800), "text": (texts, 800)}.get(kind, (very_many, 6000))
    make(n).to_csv(folder / "own.csv", index=False)
    kind = "text" if kind == "text" else "table"
    write_settings(folder, kind)
    said = (folder / "said").open("w+")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.chdir(folder)
        patch.setattr(benchmark, "CodeCarbonMeter", lambda *_: Clock())
        for stage, *model in STAGES:
            importlib.import_module(f"stages.{stage}").main(*model)
    said.seek(0)
    return folder, kind, said.read()


@pytest.fixture
def settings(study, monkeypatch):
    monkeypatch.chdir(study[0])
    return params.load()


def test_every_stage_takes_it(study, settings):
    X, y = artifacts.SPLITS.load(split="test", dataset="own")
    assert kind_of(X) == study[1]
    n_classes = len(artifacts.LABELS.load(dataset="own").class_names)
    assert y.dtype == np.min_scalar_type(n_classes - 1)
    accuracy = artifacts.MODEL_METRICS.value("models", "heavy", "accuracy")
    assert accuracy > 2 / n_classes or accuracy > 0.7
    assert "image" not in study[2]


def test_the_network_of_the_original_is_metered_beside_images_alone(study, settings):
    names = {row["name"] for row in artifacts.METERED_ROWS.load()}
    assert "always heavy" in names and not any("CNN" in name for name in names)
    with pytest.raises(DataError, match="formats are compared for images only"):
        importlib.import_module("stages.compare_formats").main()


def test_what_is_shown_is_small_and_speaks_of_samples(study, settings):
    page = artifacts.REPORT.load().decode()
    text = page[page.index("<main") : page.index('<script type="application/json"')]
    assert "test samples" in text
    assert "test images" not in text and 'class="kinds"' not in text
    assert len(page) < 3_000_000
    for rows in (artifacts.CONFUSION_ROWS, artifacts.CLASS_ROWS):
        assert rows.path().stat().st_size < 200_000


def test_new_samples_are_answered_as_the_stored_ones(study, settings):
    """The file that the splits were drawn from, as CSV, Parquet, arrays and lines of JSON."""
    frame = pd.read_csv("own.csv")
    coding = artifacts.ENCODING.load()
    X = coding.encode(frame if study[1] == "table" else frame["text"])
    eco("predict", "own.csv", "-o", "csv.csv", "--batch-size", 100)
    expected = pd.read_csv("csv.csv")
    np.save("X.npy", X)
    labelled = frame["target"].map(artifacts.LABELS.load(dataset="own").class_names.index)
    np.save("y.npy", labelled.to_numpy())
    said = eco("predict", "X.npy", "--labels", "y.npy", "-o", "npy.csv", "--compare").stdout
    right = np.mean(expected["class"] == frame["target"])
    assert f"accuracy           {right:.2%}" in said and "points lost" in said
    pd.testing.assert_frame_equal(pd.read_csv("npy.csv"), expected)
    lines = frame.drop(columns="target").to_json(orient="records", lines=True)
    piped = eco("predict", "-", "--format", "csv", input=lines)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(piped.stdout)), expected)
    assert f"accuracy           {right:.2%}" in eco("predict", "own.csv").stdout


def test_a_server_answers_what_predict_does(study, settings):
    frame = pd.read_csv("own.csv").iloc[:300]
    expected = predicted(artifacts.ENCODING.load().encode(frame))
    lines = frame.drop(columns="target").assign(id=frame.index)
    lines = lines.to_json(orient="records", lines=True).encode()
    jsonl, infer = {"content-type": "application/jsonl"}, "/v2/models/eco/infer"
    with serving(Path.cwd()) as (client, _):
        inputs = client.get("/v2/models/eco").json()["inputs"]
        for each in inputs:
            values = frame[each["name"]].astype(object)
            data = values.where(values.notna(), None).to_list()
            each |= {"shape": [len(frame)], "data": data}
        answer = client.post(infer, json={"inputs": inputs}).json()
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        answer = client.post("/predict", content=lines, headers=jsonl).json()
        assert answer.pop("id") == frame.index.to_list()
        assert outputs == answer == expected
        inputs[0] |= {"data": [*inputs[0]["data"][1:], {}]}
        refused = client.post(infer, json={"inputs": inputs})
        assert refused.status_code == 400
        assert f"row 299, column {inputs[0]['name']}: must be" in refused.json()["error"]
        refused = client.post("/predict", content=lines + b"[]", headers=jsonl)
        assert (refused.status_code, "line 301 must be" in refused.text) == (400, True)
        octets = {"content-type": "application/octet-stream"}
        refused = client.post("/predict", content=bytes(9), headers=octets)
        assert (refused.status_code, "must be application/jsonl" in refused.text) == (415, True)


def test_many_files_are_answered_each_into_one_of_its_own(study, settings):
    frame = pd.read_csv("own.csv")
    Path("in").mkdir()
    frame.iloc[:50].assign(id=range(100, 150)).to_csv("in/a.csv", index=False)
    frame.iloc[50:80].drop(columns="target").to_csv("in/b.csv", index=False)
    said = eco("predict", "in/*.csv", "-o", "out/").stdout
    assert "80" in said and "of the 50 with labels" in said
    assert pd.read_csv("out/a.csv")["id"].tolist() == list(range(100, 150))
    assert len(pd.read_csv("out/b.csv")) == 30
    assert "2 of 2, 2 from before" in eco("predict", "in/", "-o", "out/").stdout


def test_what_can_not_be_answered_is_named(study, settings):
    frame = pd.read_csv("own.csv")
    frame.iloc[:, 1:].rename(columns={"text": "words"}).to_csv("other.csv", index=False)
    assert "other.csv must have the column" in refused("predict", "other.csv")
    np.save("images.npy", np.zeros((2, 8, 8), np.uint8))
    assert "images.npy must hold" in refused("predict", "images.npy")
    content = artifacts.ENCODING.path().read_bytes()
    artifacts.ENCODING.path().unlink()
    message = refused("predict", "own.csv")
    artifacts.ENCODING.path().write_bytes(content)
    assert "data/encoding.json is missing" in message


def test_the_other_commands_speak_of_samples(study, settings):
    assert "chosen strategy, on the tuning samples" in eco("doctor").stdout
    assert "image" not in eco("report").stdout
    said = eco("demo", "--seconds", "1").stdout
    assert "image" not in said and "dvc repro" in said
