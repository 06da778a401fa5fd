import csv
import errno
import gzip
import io
import json
import struct
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from eco import results, samples
from eco.errors import DataError, FileError
from tests.conftest import REPOSITORY

N, SHAPE, CLASSES = 23, (3, 4), 3
NAMES = results.Names(['one, "quoted"', "zwei", "drei"], ["light", "heavy"])


@pytest.fixture
def pixels():
    rng = np.random.default_rng(1)
    X = rng.integers(0, 256, (N, *SHAPE)).astype(np.uint8)
    return X, rng.integers(0, CLASSES, N).astype(np.uint8)


def idx(array):
    kinds = {"u1": 8, "f4": 13}
    head = struct.pack(">BBBB", 0, 0, kinds[array.dtype.str[1:]], array.ndim)
    big = array.astype(array.dtype.newbyteorder(">"))
    return head + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(save=np.savez, **arrays):
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


def read(path, size=5, labels=None):
    with samples.opened(path, labels) as given:
        batches = list(given.batches(size, CLASSES))
        assert given.labelled == (batches[0][1] is not None)
        assert max(len(X) for X, _ in batches) <= size
        X = np.concatenate([X for X, _ in batches])
        assert (given.n, given.shape) == (len(X), X.shape[1:])
        return X, np.concatenate([y for _, y in batches]) if given.labelled else None


@pytest.mark.parametrize("size", [1, 5, N, 1000])
@pytest.mark.parametrize(
    "content",
    [
        lambda X, y: npy(X),
        lambda X, y: gzip.compress(npy(X), mtime=0),
        lambda X, y: idx(X),
        lambda X, y: gzip.compress(idx(X), mtime=0),
        lambda X, y: npz(X=X),
        lambda X, y: npz(X=X, y=y),
        lambda X, y: npz(np.savez_compressed, y=y.astype(">i4"), X=X, holds=np.array("more")),
        lambda X, y: npz(np.savez_compressed, X_test=X, y_test=y, X_train=X[:2]),
    ],
)
def test_every_form_of_file_gives_the_same_images_in_batches_of_any_size(
    tmp_path, pixels, content, size
):
    X, y = pixels
    path = tmp_path / "named after nothing"
    path.write_bytes(content(X, y))
    found, labels = read(path, size)
    np.testing.assert_array_equal(found, X)
    assert labels is None or (labels == y).all()


@pytest.mark.parametrize("content", [npy, idx, lambda y: gzip.compress(idx(y), mtime=0)])
def test_labels_may_come_from_a_file_of_their_own(tmp_path, pixels, content):
    X, y = pixels
    (tmp_path / "X.npy").write_bytes(npy(X))
    (tmp_path / "y").write_bytes(content(y))
    np.testing.assert_array_equal(read(tmp_path / "X.npy", labels=tmp_path / "y")[1], y)


def damaged(content):
    middle = bytearray(content)
    middle[-40] ^= 0xFF
    return bytes(middle)


FLOATS = np.full((N, *SHAPE), 0.5, np.float32)


def with_a(value):
    spoilt = FLOATS.copy()
    spoilt[7, 1, 2] = value
    return spoilt


GOOD = np.random.default_rng(2).integers(0, 256, (N, *SHAPE)).astype(np.uint8)
HUGE = npy(GOOD).replace(b"(23, 3, 4), }  ", b"(2**62,3,4), } ")
VAST = struct.pack(">BBBBIII", 0, 0, 8, 3, 2, 2**31, 2**31)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (npy(with_a(np.nan)), "sample 7 has NaN or infinite pixels"),
        (npy(with_a(-np.inf)), "sample 7 has NaN or infinite pixels"),
        (npz(np.savez_compressed, X=with_a(np.inf)), "sample 7 has NaN or infinite pixels"),
        (npy(GOOD).replace(b"'shape': (23, 3, 4), }", b"'shape': (23, 3, 4     "), "can't be read"),
        (npy(FLOATS), "got float32 of shape .* 255: scale them"),
        (npy(GOOD.astype(np.int64)), "got int64 .* 255: if these do, save X.astype"),
        (npy(np.array([None, "pickled"], object)), "got object"),
        (npz(X=np.array([[[None]]], object)), "got object"),
        (npy(GOOD[0]), r"got uint8 of shape \(3, 4\)"),
        (npy(GOOD[..., None]), r"got uint8 of shape \(23, 3, 4, 1\)"),
        (npy(GOOD[:0]), r"at least one; got uint8 of shape \(0, 3, 4\). It is empty"),
        (npy(GOOD[:, :0]), "at least one"),
        (npy(np.asfortranarray(GOOD)), "C order"),
        (npy(GOOD)[:-5], "damaged or cut off"),
        (npy(GOOD) + b"more", "damaged or cut off"),
        (npy(GOOD)[:20], "can't be read"),
        (HUGE, "can't be read|damaged"),
        (b"", "none of .npy, .npz and IDX"),
        (b"an email\n", "none of .npy, .npz and IDX"),
        (idx(GOOD)[:6], "damaged|at least one"),
        (idx(GOOD)[:-1], "damaged or cut off"),
        (VAST, "header is damaged"),
        (gzip.compress(VAST, mtime=0), "header is damaged"),
        (gzip.compress(idx(GOOD)[:-1], mtime=0), "cut off: it has 22 of 23"),
        (gzip.compress(idx(GOOD) + b"1", mtime=0), "goes on after"),
        (gzip.compress(idx(GOOD), mtime=0)[:-20], "can't be read"),
        (damaged(gzip.compress(npy(GOOD), mtime=0)), "can't be read"),
        (damaged(npz(X=GOOD)[:-60]), "can't be read"),
        (npz(X=GOOD).replace(GOOD.tobytes()[-9:], bytes(9)), "can't be read.*CRC"),
        (npz(images=GOOD), "it holds images"),
        (npz(), "can't be read|holds nothing"),
        (npz(X=GOOD, y=np.zeros(N - 1, int)), "one whole number for each of the 23"),
        (npz(X=GOOD, y=np.zeros(N)), "one whole number for each .* got float64"),
        (npz(X=GOOD, y=np.eye(N)[9].astype(int) * 3), "from 0 to 2; sample 9 has 3"),
        (npz(X=GOOD, y=-np.eye(N)[0].astype(int)), "from 0 to 2; sample 0 has -1"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, content, says):
    path = tmp_path / "input"
    path.write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        read(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_missing_or_a_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no\.npy does not exist"):
        read(tmp_path / "no.npy")
    with pytest.raises(DataError, match=r"can't be read: .*directory"):
        read(tmp_path)


def test_a_file_is_never_unpickled(tmp_path):
    marker = tmp_path / "executed"

    class Hostile:
        def __reduce__(self):
            return (type(marker).touch, (marker,))

    for save in (np.save, lambda path, X: np.savez(path, X=X)):
        with (tmp_path / "hostile").open("wb") as stream:
            save(stream, np.array([[[Hostile()]]], object))
        with pytest.raises(DataError, match="object"):
            read(tmp_path / "hostile")
    assert not marker.exists()


def answers(n=N):
    rng = np.random.default_rng(3)
    return {
        "index": np.arange(n),
        "label": rng.integers(0, 3, n),
        "confidence": rng.random(n).round(4),
        "answered_by": rng.integers(0, 2, n),
        "energy_j": rng.choice([1.25e-6, 3e-5], n),
    }


def write(path, given, size=5):
    with results.writing(path, NAMES) as put:
        for start in range(0, len(given["index"]), size):
            put({name: values[start : start + size] for name, values in given.items()})


def rows_of(path):
    match path.suffix:
        case ".csv":
            with path.open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            kinds = {"index": int, "label": int, "confidence": float, "energy_j": float}
            return [{k: kinds.get(k, str)(v) for k, v in row.items()} for row in rows]
        case ".json":
            return json.loads(path.read_text())
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    with np.load(path, allow_pickle=False) as found:
        columns = {name: found[name].tolist() for name in results.COLUMNS if name != "class"}
        classes, models = found["classes"].tolist(), found["models"].tolist()
    columns["class"] = [classes[label] for label in columns["label"]]
    columns["answered_by"] = [models[model] for model in columns["answered_by"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def needs_its_package(suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("suffix", results.FORMATS)
def test_every_format_holds_what_was_written_in_batches_of_any_size(tmp_path, suffix, size):
    needs_its_package(suffix)
    given, path = answers(), tmp_path / f"new folder/out{suffix}"
    write(path, given, size)
    expected = [
        {
            "index": i,
            "label": label,
            "class": NAMES.classes[label],
            "confidence": sure,
            "answered_by": NAMES.models[model],
            "energy_j": joules,
        }
        for i, label, sure, model, joules in zip(*(v.tolist() for v in given.values()), strict=True)
    ]
    assert rows_of(path) == expected
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", results.FORMATS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, DataError, OSError(errno.ENOSPC, "No space")])
def test_what_stops_the_writing_leaves_the_old_result_and_nothing_else(tmp_path, suffix, stop):
    needs_its_package(suffix)
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    told = FileError if isinstance(stop, OSError) else stop
    with pytest.raises(told), results.writing(path, NAMES) as put:
        put(answers())
        raise stop
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from eco.errors import reported
from tests.test_samples import answers, write
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with reported():
    write(Path(sys.argv[1]), answers(20_000), 1000)
"""


@pytest.mark.parametrize("suffix", results.FORMATS)
def test_a_full_disk_is_named_and_leaves_the_old_result(tmp_path, suffix):
    needs_its_package(suffix)
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert f"{path} could not be written: File too large" in result.stderr
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_file_of_results_that_can_not_be_written_is_refused_beforehand(tmp_path):
    source = tmp_path / "X.npz"
    source.touch()
    with pytest.raises(FileError, match=r"must end in one of \.csv"):
        results.check_output(tmp_path / "out.txt", [source])
    with pytest.raises(FileError, match="is the input"):
        results.check_output(source, [tmp_path / "other.npz", source])
    results.check_output(tmp_path / "out.csv", [source])


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(FileError, match="pip install pyarrow"):
        results.check_output(tmp_path / "out.parquet", [tmp_path / "X.npz"])


MEMORY = """
import sys, tracemalloc
from pathlib import Path
from eco import results, samples
from tests.test_samples import NAMES, answers
source, target = map(Path, sys.argv[1:])
tracemalloc.start()
with samples.opened(source) as given, results.writing(target, NAMES) as put:
    for X, y in given.batches(500, 3):
        put(answers(len(X)))
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_ten_times_the_samples_take_the_same_memory(tmp_path, save, suffix):
    peaks = []
    for n in (10_000, 100_000):
        X = np.random.default_rng(0).integers(0, 256, (n, 8, 8)).astype(np.uint8)
        source = tmp_path / f"{n}.npz"
        with source.open("wb") as stream:
            save(stream, X) if save is np.save else save(stream, X=X)
        command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / f"{n}{suffix}")]
        run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout))
    assert peaks[1] < 1.3 * peaks[0] < X.nbytes


def test_the_next_batch_is_read_while_one_is_answered():
    begun = [threading.Event() for _ in range(4)]

    def batches():
        for at, event in enumerate(begun):
            event.set()
            if at == 2:
                raise DataError("the third is damaged")
            yield at

    with ThreadPoolExecutor(1) as reader:
        ahead = samples._read_ahead(batches(), reader)
        assert next(ahead) == 0
        assert begun[1].wait(5), "nothing is read ahead"
        assert not begun[2].wait(0.1), "more is read than is asked for"
        assert next(ahead) == 1
        with pytest.raises(DataError, match="third"):
            next(ahead)


def test_nothing_reads_on_in_a_file_that_is_closed(tmp_path):
    path = tmp_path / "X.npz"
    path.write_bytes(npz(np.savez_compressed, X=np.zeros((5000, 28, 28), np.uint8)))
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), samples.opened(path) as given:
        for _ in given.batches(1000, CLASSES):
            raise ZeroDivisionError
    assert threading.active_count() == before


def test_a_zip_that_is_locked_is_named(tmp_path):
    path = tmp_path / "X.npz"
    path.write_bytes(npz(X=GOOD))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        central = archive.start_dir
    content[6] |= 1  # encrypted, says the local header
    content[central + 8] |= 1  # and so does the directory
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"can't be read.*encrypted"):
        read(path)
