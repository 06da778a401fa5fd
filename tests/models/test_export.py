import numpy as np
import onnx

from eco.models.onnx.export import canonical, parse

TINY = float(np.finfo(np.float32).tiny)


def test_weights_too_small_for_a_normal_number_are_exported_as_0(run):
    W = np.array([[1.5, TINY, 1e-40], [-1e-44, -TINY, 0.0]], np.float32)
    graph = parse(
        "g (float[n, 2] X, float[2, 3] W) => (float[n, 3] scores) { scores = MatMul(X, W) }",
        {"W": W.copy()},
    )
    exported = canonical(graph, "scores")
    (weight,) = exported.graph.initializer
    expected = np.array([[1.5, TINY, 0], [0, -TINY, 0]], np.float32)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), expected)
    X = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(run(exported, X), np.tile(expected.sum(axis=0), (4, 1)))


def test_a_router_whose_units_decayed_has_no_such_weights(run):
    from eco.models.routers import train_scores

    p = np.random.default_rng(0).dirichlet(np.ones(3), 3000).astype(np.float32)
    graph = train_scores(p, p > 0.6, None, 64, seed=1)
    for weight in graph.graph.initializer:
        values = np.abs(onnx.numpy_helper.to_array(weight))
        assert not ((values > 0) & (values < TINY)).any(), weight.name
