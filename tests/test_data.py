import gzip
import hashlib
import http.server
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from eco import data
from eco.errors import DataError


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


FILES = {
    "images": idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)),
    "labels": idx(np.array([3, 1], np.uint8)),
}
# Without a date: pytest-xdist wants the same parameters in every worker.
PACKED = gzip.compress(FILES["images"], mtime=0)
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def source(contents):
    @contextmanager
    def opened():
        yield contents.__getitem__

    return opened


@contextmanager
def unreachable():
    raise DataError("no connection")
    yield


def fetched(**sources):
    told = []
    return data.fetch(sources, told.append, SHA256), told


def test_files_are_decoded_compressed_or_not():
    files, _ = fetched(
        here=source({"images": gzip.compress(FILES["images"])} | {"labels": FILES["labels"]})
    )
    assert files["images"].tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    assert files["labels"].tolist() == [3, 1]


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        pytest.param(PACKED[:-9], "truncated", id="last bytes missing"),
        pytest.param(PACKED[:20], "truncated", id="only the first bytes"),
        pytest.param(FILES["images"][:-1], "not the published file", id="a byte less"),
        pytest.param(FILES["images"] + b"\0", "not the published file", id="a byte more"),
        pytest.param(FILES["labels"], "not the published file", id="another file"),
        pytest.param(b"<html>404</html>", "not the published file", id="an error page"),
        pytest.param(b"", "not the published file", id="nothing"),
    ],
)
def test_a_damaged_copy_is_thrown_away_and_the_next_source_asked(damaged, reason):
    files, told = fetched(bad=source(FILES | {"images": damaged}), good=source(FILES))
    assert files["images"].shape == (2, 3, 4)
    assert told[0].startswith("not from bad: images")
    assert reason in told[0]
    assert told[1] == "from good"


def test_if_every_source_fails_each_is_listed_with_its_reason():
    bad = FILES | {"labels": FILES["labels"][:-1]}
    with pytest.raises(DataError) as failure:
        fetched(offline=unreachable, damaged=source(bad))
    message = str(failure.value)
    assert "offline: no connection" in message
    assert "damaged: labels is not the published file" in message
    assert "images.gz, labels.gz" in message
    assert "data.path" in message
    assert "make quick" in message


@pytest.fixture
def mirror(tmp_path):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, partial(data._mirror, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_mirror_serves_over_http(mirror):
    folder, opened = mirror
    for name, content in FILES.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    files, told = fetched(web=opened)
    assert told == ["from web"]
    assert files["labels"].tolist() == [3, 1]


def test_a_mirror_without_the_file_is_named(mirror):
    _, told = fetched(web=mirror[1], good=source(FILES))
    assert "404" in told[0]


def test_a_mirror_that_is_down_is_named():
    opened = partial(data._mirror, "http://127.0.0.1:9")
    _, told = fetched(web=opened, good=source(FILES))
    assert told[0] == "not from web: no connection"


def test_a_folder_serves_compressed_and_plain_files(tmp_path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(FILES["images"]))
    (tmp_path / "labels").write_bytes(FILES["labels"])
    files, _ = fetched(folder=partial(data._folder, tmp_path))
    assert set(files) == set(FILES)


def test_a_folder_without_the_files_is_named(tmp_path):
    sources = {
        "absent": partial(data._folder, tmp_path / "absent"),
        "empty": partial(data._folder, tmp_path),
    }
    _, told = fetched(**sources, good=source(FILES))
    assert told[0] == "not from absent: no such folder"
    assert "images does not exist" in told[1]


def test_named_folders_come_first_and_the_package_last(monkeypatch):
    monkeypatch.setenv(data.FOLDER_VARIABLE, "/from/environment")
    names = list(data.sources("/from/params"))
    assert "/from/params" in names[0]
    assert "/from/environment" in names[1]
    assert "/usr/share/datasets" in names[2]
    assert [name.split(",")[0] for name in names[3:6]] == ["Zalando", "GitHub", "TensorFlow"]
    assert data.DEBIAN_PACKAGE in names[6]


SHARES = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}


def test_the_splits_of_digits_are_disjoint_stratified_and_repeatable():
    (splits, names), (again, _) = (
        data.load_splits("digits", "", SHARES, 42, print) for _ in range(2)
    )
    assert names == list("0123456789")
    assert [len(split.X) for split in splits.values()] == [942, 135, 135, 135, 450]
    for name, (X, y) in splits.items():
        assert X.dtype == y.dtype == np.uint8
        assert X.shape[1:] == (8, 8)
        assert X.max() == 255
        assert np.abs(np.bincount(y) / len(y) - 0.1).max() < 0.01
        assert (again[name].X == X).all()
    seen = [image.tobytes() for split in splits.values() for image in split.X]
    assert len(set(seen)) == len(seen)


def test_what_is_trained_on_depends_on_how_much_is_held_out_only():
    one = {"calibration": 0.05, "tuning": 0.08, "certification": 0.07}
    other = {"calibration": 0.08, "tuning": 0.05, "certification": 0.07}
    a, b = (data.load_splits("digits", "", shares, 42, print)[0] for shares in (one, other))
    assert (a["train"].X == b["train"].X).all()


def test_a_split_too_small_for_every_class_is_refused():
    with pytest.raises(DataError, match=r"data\.shares must leave .* calibration 1, tuning 135"):
        data.load_splits("digits", "", SHARES | {"calibration": 0.001}, 42, print)


def test_another_seed_gives_another_split():
    a, b = (data.load_splits("digits", "", SHARES, seed, print)[0] for seed in (1, 2))
    assert (a["test"].y != b["test"].y).any()


class TestOwnData:
    """An .npz, or a folder of IDX files, that `data.path` names."""

    def arrays(self, n=300, n_classes=3):
        random = np.random.default_rng(0)
        y = np.arange(n) % n_classes
        X = random.integers(0, 40, (n, 5, 6)).astype(np.uint8)
        X[np.arange(n), y, 0] = 255
        return X, y

    def splits(self, path):
        return data.load_splits("letters", str(path), SHARES, 1, print)

    def test_an_npz_with_train_and_test(self, tmp_path):
        X, y = self.arrays()
        np.savez(tmp_path / "own.npz", X_train=X[:200], y_train=y[:200], X_test=X[200:],
                 y_test=y[200:], class_names=["a", "b", "c"])  # fmt: skip
        splits, names = self.splits(tmp_path / "own.npz")
        assert names == ["a", "b", "c"]
        assert (X[200:] == splits["test"].X).all()
        assert sum(len(split.y) for split in splits.values()) == 300
        assert {split.y.dtype for split in splits.values()} == {np.dtype(np.uint8)}

    def test_an_npz_of_both_forms(self, tmp_path):
        X, y = np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2
        split = {"X_train": X, "y_train": y, "X_test": X, "y_test": y}
        for more in ({"X": X}, {"X": X, "y": y}):
            np.savez(tmp_path / "own.npz", **split, **more)
            with pytest.raises(DataError, match="but not both"):
                self.splits(tmp_path / "own.npz")

    def test_an_npz_whose_quarter_becomes_test(self, tmp_path):
        X, y = self.arrays()
        np.savez_compressed(tmp_path / "own.npz", X=X[..., None], y=y)
        splits, names = self.splits(tmp_path / "own.npz")
        assert names == ["0", "1", "2"]
        assert len(splits["test"].X) == 75
        assert splits["train"].X.shape[1:] == (5, 6)

    def test_a_folder_of_idx_files(self, tmp_path):
        X, y = self.arrays()
        y = y.astype(np.uint8)
        for name, array in zip(data.SHA256, (X[:200], y[:200], X[200:], y[200:]), strict=True):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array), mtime=0))
        splits, _ = self.splits(tmp_path)
        assert (splits["test"].y == y[200:]).all()

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"X": np.full((300, 5, 6), np.nan)}, r"uint8 array .* got float64.*astype\('uint8'\)"),
            ({"X": np.zeros((300, 30), np.uint8)}, r"\(n_samples, height, width\)"),
            ({"X": np.zeros((0, 5, 6), np.uint8), "y": np.zeros(0, int)}, "at least one"),
            ({"y": np.zeros(300, int)}, "two classes at least"),
            ({"y": np.zeros(299, int)}, "one for each of 300 images"),
            ({"y": np.arange(300) % 3 - 1}, "labels must be whole numbers"),
            ({"y": np.arange(300) % 3 * 2}, r"0 to k - 1.*\[0, 2, 4\]"),
            ({"y": np.array(["a", "b", "c"] * 100)}, "labels must be whole numbers"),
            ({"class_names": np.array(["a"])}, "each of the 3 classes"),
        ],
    )
    def test_what_is_no_data_set_is_told_what_it_lacks(self, tmp_path, change, told):
        X, y = self.arrays()
        np.savez(tmp_path / "own.npz", **({"X": X, "y": y} | change))
        with pytest.raises(DataError, match=told):
            self.splits(tmp_path / "own.npz")

    def test_arrays_of_other_names_are_listed(self, tmp_path):
        np.savez(tmp_path / "own.npz", images=np.zeros(3))
        with pytest.raises(DataError, match=r"X_train.*it holds images"):
            self.splits(tmp_path / "own.npz")

    def test_a_pickle_is_not_loaded(self, tmp_path):
        np.savez(tmp_path / "own.npz", X=np.array([{}], object), y=np.zeros(1, int))
        with pytest.raises(DataError, match="without pickles"):
            self.splits(tmp_path / "own.npz")

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match=r"own\.npz does not exist"):
            self.splits(tmp_path / "own.npz")

    def test_garbage(self, tmp_path):
        (tmp_path / "own.npz").write_bytes(b"PK garbage")
        with pytest.raises(DataError, match=r"is not an \.npz"):
            self.splits(tmp_path / "own.npz")

    def test_a_folder_without_the_files(self, tmp_path):
        with pytest.raises(DataError, match="each with or without"):
            self.splits(tmp_path)
