import gzip
import io
import os
import struct
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from eco.data import streams
from eco.data.columns import Column
from eco.data.encoding import TableEncoding, TextEncoding
from eco.errors import DataError

N, SHAPE, CLASSES = 23, (3, 4), 3


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


def read(path, size=5, labels=None, coding=None):
    with streams.open_samples(path, labels, coding) as source:
        batches = list(source.batches(size, CLASSES))
        assert source.labelled == (batches[0].y is not None)
        assert max(len(batch.X) for batch in batches) <= size
        X = np.concatenate([batch.X for batch in batches])
        assert (source.n, source.shape) == (len(X), X.shape[1:])
        return X, np.concatenate([batch.y for batch in batches]) if source.labelled else None


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
    images, labels = read(path, size)
    np.testing.assert_array_equal(images, X)
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
    damaged_floats = FLOATS.copy()
    damaged_floats[7, 1, 2] = value
    return damaged_floats


def with_header(text, version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode()


def of_shape(shape, descr="'|u1'"):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"
    return with_header(header) + bytes(60)


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
        (npy(GOOD[0]), r"got uint8 of shape \(3, 4\).* single image, X\[None\]"),
        (npy(GOOD.reshape(N, 12)), r"flat images save X.reshape\(-1, height, width\)"),
        (npy(GOOD[:, :, :3].reshape(N, 9)), r"flat images save X.reshape\(-1, 3, 3\)"),
        (npy(GOOD.reshape(-1)), r"single flat image save X.reshape\(1, height, width\)"),
        (npy(GOOD[..., None]), r"got uint8 of shape \(23, 3, 4, 1\). Save X\[\.\.\., 0\]"),
        (npy(GOOD[:, None]), r"Save X\[:, 0\]"),
        (npy(np.stack([GOOD] * 4, -1)), r"save X\[\.\.\., :3\]"),
        (npy(np.zeros((5, 3, 8, 9), np.uint8)), r"save X.transpose\(0, 2, 3, 1\)"),
        (npy(GOOD[None, None]), "with these three axes"),
        (npy(GOOD[:0]), r"at least one; got uint8 of shape \(0, 3, 4\). It is empty"),
        (npy(GOOD[:, :0]), "at least one"),
        (npy(np.asfortranarray(GOOD)), "C order"),
        (npy(GOOD)[:-5], "damaged or cut off"),
        (npy(GOOD) + b"more", "damaged or cut off"),
        (npy(GOOD)[:20], "can't be read"),
        (HUGE, "can't be read|damaged"),
        *(
            (compress(of_shape(shape)), says)
            for compress in (bytes, partial(gzip.compress, mtime=0))
            for shape, says in (
                ("(-1, 4, 5)", r"damaged: its header says shape \(-1, 4, 5\)"),
                ("(3, -4, -5)", "damaged: its header says"),
                (f"({2**40}, 4, 5)", "cut off"),
                (f"(3, {2**40}, 5)", "header is damaged"),
                (f"({'9' * 4000}, 4, 5)", "damaged: its header says"),
                (f"({'1, ' * 3000})", "damaged: its header says"),
                ("(1 + 2, 4, 5)", "can't be read"),
                (f"({'-' * 9000}1, 4, 5)", "can't be read"),
                (f"({'1 + ' * 2000}1, 4, 5)", "can't be read"),
                ("(" * 4000 + ")" * 4000, "can't be read"),
                ("[" * 150 + "]" * 150, "can't be read"),
            )
        ),
        (of_shape("(3, 4, 5)", [(f"f{i}", "u1") for i in range(500)]), r"got \[\('f0', 'u1'\)"),
        (with_header("{'shape': 1}"), "can't be read"),
        (with_header(" " * 20_000), "can't be read"),
        (gzip.compress(b"\x93NUMPY\2\0\xff\xff\xff\x7f", mtime=0), "can't be read"),
        (struct.pack(">BBBB255I", 0, 0, 8, 255, *[1] * 255), "damaged: its header says"),
        (npz(**{f"name{i}": GOOD for i in range(200)}), "it holds name0"),
        (b"", "none of .npy, .npz and IDX"),
        (b"an email\n", "none of .npy, .npz and IDX"),
        (b'{"x": [[1]]}\n', "none of .npy, .* Pipe JSON lines: cat FILE | eco predict -"),
        (idx(GOOD)[:6], "not a whole IDX file"),
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
    assert len(str(error.value)) < 500


def test_images_may_be_in_colour(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (N, *SHAPE, 3)).astype(np.uint8)
    (tmp_path / "X.npy").write_bytes(npy(X))
    np.testing.assert_array_equal(read(tmp_path / "X.npy")[0], X)


TABLE = TableEncoding((Column("age"), Column("income")))
TEXT = TextEncoding(("so", "dear"), 3)
ROWS = np.array([[1, np.nan], [0.5, -2], [3, 4]], np.float32)
IDS = np.array([[2, 3, 0], [1, 0, 0]], np.int32)


@pytest.mark.parametrize(("X", "coding"), [(ROWS, TABLE), (IDS, TEXT)])
def test_encoded_samples_are_read_like_images(tmp_path, X, coding):
    y = np.arange(len(X))
    for content in (npy(X), npz(X=X, y=y)):
        (tmp_path / "X").write_bytes(content)
        rows, labels = read(tmp_path / "X", 2, coding=coding)
        np.testing.assert_array_equal(rows, X)
        assert labels is None or (labels == y).all()


@pytest.mark.parametrize(
    ("X", "coding", "says"),
    [
        (ROWS.astype(float), TABLE, r"a table as encoded .*float32 \(n, 2\).* got float64"),
        (ROWS[:, :1], TABLE, r"got float32 of shape \(3, 1\).*data/encoding.json"),
        (ROWS[:0], TABLE, "at least one row"),
        (GOOD, TABLE, "got uint8"),
        (IDS.astype(np.int64), TEXT, r"texts as encoded .*int32 \(n, 3\).* got int64"),
        (np.float32([[1, 2], [3, np.inf]]), TABLE, "sample 1 has inf in column 1"),
        (IDS + 1, TEXT, "ids of words from 0 to 3; sample 0 has 4 in column 1"),
        (-IDS, TEXT, "sample 0 has -2 in column 0"),
    ],
)
def test_what_no_encoding_gives_is_named(tmp_path, X, coding, says):
    (tmp_path / "X.npy").write_bytes(npy(X))
    with pytest.raises(DataError, match=says):
        read(tmp_path / "X.npy", coding=coding)


def test_a_header_is_not_read_without_end(tmp_path):
    claim = b"\x93NUMPY\2\0" + struct.pack("<I", 2**31 - 1)
    (tmp_path / "X.npy.gz").write_bytes(gzip.compress(claim + bytes(100_000_000), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="can't be read"):
        read(tmp_path / "X.npy.gz")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_batch_is_never_larger_than_what_fits_in_memory(tmp_path, monkeypatch):
    np.save(tmp_path / "small.npy", np.zeros((streams.MAX_BATCH + 10, 1, 2), np.uint8))
    np.save(tmp_path / "large.npy", np.zeros((3, 10, 20), np.uint8))
    monkeypatch.setattr(streams, "MAX_BATCH_PIXELS", 2**18)
    with streams.open_samples(tmp_path / "small.npy") as samples:
        sizes = [len(X) for X, *_ in samples.batches(10**6, CLASSES)]
    assert sizes == [streams.MAX_BATCH, 10]
    for pixels, expected in ((400, [2, 1]), (100, [1, 1, 1])):
        monkeypatch.setattr(streams, "MAX_BATCH_PIXELS", pixels)
        with streams.open_samples(tmp_path / "large.npy") as samples:
            assert [len(X) for X, *_ in samples.batches(10**6, CLASSES)] == expected


def test_pipes_and_devices_are_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "X.npy").write_bytes(npy(GOOD))
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(DataError, match=f"{path} must be a file, not a pipe or a device"):
            read(path)
        with pytest.raises(DataError, match=f"{path} must be a file"):
            read(tmp_path / "X.npy", labels=path)


@pytest.mark.parametrize("name", ["n" * 250, "n" * 5000, "n/" * 3000, os.fsdecode(b"\xff\xfe")])
def test_a_name_of_any_length_and_letters_is_quoted_in_a_short_message(tmp_path, name):
    with pytest.raises(DataError, match=r"does not exist|can't be read: File name too long") as e:
        read(tmp_path / name)
    assert len(str(e.value)) < 500


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


def test_the_next_batch_is_read_while_one_is_answered():
    started = [threading.Event() for _ in range(4)]

    def batches():
        for at, event in enumerate(started):
            event.set()
            if at == 2:
                raise DataError("the third is damaged")
            yield at

    with ThreadPoolExecutor(1) as reader:
        ahead = streams.read_ahead(batches(), reader)
        assert next(ahead) == 0
        assert started[1].wait(5), "nothing is read ahead"
        assert not started[2].wait(0.1), "more than one batch is read ahead"
        assert next(ahead) == 1
        with pytest.raises(DataError, match="third"):
            next(ahead)


def test_nothing_reads_on_in_a_file_that_is_closed(tmp_path):
    path = tmp_path / "X.npz"
    path.write_bytes(npz(np.savez_compressed, X=np.zeros((5000, 28, 28), np.uint8)))
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), streams.open_samples(path) as source:
        for _ in source.batches(1000, CLASSES):
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
