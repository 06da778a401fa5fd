"""ONNX files of other makers as models of the pool: the same answers as the untouched file's."""

import hashlib
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from pydantic import ValidationError
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eco.errors import FileError, ModelError, ParamsError
from eco.models.base import make_model, train
from eco.models.kinds.onnx import Settings
from eco.models.onnx.calibrate import calibrated
from eco.models.onnx.export import parse
from eco.models.onnx.quantize import quantize
from tests.models.conftest import softmax

#: Three classes of images, of grey and of colour, and of texts.
RANDOM = np.random.default_rng(0)
Y = np.arange(120) % 3
GREY = RANDOM.integers(0, 256, (120, 4, 6), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (120, 4, 6, 3), dtype=np.uint8)
TEXT = RANDOM.integers(0, 50, (120, 7), dtype=np.int32)
W = RANDOM.normal(size=(24, 3)).astype(np.float32)


def answers(file, feed):
    """What the untouched file gives."""
    return onnxruntime.InferenceSession(file.SerializeToString()).run(None, feed)


@pytest.fixture
def model(tmp_path):
    """Trains a model of a file on samples: its graph and its curve."""

    def train_it(content, X, y, gives="probabilities", **settings):
        content = content if isinstance(content, bytes) else content.SerializeToString()
        path = tmp_path / "own.onnx"
        path.write_bytes(content)
        settings = {"sha256": hashlib.sha256(content).hexdigest()} | settings
        settings |= {"path": str(path), "gives": gives}
        return train("onnx", settings, X, y, X[:60], y[:60], 0)

    return train_it


def in_form(graph, X):
    """Whether a graph is what every stage takes."""
    (taken,), (given,) = graph.graph.input, graph.graph.output
    shape = [size.dim_value for size in taken.type.tensor_type.shape.dim]
    return (taken.name, given.name, shape[1:]) == ("X", "probabilities", list(X.shape[1:]))


class TestTables:
    @pytest.fixture
    def iris(self):
        X, y = load_iris(return_X_y=True)
        return X.astype(np.float32), y

    @pytest.mark.parametrize("of", [FloatTensorType, DoubleTensorType])
    def test_a_pipeline_of_scikit_learn(self, of, iris, model, run):
        fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(*iris)
        types = [("input.1", of([None, 4]))]
        file = to_onnx(fitted, initial_types=types, options={"zipmap": False})
        graph, curve = model(file, *iris)
        X, y = iris
        p = run(graph, X)
        assert in_form(graph, X)
        assert p.dtype == np.float32
        assert p == pytest.approx(fitted.predict_proba(X), abs=1e-5)
        assert [row["split"] for row in curve] == ["train", "held out"]
        assert curve[0]["accuracy"] == pytest.approx((p.argmax(axis=1) == y).mean())
        assert curve[0]["loss"] == pytest.approx(-np.log(p[np.arange(150), y]).mean(), rel=1e-4)

    def test_trees_behind_what_fills_missing_values(self, iris, model, run):
        X, y = iris[0].copy(), iris[1]
        X[::5, 2] = np.nan
        fitted = make_pipeline(SimpleImputer(), GradientBoostingClassifier(n_estimators=5))
        file = to_onnx(fitted.fit(X, y), X[:1], options={"zipmap": False})
        graph, _ = model(file, X, y)
        _, p = answers(file, {"X": X})
        assert run(graph, X) == pytest.approx(p, abs=1e-6)
        for method in ("temperature", "isotonic"):
            after, _ = calibrated(graph, p, y, method)
            q = run(after, X)
            assert q.sum(axis=1) == pytest.approx(1, abs=1e-5)
            assert (q.argmax(axis=1) == y).mean() > 0.9
        with pytest.raises(ModelError, match="must end in a softmax"):
            quantize(graph, X)

    def test_a_single_column_is_the_second_of_two_classes(self, iris, model, run):
        X, y = (part[:100] for part in iris)
        body = "one (float[n, 4] x, float[4, 1] W) => (float[n, 1] z) {{ {} }}"
        weights = {"W": np.float32([[1], [-1], [0.5], [0]])}
        logits = parse(body.format("z = MatMul(x, W)"), weights)
        shares = parse(body.format("s = MatMul(x, W) z = Sigmoid(s)"), weights)
        (expected,) = answers(shares, {"x": X})
        for file, gives in ((logits, "logits"), (shares, "probabilities")):
            p = run(model(file, X, y, gives)[0], X)
            assert p == pytest.approx(np.hstack([1 - expected, expected]), abs=1e-6)


def expect(X, scale=1 / 255, mean=0, std=1):
    return ((X * scale - mean) / std).astype(np.float32)


class TestImages:
    @pytest.mark.parametrize("opset", [13, 15, 21])
    @pytest.mark.parametrize(
        ("X", "shape", "settings", "pixels"),
        [
            (GREY, "4, 6", {}, expect(GREY)),
            (GREY, "24", {}, expect(GREY).reshape(120, 24)),
            (GREY, "1, 4, 6", {"layout": "first"}, expect(GREY)[:, None]),
            (GREY, "c, h, w", {"layout": "first"}, expect(GREY)[:, None]),
            (GREY, "4, 6, 1", {"layout": "last"}, expect(GREY)[..., None]),
            (
                GREY, "1, 4, 6", {"layout": "first", "mean": [0.5], "std": [0.25]},
                expect(GREY, 1 / 255, 0.5, 0.25)[:, None],
            ),
            (COLOUR, "4, 6, 3", {"layout": "last", "scale": 1.0}, expect(COLOUR, 1)),
            (COLOUR, "72", {}, expect(COLOUR).reshape(120, 72)),
            (
                COLOUR, "3, 4, 6",
                {"layout": "first", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
                expect(COLOUR, 1 / 255, [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]).transpose(0, 3, 1, 2),
            ),
        ],
    )  # fmt: skip
    def test_pixels_are_scaled_and_laid_out(self, X, shape, settings, pixels, opset, model, run):
        n = pixels[0].size
        weights = {"W": np.float32(RANDOM.normal(size=(n, 3)) / 5)}
        file = parse(
            f"""own (float[n, {shape}] pixels, float[{n}, 3] W) => (float[n, 3] logits)
            {{ rows = Flatten(pixels) logits = MatMul(rows, W) }}""",
            weights,
            opset,
        )
        (expected,) = answers(file, {"pixels": pixels})
        graph, _ = model(file, X, Y, "logits", **settings)
        assert in_form(graph, X)
        p = run(graph, X)
        assert p == pytest.approx(softmax(expected), abs=1e-4)
        for method in ("temperature", "isotonic"):
            after, _ = calibrated(graph, p, Y, method)
            assert run(after, X).shape == (120, 3)

    def test_pixels_may_be_scaled_inside(self, model, run):
        file = parse(
            """own (uint8[n, 4, 6] x, float[24, 3] W, float half) => (float[n, 3] p)
            {
                wide = Cast<to = 1>(x) scaled = Div(wide, half)
                rows = Flatten(scaled) z = MatMul(rows, W) p = Softmax(z)
            }""",
            {"W": W, "half": np.float32(127.5)},
        )
        (expected,) = answers(file, {"x": GREY})
        graph, _ = model(file, GREY, Y, scale=1.0)
        assert run(graph, GREY) == pytest.approx(expected, abs=1e-6)
        with pytest.raises(
            ParamsError, match=r"pixels as uint8, so scale must be 1\.0.*got 0\.003"
        ):
            model(file, GREY, Y)

    def test_a_classifier_of_scikit_learn(self, model, run):
        X, y = load_digits(return_X_y=True)
        pixels = (X * 15).astype(np.uint8).reshape(-1, 8, 8)
        fitted = MLPClassifier((16,), max_iter=20, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(X / 16, y)
        file = to_onnx(fitted, np.float32(X[:1]), options={"zipmap": False})
        graph, curve = model(file, pixels, y, scale=1 / 240)
        assert run(graph, pixels) == pytest.approx(fitted.predict_proba(X / 16), abs=1e-4)
        assert curve[-1]["accuracy"] > 0.8

    @pytest.mark.slow
    def test_a_network_of_keras(self, model, run, tmp_path):
        import keras

        keras.utils.set_random_seed(0)
        layers = keras.layers
        network = keras.Sequential(
            [
                layers.Input((4, 6, 3)),
                layers.Conv2D(4, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        expected = network.predict(expect(COLOUR), verbose=0)
        path = tmp_path / "keras.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx
            network.export(path, format="onnx", verbose=False)
        graph, _ = model(path.read_bytes(), COLOUR, Y, layout="last")
        p = run(graph, COLOUR)
        assert p == pytest.approx(expected, abs=1e-5)


#: The mean of the vectors of the words, without padding, and what the second input adds.
WORDS = """own (int64[n, t] input_ids, int64[n, t] attention_mask, int64[n, t] token_type_ids,
    float[50, 3] E, float[2, 3] T, int64[1] last, int64[1] words)
    => (float[n, 3] logits, float[n, t, 3] hidden)
{
    e = Gather(E, input_ids)
    t = Gather(T, token_type_ids)
    hidden = Add(e, t)
    m = Cast<to = 1>(attention_mask)
    mask = Unsqueeze(m, last)
    kept = Mul(hidden, mask)
    sums = ReduceSum<keepdims = 0>(kept, words)
    n_words = ReduceSum<keepdims = 1>(m, words)
    logits = Div(sums, n_words)
}"""


class TestText:
    @pytest.fixture
    def file(self):
        weights = {"E": RANDOM.normal(size=(50, 3)).astype(np.float32), "T": W[:2]}
        return parse(WORDS, weights | {"last": np.array([2]), "words": np.array([1])}, 17)

    def test_the_inputs_of_hugging_face(self, file, model, run):
        X = TEXT.copy()
        X[:, 0] = 7
        X[::2, 3:] = 0
        ids = X.astype(np.int64)
        feed = {"input_ids": ids, "attention_mask": np.int64(ids != 0), "token_type_ids": 0 * ids}
        expected, _ = answers(file, feed)
        graph, _ = model(file, X, Y, "logits")
        assert in_form(graph, X)
        p = run(graph, X)
        assert p == pytest.approx(softmax(expected), abs=1e-6)
        after, _ = calibrated(graph, p, Y, "temperature")
        assert (run(after, X).argmax(axis=1) == p.argmax(axis=1)).all()

    @pytest.mark.parametrize("taken", ["int32", "int64", "float"])
    def test_a_single_input_of_any_name(self, taken, model, run):
        file = parse(
            f"""own ({taken}[n, 7] words, float[7, 3] W) => (float[n, 3] p)
            {{ z = Cast<to = 1>(words) s = MatMul(z, W) p = Softmax(s) }}""",
            {"W": W[:7] / 50},
        )
        feed = {"words": TEXT.astype("f4" if taken == "float" else taken)}
        graph, _ = model(file, TEXT, Y)
        assert run(graph, TEXT) == pytest.approx(answers(file, feed)[0], abs=1e-6)

    def test_other_inputs_are_refused(self, file, model):
        file.graph.input[2].name = "position_ids"
        for node in file.graph.node:
            node.input[:] = [name.replace("token_type_ids", "position_ids") for name in node.input]
        with pytest.raises(FileError, match=r"input_ids and perhaps attention_mask.*position_ids"):
            model(file, TEXT, Y, "logits")


#: A table of four columns and the sums that a graph gives for it.
TABLE = RANDOM.normal(size=(120, 4)).astype(np.float32)
SOFTMAX = (
    "own (float[n, 4] x, float[4, 3] W) => (float[n, 3] p) { z = MatMul(x, W) p = Softmax(z) }"
)
LINEAR = "own (float[n, 4] x, float[4, 3] W) => (float[n, 3] z) { z = MatMul(x, W) }"
COLUMNS = {"W": W[:4]}


class TestIn8Bits:
    """Graphs of other makers are quantized as the project's own."""

    @pytest.mark.parametrize("opset", [13, 15, 21])
    @pytest.mark.parametrize("inside", ["no", "yes"])
    @pytest.mark.parametrize("statistics", [{}, {"mean": [0.4], "std": [0.2]}])
    def test_pixels_scaled_outside_and_inside(self, inside, statistics, opset, model, run):
        steps = "Div(pixels, half)" if inside == "yes" else "Identity(pixels)"
        file = parse(
            f"""own (float[n, 1, 4, 6] pixels, float half, float[5, 1, 3, 3] K, float[120, 3] W)
                => (float[n, 3] logits)
            {{
                scaled = {steps}
                maps = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(scaled, K)
                active = Relu(maps)
                rows = Flatten(active)
                logits = MatMul(rows, W)
            }}""",
            {
                "half": np.float32(127.5), "K": np.float32(RANDOM.normal(size=(5, 1, 3, 3))),
                "W": np.float32(RANDOM.normal(size=(120, 3)) / 10),
            },
            opset,
        )  # fmt: skip
        settings = statistics | {"layout": "first", "scale": 1.0 if inside == "yes" else 1 / 255}
        graph, _ = model(file, GREY, Y, "logits", **settings)
        p, q = run(graph, GREY), run(quantize(graph, GREY), GREY)
        assert np.abs(p - q).mean() < 0.03

    def test_pixels_as_the_graph_takes_them(self, model, run):
        file = parse(
            """own (uint8[n, 4, 6] x, float[24, 3] W, float half) => (float[n, 3] z)
            {
                wide = Cast<to = 1>(x) scaled = Div(wide, half)
                rows = Flatten(scaled) z = MatMul(rows, W)
            }""",
            {"W": W / 5, "half": np.float32(127.5)},
        )
        graph, _ = model(file, GREY, Y, "logits", scale=1.0)
        p, q = run(graph, GREY), run(quantize(graph, GREY), GREY)
        assert np.abs(p - q).mean() < 0.03

    def test_columns_of_a_table(self, model, run):
        file = parse(
            """own (float[n, 4] x, float[4, 3] W, float[3] b) => (float[n, 3] z)
            { s = MatMul(x, W) z = Add(s, b) }""",
            {"W": W[:4], "b": W[0]},
            19,
        )
        graph, _ = model(file, TABLE, Y, "logits")
        p, q = run(graph, TABLE), run(quantize(graph, TABLE), TABLE)
        assert np.abs(p - q).mean() < 0.03

    def test_a_product_over_each_word(self, model, run):
        file = parse(
            """own (int64[n, 7] ids, float[50, 8] E, float[8, 3] P, int64[1] words)
                => (float[n, 3] z)
            { e = Gather(E, ids) h = MatMul(e, P) z = ReduceSum<keepdims = 0>(h, words) }""",
            {
                "E": np.float32(RANDOM.normal(size=(50, 8))), "P": W[:8] / 5,
                "words": np.array([1]),
            },
            17,
        )  # fmt: skip
        graph, _ = model(file, TEXT, Y, "logits")
        p, q = run(graph, TEXT), run(quantize(graph, TEXT), TEXT)
        assert np.abs(p - q).mean() < 0.03

    def test_what_can_not_be_is_refused(self, model):
        file = parse(SOFTMAX, COLUMNS)
        graph, _ = model(file, TABLE, Y)
        with pytest.raises(ModelError, match="must be such that ONNX Runtime can quantize it"):
            quantize(graph, TABLE[:, :3])


class TestRefused:
    """By the file or the key, with what must hold, what was found, and what to do next."""

    @pytest.mark.parametrize(
        ("file", "gives", "message"),
        [
            (LINEAR, "probabilities", r"sum to 1; row .*these are logits, set gives: logits"),
            (SOFTMAX, "logits", r"must give logits; it gives probabilities.*gives: probabilities"),
            (SOFTMAX.replace("[n, 4]", "[1, 4]"), "probabilities",
             r"any number of samples as 'x'; it takes 1\..*dynamic_shapes.*dynamic_axes"),
            (SOFTMAX.replace("[n, 4]", "[n, 4, 1]").replace("MatMul(x", "MatMul(s").replace(
                "{ z", "{ s = Flatten(x) z"), "probabilities",
             r"must take 'x' of shape \[n, 4\], made of table .*; it takes \[n, 4, 1\]"),
            (SOFTMAX.replace("4", "5"), "probabilities", r"shape \[n, 4\].* takes \[n, 5\]"),
            (SOFTMAX.replace("3]", "2]"), "probabilities", "know 3 classes, .*; it knows 2"),
            ("own (int64[n, 4] x) => (float[n, 4] p) { p = Cast<to = 1>(x) }", "logits",
             r"must take floats as 'x'; it takes tensor\(int64\)"),
            ("own (float[n, 4] x, float[n, 4] z) => (float[n, 4] p) { p = Add(x, z) }", "logits",
             r"must take one input, table; it takes \['x', 'z'\]"),
            ("own (float[n, 4] x) => (float[n] p) { p = ReduceMax<axes = [1], keepdims = 0>(x) }",
             "logits", r"exactly one output of floats.*has p: tensor\(float\)"),
            ("own (float[n, 4] x) => (float[n, 4] a, float[n, 4] b) { a = Abs(x) b = Neg(x) }",
             "logits", r"exactly one .*Name one by output in its section"),
            ("own (float[n, 4] x, int64[2] one) => (float[k, m] p) { p = Reshape(x, one) }",
             "logits", r"a row for each of 100 samples; got shape \(1, 400\).*dynamic_shapes"),
            ("own (float[n, 4] x, int64[2] row) => (float[k, m] p) { p = Reshape(x, row) }",
             "logits", r"can't be run on float32 of shape \(100, 4\).*dynamic_shapes"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit(self, file, gives, message, model):
        weights = {"W": W[:4], "one": np.array([1, -1]), "row": np.array([1, 4])}
        weights["W"] = W[:5] if "5, 3" in file else W[:4, :2] if "4, 2" in file else W[:4]
        used = {name: value for name, value in weights.items() if f"] {name}" in file}
        with pytest.raises(FileError, match=rf"own\.onnx .*{message}"):
            model(parse(file, used), TABLE, Y, gives)

    @pytest.mark.parametrize(
        ("opset", "message"), [(12, "of opset 13 or later, but is of 12.*version_converter")]
    )
    def test_old_operators(self, opset, message, model):
        with pytest.raises(FileError, match=message):
            model(parse(SOFTMAX, COLUMNS, opset), TABLE, Y)

    def test_a_missing_file(self):
        with pytest.raises(FileError, match=r"none\.onnx is missing\. Its section of params\.yaml"):
            make_model("onnx", {"path": "none.onnx", "gives": "logits"}).fit(TABLE, Y, TABLE, Y, 0)

    @pytest.mark.parametrize("content", [b"", b"no graph"])
    def test_a_file_that_is_no_model(self, content, model):
        with pytest.raises(FileError, match=r"own\.onnx is not an? (valid )?ONNX model"):
            model(content, TABLE, Y)

    def test_weights_in_another_file(self, model):
        file = parse(SOFTMAX, COLUMNS)
        onnx.external_data_helper.set_external_data(file.graph.initializer[0], "weights")
        with pytest.raises(FileError, match=r"weights, .* in 'weights'.*external_data=False"):
            model(file, TABLE, Y)

    @pytest.mark.parametrize("sha256", ["", "0" * 64])
    def test_another_sha256(self, sha256, model):
        file = parse(SOFTMAX, COLUMNS)
        right = hashlib.sha256(file.SerializeToString()).hexdigest()
        message = (
            rf"sha256 must be that of .*own\.onnx; got .*write in its section: sha256: {right}"
        )
        with pytest.raises(ParamsError, match=message):
            model(file, TABLE, Y, sha256=sha256)

    def test_branches(self, model):
        file = parse(
            """own (float[n, 4] x) => (float[n, 4] p)
            {
                yes = Constant<value = bool {1}>()
                p = If (yes) <
                    then_branch = one () => (float[n, 4] a) { a = Identity(x) },
                    else_branch = two () => (float[n, 4] b) { b = Neg(x) }
                >
            }"""
        )
        with pytest.raises(FileError, match=r"must be one graph, but its node 'p', If, holds ano"):
            model(file, TABLE, np.arange(120) % 4, "logits")

    def test_sparse_weights(self, model):
        file = parse(LINEAR, COLUMNS)
        values = numpy_helper.from_array(W[0], "sparse")
        indices = numpy_helper.from_array(np.arange(3))
        file.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 3]))
        with pytest.raises(FileError, match="as dense arrays, but has sparse ones"):
            model(file, TABLE, Y, "logits")

    def test_the_dicts_of_skl2onnx(self, model):
        fitted = LogisticRegression().fit(TABLE, Y)
        with pytest.raises(FileError, match=r"seq\(map.*options=\{'zipmap': False\}"):
            model(to_onnx(fitted, TABLE[:1]), TABLE, Y)

    def test_a_layout_that_is_not_set(self, model):
        file = parse(
            """own (float[n, 1, 4, 6] x, float[24, 3] W) => (float[n, 3] z)
            { rows = Flatten(x) z = MatMul(rows, W) }""",
            {"W": W},
        )
        message = r"\[n, 4, 6\], made of images .*it takes \[n, 1, 4, 6\]\. layout in its section"
        with pytest.raises(FileError, match=message):
            model(file, GREY, Y, "logits")
        for name in ("mean", "std"):
            with pytest.raises(ParamsError, match=rf"{name} of .* each of the 1 channels; got \["):
                model(file, GREY, Y, "logits", layout="first", **{name: [0.5, 0.5, 0.5]})


class TestForms:
    """In which graphs come."""

    def test_an_output_is_named(self, model, run):
        file = parse(
            """own (float[n, 4] x, float[4, 3] W) => (float[n, 3] z, float[n, 3] p)
            { z = MatMul(x, W) p = Softmax(z) }""",
            COLUMNS,
        )
        _, expected = answers(file, {"x": TABLE})
        for output, gives in (("z", "logits"), ("p", "probabilities")):
            graph, _ = model(file, TABLE, Y, gives, output=output)
            assert run(graph, TABLE) == pytest.approx(expected, abs=1e-6)

    def test_a_chain_of_thousands_of_nodes(self, model, run):
        steps = "".join(f"x{i + 1} = Identity(x{i})" for i in range(2000))
        file = parse(f"own (float[n, 4] x0) => (float[n, 4] x2000) {{ {steps} }}")
        graph, _ = model(file, TABLE, np.arange(120) % 4, "logits")
        assert run(graph, TABLE) == pytest.approx(softmax(TABLE), abs=1e-6)

    @pytest.mark.parametrize("gives", ["float16", "double"])
    def test_numbers_of_another_precision(self, gives, model, run):
        code = TensorProto.DataType.Value(gives.upper())
        body = f"({gives}[n, 4] x) => ({gives}[n, 4] p) {{ p = Identity(x) }}"
        graph, _ = model(parse(f"own {body}"), TABLE, np.arange(120) % 4, "logits")
        p = run(graph, TABLE)
        assert p.dtype == np.float32
        expected = softmax(TABLE.astype(helper.tensor_dtype_to_np_dtype(code)))
        assert p == pytest.approx(expected, abs=1e-3)

    def test_functions_and_weights_that_are_inputs(self, model, run):
        file = onnx.parser.parse_model(
            """<ir_version: 10, opset_import: ["" : 18, "own" : 1]>
            own (float[n, 4] x, float[4, 3] W) => (float[n, 3] p) { p = own.Layer(x, W) }
            <domain: "own", opset_import: ["" : 18]>
            Layer (x, W) => (p) { z = MatMul(x, W) p = Softmax<axis = -1>(z) }"""
        )
        file.graph.initializer.append(numpy_helper.from_array(W[:4], "W"))
        graph, _ = model(file, TABLE, Y)
        assert run(graph, TABLE) == pytest.approx(answers(file, {"x": TABLE})[0], abs=1e-6)
        assert [one.name for one in graph.graph.input] == ["X"]

    def test_outputs_that_are_left_out(self, model, run):
        """As recurrent layers have them, of which only the last state is used."""
        file = parse(
            """own (float[n, 4] x, int64[1] axis, float[1, 12, 4] A, float[1, 12, 3] B,
                float[1, 12, 3] R) => (float[n, 3] z)
            {
                a = Unsqueeze(x, axis)
                s0, b = LSTM<hidden_size = 3>(a, A, R)
                s1, c = LSTM<hidden_size = 3>(b, B, R)
                z = Squeeze(c, axis)
            }""",
            {
                "axis": np.array([0]), "A": np.float32(RANDOM.normal(size=(1, 12, 4))),
                "B": np.float32(RANDOM.normal(size=(1, 12, 3))),
                "R": np.float32(RANDOM.normal(size=(1, 12, 3))),
            },
        )  # fmt: skip
        for node in file.graph.node:
            if node.op_type == "LSTM":
                node.output[0] = ""
                node.output.append("")
        graph, _ = model(file, TABLE, Y, "logits")
        assert run(graph, TABLE) == pytest.approx(softmax(answers(file, {"x": TABLE})[0]), abs=1e-6)

    def test_the_same_file_gives_the_same_bytes(self, model):
        file = parse(SOFTMAX, COLUMNS)
        (one, _), (again, _) = model(file, TABLE, Y), model(file, TABLE, Y)
        assert one.SerializeToString() == again.SerializeToString()

    def test_nothing_is_learnt(self, model):
        with pytest.raises(ValidationError, match="must be hard"):
            Settings(kind="onnx", targets="soft", path="a.onnx", gives="logits")
        with pytest.raises(ValidationError, match="sha256"):
            Settings(kind="onnx", targets="hard", path="a.onnx", gives="logits", sha256="abc")
        least = Settings(kind="onnx", targets="hard", path="a.onnx", gives="logits")
        assert least.scale == 1 / 255
