import numpy as np
import pytest

from eco import networks, pool, router
from eco.classifiers import flattened
from eco.data import load_splits
from eco.errors import FileError, ModelError
from eco.inference import Session
from eco.params import SCHEMAS, Network
from tests.conftest import REPOSITORY

LEARNING = {
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 0.01,
    "weight_decay": 0.01,
    "label_smoothing": 0.05,
    "max_shift": 1,
    "mirror": False,
    "precision": "bfloat16",
}
SETTINGS = {
    "decision_tree": {"max_leaf_nodes": 40},
    "logistic_regression": {"C": 1.0, "max_iter": 50, "pixels": "square_root"},
    "random_forest": {"n_estimators": 25, "min_samples_leaf": 2, "max_features": 0.1,
                      "bootstrap": True, "pixels": "whole"},
    "mlp": {"units": [32, 16], "dropout": 0.1, **LEARNING},
    "strided_cnn": {"filters": [8, 16], "strides": [1, 2], **LEARNING},
    "cnn": {
        "stem": "pooled", "stem_filters": 8, "filters": [8, 16], "strides": [1, 2],
        "small_epochs": 2, **LEARNING,
    },
}  # fmt: skip


SHARES = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}


@pytest.fixture(scope="module")
def digits():
    return load_splits("digits", "", SHARES, 42, print)[0]


def trained(kind, digits, seed=42):
    told = []
    result = pool.train(
        kind, SETTINGS[kind], *digits["train"], *digits["tuning"], seed, told.append
    )
    return result, told


def test_every_kind_of_the_schema_can_be_trained_and_no_other():
    kinds = {p.stem for p in (REPOSITORY / "eco/kinds").glob("*.py")} - {"__init__"}
    assert set(SETTINGS) == kinds == set(SCHEMAS)
    assert set(LEARNING) | {"targets"} == set(Network.model_fields)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_trained_model_is_a_graph_from_images_to_probabilities(kind, digits, tmp_path):
    result, told = trained(kind, digits)
    path = tmp_path / "model.onnx"
    path.write_bytes(result.graph.SerializeToString())
    p = Session(path, threads=1).in_batches(digits["tuning"].X, batch_size=100)
    assert p.shape == (135, 10)
    assert p.dtype == np.float32
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-5
    accuracy = (p.argmax(axis=1) == digits["tuning"].y).mean()
    assert accuracy > 0.6
    assert accuracy == pytest.approx(result.curve[-1]["accuracy"], abs=0.005)
    assert told

    again, _ = trained(kind, digits)
    assert again.graph.SerializeToString() == path.read_bytes(), "the same seed, other bytes"


def test_soft_targets_are_what_a_network_learns_and_labels_what_it_is_judged_by(digits, tmp_path):
    X, y = digits["train"]
    next_one = np.eye(10, dtype=np.float32)[(y + 1) % 10]
    result = pool.train("mlp", SETTINGS["mlp"], X, y, *digits["tuning"], 42, print, soft=next_one)
    path = tmp_path / "model.onnx"
    path.write_bytes(result.graph.SerializeToString())
    p = Session(path, threads=1).in_batches(digits["tuning"].X, batch_size=100)
    assert (p.argmax(axis=1) == (digits["tuning"].y + 1) % 10).mean() > 0.6
    assert all(row["accuracy"] < 0.2 for row in result.curve[-2:])


def test_a_kind_that_can_not_learn_from_soft_targets_says_so(digits):
    X, y = digits["train"]
    soft = np.eye(10, dtype=np.float32)[y]
    with pytest.raises(ModelError, match=r"decision_tree learn from labels only.*must be hard"):
        settings = SETTINGS["decision_tree"]
        pool.train("decision_tree", settings, X, y, *digits["tuning"], 42, print, soft=soft)


def test_a_network_with_a_folded_stem_learns_too(digits, tmp_path):
    settings = SETTINGS["cnn"] | {"stem": "folded", "small_epochs": 0, "strides": [2, 1]}
    result = pool.train("cnn", settings, *digits["train"], *digits["tuning"], 42, print)
    path = tmp_path / "model.onnx"
    path.write_bytes(result.graph.SerializeToString())
    p = Session(path, threads=1).in_batches(digits["tuning"].X, batch_size=100)
    assert (p.argmax(axis=1) == digits["tuning"].y).mean() > 0.6


def votes(graph):
    """Number of trees, and the votes of their leaves, of each tree ensemble in a graph."""
    for node in graph.graph.node:
        found = {a.name: np.array(a.floats or a.ints) for a in node.attribute}
        if "nodes_treeids" in found:
            n_trees = len(set(found["nodes_treeids"].tolist()))
            prefix = "class" if "class_ids" in found else "target"
            parts = [found[f"{prefix}_{part}"] for part in ("treeids", "nodeids", "ids", "weights")]
            yield n_trees, parts


@pytest.mark.parametrize(
    ("kind", "groups"), [("decision_tree", [1]), ("random_forest", [10, 10, 5])]
)
def test_leaves_hold_the_votes_that_count_and_answer_as_scikit_learn_does(
    kind, groups, digits, tmp_path
):
    model = pool.made(kind, SETTINGS[kind])
    model.fit(*digits["train"], *digits["tuning"], 42, print)
    graph = model.graph()
    assert [n_trees for n_trees, _ in votes(graph)] == groups
    for _, (trees, nodes, classes, weights) in votes(graph):
        assert len(trees) == len(nodes) == len(classes) == len(weights)
        assert (weights != 0).all()
        assert len(weights) < 5 * len(set(zip(trees, nodes, strict=True))), "votes of 0 are kept"
    path = tmp_path / "model.onnx"
    path.write_bytes(graph.SerializeToString())
    X = digits["test"].X
    p = Session(path, threads=1).in_batches(X)
    assert np.abs(p - model.fitted.predict_proba(flattened(X, "whole"))).max() < 1e-6


@pytest.mark.parametrize("shape", [(28, 28), (7, 9), (1, 5), (5, 1), (1, 1)])
def test_a_forest_on_edges_answers_as_scikit_learn_does_for_images_of_any_size(shape, tmp_path):
    random = np.random.default_rng(0)
    X, y = random.integers(0, 256, (300, *shape), dtype=np.uint8), np.arange(300) % 3
    model = pool.made("random_forest", SETTINGS["random_forest"] | {"pixels": "edges"})
    model.fit(X, y, X, y, 42, print)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.graph().SerializeToString())
    p = Session(path, threads=1).in_batches(X)
    # Splits lie on values that other images have: a rounding apart, and trees answer otherwise.
    assert np.abs(p - model.fitted.predict_proba(flattened(X, "edges"))).max() < 1e-6


def test_edges_are_the_brightness_of_blocks_and_how_much_neighbours_differ():
    X = np.zeros((1, 4, 6), np.uint8)
    X[0, 1, 1], X[0, 3, 5] = 80, 160
    bright = [20, 0, 0, 0, 0, 40]
    # Of 4 x 4 places: two changes of 80 beside the first pixel, one of 160 before the other.
    from_left, from_above = [10, 10], [10, 10]
    assert flattened(X, "edges").tolist() == [[*bright, *from_left, *from_above]]


@pytest.mark.parametrize("kind", ["logistic_regression", "decision_tree", "random_forest"])
def test_of_two_classes_the_graph_answers_as_scikit_learn_does(kind, digits, tmp_path):
    X, y = (part[digits["train"].y < 2] for part in digits["train"])
    model = pool.made(kind, SETTINGS[kind])
    model.fit(X, y, X, y, 42, print)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.graph().SerializeToString())
    p = Session(path, threads=1).in_batches(X)
    rows = flattened(X, model.pixels)
    assert np.abs(p - model.fitted.predict_proba(rows)).max() < 1e-5


@pytest.mark.parametrize(("flags", "used"), [(["avx2"], "float32"), (["avx512_bf16"], "bfloat16")])
def test_a_network_computes_in_what_the_processor_has(flags, used, digits, monkeypatch):
    import cpuinfo
    import keras

    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {"flags": flags})
    policy, made = keras.config.dtype_policy().name, []
    dense = keras.layers.Dense.__init__
    monkeypatch.setattr(
        keras.layers.Dense, "__init__",
        lambda layer, *args, **kw: (dense(layer, *args, **kw), made.append(layer))[0],
    )  # fmt: skip
    _, told = trained("mlp", digits)
    assert told[0].endswith(f"parameters in {used}")
    layers = len(made) // 2
    assert [layer.compute_dtype for layer in made[:layers]] == [used] * (layers - 1) + ["float32"]
    assert {layer.compute_dtype for layer in made[layers:]} == {"float32"}, "what is exported"
    assert keras.config.dtype_policy().name == policy, "what is made later computes otherwise"


def test_every_epoch_has_an_order_of_its_own(digits, monkeypatch):
    orders, batches = [], networks._batches

    def seen(X, targets, batch_size):
        orders.append(targets[:, :10].argmax(axis=1).tolist())
        return batches(X, targets, batch_size)

    monkeypatch.setattr(networks, "_batches", seen)
    trained("mlp", digits)
    learnt = [order for order in orders if len(order) == len(digits["train"].y)]
    assert len({*map(tuple, learnt)}) == len(learnt) > 1
    assert all(sorted(order) == sorted(digits["train"].y) for order in learnt)


def test_batches_keep_the_order_and_are_not_tuned_by_tensorflow():
    X = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2)
    y = np.eye(7, dtype=np.float32)
    batches = networks._batches(X, y, 3)
    images, targets = (np.concatenate(part) for part in zip(*batches, strict=True))
    assert np.array_equal(images, (X / np.float32(255)).astype(np.float32))
    assert np.array_equal(targets, y)
    assert batches.options().autotune.enabled is False, "epochs last until the tuning wakes up"


@pytest.mark.parametrize("kind", ["random_forest", "mlp"])
def test_another_seed_gives_another_model(kind, digits):
    one, other = (trained(kind, digits, seed)[0].graph.SerializeToString() for seed in (1, 2))
    assert one != other


@pytest.mark.parametrize("shape", [(8, 8), (7, 9), (1, 5)])
def test_a_folded_stem_sees_every_pixel_and_each_once(shape):
    import keras

    pixels = keras.Input(shape)
    X = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(1, *shape)
    folded = np.asarray(keras.Model(pixels, networks.folded(pixels))(X))
    height, width = shape
    assert folded.shape == (1, -(-height // 2), -(-width // 2), 4)
    assert sorted(folded[folded > 0]) == sorted(X.ravel()), "a pixel is lost or there twice"
    below, right = X[0, 1 % height, 0] if height > 1 else 0, X[0, 0, 1]
    assert folded[0, 0, 0, :3].tolist() == [X[0, 0, 0], right, below]


def test_shifts_move_an_image_and_keep_its_ink_inside_the_margin():
    X = np.zeros((200, 8, 8), np.uint8)
    X[:, 3, 4] = 255
    shifted = networks.augmented(X, 2, mirror=False, random=np.random.default_rng(0))
    assert shifted.shape == X.shape
    assert (shifted.sum(axis=(1, 2)) == 255).all()
    rows, columns = np.nonzero(shifted)[1:]
    assert (set(rows), set(columns)) == ({1, 2, 3, 4, 5}, {2, 3, 4, 5, 6})


def test_a_mirror_swaps_left_and_right_half_of_the_time():
    X = np.zeros((1000, 4, 4), np.uint8)
    X[:, 1, 0] = 9
    mirrored = networks.augmented(X, 0, mirror=True, random=np.random.default_rng(0))
    assert 400 < (mirrored[:, 1, 3] == 9).sum() < 600
    assert ((mirrored[:, 1, 3] == 9) ^ (mirrored[:, 1, 0] == 9)).all()


def test_the_router_learns_where_each_model_is_needed(digits, tmp_path):
    X, y = digits["tuning"]
    needed = (y >= 5).astype(np.int64) * 3
    graph = router.train(X, needed, C=1.0, max_iter=200, class_weight="balanced", seed=1)
    path = tmp_path / "router.onnx"
    path.write_bytes(graph.SerializeToString())
    X_test, y_test = digits["test"]
    choices = Session(path, threads=1).in_batches(X_test)
    scores = router.held_out_accuracy(choices, (y_test >= 5) * 3)
    assert set(choices) == {0, 3}
    assert scores["accuracy"] > 0.8 > scores["majority_share"]


def test_a_router_with_one_label_to_learn_always_gives_it(digits, tmp_path):
    X = digits["tuning"].X
    graph = router.train(X, np.full(len(X), 2), C=1.0, max_iter=9, class_weight="none", seed=1)
    path = tmp_path / "router.onnx"
    path.write_bytes(graph.SerializeToString())
    assert Session(path, threads=1)(X[:7]).tolist() == [2] * 7


class TestModelFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(FileError, match=r"tiny\.onnx is missing.*calibrate@tiny"):
            Session(tmp_path / "tiny.onnx", 1)

    @pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04K\x01."])
    def test_garbage(self, tmp_path, content):
        path = tmp_path / "tiny.onnx"
        path.write_bytes(content)
        with pytest.raises(FileError, match=r"tiny\.onnx is not an ONNX model.*calibrate@tiny"):
            Session(path, 1)
