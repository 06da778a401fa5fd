import importlib
import inspect
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from eco.errors import ModelError, ParamsError
from eco.models.base import make_model, train
from eco.models.features import ImageFeatures
from tests.conftest import REPOSITORY
from tests.models.conftest import KINDS, SETTINGS


@pytest.fixture(scope="module")
def trained(digits):
    """A function that trains a kind: the graph and the curve. The first time is kept."""

    def train_anew(kind, seed=42):
        return train(kind, SETTINGS[kind], *digits["train"], *digits["tuning"], seed)

    train_once = cache(train_anew)
    return lambda kind, seed=None: train_once(kind) if seed is None else train_anew(kind, seed)


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_settings_of_a_kind_are_the_arguments_of_its_model(kind):
    module = importlib.import_module(f"eco.models.kinds.{kind}")
    fields = set(module.Settings.model_fields) - {"kind", "targets"}
    assert fields == set(SETTINGS[kind])
    assert fields <= set(inspect.signature(module.Model).parameters)
    targets = {"kind": kind, "targets": "hard"}
    assert module.Settings(**targets, **SETTINGS[kind]).model_dump() == targets | SETTINGS[kind]


def test_every_kind_has_settings_here():
    files = (REPOSITORY / "eco/models/kinds").glob("*.py")
    assert {path.stem for path in files} - {"__init__"} == set(SETTINGS)


def test_reading_the_settings_of_every_kind_loads_no_library_that_trains_or_runs_it():
    kinds = ", ".join(f"eco.models.kinds.{kind}" for kind in SETTINGS)
    heavy = ["onnx", "onnxruntime", "sklearn", "keras", "tensorflow"]
    code = f"import sys, eco.models.base, {kinds}; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("settings", [{}, {"max_leaf_nodes": 40, "depth": 3}])
def test_settings_that_a_kind_does_not_take_are_refused(settings):
    with pytest.raises(ParamsError, match=r"decision_tree\.py.*must be the arguments"):
        make_model("decision_tree", settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_model_is_a_graph_from_images_to_probabilities(
    kind, trained, digits, run, caplog
):
    caplog.set_level("INFO", "eco.models")
    graph, curve = trained(kind)
    assert caplog.messages[0].startswith(("fitting", "training"))
    p = run(graph, digits["tuning"].X)
    assert p.shape == (135, 10)
    assert p.dtype == np.float32
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-5
    accuracy = (p.argmax(axis=1) == digits["tuning"].y).mean()
    assert accuracy > 0.6
    assert accuracy == pytest.approx(curve[-1]["accuracy"], abs=0.005)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes(kind, trained):
    (one, _), (again, _) = trained(kind), trained(kind, seed=42)
    assert one.SerializeToString() == again.SerializeToString()


@pytest.mark.parametrize("kind", ["random_forest", pytest.param("mlp", marks=pytest.mark.slow)])
def test_another_seed_gives_another_model(kind, trained):
    (one, _), (other, _) = trained(kind), trained(kind, seed=1)
    assert one.SerializeToString() != other.SerializeToString()


@pytest.mark.slow
def test_soft_targets_are_what_a_network_learns_and_labels_what_it_is_judged_by(digits, run):
    X, y = digits["train"]
    next_one = np.eye(10, dtype=np.float32)[(y + 1) % 10]
    graph, curve = train("mlp", SETTINGS["mlp"], X, y, *digits["tuning"], 42, soft=next_one)
    p = run(graph, digits["tuning"].X)
    assert (p.argmax(axis=1) == (digits["tuning"].y + 1) % 10).mean() > 0.6
    assert all(row["accuracy"] < 0.2 for row in curve[-2:])


def test_a_kind_that_can_not_learn_from_soft_targets_says_so(digits):
    X, y = digits["train"]
    soft = np.eye(10, dtype=np.float32)[y]
    with pytest.raises(ModelError, match=r"decision_tree learn from labels only.*must be hard"):
        settings = SETTINGS["decision_tree"]
        train("decision_tree", settings, X, y, *digits["tuning"], 42, soft=soft)


@pytest.mark.parametrize(("kind", "n_trees"), [("decision_tree", 1), ("random_forest", 25)])
def test_leaves_hold_the_votes_that_count_and_predict_as_scikit_learn_does(
    kind, n_trees, digits, run
):
    model = make_model(kind, SETTINGS[kind])
    model.fit(*digits["train"], *digits["tuning"], 42)
    graph = model.graph()
    (node,) = [n for n in graph.graph.node if n.op_type == "TreeEnsembleClassifier"]
    values = {a.name: np.array(a.floats or a.ints) for a in node.attribute}
    parts = ("treeids", "nodeids", "ids", "weights")
    trees, nodes, classes, weights = (values[f"class_{part}"] for part in parts)
    assert len(set(trees)) == n_trees
    assert len(trees) == len(nodes) == len(classes) == len(weights)
    assert (weights != 0).all()
    assert len(weights) < 5 * len(set(zip(trees, nodes, strict=True))), "votes of 0 are kept"
    X = digits["test"].X
    expected = model.fitted.predict_proba(model.features(X))
    assert np.abs(run(graph, X) - expected).max() < 1e-6


@pytest.mark.parametrize("shape", [(28, 28), (7, 9), (1, 5), (5, 1), (1, 1)])
def test_a_forest_on_edges_predicts_as_scikit_learn_does_for_images_of_any_size(shape, run):
    random = np.random.default_rng(0)
    X, y = random.integers(0, 256, (300, *shape), dtype=np.uint8), np.arange(300) % 3
    model = make_model("random_forest", SETTINGS["random_forest"] | {"pixels": "edges"})
    model.fit(X, y, X, y, 42)
    # Splits lie on values that other images have: a rounding apart, and trees predict otherwise.
    expected = model.fitted.predict_proba(model.features(X))
    assert np.abs(run(model.graph(), X) - expected).max() < 1e-6


def test_edges_are_the_brightness_of_blocks_and_how_much_neighbours_differ():
    X = np.zeros((1, 4, 6), np.uint8)
    X[0, 1, 1], X[0, 3, 5] = 80, 160
    brightness = [20, 0, 0, 0, 0, 40]
    # Of 4 x 4 places: two changes of 80 beside the first pixel, one of 160 before the other.
    horizontal, vertical = [10, 10], [10, 10]
    assert ImageFeatures((4, 6), "edges")(X).tolist() == [[*brightness, *horizontal, *vertical]]


@pytest.mark.parametrize("kind", ["logistic_regression", "decision_tree", "random_forest"])
def test_of_two_classes_the_graph_predicts_as_scikit_learn_does(kind, digits, run):
    X, y = (part[digits["train"].y < 2] for part in digits["train"])
    model = make_model(kind, SETTINGS[kind])
    model.fit(X, y, X, y, 42)
    expected = model.fitted.predict_proba(model.features(X))
    assert np.abs(run(model.graph(), X) - expected).max() < 1e-5
