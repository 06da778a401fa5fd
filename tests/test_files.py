import contextlib
import hashlib
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eco import files
from eco.errors import FileError

POOL = ["light", "heavy"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def predicted():
    y = np.arange(6, dtype=np.uint8) % 3
    files.save_labels("toys", ["a", "b", "c"], validation=y, test=y)
    p = np.eye(3)[y] * 0.7 + 0.1
    for model in POOL:
        files.save_predictions(model, "toys", validation=p, test=p)
    return p


def test_predictions_come_back_stacked_in_pool_order(predicted):
    p = files.load_predictions(POOL, "test", "toys")
    assert p.shape == (6, 2, 3)
    assert p.dtype == np.float32
    assert np.abs(p - predicted[:, None]).max() <= 5e-5


def test_rounding_many_classes_makes_no_row_improbable():
    n_classes = 250
    y = np.arange(2000) % n_classes
    files.save_labels("toys", [*map(str, range(n_classes))], test=y.astype(np.uint8))
    scores = np.exp(2 * np.random.default_rng(0).standard_normal((2000, n_classes)))
    p = scores / scores.sum(axis=1, keepdims=True)
    assert abs(p.round(4).sum(axis=1) - 1).max() > 1e-3
    files.save_predictions("light", "toys", test=p)
    assert files.load_predictions(["light"], "test", "toys").shape == (2000, 1, n_classes)


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(FileError, match=r"could not be written"),
        files.replacing(tmp_path / "file/answers.csv"),
    ):
        pass


def test_the_same_arrays_give_the_same_bytes(predicted):
    path = files.predictions_path("light")
    before = hashlib.sha256(path.read_bytes()).digest()
    files.save_predictions("light", "toys", validation=predicted, test=predicted)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def refused(pool=POOL, dataset="toys"):
    with pytest.raises(FileError) as refusal:
        files.load_predictions(pool, "test", dataset)
    return str(refusal.value)


@pytest.mark.usefixtures("predicted")
class TestPredictions:
    def test_missing(self):
        files.predictions_path("heavy").unlink()
        message = refused()
        assert "data/predictions/heavy.npz is missing" in message
        assert "dvc repro -f -s predict@heavy" in message

    @pytest.mark.parametrize("keep", [0, 10, 200, -30])
    def test_truncated(self, keep):
        path = files.predictions_path("heavy")
        path.write_bytes(path.read_bytes()[:keep])
        assert "data/predictions/heavy.npz" in refused()

    def test_garbage(self):
        files.predictions_path("heavy").write_bytes(b"garbage" * 100)
        assert "predict@heavy" in refused()

    def test_swapped(self):
        light, heavy = files.predictions_path("light"), files.predictions_path("heavy")
        content = light.read_bytes()
        light.write_bytes(heavy.read_bytes())
        heavy.write_bytes(content)
        assert "must hold predictions of light on toys" in refused()

    def test_of_another_data_set(self):
        y = np.zeros(6, np.uint8)
        files.save_labels("others", ["a", "b", "c"], validation=y, test=y)
        assert "must hold predictions of light on others" in refused(dataset="others")

    def test_of_another_number_of_samples(self):
        p = np.full((5, 3), 1 / 3)
        files.save_predictions("heavy", "toys", validation=p, test=p)
        assert "must be (6, 3)" in refused()

    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.9, -0.1])
    def test_that_are_not_probabilities(self, value):
        p = np.full((6, 3), 1 / 3)
        p[4, 1] = value
        files.save_predictions("heavy", "toys", validation=p, test=p)
        assert "not probabilities" in refused()

    def test_a_pickle_is_never_loaded(self):
        hostile = np.array([{"a": 1}], dtype=object)
        np.savez(
            files.predictions_path("heavy"), holds="predictions of heavy on toys", test=hostile
        )
        assert "predict@heavy" in refused()


def test_targets_come_back_as_they_were():
    y = np.array([0, 2, 1], np.uint8)
    files.save_targets("hard", "toys", y)
    assert files.load_targets("hard", "toys", "fetch").tolist() == [0, 2, 1]
    soft = np.array([[0.7, 0.2, 0.1], [0.0, 0.00004, 0.99996]], np.float32)
    files.save_targets("soft", "toys", soft)
    assert np.abs(files.load_targets("soft", "toys", "teach") - soft).max() <= 5e-5


@pytest.mark.parametrize(
    ("targets", "y", "told"),
    [
        ("hard", np.array([0.0, 1.0], np.float32), "must hold uint8 labels"),
        ("hard", np.array([], np.uint8), "must hold uint8 labels"),
        ("soft", np.array([0, 1], np.uint8), "must hold float32 shares"),
        ("soft", np.array([[0.7, 0.7]], np.float32), "must hold float32 shares"),
    ],
)
def test_targets_that_are_none_are_refused(targets, y, told):
    files.save_targets(targets, "toys", y)
    with pytest.raises(FileError, match=told):
        files.load_targets(targets, "toys", "teach")


def test_images_of_another_split_are_refused():
    X, y = np.zeros((4, 8, 8), np.uint8), np.zeros(4, np.uint8)
    files.save_images("test", "toys", X, y)
    files.images_path("test").rename(files.images_path("train"))
    with pytest.raises(FileError, match=r"data/train.npz must hold train images .* fetch"):
        files.load_images("train", "toys")


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((4, 8, 8)), np.zeros(4, np.uint8)),
        (np.zeros((4, 64), np.uint8), np.zeros(4, np.uint8)),
        (np.zeros((4, 8, 8), np.uint8), np.zeros(3, np.uint8)),
        (np.zeros((0, 8, 8), np.uint8), np.zeros(0, np.uint8)),
    ],
)
def test_images_of_another_shape_are_refused(X, y):
    files.save_images("test", "toys", X, y)
    with pytest.raises(FileError, match="must hold uint8 images"):
        files.load_images("test", "toys")


def test_choices_know_who_made_them_and_the_pool_that_they_index():
    files.save_choices(files.ORACLE, POOL, test=np.array([0, 1]))
    assert files.load_choices(files.ORACLE, "test", POOL, 2, "label_oracle").tolist() == [0, 1]
    with pytest.raises(FileError, match="choices of the oracle among heavy, light"):
        files.load_choices(files.ORACLE, "test", POOL[::-1], 2, "label_oracle")
    files.ORACLE.rename(files.ROUTED)
    with pytest.raises(FileError, match="choices of the router among light, heavy, but holds"):
        files.load_choices(files.ROUTED, "test", POOL, 2, "train_router")


@pytest.mark.parametrize("choices", [[0], [0, 1, 1], [0, 2]])
def test_choices_that_do_not_fit_are_refused(choices):
    files.save_choices(files.ORACLE, POOL, test=np.array(choices))
    with pytest.raises(FileError, match="an index of the 2 models for each of 2 samples"):
        files.load_choices(files.ORACLE, "test", POOL, 2, "label_oracle")


@pytest.mark.parametrize("labels", [np.array([0, 9], np.uint8), np.array([0.0, 1.0])])
def test_labels_that_are_none_are_refused(labels):
    files.save_labels("toys", ["a", "b"], test=labels)
    with pytest.raises(FileError, match="must hold test labels from 0 to 1"):
        files.load_labels("test", "toys")


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damaged_bytes_are_an_error_of_ours_or_harmless(data):
    files.save_labels("toys", ["a", "b", "c"], test=np.arange(90, dtype=np.uint8) % 3)
    content = bytearray(files.LABELS.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    files.LABELS.write_bytes(content)
    with contextlib.suppress(FileError):
        assert files.load_labels("test", "toys").max() < 3


@pytest.mark.parametrize("content", ["{}", "[]", "[1]", "null", '[{"epoch": 1}]', "x"])
def test_rows_that_are_none_are_refused(content):
    path = files.rows_path("cascading")
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(FileError, match=r"plots/cascading\.json .*evaluate_cascading"):
        files.load_rows("cascading", ["name"], "evaluate_cascading")


def test_a_folder_in_the_place_of_a_file_is_named():
    files.ENERGY.mkdir(parents=True)
    with pytest.raises(FileError, match=r"data/energy\.json"):
        files.load_json(files.ENERGY, "benchmark")


def energy_file(path, **provenance):
    row = {"name": "light", "batch_size": 1, "energy_j": 1.0, "readings_j": [1.0, None, 1.0]}
    base = {"grid_g_co2e_per_kwh": 50.0, "mode": "cpu_load", "machine": "here", "threads": 1}
    files.save_json(path, {"measurements": [row], "provenance": base | provenance})


def test_readings_come_round_by_round_with_gaps():
    energy_file(files.ENERGY)
    readings, drift = files.load_readings(files.ENERGY, ["light"], 1, "benchmark")
    assert drift == 0.0
    assert readings.shape == (3, 1)
    assert np.isnan(readings[1, 0])
    with pytest.raises(FileError, match="equally many readings_j"):
        files.load_readings(files.ENERGY, ["heavy"], 1, "benchmark")


def test_energies_of_two_kinds_are_never_added_up():
    energy_file(files.ENERGY)
    energy_file(files.ROUTER_ENERGY)
    files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark")
    energy_file(files.ROUTER_ENERGY, mode="intel_rapl")
    with pytest.raises(FileError, match=r"mode is 'cpu_load' .* 'intel_rapl'.*make measure"):
        files.check_comparable(files.ENERGY, files.ROUTER_ENERGY, "benchmark")


@pytest.mark.parametrize("joules", [0.0, -1.0, None, "1", True])
def test_an_energy_that_is_no_positive_number_of_joules_is_refused(joules):
    row = {"name": "light", "batch_size": 1, "energy_j": joules}
    files.save_json(files.ENERGY, {"measurements": [row]})
    with pytest.raises(FileError, match="light a positive number of joules"):
        files.load_energy(files.ENERGY, ["light"], 1, "benchmark")


@pytest.mark.parametrize("content", ["{}", "[]", '{"measurements": [1]}', "{", '{"measurements":'])
def test_a_damaged_energy_file_is_refused(content):
    files.ENERGY.parent.mkdir()
    files.ENERGY.write_text(content)
    with pytest.raises(FileError, match=r"data/energy.json .*dvc repro -f -s benchmark"):
        files.load_energy(files.ENERGY, ["light"], 1, "benchmark")


def test_an_energy_of_another_batch_size_is_not_taken():
    row = {"name": "light", "batch_size": 1, "energy_j": 1.0}
    files.save_json(files.ENERGY, {"measurements": [row]})
    with pytest.raises(FileError, match="no energy of light at batch size 256"):
        files.load_energy(files.ENERGY, ["light"], 256, "benchmark")


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "metrics" / "a.json"
    files.save_json(path, {"good": 1})
    with pytest.raises(ZeroDivisionError), files.replacing(path) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert files.load_json(path, "compare") == {"good": 1}
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]


def test_nan_never_reaches_a_metric(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.save_json(tmp_path / "a.json", {"accuracy": float("nan")})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_named(tmp_path, monkeypatch):
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr(files.Path, "with_name", lambda self, name: full)
    with pytest.raises(FileError, match=r"a\.json could not be written: No space left"):
        files.save_json(tmp_path / "a.json", {})


def test_training_beyond_the_last_model_counts_the_teacher_and_its_teaching_once():
    seconds = {"light": 1.0, "pupil": 10.0, "other": 20.0, "last": 100.0}
    for model, cpu_s in seconds.items():
        targets = "soft" if model in ("pupil", "other") else "hard"
        figures = {"cpu_seconds": cpu_s, "targets": targets}
        files.save_metrics(f"training/{model}", {"training": {model: figures}})
    files.save_metrics("teaching", {"teaching": {"cpu_seconds": 5.0}})

    def beyond(*models):
        return files.load_training_beyond_j(models, [*seconds], watts_per_core=2.0)

    assert beyond("last") == 0
    assert beyond("light", "last") == 2.0
    assert beyond("light") == 2.0 - 200.0, "the last model need not have been trained"
    assert beyond("pupil") == beyond("pupil", "last") == 2.0 * (10 + 5), "its teacher had to be"
    assert beyond(*seconds) == 2.0 * (1 + 10 + 20 + 5)
