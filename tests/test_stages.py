"""Stages that run models, with a file that holds another model than it should."""

import contextlib
import importlib
import shutil

import numpy as np
import onnx
import pytest

from eco.errors import DataError, FileError
from eco.models.features import ImageFeatures
from eco.models.onnx.export import export_softmax
from eco.runtime.session import Session
from eco.workflow import artifacts, params
from tests.conftest import REPOSITORY

SHAPE, CLASSES = (4, 5), ["plain", "striped", "dotted"]
N = 8


def linear(n_classes=3):
    weights = np.random.default_rng(0).normal(size=(n_classes, SHAPE[0] * SHAPE[1]))
    return export_softmax(weights, np.zeros(n_classes), ImageFeatures(SHAPE))


def without_softmax():
    graph = linear()
    end = graph.graph.node[-1]
    end.op_type = "Identity"
    end.ClearField("attribute")
    return graph


def with_weights_elsewhere():
    graph = linear()
    tensor = graph.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "params.yaml")
    tensor.ClearField("raw_data")
    return graph


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The settings of a study of a few images, in whose folder the test runs."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    settings, random = params.load(), np.random.default_rng(0)
    dataset, y = settings.data.name, np.arange(N, dtype=np.uint8) % len(CLASSES)
    for split in ("train", *artifacts.PREDICTED):
        X = random.integers(0, 256, (N, *SHAPE), np.uint8)
        artifacts.SPLITS.save((X, y), split=split, dataset=dataset)
    labels = artifacts.Labels(dict.fromkeys(artifacts.PREDICTED, y), CLASSES)
    artifacts.LABELS.save(labels, dataset=dataset)
    return settings


READ = {
    "teach": artifacts.TRAINED_MODEL,
    "quantize": artifacts.TRAINED_MODEL,
    "calibrate": artifacts.QUANTIZED_MODEL,
    "predict": artifacts.MODEL,
    "benchmark": artifacts.MODEL,
}
MADE = (
    artifacts.TARGETS,
    artifacts.QUANTIZED_MODEL,
    artifacts.MODEL,
    artifacts.PREDICTIONS,
    artifacts.ENERGY,
)


def run(stage, model):
    main = importlib.import_module(f"stages.{stage}").main
    return main() if stage in ("teach", "benchmark") else main(model)


@pytest.mark.parametrize("stage", READ)
@pytest.mark.parametrize(
    ("graph", "problem"),
    [
        (without_softmax(), "must return probabilities"),
        (linear(300), "must know 3 classes, but knows 300"),
        (with_weights_elsewhere(), "must hold its weights"),
    ],
)
def test_a_stage_names_a_model_file_that_it_can_not_use(settings, stage, graph, problem):
    model = settings.pool[-1]
    for name in settings.pool if stage == "benchmark" else [model]:
        path = READ[stage].path(model=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((linear() if name != model else graph).SerializeToString())
    with pytest.raises(FileError, match=problem) as refusal:
        run(stage, model)
    assert str(READ[stage].path(model=model)) in str(refusal.value)
    assert "dvc repro -f -s" in str(refusal.value)
    for made in {*MADE} - {READ[stage]}:
        assert not made.path(model=model, kind="soft").exists()


def test_predictions_keep_the_labels_of_the_model(settings):
    model, dataset = settings.pool[0], settings.data.name
    graph = linear()
    for tensor in graph.graph.initializer:  # all classes nearly equal
        values = onnx.numpy_helper.to_array(tensor) * np.float32(1e-5)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    artifacts.MODEL.save(graph, model=model)
    with contextlib.redirect_stdout(None):
        run("predict", model)
    X, _ = artifacts.SPLITS.load(split="test", dataset=dataset)
    p = Session(artifacts.MODEL.path(model=model), 1)(X)
    stored = artifacts.PREDICTIONS.load(model=model, dataset=dataset)["test"]
    assert (p.round(4).argmax(axis=1) != p.argmax(axis=1)).any()
    assert (stored.argmax(axis=1) == p.argmax(axis=1)).all()


def own_data(folder, **arrays):
    """An own data set in the place of that of the settings."""
    np.savez(folder / "own.npz", **arrays)
    written = (folder / "params.yaml").read_text()
    written = written.replace("path: ''", "path: own.npz").replace("fashion-mnist", "own")
    (folder / "params.yaml").write_text(written)


def test_a_class_name_that_is_refused_leaves_the_images_of_before(settings, tmp_path):
    names = ["plain", "</script><script>"]
    own_data(tmp_path, X=np.zeros((400, 4, 5), np.uint8), y=np.arange(400) % 2, class_names=names)
    before = artifacts.SPLITS.path(split="test").read_bytes()
    with pytest.raises(DataError, match="must name classes"):
        importlib.import_module("stages.fetch").main()
    assert artifacts.SPLITS.path(split="test").read_bytes() == before


def test_near_copies_across_splits_are_named_unless_their_groups_are(settings, tmp_path, capsys):
    random = np.random.default_rng(0)
    X = np.repeat(random.integers(0, 250, (240, 4, 5)), 4, axis=0)
    arrays = {"X": (X + random.integers(0, 5, X.shape)).astype(np.uint8)}
    arrays["y"] = np.repeat(np.arange(240) % 2, 4)
    own_data(tmp_path, **arrays)
    importlib.import_module("stages.fetch").main()
    said = capsys.readouterr().out
    for split in artifacts.PREDICTED:
        assert f"of the images of {split} are nearly equal to some of train" in said
    own_data(tmp_path, **arrays, groups=np.arange(960) // 4)
    importlib.import_module("stages.fetch").main()
    assert "WARNING" not in capsys.readouterr().out
    sizes = [len(artifacts.SPLITS.load(split=s, dataset="own")[1]) for s in artifacts.PREDICTED]
    # 5, 8 and 7 % of the 180 groups that aren't test; of those that certify, an image each.
    assert sizes == [4 * 9, 4 * 14, 13, 4 * 60]


def test_the_sample_is_the_beginning_of_test_and_small(settings):
    with contextlib.redirect_stdout(None):
        importlib.import_module("stages.sample").main()
    X, y = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
    images, labels = artifacts.SAMPLE.load(dataset=settings.data.name)
    assert (images == X[:200]).all() and (labels == y[:200]).all()
    assert artifacts.SAMPLE.path().stat().st_size < 150_000
