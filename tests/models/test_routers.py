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


def test_the_accuracy_of_choices_is_counted_over_all_and_by_model():
    choices, oracle = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert routers.held_out_accuracy(choices, oracle) == {
        "accuracy": 0.75, "balanced_accuracy": 0.75, "majority_share": 0.5,
    }  # fmt: skip
    choices = np.array([0, 0, 0, 0])
    scores = routers.held_out_accuracy(choices, np.array([0, 0, 0, 1]))
    assert (scores["accuracy"], scores["balanced_accuracy"]) == (0.75, 0.5)
