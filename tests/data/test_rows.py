import gzip
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from eco.data import encoding
from eco.data.rows import open_rows
from eco.data.tables import read_table
from eco.errors import DataError
from tests.data.test_streams import npy

CLASSES = ["buys", "leaves"]
FRAME = pd.DataFrame(
    {
        "id": [f"00{i}" for i in range(7)],
        "age": [41.0, 23, np.nan, 60, 18, 33, 52],
        "code": ["7", "7", "x", "x", "NA", "NA", None],
        "target": ["buys", "leaves", "buys", "buys", "leaves", "leaves", "buys"],
    }
)
TABLE = encoding.fit_table(FRAME[["age", "code"]])
TEXTS = pd.DataFrame({"text": ["so dear", "NA", "dear so so"], "target": CLASSES + CLASSES[:1]})
TEXT = encoding.fit_text([*TEXTS["text"], "NA"], 10, 5)


def write(folder, frame, suffix=".csv"):
    path = folder / f"new{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def read(path, coding=TABLE, size=3, labels=None):
    with open_rows(path, coding, "target", CLASSES, labels) as samples:
        batches = list(samples.batches(size, len(CLASSES)))
    assert max(len(batch.X) for batch in batches) <= size
    assert samples.shape == coding.shape
    for part, is_there in (("y", samples.labelled), ("ids", samples.identified)):
        assert {getattr(batch, part) is not None for batch in batches} == {is_there}
    return samples, *(
        np.concatenate(part) if part[0] is not None else None for part in zip(*batches, strict=True)
    )


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_rows_are_encoded_as_all_at_once_in_batches_of_any_size(tmp_path, suffix, size):
    """Also where a batch of the column code holds numbers alone, or ids begin with 0."""
    samples, X, y, ids = read(write(tmp_path, FRAME, suffix), size=size)
    np.testing.assert_array_equal(X, TABLE.encode(FRAME))
    assert X.dtype == np.float32 and y.dtype == np.int64
    assert y.tolist() == [0, 1, 0, 0, 1, 1, 0]
    assert ids.tolist() == FRAME["id"].tolist()
    assert samples.n in (None, len(FRAME))


def test_na_is_a_category_and_no_number(tmp_path):
    (tmp_path / "new.csv").write_text("age,code\nNA,NA\n,\n")
    X = read(tmp_path / "new.csv")[1]
    frame = pd.DataFrame({"age": ["NA", None], "code": ["NA", None]})
    np.testing.assert_array_equal(X, TABLE.encode(frame))
    assert np.isnan(X[:, 0]).all() and X[:, 1:].sum(axis=1).tolist() == [2, 1]


@pytest.mark.parametrize("value", [b"7", ["7"], {"a": 7}])
def test_what_can_be_no_category_is_refused(tmp_path, value):
    path = write(tmp_path, FRAME.assign(code=[value] * len(FRAME)), ".parquet")
    with pytest.raises(DataError, match=r"row 0, column code: must be a number or a text; got"):
        read(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_category_of_blanks_is_missing(tmp_path, suffix):
    X = read(write(tmp_path, FRAME.assign(code=" "), suffix))[1]
    assert not X[:, 2:].any()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_texts_are_read_as_they_are(tmp_path, suffix):
    _, X, y, ids = read(write(tmp_path, TEXTS, suffix), TEXT)
    np.testing.assert_array_equal(X, TEXT.encode(TEXTS["text"]))
    assert y.tolist() == [0, 1, 0] and ids is None


def test_other_columns_and_their_order_do_not_matter(tmp_path):
    other = FRAME[["code", "age"]].assign(more="?", age_too=1)
    _, X, y, ids = read(write(tmp_path, other))
    np.testing.assert_array_equal(X, TABLE.encode(FRAME))
    assert y is None and ids is None


def test_labels_of_a_file_count_instead_of_the_column(tmp_path):
    (tmp_path / "y.npy").write_bytes(npy(np.ones(len(FRAME), int)))
    path = write(tmp_path, FRAME)
    assert read(path, labels=tmp_path / "y.npy")[2].tolist() == [1] * len(FRAME)
    for n in (len(FRAME) - 1, len(FRAME) + 1):
        (tmp_path / "y.npy").write_bytes(npy(np.ones(n, int)))
        with pytest.raises(DataError, match=f"one label for each of the . rows .* got {n}"):
            read(path, labels=tmp_path / "y.npy")
    (tmp_path / "y.npy").write_bytes(npy(np.full(len(FRAME), 2)))
    with pytest.raises(DataError, match="labels must be from 0 to 1; sample 0 has 2"):
        read(path, labels=tmp_path / "y.npy")


def changed(row, column, value):
    frame = FRAME.astype(object)
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (FRAME.drop(columns="age"), "must have the column age; it has id, code, target"),
        (FRAME.iloc[:0], "must hold a row for each sample; it has none"),
        (pd.concat([FRAME, FRAME[["age"]]], axis=1), "must have the column age once"),
        (changed(5, "age", "old"), "row 5, column age: must be a number; got 'old'"),
        (
            changed(4, "target", "waits"),
            "row 4, column target: must be one of the 2 .*got 'waits'",
        ),
        (changed(6, "target", None), "row 6, column target: .* got ''. Leave the column out"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_with_its_row(tmp_path, frame, says):
    with pytest.raises(DataError, match=says) as error:
        read(write(tmp_path, frame))
    assert "new.csv" in str(error.value)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0\x1f", gzip.compress(b"age", mtime=0)[:-9]])
def test_a_damaged_file_is_named(tmp_path, suffix, content):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / f"new{suffix}").write_bytes(content)
    with pytest.raises(DataError, match=r"new.* can't be read"):
        read(tmp_path / f"new{suffix}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"age,code\n1,x\n1,5,x\n", "can't be read .*Expected 2 fields in line 3, saw 3"),
        (b'age,code\n1,"x\n', "can't be read .*EOF inside string"),
        (b"age,code\n" + b"9" * 400 + b",x\n", "row 0, column age: must be a finite number"),
        (b"age,code\ninf,x\n", "row 0, column age: must be a finite number"),
        (b'age,code\n"1,5",x\n', "row 0, column age: must be a number; got '1,5'"),
    ],
)
def test_what_a_csv_says_otherwise_is_named(tmp_path, content, says):
    (tmp_path / "new.csv").write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        read(tmp_path / "new.csv")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"age;code\n1;x\n", "must have commas between its columns; got 'age;code'. Write it"),
        (b"age|code\n1|x\n", "must have commas between its columns; got 'age|code'. Write it"),
        (b"age,code\n1,5,x\n", "a row has more cells than the first line has"),
        ("age,code\n1,\u00e9\n".encode("latin-1"), "must be text in UTF-8 .* Save it as CSV in"),
        ("age,code\n1,x\n".encode("utf-16"), r"must be text in UTF-8 \(it is UTF-16\). Save it as"),
        (b"PK\x03\x04\xff", r"must be text in UTF-8 \(it is a zip archive, as .xlsx is\)"),
        (gzip.compress(b"age,code\n1,x\n"), r"\(it is what gzip .* must end in .csv.gz\)"),
    ],
)
def test_it_says_what_init_says_of_the_same_file(tmp_path, content, says):
    (tmp_path / "new.csv").write_bytes(content)
    with pytest.raises(DataError, match=says) as of_rows:
        read(tmp_path / "new.csv")
    with pytest.raises(DataError) as of_table:
        read_table(tmp_path / "new.csv", str(tmp_path / "new.csv"))
    assert str(of_rows.value) == str(of_table.value)


def test_a_column_may_be_called_na(tmp_path):
    path = write(tmp_path, FRAME[["age", "code"]].rename(columns={"code": "NA"}))
    coding = encoding.fit_table(read_table(path, "new.csv"))
    assert [column.name for column in coding.columns] == ["age", "NA"]
    X = read(path, coding)[1]
    np.testing.assert_array_equal(X, read(write(tmp_path, FRAME))[1])


def test_ends_of_lines_and_marks_of_an_encoding_do_not_matter(tmp_path):
    (tmp_path / "new.csv").write_bytes("\ufeffage,code\r\n41,7\r\n".encode())
    assert read(tmp_path / "new.csv")[1].tolist() == TABLE.encode(FRAME[:1]).tolist()


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"new\.csv does not exist"):
        read(tmp_path / "new.csv")


def test_a_long_file_takes_the_memory_of_a_few_batches(tmp_path):
    path = write(tmp_path, pd.concat([FRAME] * 3000))
    tracemalloc.start()
    with open_rows(path, TABLE, "target", CLASSES) as samples:
        n = sum(len(batch.X) for batch in samples.batches(500, 2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == 21_000 and peak < 3_000_000


def test_rows_before_a_bad_one_are_given_first(tmp_path):
    with open_rows(write(tmp_path, changed(5, "age", "old")), TABLE, "target", CLASSES) as samples:
        batches = samples.batches(2, 2)
        assert [len(next(batches).X) for _ in range(2)] == [2, 2]
        with pytest.raises(DataError, match="row 5"):
            next(batches)
