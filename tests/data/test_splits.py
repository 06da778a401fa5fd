import gzip
import os
import zipfile

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from eco.data.fetch import SHA256
from eco.data.splits import load_splits
from eco.errors import DataError
from tests.data.test_fetch import encoded

SHARES = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}


def test_the_splits_of_digits_are_disjoint_stratified_and_repeatable():
    (splits, names, _), (again, *_) = (load_splits("digits", "", SHARES, 42) for _ in range(2))
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


def test_what_names_no_groups_or_times_is_drawn_as_it_always_was():
    """Splits that are drawn anew would have every model of a study trained anew."""
    images = load_digits().images
    X, y = np.round(images * (255 / 16)).astype(np.uint8), load_digits().target
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=42)
    expected = {"test": (X_test, y_test)}
    X, X_out, y, y_out = train_test_split(X, y, test_size=3 * 135, stratify=y, random_state=42)
    expected["train"] = (X, y)
    for split in ("calibration", "tuning"):
        X_out, X, y_out, y = train_test_split(
            X_out, y_out, test_size=135, stratify=y_out, random_state=42
        )
        expected[split] = (X, y)
    expected["certification"] = (X_out, y_out)
    splits, *_ = load_splits("digits", "", SHARES, 42)
    assert set(splits) == set(expected)
    for split, (X, y) in splits.items():
        assert X.tobytes() == expected[split][0].tobytes()
        assert y.tolist() == expected[split][1].tolist()


def test_what_is_trained_on_depends_on_how_much_is_held_out_only():
    one = {"calibration": 0.05, "tuning": 0.08, "certification": 0.07}
    other = {"calibration": 0.08, "tuning": 0.05, "certification": 0.07}
    a, b = (load_splits("digits", "", shares, 42)[0] for shares in (one, other))
    assert (a["train"].X == b["train"].X).all()


def test_a_split_too_small_for_every_class_is_refused():
    with pytest.raises(DataError, match=r"data\.shares must leave .* calibration 1, tuning 135"):
        load_splits("digits", "", SHARES | {"calibration": 0.001}, 42)


def test_another_seed_gives_another_split():
    a, b = (load_splits("digits", "", SHARES, seed)[0] for seed in (1, 2))
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
        return load_splits("letters", str(path), SHARES, 1)

    def test_an_npz_with_train_and_test(self, tmp_path):
        X, y = self.arrays()
        np.savez(tmp_path / "own.npz", X_train=X[:200], y_train=y[:200], X_test=X[200:],
                 y_test=y[200:], class_names=["a", "b", "c"])  # fmt: skip
        splits, names, _ = self.splits(tmp_path / "own.npz")
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
        splits, names, _ = self.splits(tmp_path / "own.npz")
        assert names == ["0", "1", "2"]
        assert len(splits["test"].X) == 75
        assert splits["train"].X.shape[1:] == (5, 6)

    def test_a_folder_of_idx_files(self, tmp_path):
        X, y = self.arrays()
        y = y.astype(np.uint8)
        for name, array in zip(SHA256, (X[:200], y[:200], X[200:], y[200:]), strict=True):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(encoded(array), mtime=0))
        splits, *_ = self.splits(tmp_path)
        assert (splits["test"].y == y[200:]).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"X": np.full((300, 5, 6), np.nan)}, r"uint8 array .* got float64.*astype\('uint8'\)"),
            ({"X": np.zeros((300, 30), np.uint8)}, r"X.reshape\(-1, height, width\)"),
            ({"X": np.zeros((300, 36), np.uint8)}, r"X.reshape\(-1, 6, 6\)"),
            ({"X": np.zeros((300, 5, 6, 4), np.uint8)}, r"transparency: save X\[\.\.\., :3\]"),
            ({"X": np.zeros((300, 5, 6, 3))}, r"in colour.*astype\('uint8'\)"),
            ({"X": np.zeros((300, 3, 5, 6), np.uint8)}, r"save X.transpose\(0, 2, 3, 1\)"),
            ({"y": np.arange(300) % 2 + 2**40}, "65536 classes at most.* from 0 to 65535; got"),
            ({"X": np.zeros((0, 5, 6), np.uint8), "y": np.zeros(0, int)}, "at least one"),
            ({"y": np.zeros(300, int)}, "two classes at least"),
            ({"y": np.zeros(299, int)}, "one for each of 300 images"),
            ({"y": np.arange(300) % 3 - 1}, "labels must be whole numbers"),
            ({"y": np.arange(300) % 3 * 2}, r"0 to k - 1.*\[0, 2, 4\]"),
            ({"y": np.array(["a", "b", "c"] * 100)}, "labels must be whole numbers"),
            ({"class_names": np.array(["a"])}, "each of the 3 classes"),
        ],
    )
    def test_what_is_no_data_set_is_refused_with_what_it_lacks(self, tmp_path, change, message):
        X, y = self.arrays()
        np.savez(tmp_path / "own.npz", **({"X": X, "y": y} | change))
        with pytest.raises(DataError, match=message) as error:
            self.splits(tmp_path / "own.npz")
        assert str(tmp_path / "own.npz") in str(error.value)

    def test_as_many_classes_as_labels_can_tell_apart(self, tmp_path):
        y = np.arange(256 * 40) % 256
        np.savez(tmp_path / "own.npz", X=np.zeros((len(y), 2, 2), np.uint8), y=y)
        splits, names, _ = self.splits(tmp_path / "own.npz")
        assert names == [str(label) for label in range(256)]
        assert all(set(split.y) == set(range(256)) for split in splits.values())

    def test_arrays_of_other_names_are_listed(self, tmp_path):
        np.savez(tmp_path / "own.npz", images=np.zeros(3))
        with pytest.raises(DataError, match=r"X_train.*it holds images"):
            self.splits(tmp_path / "own.npz")

    def test_a_member_that_is_no_array_does_not_count(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
            archive.writestr("X.npy", b"no array")
        with pytest.raises(DataError, match=r"own\.npz must hold X_train.*it holds nothing"):
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

    @pytest.mark.parametrize("content", [b"no IDX", gzip.compress(b"cut off", mtime=0)[:-9], b""])
    def test_a_damaged_file_of_a_folder_is_named(self, tmp_path, content):
        for name in SHA256:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"data\.path of params\.yaml.*train-images") as error:
            self.splits(tmp_path)
        assert str(tmp_path) in str(error.value)

    def test_a_pipe_is_refused_rather_than_waited_for(self, tmp_path):
        os.mkfifo(tmp_path / "own.npz")
        with pytest.raises(DataError, match=r"own\.npz must be a file, not a pipe"):
            self.splits(tmp_path / "own.npz")
        os.mkfifo(tmp_path / next(iter(SHA256)))
        with pytest.raises(DataError, match=r"train-images.* must be a file, not a pipe"):
            self.splits(tmp_path)

    @pytest.mark.parametrize("path", ["n" * 5000, "n/" * 3000, "~nobody/own.npz", "\0"])
    def test_a_path_that_can_not_be_is_named(self, path):
        with pytest.raises(DataError, match=r"data\.path of params\.yaml") as error:
            self.splits(path)
        assert len(str(error.value)) < 500

    def test_a_folder_without_the_files(self, tmp_path):
        with pytest.raises(DataError, match="each with or without"):
            self.splits(tmp_path)
