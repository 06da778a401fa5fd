from types import SimpleNamespace

import numpy as np
import pytest

from eco.models import routers
from eco.models.features import fit_features


def test_the_router_learns_where_each_model_is_needed(digits, run):
    X, y = digits["tuning"]
    needed = (y >= 5).astype(np.int64) * 3
    graph = routers.train(X, needed, C=1.0, max_iter=200, class_weight="balanced", seed=1)
    X_test, y_test = digits["test"]
    choices = run(graph, X_test)
    scores = routers.held_out_accuracy(choices, (y_test >= 5) * 3)
    assert set(choices) == {0, 3}
    assert scores["accuracy"] > 0.8 > scores["majority_share"]


def test_a_router_with_one_label_to_learn_always_gives_it(digits, run):
    X = digits["tuning"].X
    labels = np.full(len(X), 2)
    graphs = [
        routers.train(X, labels, C=1.0, max_iter=9, class_weight="none", seed=1) for _ in range(2)
    ]
    assert run(graphs[0], X[:7]).tolist() == [2] * 7
    assert graphs[0].SerializeToString() == graphs[1].SerializeToString()


@pytest.mark.parametrize("pixels", ["linear", "square_root"])
def test_scores_of_images_say_which_models_will_be_right(pixels, digits, run):
    X, y = digits["train"]
    graph = routers.train_scores(
        X, np.column_stack([y < 5, y >= 5]), fit_features(X, pixels), 16, 1
    )
    scores = run(graph, digits["test"].X)
    assert scores.min() >= 0 and scores.max() <= 1
    assert (scores.argmax(axis=1) == (digits["test"].y >= 5)).mean() > 0.8


def test_scores_of_probabilities_say_which_models_will_be_right(run):
    p = np.random.default_rng(0).dirichlet(np.ones(3), 500).astype(np.float32)
    correct = np.column_stack([p.max(axis=1) > 0.6, np.ones(500, bool)])
    scores = run(routers.train_scores(p, correct, None, 16, seed=1), p)
    assert scores.shape == (500, 2)
    assert ((scores[:, 0] > 0.5) == correct[:, 0]).mean() > 0.8
    assert scores[:, 1].mean() > 0.9


SETTINGS = SimpleNamespace(
    C=1.0, max_iter=200, class_weight="balanced", pixels="linear", hidden_units=16
)


def split(X):
    half = len(X) // 2
    return {"calibration": X[:half], "tuning": X[half:]}


@pytest.mark.parametrize("kind", ["colour", "table", "text"])
@pytest.mark.parametrize("router", ["router", "price_router"])
def test_routers_read_samples_of_any_kind(router, kind, run):
    random = np.random.default_rng(0)
    hard = random.random(2000) < 0.5
    if kind == "colour":
        X = random.integers(0, 120, (2000, 4, 3, 3), dtype=np.uint8)
        X[hard, 1] += 100
    elif kind == "table":
        X = random.normal(size=(2000, 3)).astype(np.float32)
        X[:, 1] += 5 * hard
        X[random.random(2000) < 0.1, 0] = np.nan
    else:
        X = random.integers(2, 40, (2000, 8)).astype(np.int32)
        X[:, 3:6] = np.where(hard, 50, 0)[:, None]
    correct = np.column_stack([~hard, np.ones(2000, bool)])
    graph = routers.fit(router, split(X), split(1 * hard), split(correct), SETTINGS, seed=1)
    output = run(graph, X)
    found = output == 1 if router == "router" else output[:, 0] < 0.5
    assert (found == hard).mean() > 0.9


@pytest.mark.parametrize("samples", [np.zeros((8, 2), np.float32), np.zeros((8, 5), np.int32)])
def test_a_router_with_one_label_reads_samples_of_any_kind(samples, run):
    labels = split(np.ones(8, int))
    graph = routers.fit("router", split(samples), labels, labels, SETTINGS, seed=1)
    assert run(graph, samples).tolist() == [1] * 8


def test_a_table_and_the_probabilities_of_a_probe_look_alike_but_are_read_as_what_they_are(run):
    p = np.random.default_rng(0).dirichlet(np.ones(3), 600).astype(np.float32)
    labels, correct = split(np.zeros(600, int)), split(np.column_stack([p[:, 0] > 0.5] * 2))
    graphs = [
        routers.fit(router, split(p), labels, correct, SETTINGS, seed=1)
        for router in ("price_router", "probe_router")
    ]
    assert [graph.graph.input[0].name for graph in graphs] == ["X", "answers"]
    assert all(run(graph, p).shape == (600, 2) for graph in graphs)


def test_the_accuracy_of_choices_is_counted_over_all_and_by_model():
    choices, oracle = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert routers.held_out_accuracy(choices, oracle) == {
        "accuracy": 0.75, "balanced_accuracy": 0.75, "majority_share": 0.5,
    }  # fmt: skip
    choices = np.array([0, 0, 0, 0])
    scores = routers.held_out_accuracy(choices, np.array([0, 0, 0, 1]))
    assert (scores["accuracy"], scores["balanced_accuracy"]) == (0.75, 0.5)
