"""Model files that can't be run are refused by name, with the stage that makes them."""

import contextlib

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from eco.errors import FileError
from eco.models.onnx.export import constant, parse
from eco.runtime.session import Session


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("trained/tiny.onnx", "train@tiny"),
        ("quantized/tiny.onnx", "quantize@tiny"),
        ("calibrated/tiny.onnx", "calibrate@tiny"),
        ("routers/price_router.onnx", "train_router"),
    ],
)
def test_a_missing_model_names_its_stage(path, stage, tmp_path):
    with pytest.raises(FileError, match=rf"{path} is missing\. .*dvc repro -f -s {stage}$"):
        Session(tmp_path / path, 1)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04K\x01."])
def test_a_file_that_is_no_model_is_refused(content, tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"tiny\.onnx is not an ONNX model.*calibrate@tiny"):
        Session(path, 1)


def test_a_model_of_other_inputs_is_refused(tmp_path):
    graph = constant(1, (4, 5))
    graph.graph.input[0].name = "images"
    path = tmp_path / "tiny.onnx"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(FileError, match=r"tiny\.onnx (must take X, samples|is not an ONNX model)"):
        Session(path, 1)


@pytest.mark.parametrize(
    ("name", "taken", "dtype"),
    [("X", "uint8", "u1"), ("X", "float", "f4"), ("X", "int32", "i4"), ("answers", "float", "f4")],
)
def test_samples_are_pixels_columns_or_ids(name, taken, dtype, tmp_path):
    path = tmp_path / "tiny.onnx"
    graph = parse(f"same ({taken}[n, 3] {name}) => ({taken}[n, 3] y) {{ y = Identity({name}) }}")
    path.write_bytes(graph.SerializeToString())
    X = np.arange(6, dtype=dtype).reshape(2, 3)
    assert (Session(path, 1)(X) == X).all()
    with pytest.raises(FileError, match=r"can't be run on float64 of shape \(2, 3\)"):
        Session(path, 1)(X.astype("f8"))


@pytest.mark.parametrize("taken", ["int64", "double"])
def test_samples_of_other_types_are_refused(taken, tmp_path):
    path = tmp_path / "tiny.onnx"
    graph = parse(f"same ({taken}[n, 3] X) => ({taken}[n, 3] y) {{ y = Identity(X) }}")
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(FileError, match=rf"must take X, samples of uint8.*{taken}.*dvc repro"):
        Session(path, 1)


def test_samples_of_another_shape_are_refused_and_batches_put_together(tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(constant(1, (4, 5)).SerializeToString())
    session = Session(path, 1)
    assert session.in_batches(np.zeros((7, 4, 5), np.uint8), 3).tolist() == [1] * 7
    with pytest.raises(FileError, match=r"can't be run on uint8 of shape \(2, 9, 9\).*repro"):
        session(np.zeros((2, 9, 9), np.uint8))


WEIGHTS = np.float32([[0.25, 0.75], [0.5, 0.5]])


def elsewhere(name, file="params.yaml"):
    """A tensor whose numbers are in another file."""
    tensor = numpy_helper.from_array(WEIGHTS, name)
    onnx.external_data_helper.set_external_data(tensor, file)
    tensor.ClearField("raw_data")
    return tensor


def with_initializer(graph):
    graph.graph.initializer.append(elsewhere("weights", "models/../params.yaml"))


def with_constant(graph):
    graph.graph.node.append(helper.make_node("Constant", [], ["W"], value=elsewhere("W")))


def with_subgraph(graph):
    branch = helper.make_graph([], "branch", [], [], [elsewhere("weights")])
    branches = {"then_branch": branch, "else_branch": branch}
    graph.graph.node.append(helper.make_node("If", ["condition"], ["W"], **branches))


def with_function(graph):
    node = helper.make_node("Constant", [], ["W"], value=elsewhere("W"))
    opset = helper.make_opsetid("", 15)
    graph.functions.append(helper.make_function("own", "F", [], ["W"], [node], [opset]))


def with_sparse_initializer(graph):
    indices = numpy_helper.from_array(np.arange(4))
    sparse = helper.make_sparse_tensor(elsewhere("weights"), indices, [2, 2])
    graph.graph.sparse_initializer.append(sparse)


@pytest.mark.parametrize(
    "change",
    [with_initializer, with_constant, with_subgraph, with_function, with_sparse_initializer],
)
def test_a_model_reads_no_other_file(change, tmp_path):
    graph, path = constant(1, (4, 5)), tmp_path / "models/calibrated/tiny.onnx"
    change(graph)
    path.parent.mkdir(parents=True)
    path.write_bytes(graph.SerializeToString())
    (tmp_path / "params.yaml").write_bytes(WEIGHTS.tobytes())
    with contextlib.chdir(tmp_path), pytest.raises(FileError) as refusal:
        Session(path, 1)
    assert f"{path} must hold its weights" in str(refusal.value)
    assert "params.yaml" in str(refusal.value)
    assert "dvc repro -f -s calibrate@tiny" in str(refusal.value)


def giving(answer, tmp_path):
    """A session that gives each of n images the same answer."""
    answer, path = np.asarray(answer), tmp_path / "tiny.onnx"
    constants = {"first": np.int64([0]), "answer": answer, "ones": np.ones(answer.ndim, int)}
    nodes = [
        helper.make_node("Shape", ["X"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "first"], ["n"]),
        helper.make_node("Concat", ["n", "ones"], ["shape"], axis=0),
        helper.make_node("Expand", ["answer", "shape"], ["answers"]),
    ]
    given = helper.np_dtype_to_tensor_dtype(answer.dtype), ["n", *answer.shape]
    graph = helper.make_graph(
        nodes,
        "giving",
        [helper.make_tensor_value_info("X", onnx.TensorProto.UINT8, ["n", 4, 5])],
        [helper.make_tensor_value_info("answers", *given)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return Session(path, 1)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (np.float32([0.5, 0.25, np.nan]), "return probabilities, .*row 0 is .*nan"),
        (np.float32([7.0, -3.0, 1.0]), r"return probabilities, .*\[7\.0, -3\.0, 1\.0\]"),
        (np.float32([0.5, 0.25, 0.5]), "sum to 1"),
        (np.full(300, 1 / 300, np.float32), "know 3 classes, but knows 300"),
        (np.float32([1.0]), r"n_classes\); got shape \(4, 1\) of float32"),
        (np.full((3, 2), 0.25, np.float32), r"got shape \(4, 3, 2\)"),
        (np.int64([0, 1, 0]), "floats .*of int64"),
        (np.array(["a", "b", "c"], object), "floats .*of object"),
    ],
)
def test_what_a_model_answers_is_checked(answer, problem, tmp_path):
    session = giving(answer, tmp_path)
    with pytest.raises(
        FileError, match=rf"tiny\.onnx must .*{problem}.*repro -f -s calibrate@tiny"
    ) as e:
        session.probabilities(np.zeros((7, 4, 5), np.uint8), 3, batch_size=4)
    assert len(str(e.value)) < 500


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_are_put_together(dtype, tmp_path):
    session = giving(np.array([0.5, 0.25, 0.25], dtype), tmp_path)
    p = session.probabilities(np.zeros((7, 4, 5), np.uint8), 3, batch_size=4)
    assert p.tolist() == [[0.5, 0.25, 0.25]] * 7
    assert p.dtype == np.promote_types(dtype, np.float32)
