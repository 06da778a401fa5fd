import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eco.atomic import replacing
from eco.data.columns import Column
from eco.data.encoding import ImageEncoding, TableEncoding, TextEncoding
from eco.errors import DataError, FileError, ModelError
from eco.evaluation.comparison import COMPARED
from eco.strategies.certification import MEASURES, NotCertified
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.workflow import artifacts
from eco.workflow.artifacts import (
    CASCADING_METRICS,
    CASCADING_ROWS,
    CERTIFIED,
    ENCODING,
    ENERGY,
    ENERGY_ROWS,
    FRONTIER,
    LABELS,
    MODEL,
    ORACLE,
    PREDICTIONS,
    ROUTER_CHOICES,
    ROUTER_SCORES,
    ROUTING_ROWS,
    SHARE_ROWS,
    SPLITS,
    STRATEGY_ROWS,
    TARGETS,
    TRAINED_MODEL,
    TRAINING_METRICS,
    TRAINING_ROWS,
    Artifact,
    Frontiers,
    Labels,
    MadeFor,
)

POOL = ["light", "heavy"]
Y = np.arange(6, dtype=np.uint8) % 3
P = np.eye(3)[Y] * 0.7 + 0.1
EVERY_SPLIT = ("calibration", "tuning", "certification", "test")
MADE_FOR = MadeFor("toys", 256, "margin", tuple(POOL))
POINT = OperatingPoint(Strategy("cascade", ("light", "heavy"), (0.9, 0.0)), 0.8, 2.0)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def on_every_split(values):
    return dict.fromkeys(EVERY_SPLIT, values)


FIGURES = dict.fromkeys(COMPARED, 0.5)
SCORED = FIGURES | {
    "strategy": "preset", "name": "mine", "label": "", "kind": "cascade", "models": POOL,
    "thresholds": [0.9, 0.0], "share": {"light": 0.9, "heavy": 0.1},
    "accuracy_on_share": {"light": 0.5, "heavy": None},
}  # fmt: skip
SHARE = {"point": "a", "model": "b", "share": 0.5}
ENERGY_ROW = {
    "name": "light", "batch_size": 1, "energy_j": 1.0, "energy_j_low": 0.5, "energy_j_high": 2.0
}  # fmt: skip


def error_of(artifact, **names):
    with pytest.raises(FileError) as refusal:
        artifact.load(**names)
    return str(refusal.value)


def test_every_file_is_declared_once():
    declared = [a for a in vars(artifacts).values() if isinstance(a, Artifact)]
    templates = [a.template for a in declared]
    assert len(set(templates)) == len(templates) > 40


def test_an_artifact_knows_its_path_and_the_stage_that_makes_it():
    assert MODEL.path(model="light") == Path("models/calibrated/light.onnx")
    assert PREDICTIONS.stage(model="light") == "predict@light"


class TestPredictions:
    @pytest.fixture(autouse=True)
    def saved(self):
        for model in POOL:
            PREDICTIONS.save(on_every_split(P), model=model, dataset="toys")

    def error(self, dataset="toys"):
        return error_of(PREDICTIONS, model="heavy", dataset=dataset)

    def test_they_come_back_rounded(self):
        p = PREDICTIONS.load(model="heavy", dataset="toys")
        assert list(p) == list(EVERY_SPLIT)
        assert p["test"].dtype == np.float32
        assert np.abs(p["test"] - P).max() <= 5e-5

    def test_some_splits_are_enough(self):
        PREDICTIONS.save({"test": P}, model="heavy", dataset="toys")
        assert list(PREDICTIONS.load(model="heavy", dataset="toys", splits=["test"])) == ["test"]
        assert "lacks calibration" in self.error()

    def test_rounding_many_classes_leaves_probabilities(self):
        scores = np.exp(2 * np.random.default_rng(0).standard_normal((500, 250)))
        p = scores / scores.sum(axis=1, keepdims=True)
        assert abs(p.round(4).sum(axis=1) - 1).max() > 1e-3
        PREDICTIONS.save(on_every_split(p), model="heavy", dataset="toys")
        assert PREDICTIONS.load(model="heavy", dataset="toys")["test"].shape == (500, 250)

    @pytest.mark.parametrize("n_classes", [2, 10, 250])
    def test_rounding_changes_no_label(self, n_classes):
        p = np.random.default_rng(0).uniform(-2e-5, 2e-5, (50, n_classes)) + 1 / n_classes
        p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
        PREDICTIONS.save(on_every_split(p), model="heavy", dataset="toys")
        stored = PREDICTIONS.load(model="heavy", dataset="toys")["test"]
        assert (p.round(4).argmax(axis=1) != p.argmax(axis=1)).any()
        assert (stored.argmax(axis=1) == p.argmax(axis=1)).all()

    def test_the_same_arrays_give_the_same_bytes(self):
        before = hashlib.sha256(PREDICTIONS.path(model="heavy").read_bytes()).digest()
        PREDICTIONS.save(on_every_split(P), model="heavy", dataset="toys")
        assert hashlib.sha256(PREDICTIONS.path(model="heavy").read_bytes()).digest() == before

    def test_missing(self):
        PREDICTIONS.path(model="heavy").unlink()
        assert "is missing. The study was not run yet: dvc repro" in self.error()
        Path("dvc.lock").touch()
        message = self.error()
        assert "data/predictions/heavy.npz is missing" in message
        assert "git checkout HEAD -- data/predictions/heavy.npz" in message
        assert "dvc repro -f -s predict@heavy" in message

    @pytest.mark.parametrize("keep", [0, 10, 200, -30])
    def test_truncated(self, keep):
        path = PREDICTIONS.path(model="heavy")
        path.write_bytes(path.read_bytes()[:keep])
        assert "data/predictions/heavy.npz" in self.error()

    def test_garbage(self):
        PREDICTIONS.path(model="heavy").write_bytes(b"garbage" * 100)
        assert "predict@heavy" in self.error()

    def test_of_another_model(self):
        PREDICTIONS.path(model="light").rename(PREDICTIONS.path(model="heavy"))
        assert "must hold predictions of heavy on toys, but holds predictions of light" in (
            self.error()
        )

    def test_of_another_data_set(self):
        assert "must hold predictions of heavy on others" in self.error("others")

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.9, -0.1])
    def test_that_are_not_probabilities(self, value):
        p = np.full((6, 3), 1 / 3)
        p[4, 1] = value
        PREDICTIONS.save(on_every_split(p), model="heavy", dataset="toys")
        assert "not probabilities" in self.error()

    @pytest.mark.parametrize("p", [np.array([["1.0", "0.0"]]), np.empty((0, 3), np.float32)])
    def test_that_are_no_table_of_numbers(self, p):
        columns = dict.fromkeys(("calibration", "tuning", "certification", "test"), p)
        holds = "predictions of heavy on toys"
        np.savez(PREDICTIONS.path(model="heavy"), holds=holds, **columns)
        assert "not probabilities" in self.error()

    def test_a_pickle_is_never_loaded(self):
        hostile = np.array([{"a": 1}], dtype=object)
        holds = "predictions of heavy on toys"
        np.savez(PREDICTIONS.path(model="heavy"), holds=holds, calibration=hostile)
        assert "predict@heavy" in self.error()


def test_targets_come_back_as_they_were():
    y = np.array([0, 2, 1], np.uint8)
    TARGETS.save(y, kind="hard", dataset="toys")
    assert TARGETS.load(kind="hard", dataset="toys").tolist() == [0, 2, 1]
    soft = np.array([[0.7, 0.2, 0.1], [0.0, 0.00004, 0.99996]], np.float32)
    TARGETS.save(soft, kind="soft", dataset="toys")
    assert np.abs(TARGETS.load(kind="soft", dataset="toys") - soft).max() <= 5e-5


@pytest.mark.parametrize(
    ("kind", "y", "problem"),
    [
        ("hard", np.array([0.0, 1.0], np.float32), "must hold labels of the samples"),
        ("hard", np.array([], np.uint8), "must hold labels of the samples"),
        ("soft", np.array([0, 1], np.uint8), "must hold float32 shares"),
        ("soft", np.array([[0.7, 0.7]], np.float32), "must hold float32 shares"),
    ],
)
def test_targets_of_another_form_are_refused(kind, y, problem):
    TARGETS.save(y, kind=kind, dataset="toys")
    assert problem in error_of(TARGETS, kind=kind, dataset="toys")


@pytest.mark.parametrize(
    "encoding",
    [
        ImageEncoding((28, 28, 3)),
        TableEncoding((Column("age", missing=True), Column("ville", ("Köln", "Paris")))),
        TextEncoding(tuple(f"w{i}" for i in range(3000)), 128, "review"),
        TextEncoding((), 64),
    ],
)
def test_an_encoding_is_read_as_it_was_written(encoding):
    ENCODING.save(encoding)
    assert ENCODING.load() == encoding


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "kind"),
        ({"kind": "audio"}, "'images', 'table', 'text'"),
        ({"kind": "images", "shape": [28]}, "images.shape must hold at least 2"),
        ({"kind": "table", "columns": []}, "table.columns must hold at least 1"),
        (
            {"kind": "table", "columns": [{"name": "a", "categories": [1], "missing": False}]},
            "table.columns.0.categories.0 must be a text; got 1",
        ),
        (
            {"kind": "text", "words": ["a", "a"], "length": 2, "column": "b"},
            "text.words must hold each text once",
        ),
        ({"kind": "text", "words": ["a"], "length": 0, "column": "b"}, "text.length must be at"),
    ],
)
def test_an_encoding_that_is_none_is_refused(values, problem):
    with replacing(ENCODING.path()) as stream:
        stream.write(json.dumps(values).encode())
    message = error_of(ENCODING)
    assert "data/encoding.json is not valid" in message
    assert problem in message


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((4, 8, 8, 3), np.uint8),
        np.full((4, 3), np.nan, np.float32),
        np.zeros((4, 3), np.int32),
    ],
)
def test_samples_of_any_kind_are_read_as_they_were_written(X):
    y = np.array([0, 299, 0, 1], np.uint16)
    SPLITS.save((X, y), split="test", dataset="toys")
    loaded = SPLITS.load(split="test", dataset="toys")
    for written, read in zip((X, y), loaded, strict=True):
        assert read.dtype == written.dtype
        np.testing.assert_array_equal(read, written)


def test_labels_of_many_classes_are_as_small_as_may_be():
    names, y = [str(i) for i in range(300)], np.arange(300)
    LABELS.save(Labels(on_every_split(y.astype(np.uint16)), names), dataset="toys")
    assert LABELS.load(dataset="toys").y["test"].max() == 299
    LABELS.save(Labels(on_every_split(y), names), dataset="toys")
    assert "labels from 0 to 299, uint16, got int64" in error_of(LABELS, dataset="toys")


def test_samples_of_another_split_are_refused():
    X, y = np.zeros((4, 8, 8), np.uint8), np.zeros(4, np.uint8)
    SPLITS.save((X, y), split="test", dataset="toys")
    SPLITS.path(split="test").rename(SPLITS.path(split="train"))
    message = error_of(SPLITS, split="train", dataset="toys")
    assert "data/train.npz must hold train samples of toys, but holds test samples" in message
    assert "dvc repro fetch" in message


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((4, 8, 8)), np.zeros(4, np.uint8)),
        (np.zeros((4, 64), np.uint8), np.zeros(4, np.uint8)),
        (np.zeros((4, 8, 8), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((0, 8, 8), np.uint8), np.zeros(0, np.uint8)),
    ],
)
def test_samples_of_another_shape_are_refused(X, y):
    SPLITS.save((X, y), split="test", dataset="toys")
    assert "must hold images (uint8), rows" in error_of(SPLITS, split="test", dataset="toys")


def test_choices_know_who_made_them_and_the_pool_that_they_index():
    ORACLE.save(on_every_split(np.array([0, 1])), pool=POOL)
    assert ORACLE.load(pool=POOL)["test"].tolist() == [0, 1]
    assert "choices of the oracle among heavy, light" in error_of(ORACLE, pool=POOL[::-1])
    ORACLE.path().rename(ROUTER_CHOICES.path())
    message = error_of(ROUTER_CHOICES, pool=POOL)
    assert "must hold choices of the router among light, heavy, but holds choices of the" in message


@pytest.mark.parametrize("choices", [np.array([0, 2]), np.array([[0, 1]])])
def test_choices_that_index_no_model_are_refused(choices):
    ORACLE.save(on_every_split(choices), pool=POOL)
    assert "must hold an index of the 2 models" in error_of(ORACLE, pool=POOL)


@pytest.mark.parametrize("scores", [np.zeros((3, 1)), np.zeros(3), np.full((3, 2), np.nan)])
def test_scores_of_another_form_are_refused(scores):
    ROUTER_SCORES.save(on_every_split(scores), router="price_router", pool=POOL)
    message = error_of(ROUTER_SCORES, router="price_router", pool=POOL)
    rule = "must hold finite float32 tuning scores of shape (n_samples, 2)"
    assert f"data/price_router_scores.npz {rule}" in message


@pytest.mark.parametrize("y", [np.array([0, 9], np.uint8), np.array([0.0, 1.0])])
def test_labels_of_no_class_are_refused(y):
    LABELS.save(Labels(on_every_split(y), ["a", "b"]), dataset="toys")
    assert "must hold calibration labels from 0 to 1" in error_of(LABELS, dataset="toys")


NAMELESS = ["</script><script>alert(1)</script>", "<!-- x", "<b>", "a\0b", "", "x" * 101, "b"]


@pytest.mark.parametrize("name", NAMELESS)
def test_names_of_classes_that_no_page_can_show_are_refused(name):
    arrays = on_every_split(np.array([0, 1], np.uint8))
    with pytest.raises(DataError, match="data set must"):
        LABELS.save(Labels(arrays, [name, "b"]), dataset="toys")
    LABELS.save(Labels(arrays, ["<5 kg & 'so on'", "b"]), dataset="toys")
    held = np.load(LABELS.path())
    np.savez(LABELS.path(), **{**held, "class_names": np.array([name, "b"])})
    if "\0" not in name:  # which NumPy cuts off at the end only
        assert "data/labels.npz must" in error_of(LABELS, dataset="toys")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_bytes_are_an_error_of_ours_or_harmless(data):
    LABELS.save(Labels(on_every_split(Y), ["a", "b", "c"]), dataset="toys")
    content = bytearray(LABELS.path().read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    LABELS.path().write_bytes(content)
    with contextlib.suppress(FileError):
        assert LABELS.load(dataset="toys").y["test"].max() < 3


def write(artifact, text, **names):
    artifact.path(**names).parent.mkdir(parents=True, exist_ok=True)
    artifact.path(**names).write_text(text)


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", "null", '[{"epoch": 1}]', "x"])
def test_rows_that_are_none_are_refused(content):
    write(CASCADING_ROWS, content)
    message = error_of(CASCADING_ROWS)
    assert "plots/cascading.json " in message
    assert "dvc repro -f -s evaluate_cascading" in message


@pytest.mark.parametrize("artifact", [STRATEGY_ROWS, ROUTING_ROWS])
@pytest.mark.parametrize("lacking", ["label", "energy_j", "energy_share_low", "accuracy_high"])
def test_rows_that_lack_what_is_compared_are_refused(artifact, lacking):
    artifact.save([SCORED])
    assert artifact.load(pool=POOL) == [SCORED]
    artifact.save([{key: value for key, value in SCORED.items() if key != lacking}])
    assert f"{artifact.path()} is not valid: 0.{lacking} is missing" in error_of(artifact)


def test_rows_of_another_pool_are_refused_where_the_pool_counts():
    STRATEGY_ROWS.save([SCORED])
    assert "must name models of light; got heavy" in error_of(STRATEGY_ROWS, pool=["light"])
    message = error_of(STRATEGY_ROWS, pool=[*POOL, "huge"])
    assert "0 must hold share and accuracy_on_share of light, heavy, huge" in message
    assert "dvc repro -f -s evaluate_frontier" in message


NONSENSE = [
    ({"accuracy": 1e308}, "0.accuracy must be a number from -1e+30 to 1e+30; got 1e+308"),
    ({"accuracy": float("nan")}, "0.accuracy must be a number from"),
    ({"worst": {"points": float("inf")}}, "0.worst.points must be a number from"),
    ({"accuracy": True}, "0.accuracy must be a number; got True"),
    ({"accuracy": "0.5"}, "0.accuracy must be a number; got '0.5'"),
    ({"accuracy": 1.5}, "0.accuracy must be at most 1"),
    ({"energy_j": -1.0}, "0.energy_j must be greater than 0"),
    ({"share": 3}, "0.share must be a table; got 3"),
    ({"share": {"light": None}}, "0.share.light must be a number; got None"),
    ({"models": "light heavy"}, "0.models must be a list"),
    ({"models": []}, "0 must hold the settings of one cascade"),
    ({"thresholds": [0.9]}, "0 must hold the settings of one cascade"),
    ({"kind": "vote"}, "0.kind must be 'cascade'"),
    ({"accuracy_low": 0.6}, "0 must have accuracy from 0.6 to 0.5, got 0.5"),
]


@pytest.mark.parametrize(("changed", "says"), NONSENSE)
def test_rows_that_say_nonsense_are_refused_by_their_key(changed, says):
    write(STRATEGY_ROWS, json.dumps([SCORED | changed]))
    message = error_of(STRATEGY_ROWS)
    assert says in message and "dvc repro -f -s evaluate_frontier" in message
    assert len(message) < 550


@pytest.mark.parametrize(
    ("artifact", "rows", "says"),
    [
        (
            STRATEGY_ROWS,
            [SCORED, SCORED | {"accuracy": 0.1, "accuracy_low": 0.1}],
            "strategy, name",
        ),
        (SHARE_ROWS, [SHARE, SHARE | {"share": 0.1}], "point, model"),
        (ENERGY_ROWS, [ENERGY_ROW, ENERGY_ROW | {"energy_j": 1.5}], "name, batch_size"),
    ],
)
def test_rows_that_contradict_each_other_are_refused(artifact, rows, says):
    artifact.save(rows)
    assert f"rows 0 and 1 must differ in {says}" in error_of(artifact)


@pytest.mark.parametrize("content", ['{"a": 1, "a": 2}', "[" * 5000, '{"a": ' * 5000, "\ud800"])
def test_json_that_is_none_is_refused(content):
    CASCADING_METRICS.path().parent.mkdir(parents=True)
    CASCADING_METRICS.path().write_bytes(content.encode("utf-8", "surrogatepass"))
    assert "is not valid JSON" in error_of(CASCADING_METRICS)


#: Files that `dvc metrics` and `dvc plots` read, and nothing of ours.
ONLY_WRITTEN = (artifacts.CERTIFICATE_METRICS, artifacts.TARGET_METRICS, artifacts.ORACLE_METRICS,
                artifacts.CONFUSION_ROWS, artifacts.CLASS_ROWS)  # fmt: skip
READ = [
    artifact
    for name, artifact in vars(artifacts).items()
    if name.endswith(("_METRICS", "_ROWS")) and artifact not in ONLY_WRITTEN
]


@pytest.mark.parametrize("value", [3, None, True, "x", [], [1], {"a": 1}, {"light": 3}, 1e308])
@pytest.mark.parametrize("artifact", READ, ids=lambda artifact: artifact.template)
def test_no_file_of_rows_or_metrics_takes_nonsense(artifact, value):
    key = artifact.template.split("/")[1].removesuffix(".json")
    names = {"model": "light"}
    for content in (value, {key: value}, [value]):
        write(artifact, json.dumps(content), **names)
        message = error_of(artifact, **names)
        assert f"{artifact.path(**names)} is not valid: " in message


def test_training_that_diverged_is_named_and_leaves_the_old_files():
    import onnx
    from onnx import helper

    row = {"model": "light", "epoch": 1, "split": "train", "accuracy": 0.5, "loss": 0.1}
    TRAINING_ROWS.save([row], model="light")
    before = TRAINING_ROWS.path(model="light").read_bytes()
    with pytest.raises(ModelError, match=r"^model light .*diverged.*models\.light\.learning_rate"):
        TRAINING_ROWS.save([row | {"loss": float("nan")}], model="light")
    assert TRAINING_ROWS.path(model="light").read_bytes() == before
    for weight, fits in ((1.0, True), (float("nan"), False)):
        tensor = helper.make_tensor("W", onnx.TensorProto.FLOAT, [1], [weight])
        model = helper.make_model(helper.make_graph([], "g", [], [], [tensor]))
        if fits:
            TRAINED_MODEL.save(model, model="light")
        else:
            with pytest.raises(ModelError, match="diverged"):
                TRAINED_MODEL.save(model, model="light")


def test_a_folder_in_the_place_of_a_file_is_named():
    ENERGY.path().mkdir(parents=True)
    assert "data/energy.json" in error_of(ENERGY)


@pytest.mark.parametrize("content", ["{}", "[]", '{"measurements": [1]}', "{", '{"measurements":'])
def test_a_damaged_energy_file_is_refused(content):
    write(ENERGY, content)
    message = error_of(ENERGY)
    assert "data/energy.json " in message
    assert "dvc repro -f -s benchmark" in message


def test_metrics_keep_six_digits_and_name_what_they_lack():
    figures = {"cpu_seconds": 1.23456789, "targets": "hard"}
    TRAINING_METRICS.save({"training": {"light": figures}}, model="light")
    rounded = TRAINING_METRICS.value("training", "light", model="light")
    assert rounded == figures | {"cpu_seconds": 1.23457}
    with pytest.raises(FileError, match=r"light\.json must hold training\.light\.epochs.*train@"):
        TRAINING_METRICS.value("training", "light", "epochs", model="light")


def test_rows_keep_lists():
    rows = [{"point": "a", "model": "b", "share": 1 / 3, "models": ("x", "y")}]
    SHARE_ROWS.save(rows)
    assert SHARE_ROWS.load() == [
        {"point": "a", "model": "b", "share": 0.333333, "models": ["x", "y"]}
    ]


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else():
    CASCADING_METRICS.save({"cascading": FIGURES})
    path = CASCADING_METRICS.path()
    with pytest.raises(ZeroDivisionError), replacing(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert CASCADING_METRICS.load() == {"cascading": FIGURES}
    assert [p.name for p in path.parent.iterdir()] == ["cascading.json"]


def test_nan_never_reaches_a_metric():
    with pytest.raises(ValueError, match="JSON"):
        CASCADING_METRICS.save({"accuracy": float("nan")})
    assert not CASCADING_METRICS.path().exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path):
    with replacing(tmp_path / "a.json") as stream:
        draft = Path(stream.name)
    draft.symlink_to("/dev/full")
    with (
        pytest.raises(FileError, match=r"a\.json could not be written: No space left"),
        replacing(tmp_path / "a.json") as stream,
    ):
        stream.write(b"{}")


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FileError, match=r"could not be written"),
        replacing(tmp_path / "file/answers.csv"),
    ):
        pass


class TestFrontier:
    @pytest.fixture(autouse=True)
    def saved(self):
        points = {rule: [POINT] for rule in artifacts.FRONTIERS}
        voting = Strategy("agreement", ("light", "heavy"))
        points["agreement voting"] = [OperatingPoint(voting, 0.7, 3.0)]
        FRONTIER.save(Frontiers(0.9, points), made_for=MADE_FOR)

    def test_it_comes_back(self):
        frontiers = FRONTIER.load(made_for=MADE_FOR)
        assert frontiers.reference_accuracy == 0.9
        assert frontiers.points["accuracy"] == [POINT]
        assert frontiers.points["agreement voting"][0].strategy.kind == "agreement"

    @pytest.mark.parametrize(
        ("other", "problem"),
        [
            (MadeFor("others", 256, "margin", tuple(POOL)), "made for data toys, not others"),
            (MadeFor("toys", 1, "margin", tuple(POOL)), "made for batch_size 256, not 1"),
            (MadeFor("toys", 256, "entropy", tuple(POOL)), "confidence margin, not entropy"),
            (MadeFor("toys", 256, "margin", ("heavy",)), "made for pool"),
        ],
    )
    def test_what_was_made_for_something_else_is_refused(self, other, problem):
        message = error_of(FRONTIER, made_for=other)
        assert problem in message
        assert "dvc repro -f -s tune" in message

    @pytest.mark.parametrize(
        "row",
        [
            {"models": ["light"]},
            {"thresholds": [0.9]},
            {"models": ["huge", "heavy"]},
            {"models": []},
            {"accuracy": "high"},
            {"thresholds": ["0.9", 0.0]},
            {"kind": None, "models": None},
            {"kind": "agreement", "thresholds": []},
        ],
    )
    def test_settings_that_are_none_are_refused(self, row):
        content = json.loads(FRONTIER.path().read_text())
        content["frontiers"]["harm"] = [POINT.to_json() | row]
        FRONTIER.path().write_text(json.dumps(content))
        message = error_of(FRONTIER, made_for=MADE_FOR)
        assert "data/frontier.json is not valid: frontiers.harm" in message

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("{}", "made_for is missing"),
            ("[]", "it must be a table"),
            ('{"made_for": {}}', "made_for.data is missing"),
            ('{"made_for": [1]}', "made_for must be a table"),
        ],
    )
    def test_a_file_of_another_form_is_refused(self, content, says):
        FRONTIER.path().write_text(content)
        message = error_of(FRONTIER, made_for=MADE_FOR)
        assert f"data/frontier.json is not valid: {says}" in message

    @pytest.mark.parametrize(
        "others",
        [
            [POINT, POINT],
            [POINT, OperatingPoint(always("heavy"), 0.7, 3.0)],
            [POINT, OperatingPoint(always("heavy"), 0.9, 1.0)],
            [],
        ],
    )
    def test_settings_that_contradict_each_other_are_refused(self, others):
        content = json.loads(FRONTIER.path().read_text())
        content["frontiers"]["accuracy"] = [point.to_json() for point in others]
        FRONTIER.path().write_text(json.dumps(content))
        assert "frontiers.accuracy must" in error_of(FRONTIER, made_for=MADE_FOR)


class TestCertified:
    @pytest.fixture
    def certified(self):
        router = Strategy("price_router", tuple(POOL), price=-0.1)
        probe = Strategy("probe_router", tuple(POOL), price=0.2, probe="light")
        cascade = Strategy("probe_cascade", tuple(POOL), (0.9,), 0.2, "light")
        strategies = [always("heavy"), router, probe, cascade]
        found = {s.kind: OperatingPoint(s, 1.0, 2.0) for s in strategies}
        return {of: found | {"router": NotCertified(of, 0.5, 0.05, 100, 3)} for of in MEASURES}

    def test_it_comes_back(self, certified):
        CERTIFIED.save(certified, made_for=MADE_FOR)
        assert CERTIFIED.load(made_for=MADE_FOR) == certified

    @pytest.mark.parametrize(
        "row",
        [
            None, {}, {"not_certified": {}}, {"not_certified": 3}, POINT.to_json(),
            {"kind": "probe_router", "models": ["huge"], "price": 0.1, "probe": "huge",
             "accuracy": 0.5, "energy_j": 1.0},
        ],
    )  # fmt: skip
    def test_settings_of_another_kind_are_refused(self, certified, row):
        CERTIFIED.save(certified, made_for=MADE_FOR)
        content = json.loads(CERTIFIED.path().read_text())
        content["certified"]["harm"]["probe_router"] = row
        CERTIFIED.path().write_text(json.dumps(content))
        message = error_of(CERTIFIED, made_for=MADE_FOR)
        assert "data/certified.json is not valid: certified.harm.probe_router" in message
        assert "dvc repro -f -s certify" in message


def test_a_model_that_is_none_is_refused():
    write(MODEL, "garbage", model="light")
    assert "models/calibrated/light.onnx is not an ONNX model" in error_of(MODEL, model="light")
