import pickle
import re
from functools import partial

import numpy as np
import onnx
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from scipy import sparse
from scipy.special import expit, softmax
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from eco import CascadeClassifier, OnnxClassifier, RoutingClassifier
from eco.errors import FileError, ModelError

#: Logits of three samples, for two classes.
LOGITS = np.array([[0.0, 0.0], [np.log(3), 0.0], [0.0, np.log(9)]])
PROBABILITIES = np.array([[0.5, 0.5], [0.75, 0.25], [0.1, 0.9]])


def save(path, nodes, inputs, outputs, **constants):
    """A graph; inputs and outputs are (name, dtype, shape)."""
    values = [
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.dtype(d)), s)
         for n, d, s in given]
        for given in (inputs, outputs)
    ]  # fmt: skip
    tensors = [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "graph", *values, tensors)
    opset = [helper.make_opsetid("", 15)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture
def as_given(tmp_path):
    """Makes a graph that gives what it takes, as float32 or another type."""

    def make(dtype=np.float32, shape=("n", 2), gives=np.float32, name="given.onnx"):
        to = helper.np_dtype_to_tensor_dtype(np.dtype(gives))
        node = helper.make_node("Cast", ["X"], ["p"], to=to)
        return save(tmp_path / name, [node], [("X", dtype, shape)], [("p", gives, shape)])

    return make


@pytest.fixture
def of_sklearn(tmp_path):
    """Makes a graph of a fitted classifier of scikit-learn."""

    def make(model, name="model.onnx", types=None, **options):
        types = types or [("X", FloatTensorType([None, model.n_features_in_]))]
        graph = to_onnx(model, initial_types=types, options=options or {"zipmap": False})
        (tmp_path / name).write_bytes(graph.SerializeToString())
        return tmp_path / name

    return make


def halved(X):
    return np.asarray(X) / 2


class TestWhatTheGraphGives:
    def test_probabilities_are_passed_on(self, as_given):
        model = OnnxClassifier(as_given())
        assert model.predict_proba(PROBABILITIES) == pytest.approx(PROBABILITIES)
        assert model.predict(PROBABILITIES).tolist() == [0, 0, 1]
        assert model.classes_.tolist() == [0, 1]

    @pytest.mark.parametrize("gives", [np.float16, np.float32, np.float64])
    def test_logits_go_through_a_softmax(self, gives, as_given):
        p = OnnxClassifier(as_given(gives=gives), "logits").predict_proba(LOGITS)
        assert p == pytest.approx(PROBABILITIES, abs=1e-3)
        assert p.dtype == np.promote_types(gives, np.float32)

    def test_one_column_is_that_of_the_second_class(self, as_given):
        path, column = as_given(shape=("n", 1)), np.array([[0.25], [0.75]])
        model = OnnxClassifier(path, classes=["no", "yes"])
        assert model.predict_proba(column).tolist() == [[0.75, 0.25], [0.25, 0.75]]
        assert model.predict(column).tolist() == ["no", "yes"]
        logits = OnnxClassifier(path, "logits").predict_proba(column)
        assert logits[:, 1] == pytest.approx(expit(column[:, 0]))

    @pytest.mark.parametrize(
        ("output", "row", "message"),
        [
            ("probabilities", [7.0, -3.0], r"sum to 1; row 0 .*set output='logits'"),
            ("probabilities", [-0.5, 1.5], r"from 0 to 1"),
            ("probabilities", [np.nan, 1.0], r"row 0 is \[nan, 1\.0\]"),
            ("logits", [np.nan, 1.0], r"row 0 is \[nan, nan\]"),
            ("logits", [np.inf, np.inf], r"row 0 is \[nan, nan\]"),
            ("logits", [0.25, 0.75], r"gives probabilities, no logits.*output='probabilities'"),
        ],
    )
    def test_it_must_be_what_it_is_said_to_be(self, output, row, message, as_given):
        model = OnnxClassifier(as_given(), output)
        with pytest.raises(ModelError, match=rf"given\.onnx .*{message}"):
            model.predict_proba([row] * 20)

    def test_a_few_logits_may_sum_to_1_by_chance(self, as_given):
        p = OnnxClassifier(as_given(), "logits").predict_proba([[0.25, 0.75]])
        assert p == pytest.approx(softmax([[0.25, 0.75]]))

    def test_a_row_for_each_sample(self, tmp_path):
        node = helper.make_node("ReduceSum", ["X", "axes"], ["p"])
        ends = [("X", "f4", ("n", 2))], [("p", "f4", ("k", 2))]
        path = save(tmp_path / "sum.onnx", [node], *ends, axes=np.int64([0]))
        with pytest.raises(ModelError, match=r"for each of 3 samples.*shape \(1, 2\)"):
            OnnxClassifier(path).predict_proba(PROBABILITIES)

    def test_of_several_outputs_the_only_one_that_can_be_it(self, tmp_path):
        nodes = [helper.make_node(o, ["X"], [n]) for o, n in (("Softmax", "p"), ("Identity", "z"))]
        nodes.append(helper.make_node("ArgMax", ["X"], ["label"], axis=1, keepdims=0))
        outputs = [("label", "i8", ("n",)), ("p", "f4", ("n", 2)), ("z", "f4", ("n", 2))]
        inputs = [("X", "f4", ("n", 2))]
        path = save(tmp_path / "two.onnx", nodes, inputs, outputs[:2])
        assert OnnxClassifier(path).predict_proba(LOGITS) == pytest.approx(PROBABILITIES)
        path = save(tmp_path / "three.onnx", nodes, inputs, outputs)
        with pytest.raises(FileError, match=r"exactly one .*label.*p.*z.*Name one by output_name"):
            OnnxClassifier(path).predict(LOGITS)
        for name, output in (("p", "probabilities"), ("z", "logits")):
            model = OnnxClassifier(path, output, output_name=name)
            assert model.predict_proba(LOGITS) == pytest.approx(PROBABILITIES)
        for name in ("label", "other"):
            with pytest.raises(FileError, match=f"an output '{name}' of floats.*but has label"):
                OnnxClassifier(path, output_name=name).predict(LOGITS)

    def test_the_dicts_of_skl2onnx_are_explained(self, of_sklearn):
        model = LogisticRegression(max_iter=1000).fit(*load_iris(return_X_y=True))
        with pytest.raises(FileError, match=r"seq\(map.*options=\{'zipmap': False\}"):
            OnnxClassifier(of_sklearn(model, zipmap=True)).predict(load_iris().data)


class TestClasses:
    def test_columns_are_in_the_order_of_sorted_labels(self, as_given):
        model = OnnxClassifier(as_given(), classes=["dog", "cat"])
        assert model.classes_.tolist() == ["cat", "dog"]
        assert model.predict_proba(PROBABILITIES) == pytest.approx(PROBABILITIES[:, ::-1])
        assert model.predict(PROBABILITIES[1:]).tolist() == ["dog", "cat"]

    @settings(max_examples=20, deadline=None)
    @given(order=st.permutations(range(5)))
    def test_any_order_names_the_same_labels(self, order, tmp_path_factory):
        path = tmp_path_factory.mktemp("order") / "five.onnx"
        node = helper.make_node("Identity", ["X"], ["p"])
        save(path, [node], [("X", "f4", ("n", 5))], [("p", "f4", ("n", 5))])
        model = OnnxClassifier(path, classes=[f"class {i}" for i in order])
        assert model.predict(np.eye(5)).tolist() == [f"class {i}" for i in order]
        assert (model.predict_proba(np.eye(5)).argmax(axis=1) == order).all()

    @pytest.mark.parametrize("classes", [["a"], ["a", "a"], ["a", "b", "c"], [["a", "b"]], "ab"])
    def test_as_many_different_ones_as_the_output_has(self, classes, as_given):
        with pytest.raises(ValueError, match=r"classes must be 2 different labels.*got"):
            OnnxClassifier(as_given(), classes=classes).predict(PROBABILITIES)

    def test_a_graph_that_does_not_say_how_many(self, as_given):
        path = as_given(shape=("n", "k"))
        with pytest.raises(FileError, match=r"how many classes it knows\. Give classes"):
            OnnxClassifier(path).predict(PROBABILITIES)
        assert OnnxClassifier(path, classes=[3, 7]).predict(PROBABILITIES).tolist() == [3, 3, 7]
        with pytest.raises(ModelError, match="must know 3 classes, but knows 2"):
            OnnxClassifier(path, classes=[3, 7, 9]).predict(PROBABILITIES)


class TestWhatTheGraphTakes:
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", "u4", "?"])
    def test_numbers_that_stay_the_same_are_converted(self, dtype, as_given):
        model = OnnxClassifier(as_given(dtype))
        whole = [[0, 1], [1, 0]]
        kinds = ["?"] if dtype == "?" else ["?", "i1", "u1", "i8", "u8"]
        kinds += ["f2", "f4", "f8"] if np.dtype(dtype).kind == "f" else []
        for kind in kinds:
            assert model.predict_proba(np.array(whole, kind)).tolist() == whole
        model.set_params(batch_size=1)
        assert model.predict_proba(pd.DataFrame(np.array(whole, dtype))).tolist() == whole
        assert model.predict_proba(sparse.coo_array(np.array(whole, bool))).tolist() == whole

    @pytest.mark.parametrize(
        ("dtype", "values"),
        [
            ("i8", [[1.0, 0.0]]),
            ("u1", [[0.5, 0.5]]),
            ("u1", [[256, 0]]),
            ("i1", [[200, 0]]),
            ("u8", [[-1, 0]]),
            ("u8", np.array([[-1, 0]], "i1")),
            ("i8", np.array([[2**64 - 1, 0]], "u8")),
            ("?", [[1, 0]]),
            ("f4", [[1e300, 0.0]]),
            ("f2", [[1e5, 0.0]]),
            ("f4", [[1j, 0.0]]),
            ("f4", [["1", "0"]]),
            ("f4", [[None, 0.0]]),
        ],
    )
    def test_others_are_refused(self, dtype, values, as_given):
        found, kind = np.asarray(values).dtype, np.dtype(dtype)
        message = rf"given\.onnx takes 'X' as {kind}, which {re.escape(str(found))} .*without loss"
        with pytest.raises(ValueError, match=message):
            OnnxClassifier(as_given(dtype)).predict_proba(values)

    @settings(max_examples=60, deadline=None)
    @given(
        numbers=st.lists(st.integers(-300, 300) | st.integers(-(2**40), 2**40), min_size=1),
        kind=st.sampled_from("bhilBHIL"),
    )
    def test_whole_numbers_arrive_as_they_are_or_not_at_all(self, numbers, kind, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / f"{np.dtype(kind)}.onnx"
        if not path.exists():
            to_double = helper.make_node("Cast", ["X"], ["z"], to=TensorProto.DOUBLE)
            save(path, [to_double], [("X", kind, ("n", 1))], [("z", "f8", ("n", 1))])
        model, X = OnnxClassifier(path, "logits"), np.array(numbers)[:, None]
        limits = np.iinfo(kind)
        if limits.min <= min(numbers) and max(numbers) <= limits.max:
            assert model.predict_proba(X)[:, 1] == pytest.approx(expit(X[:, 0].astype(float)))
        else:
            with pytest.raises(ValueError, match="without loss"):
                model.predict_proba(X)

    def test_text(self, tmp_path):
        nodes = [
            helper.make_node(
                "LabelEncoder", ["X"], ["z"], domain="ai.onnx.ml",
                keys_strings=["good", "bad"], values_floats=[3.0, -3.0], default_float=0.0,
            ),
            helper.make_node("Unsqueeze", ["z", "one"], ["column"]),
        ]  # fmt: skip
        ends = [("X", object, ("n",))], [("column", "f4", ("n", 1))]
        path = save(tmp_path / "words.onnx", nodes, *ends, one=np.int64([1]))
        model = OnnxClassifier(path, "logits", classes=["-", "+"])
        for texts in (["good", "bad"], pd.Series(["good", "bad"]), np.array(["good", "bad"])):
            assert model.predict(texts).tolist() == ["+", "-"]
        for others in ([1, 2], ["good", None]):
            with pytest.raises(ValueError, match="takes 'X' as object"):
                model.predict(others)

    def test_other_shapes_need_preprocess(self, tmp_path):
        nodes = [helper.make_node("ReduceMean", ["X"], ["p"], axes=[1, 2], keepdims=0)]
        path = save(
            tmp_path / "m.onnx", nodes, [("X", "f4", ("n", 2, 2, 2))], [("p", "f4", ("n", 2))]
        )
        X = np.tile([0.25, 0.75], (3, 4))
        with pytest.raises(ModelError, match=r"m\.onnx can't be run .*rank.*Give preprocess"):
            OnnxClassifier(path).predict_proba(X)
        as_images = partial(np.reshape, shape=(-1, 2, 2, 2))
        model = OnnxClassifier(path, preprocess=as_images)
        assert model.predict_proba(X) == pytest.approx(np.tile([0.25, 0.75], (3, 1)))

    def test_a_fixed_number_of_samples(self, as_given):
        path = as_given(shape=(1, 2))
        with pytest.raises(ModelError, match=r"Got: 3 Expected: 1.*set batch_size"):
            OnnxClassifier(path).predict_proba(PROBABILITIES)
        one_by_one = OnnxClassifier(path, batch_size=1)
        assert one_by_one.predict_proba(PROBABILITIES) == pytest.approx(PROBABILITIES)

    @settings(max_examples=20, deadline=None)
    @given(n=st.integers(1, 30), batch_size=st.integers(1, 40))
    def test_calls_of_any_size_give_the_same(self, n, batch_size, tmp_path_factory):
        path = tmp_path_factory.getbasetemp() / "same.onnx"
        node = helper.make_node("Softmax", ["X"], ["p"])
        save(path, [node], [("X", "f4", ("n", 4))], [("p", "f4", ("n", 4))])
        X = np.random.default_rng(n).normal(size=(n, 4))
        p = OnnxClassifier(path, batch_size=batch_size).predict_proba(X)
        assert p == pytest.approx(softmax(X, axis=1), abs=1e-6)

    def test_no_samples_and_mappings_are_refused(self, as_given):
        model = OnnxClassifier(as_given())
        with pytest.raises(ValueError, match="1 sample at least"):
            model.predict_proba(np.empty((0, 2)))
        with pytest.raises(ValueError, match=r"row by row; got dict\. Give a DataFrame, or prepro"):
            model.predict_proba({"X": PROBABILITIES})


def tokens(texts):
    """Of each text the first four characters, and how many of them there are."""
    ids = [[ord(letter) for letter in text[:4].ljust(4)] for text in texts]
    return {"ids": np.array(ids), "length": np.array([[len(text)] for text in texts])}


class TestSeveralInputs:
    @pytest.fixture
    def path(self, tmp_path):
        """Its logits are those of whether a text is longer than half of its first code."""
        nodes = [
            helper.make_node("Slice", ["ids", "zero", "one", "one"], ["first"]),
            helper.make_node("Mul", ["length", "two"], ["twice"]),
            helper.make_node("Sub", ["twice", "first"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["z"], to=TensorProto.FLOAT),
        ]
        inputs = [("ids", "i8", ("n", "k")), ("length", "i8", ("n", 1))]
        return save(
            tmp_path / "text.onnx", nodes, inputs, [("z", "f4", ("n", 1))],
            zero=np.int64([0]), one=np.int64([1]), two=np.int64([2]),
        )  # fmt: skip

    def test_preprocess_gives_them_by_name(self, path):
        model = OnnxClassifier(path, "logits", preprocess=tokens)
        texts = ["a" * n for n in (10, 40, 60, 80)]  # ord("a") is 97
        assert model.predict(texts).tolist() == [0, 0, 1, 1]
        cascade = CascadeClassifier([("text", model)], [0.0], energies=[1.0], prefit=True)
        assert cascade.fit(texts, [0, 0, 1, 1]).predict(texts[1:3]).tolist() == [0, 1]

    @pytest.mark.parametrize(
        ("preprocess", "found"),
        [(None, "list"), (halved, "ndarray"), (lambda texts: {"ids": tokens(texts)["ids"]}, "ids")],
    )
    def test_what_is_missing_is_named(self, preprocess, found, path):
        model, X = OnnxClassifier(path, "logits", preprocess=preprocess), [[1.0], [2.0]]
        X = ["some", "text"] if found == "ids" else X
        message = rf"takes the inputs \['ids', 'length'\]; got .*{found}.*preprocess"
        with pytest.raises(ValueError, match=message):
            model.predict(X)

    def test_columns_of_a_table(self, of_sklearn):
        X, y = load_iris(as_frame=True, return_X_y=True)
        X.columns = ["a", "b", "c", "d"]
        scaled = make_column_transformer((StandardScaler(), [*"abcd"]))
        model = make_pipeline(scaled, LogisticRegression()).fit(X, y)
        path = of_sklearn(model, types=[(name, FloatTensorType([None, 1])) for name in "abcd"])
        p = OnnxClassifier(path).predict_proba(X[[*"dcba"]])
        assert p == pytest.approx(model.predict_proba(X), abs=1e-4)
        with pytest.raises(ValueError, match=r"takes the inputs .* got \['b', 'c', 'd'\]"):
            OnnxClassifier(path).predict(X.drop(columns="a"))


class TestFiles:
    def test_a_missing_one(self, tmp_path):
        with pytest.raises(FileError, match=r"none\.onnx is missing"):
            OnnxClassifier(tmp_path / "none.onnx").predict([[1.0]])

    @pytest.mark.parametrize("content", [b"", b"no graph", b"\x80\x04K\x01."])
    def test_one_that_is_no_graph(self, content, tmp_path):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(FileError, match=r"bad\.onnx is not an ONNX model"):
            OnnxClassifier(tmp_path / "bad.onnx").predict([[1.0]])
        with pytest.raises(FileError, match="is not an ONNX model"):
            OnnxClassifier(tmp_path).predict([[1.0]])

    def test_weights_in_another_one(self, tmp_path):
        node, W = helper.make_node("MatMul", ["X", "W"], ["p"]), np.eye(2, dtype="f4")
        ends = [("X", "f4", ("n", 2))], [("p", "f4", ("n", 2))]
        path = save(tmp_path / "whole.onnx", [node], *ends, W=W)
        assert OnnxClassifier(path).predict(PROBABILITIES).tolist() == [0, 0, 1]
        settings = {"save_as_external_data": True, "location": "weights", "size_threshold": 0}
        onnx.save_model(onnx.load(path), tmp_path / "parts.onnx", **settings)
        with pytest.raises(FileError, match=r"are in 'weights'.*external_data=False"):
            OnnxClassifier(tmp_path / "parts.onnx").predict(PROBABILITIES)

    def test_inputs_that_are_no_arrays(self, tmp_path):
        sequence = helper.make_tensor_sequence_value_info("X", TensorProto.FLOAT, ["n", 2])
        node = helper.make_node("ConcatFromSequence", ["X"], ["p"], axis=0)
        output = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 2])
        graph = helper.make_graph([node], "graph", [sequence], [output])
        opset = [helper.make_opsetid("", 15)]
        path = tmp_path / "sequence.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        with pytest.raises(FileError, match=r"must take arrays .*seq\(tensor\(float\)\)"):
            OnnxClassifier(path).predict(PROBABILITIES)


class TestConventions:
    def test_parameters(self, as_given):
        model = OnnxClassifier(as_given(), "logits", classes=["a", "b"], preprocess=halved)
        assert is_classifier(model)
        params = model.get_params()
        copy = clone(model)
        assert copy.get_params() == params
        assert (copy.predict_proba(LOGITS) == model.predict_proba(LOGITS)).all()
        assert model.predict_proba(2 * LOGITS) == pytest.approx(PROBABILITIES)
        model.set_params(preprocess=None, classes=["x", "y"])
        assert model.predict_proba(LOGITS) == pytest.approx(PROBABILITIES)
        assert model.predict(LOGITS[1:]).tolist() == ["x", "y"]
        assert model.score(LOGITS[1:], ["x", "x"]) == 0.5
        assert model.fit(LOGITS, ["x", "y", "x"]) is model
        with pytest.raises(ValueError, match=r"labels that .* knows, \['x', 'y'\]; got \['z'\]"):
            model.fit(LOGITS, ["x", "y", "z"])

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"path": 3}, "path must be the path of an ONNX file; got 3"),
            ({"output": "scores"}, "output must be 'probabilities' or 'logits'; got 'scores'"),
            ({"output_name": 1}, "output_name must be the name of an output"),
            ({"preprocess": "halved"}, "preprocess must be callable"),
            ({"batch_size": 0}, "batch_size must be a whole number at least 1; got 0"),
            ({"threads": 1.5}, r"threads must be a whole number at least 1; got 1\.5"),
        ],
    )
    def test_they_are_checked_where_they_are_used(self, params, message, as_given):
        model = OnnxClassifier(as_given())
        model.predict(LOGITS[:1] + 0.5)
        model.set_params(**params)
        with pytest.raises(ValueError, match=message):
            model.predict(LOGITS)

    def test_a_pickle_holds_the_path(self, as_given):
        model = OnnxClassifier(as_given(), "logits", preprocess=halved)
        p = model.predict_proba(LOGITS)
        content = pickle.dumps(model)
        assert len(content) < 1000
        assert (pickle.loads(content).predict_proba(LOGITS) == p).all()
        model.path.unlink()
        with pytest.raises(FileError, match="is missing"):
            pickle.loads(content).predict(LOGITS)


class TestInAPool:
    @pytest.fixture
    def models(self, of_sklearn):
        X, y = load_digits(return_X_y=True)
        small = DecisionTreeClassifier(max_depth=6, random_state=0).fit(X[:600], y[:600])
        large = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:600], y[:600])
        return [
            ("small", OnnxClassifier(of_sklearn(small, "small.onnx"))),
            ("large", OnnxClassifier(of_sklearn(large, "large.onnx"))),
        ]

    def test_a_cascade_asks_the_next_where_one_is_unsure(self, models):
        X, y = load_digits(return_X_y=True)
        cascade = CascadeClassifier(models, [0.9, 0.0], energies=[1.0, 9.0], prefit=True)
        explained = cascade.fit(X[600:], y[600:]).explain(X[1200:])
        small, large = (model.predict_proba(X[1200:]) for _, model in models)
        sure = np.round(small.max(axis=1), 4) >= 0.9
        assert 0.1 < sure.mean() < 0.9
        assert (explained["answered_by"] == np.where(sure, "small", "large")).all()
        assert (explained["label"] == np.where(sure, small.argmax(1), large.argmax(1))).all()
        again = pickle.loads(pickle.dumps(cascade))
        assert (again.predict(X[1200:]) == explained["label"]).all()
        assert (clone(cascade).fit(X[600:], y[600:]).predict(X) == cascade.predict(X)).all()

    @pytest.mark.filterwarnings("ignore:estimators go from light to heavy")
    def test_it_is_tuned_with_energies_by_the_cpu_clock(self, models):
        X, y = load_digits(return_X_y=True)
        cascade = CascadeClassifier(models, prefit=True, max_accuracy_loss=5)
        cascade.fit(X[600:], y[600:])
        assert (cascade.energies_ > 0).all()
        assert cascade.score(X[600:], y[600:]) >= models[1][1].score(X[600:], y[600:]) - 0.05
        routing = RoutingClassifier(models, price=0.1, prefit=True, random_state=0)
        assert routing.fit(X[600:], y[600:]).score(X[600:], y[600:]) > 0.8

    @pytest.mark.slow
    def test_its_energy_is_measured(self, models):
        X, y = load_digits(return_X_y=True)
        cascade = CascadeClassifier(
            models[1:], [0.0], energies="measured", measure_s=0.1, prefit=True
        ).fit(X[600:], y[600:])
        assert cascade.energies_[0] > 0
        assert cascade.measurement_.rows[0].name == "large"

    def test_beside_models_of_scikit_learn(self, models):
        X, y = load_digits(return_X_y=True)
        words = np.array([f"digit {i}" for i in range(10)])
        path, tree = models[0][1].path, DecisionTreeClassifier(random_state=0)
        light, heavy = OnnxClassifier(path, classes=words), tree.fit(X[:600], words[y[:600]])
        pool = [("light", light), ("heavy", FrozenEstimator(heavy))]
        cascade = CascadeClassifier(pool, [0.9, 0.0], energies=[1.0, 9.0], prefit=True)
        cascade.fit(X[600:], words[y[600:]])
        assert set(cascade.predict(X)) == set(words)

    def test_beside_models_that_are_fitted_first(self, models):
        X, y = load_digits(return_X_y=True)
        words = np.array([f"digit {i}" for i in range(10)])
        light = models[0][1].set_params(classes=words)
        pool = [("light", FrozenEstimator(light)), ("heavy", DecisionTreeClassifier())]
        cascade = CascadeClassifier(pool, [0.9, 0.0], energies=[1.0, 9.0]).fit(X, words[y])
        assert set(cascade.predict(X)) == set(words)
        pool[0] = ("light", light)
        with pytest.raises(ValueError, match=r"y must hold labels .*digit 0.*prefit=True, or fre"):
            CascadeClassifier(pool).fit(X, words[y])

    def test_it_is_calibrated_as_it_is(self, models):
        X, y = load_digits(return_X_y=True)
        calibrated = CalibratedClassifierCV(FrozenEstimator(models[1][1])).fit(X[600:], y[600:])
        assert calibrated.score(X[600:], y[600:]) > 0.8

    def test_a_bad_file_is_named_when_the_pool_is_fitted(self, models, tmp_path):
        X, y = load_digits(return_X_y=True)
        pool = [("none", OnnxClassifier(tmp_path / "none.onnx")), *models]
        with pytest.raises(FileError, match=r"none\.onnx is missing"):
            CascadeClassifier(pool, prefit=True).fit(X, y)
        logits = models[0][1].set_params(output="logits")
        with pytest.raises(ValueError, match=r"estimators: model .*small\.onnx gives probabil"):
            CascadeClassifier([("small", logits)], [0.0], prefit=True).fit(X, y)
