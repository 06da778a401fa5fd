import numpy as np
import onnx
import pytest

from eco.models.onnx import fold
from eco.models.onnx.export import canonical, parse
from eco.models.onnx.quantize import quantize

N_FILTERS = 6


def network(
    height=8, width=12, pads="[1, 1, 1, 1]", activation="Relu", pixels="scaled", biases=", b"
):
    """A graph that begins with a convolution of 3 x 3 and a pooling of 2 x 2."""
    random = np.random.default_rng(0)
    constants = {
        "image_shape": np.array([0, 1, height, width]),
        "white": np.array(255, np.float32),
        "K": random.standard_normal((N_FILTERS, 1, 3, 3)).astype(np.float32),
        "b": random.standard_normal(N_FILTERS).astype(np.float32),
        "W": random.standard_normal((N_FILTERS, 3)).astype(np.float32),
    }
    declared = ", ".join(
        f"{'int64' if value.dtype == np.int64 else 'float'}"
        f"{list(value.shape) if value.ndim else ''} {name}"
        for name, value in constants.items()
    )
    graph = parse(
        f"""network (uint8[n, {height}, {width}] X, {declared}) => (float[n, 3] probabilities)
        {{
            numbers = Cast<to = 1>(X)
            scaled = Div(numbers, white)
            bent = Sqrt(scaled)
            image = Reshape({pixels}, image_shape)
            sums = Conv<kernel_shape = [3, 3], strides = [1, 1], pads = {pads},
                dilations = [1, 1], group = 1>(image, K{biases})
            answers = {activation}(sums)
            largest = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(answers)
            means = GlobalAveragePool(largest)
            flat = Flatten(means)
            scores = MatMul(flat, W)
            probabilities = Softmax<axis = -1>(scores)
        }}""",
        constants,
    )
    return canonical(graph, "probabilities")


def images(height=8, width=12):
    return np.random.default_rng(1).integers(0, 256, (40, height, width), dtype=np.uint8)


def kernels(graph):
    return [tuple(weight.dims) for weight in graph.graph.initializer if len(weight.dims) == 4]


@pytest.mark.parametrize("biases", [", b", ""])
def test_a_folded_stem_gives_the_same_probabilities(biases, run):
    graph = network(biases=biases)
    folded = fold.fold_stem(graph)
    assert kernels(graph) == [(N_FILTERS, 1, 3, 3)]
    assert kernels(folded) == [(4 * N_FILTERS, 4, 2, 2)]
    np.testing.assert_allclose(run(folded, images()), run(graph, images()), rtol=1e-5)


def test_integers_of_a_folded_stem_are_the_same(run, monkeypatch):
    folded = quantize(network(), images())
    monkeypatch.setattr("eco.models.onnx.quantize.fold_stem", lambda graph: graph)
    plain = quantize(network(), images())
    assert (4 * N_FILTERS, 4, 2, 2) in kernels(folded)
    assert (N_FILTERS, 1, 3, 3) in kernels(plain)
    np.testing.assert_allclose(run(folded, images()), run(plain, images()), rtol=1e-6)


@pytest.mark.parametrize(
    "other",
    [{"height": 9}, {"pads": "[0, 0, 0, 0]"}, {"activation": "Sigmoid"}, {"pixels": "bent"}],
    ids=["odd height", "no padding", "another activation", "square roots of pixels"],
)
def test_any_other_graph_stays_as_it_is(other):
    graph = network(**other)
    assert fold.fold_stem(graph) is graph


def test_a_folded_graph_is_the_same_bytes_each_time():
    first, second = (fold.fold_stem(network()).SerializeToString() for _ in range(2))
    assert first == second
    onnx.checker.check_model(onnx.load_from_string(first))
