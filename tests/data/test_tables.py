"""Tables and texts as data of one's own: CSV, Parquet and .npz."""

import gzip

import numpy as np
import pandas as pd
import pytest

from eco.data.encoding import TextEncoding
from eco.data.files import Reading
from eco.data.splits import load_splits
from eco.data.tables import read_table
from eco.errors import DataError

SHARES = {"calibration": 0.1, "tuning": 0.1, "certification": 0.1}
N = 400
RANDOM = np.random.default_rng(0)
Y = np.array(["ja", "nein"])[np.arange(N) % 2]
TABLE = pd.DataFrame({"age": np.arange(N) / 8, "city": np.array(list("ab"))[np.arange(N) // 2 % 2]})
TEXTS = pd.DataFrame({"text": [f"der {word} Baum" for word in RANDOM.choice(["rote", "grüne"], N)]})
OWN = {"table": TABLE.assign(target=Y), "text": TEXTS.assign(target=Y)}
SUFFIXES = ("csv", "csv.gz", "parquet")


def load(path, kind="table", **columns):
    return load_splits("own", str(path), SHARES, 1, Reading(kind, **columns))


def written(folder, frame, suffix="csv"):
    path = folder / f"own.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def archived(folder, **arrays):
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


def refused(path, kind="table", **columns):
    with pytest.raises(DataError) as caught:
        load(path, kind, **columns)
    assert "own" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", OWN)
class TestEveryFile:
    def test_the_splits_are_the_same_whatever_the_file(self, tmp_path, kind):
        files = [load(written(tmp_path, OWN[kind], suffix), kind) for suffix in SUFFIXES]
        X = OWN[kind].drop(columns="target").select_dtypes("number").to_numpy()
        X = np.array(TEXTS["text"].tolist()) if kind == "text" else X
        arrays = load(archived(tmp_path, X=X, y=Y), kind)
        for splits, names, encoding in [*files, arrays]:
            assert names == ["ja", "nein"]
            assert encoding.kind == kind
            sizes = {split: len(y) for split, (_, y) in splits.items()}
            assert sizes == {
                "train": 210, "calibration": 30, "tuning": 30, "certification": 30, "test": 100
            }  # fmt: skip
            for split, (X, y) in splits.items():
                assert X.dtype == {"table": np.float32, "text": np.int32}[kind]
                assert X.shape == (len(y), *encoding.shape)
                assert y.dtype == np.uint8
                assert y.tolist() == files[0].splits[split].y.tolist()

    def test_parts_of_an_npz(self, tmp_path, kind):
        X = TABLE[["age"]].to_numpy() if kind == "table" else np.array(TEXTS["text"].tolist())
        parts = {"X_train": X[:300], "y_train": Y[:300], "X_test": X[300:], "y_test": Y[300:]}
        found = load(archived(tmp_path, **parts), kind)
        assert len(found.splits["test"].y) == 100
        named = parts | {"class_names": ["yes", "no"]}
        assert load(archived(tmp_path, **named), kind).class_names == ["yes", "no"]

    def test_groups_stay_together(self, tmp_path, kind):
        people = np.array([f"person {i}" for i in np.arange(N) // 4])
        frame = OWN[kind].assign(person=people)
        splits = load(written(tmp_path, frame), kind, groups="person").splits
        if kind == "table":
            seen = {split: set(np.floor(X[:, 0] * 2)) for split, (X, _) in splits.items()}
            assert sum(map(len, seen.values())) == len(set.union(*seen.values()))
            assert len(splits["certification"].y) == len(seen["certification"])

    def test_the_latest_are_held_out(self, tmp_path, kind):
        days = pd.date_range("2026-01-01", periods=N)
        frame = OWN[kind].assign(day=days).sample(frac=1, random_state=0)
        splits = load(written(tmp_path, frame), kind, time="day").splits
        assert len(splits["test"].y) == 100
        if kind == "table":
            assert splits["train"].X[:, 0].max() < splits["test"].X[:, 0].min()

    def test_what_is_encoded_is_learned_from_train_alone(self, tmp_path, kind):
        frame = OWN[kind].assign(day=np.arange(N))
        column = {"table": "city", "text": "text"}[kind]
        frame.loc[frame.index[-5:], column] = "new"
        _, _, encoding = load(written(tmp_path, frame), kind, time="day")
        assert "new" not in str(encoding)


class TestBadTables:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "can't be read as a table .*No columns"),
            (b"age,target\n", "must hold a row for each sample; it has none"),
            (b"a,a,target\n1,2,x\n", "must give each column another name; got 'a' twice"),
            (b",target\n1,2\n", r"column 0 has none.*index=False"),
            (b"age;target\n1;2\n", "must have commas between its columns; got 'age;target'"),
            (b"a,target\n1,2,3\n4,5,6\n", "can't be read as a table"),
            (b"a,target\n1,2\n4,5,6\n", "can't be read as a table .*line 3"),
            (b"\xff\xfe\0a,target\n", "can't be read as a table.* must be text in UTF-8"),
            (b"\0\0\0", "own.csv"),
        ],
    )
    def test_what_is_no_csv(self, tmp_path, content, message):
        (tmp_path / "own.csv").write_bytes(content)
        with pytest.raises(DataError, match=message):
            load(tmp_path / "own.csv")

    @pytest.mark.parametrize("name", ["own.parquet", "own.csv.gz", "own.npz"])
    def test_damaged_files(self, tmp_path, name):
        (tmp_path / name).write_bytes(gzip.compress(b"a,target\n1,2", mtime=0)[:-9])
        assert str(tmp_path) in refused(tmp_path / name)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"target": "ja"}, "there must be from 2 to 65536 classes; got 1"),
            (
                {"target": [None, *Y[1:]]},
                "column target, row 0 must hold a class; it holds nothing",
            ),
            ({"target": np.arange(N) / 7}, "must hold classes, .* got 400 numbers such as 0.14"),
            ({"target": ["rare", *Y[1:]]}, "must have 9 samples at least.* got 1 of rare"),
            ({"day": pd.date_range("2026-01-01", periods=N)}, "column day: .* Turn dates into"),
            ({"age": ["abc", *range(1, N)]}, "row 0, column age: must be a number; got 'abc'"),
            ({"age": [np.inf, *range(1, N)]}, "row 0, column age: must be a finite number"),
        ],
    )
    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_what_can_not_be_learned(self, tmp_path, change, message, suffix):
        frame = OWN["table"].assign(**change)
        if suffix == "parquet":
            frame = frame.assign(age=pd.to_numeric(frame["age"], errors="coerce"))
            if "abc" in str(change):
                pytest.skip("Parquet has types")
        with pytest.raises(DataError, match=message):
            load(written(tmp_path, frame, suffix))

    def test_columns_that_are_not_there(self, tmp_path):
        path = written(tmp_path, OWN["table"])
        for key in ("target", "groups", "time"):
            message = refused(path, **{key: "nope"})
            assert f"must have the column nope (data.{key}); it has age, city, target" in message
        assert "the column text (data.text)" in refused(path, "text")
        assert "(--target)" in refused(path, target="nope", by_options=True)
        assert refused(path, target="nope", by_options=True).startswith("--data: ")
        assert "must have a column with numbers" in refused(
            written(tmp_path, OWN["table"][["target"]])
        )

    @pytest.mark.parametrize("kind", ["images", "table"])
    @pytest.mark.parametrize("key", ["groups", "time"])
    def test_columns_of_arrays(self, tmp_path, kind, key):
        """Or samples would be split as if no column were named."""
        X = np.zeros((N, 3, 3), np.uint8) if kind == "images" else TABLE[["age"]].to_numpy()
        path = archived(tmp_path, X=X, y=np.arange(N) % 2)
        message = refused(path, kind, **{key: "person"})
        assert f"has no columns, but data.{key} names one: person" in message
        assert f"an array called {key}" in message

    def test_groups_and_times_that_are_none(self, tmp_path):
        path = written(tmp_path, OWN["table"].assign(x=[None, *range(1, N)], z="xx"))
        assert "groups must name the group of every sample" in refused(path, groups="x")
        assert "must hold a number or a date" in refused(path, time="z")

    def test_an_index_with_a_name_is_a_column(self, tmp_path):
        path = written(tmp_path, OWN["table"].set_index("city"), "parquet")
        names = [column.name for column in load(path).encoding.columns]
        assert sorted(names) == ["age", "city"]

    def test_files_of_another_kind(self, tmp_path):
        path = written(tmp_path, OWN["table"])
        assert "where data.kind is images" in refused(path, "images")
        with pytest.raises(DataError, match="not a folder"):
            load(tmp_path)
        assert "does not exist" in refused(tmp_path / "own.parquet")


class TestArrays:
    X = TABLE[["age"]].to_numpy(np.float32)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"X": np.zeros(N)}, r"X must be numbers \(n, n_columns\).*data.kind another"),
            ({"X": np.full((N, 2), "a")}, "X must be numbers.* got <U1"),
            ({"X": np.zeros((N, 2), complex)}, "X must be numbers.* got complex128"),
            ({"X": np.zeros((0, 2)), "y": Y[:0]}, "at least one"),
            ({"y": Y[:3]}, "y must hold a class for each of 400 samples; got 3"),
            ({"y": np.zeros((N, 2))}, r"y must hold a class for each sample.* \(400, 2\)"),
            ({"y": np.full(N, np.nan)}, "y, row 0 must hold a class"),
            ({"class_names": np.array(["a"])}, "name each of the 2 classes"),
        ],
    )
    def test_what_is_no_table_is_refused(self, tmp_path, arrays, message):
        with pytest.raises(DataError, match=message):
            load(archived(tmp_path, **({"X": self.X, "y": Y} | arrays)))

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"X_test": np.full((100, 1), np.inf)}, "row 0 of X_test, column 0: must be a finite"),
            ({"X_test": np.zeros((100, 2))[:, :0]}, "X_test must be numbers"),
            ({"y_test": np.full(100, "neu")}, "classes of y_test must be in y_train too; got neu"),
        ],
    )
    def test_parts_that_do_not_fit_are_named(self, tmp_path, arrays, message):
        parts = {"X_train": self.X[:300], "y_train": Y[:300], "X_test": self.X[300:],
                 "y_test": Y[300:]}  # fmt: skip
        with pytest.raises(DataError, match=message):
            load(archived(tmp_path, **(parts | arrays)))

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (np.zeros((N, 2)), r"X must be texts \(n,\) or ids of words.* got float64"),
            (np.full(N, b"a a"), r"X must be texts.*\.astype\(str\)"),
            (np.full(N, "..."), "texts in which words occur again"),
        ],
    )
    def test_what_is_no_text_is_refused(self, tmp_path, X, message):
        with pytest.raises(DataError, match=message):
            load(archived(tmp_path, X=X, y=Y), "text")

    def test_an_empty_line_is_an_empty_text(self, tmp_path):
        path = tmp_path / "one.csv"
        path.write_text("text\nabc\n\nNA\n")
        assert read_table(path, "one.csv", ("text",))["text"].tolist() == ["abc", "", "NA"]

    def test_texts_may_be_ids_of_a_tokenizer(self, tmp_path):
        X = np.random.default_rng(0).integers(0, 1000, (N, 5))
        found = load(archived(tmp_path, X=X, y=Y), "text")
        assert found.encoding == TextEncoding((), 5)
        rows = np.concatenate([split.X for split in found.splits.values()])
        assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, X.tolist()))


class TestMissingValues:
    """Among numbers an empty cell and NA are missing; among texts an empty cell alone is."""

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_of_categories(self, tmp_path, suffix):
        region = np.array(["NA", "EU", "null", None], object)[np.arange(N) % 4]
        path = written(tmp_path, TABLE.assign(region=region, target=Y), suffix)
        *_, column = load(path).encoding.columns
        assert sorted(column.categories) == ["EU", "NA", "null"]

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_of_numbers(self, tmp_path, suffix):
        """Also where they are written as texts, and half of them are missing."""
        age = np.where(np.arange(N) % 2, "NA", np.arange(N).astype(str))
        column, _ = load(
            written(tmp_path, TABLE.assign(age=age, target=Y), suffix)
        ).encoding.columns
        assert column.categories is None and column.missing

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_blanks_are_nothing(self, tmp_path, suffix):
        age = np.where(np.arange(N) % 2, " ", np.arange(N).astype(str))
        frame = TABLE.assign(age=age, city=np.where(np.arange(N) % 3, " ", "a"), target=Y)
        age, city = load(written(tmp_path, frame, suffix)).encoding.columns
        assert age.categories is None and age.missing
        assert city.categories == ("a",)
        frame = frame.assign(target=np.where(np.arange(N) % 2, " ", "ja"))
        message = refused(written(tmp_path, frame, suffix))
        assert "row 1 must hold a class; it holds nothing" in message

    def test_a_wrong_number_is_named_among_missing_ones(self, tmp_path):
        age = np.where(np.arange(N) % 2, "NA", np.arange(N).astype(str))
        path = written(tmp_path, TABLE.assign(age=["abc", *age[1:]], target=Y))
        assert "row 0, column age: must be a number; got 'abc'" in refused(path)

    def test_of_dates(self, tmp_path):
        day = np.where(np.arange(N) % 2, "NA", "2026-01-31")
        assert "Turn dates into" in refused(written(tmp_path, TABLE.assign(day=day, target=Y)))

    def test_of_groups(self, tmp_path):
        person = np.where(
            np.arange(N) < 8, "nan", np.char.add("p", (np.arange(N) // 8).astype(str))
        )
        path = written(tmp_path, TABLE.assign(person=person, target=Y))
        assert len(load(path, groups="person").splits["certification"].y) == 4


class TestClasses:
    @pytest.mark.parametrize(
        ("y", "names"),
        [
            (np.arange(N) % 12, [str(i) for i in range(12)]),
            (np.arange(N) % 3 - 1.0, ["-1", "0", "1"]),
            (np.arange(N) % 2 == 0, ["False", "True"]),
            (np.arange(N) % 3 / 2, ["0", "0.5", "1"]),
            (np.array(["10", "9", "x"] * N)[:N], ["10", "9", "x"]),
            (np.array(["b", "ä", "a"] * N)[:N], ["a", "b", "ä"]),
            (pd.Categorical(np.array(["v", "u"] * N)[:N]), ["u", "v"]),
        ],
    )
    def test_they_are_sorted_by_number_or_alphabet(self, tmp_path, y, names):
        path = written(tmp_path, TABLE.assign(target=y), "parquet")
        assert load(path).class_names == names

    def test_na_is_a_class_and_a_text_as_any_other(self, tmp_path):
        frame = TABLE.assign(target=["NA", "null"] * (N // 2), text="NA NA")
        assert load(written(tmp_path, frame)).class_names == ["NA", "null"]
        assert load(written(tmp_path, frame), "text").encoding.words == ("na",)

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["1", "1.0"], "must write each class alike; got '1' and '1.0'"),
            (["ja", "ja "], "must write each class alike; got 'ja' and 'ja '"),
        ],
    )
    def test_one_that_is_written_in_two_ways(self, tmp_path, names, message):
        assert message in refused(written(tmp_path, TABLE.assign(target=names * (N // 2))))

    def test_long_numbers_are_told_apart(self, tmp_path):
        names = ["12345678901234567890", "12345678901234567891"]
        path = written(tmp_path, TABLE.assign(target=names * (N // 2)))
        assert load(path).class_names == names

    @pytest.mark.parametrize("value", [b"a", ["a"]])
    def test_what_can_be_none(self, tmp_path, value):
        path = written(tmp_path, TABLE.assign(target=[value] * N), "parquet")
        assert "must be a number or a text; got" in refused(path)

    @pytest.mark.parametrize("kind", OWN)
    def test_ids_are_not_learnt_from(self, tmp_path, kind):
        plain, identified = tmp_path / "plain", tmp_path / "identified"
        plain.mkdir(), identified.mkdir()
        splits, _, coding = load(written(plain, OWN[kind]), kind)
        path = written(identified, OWN[kind].assign(id=np.arange(N)))
        of_identified, _, same = load(path, kind)
        assert same == coding
        for name, split in splits.items():
            assert np.array_equal(split.X, of_identified[name].X, equal_nan=kind == "table")

    def test_na_is_none_among_numbers(self, tmp_path):
        path = written(tmp_path, TABLE.assign(target=["NA", *["0", "1"] * 200][:N]))
        assert "column target, row 0 must hold a class; it holds NA, which" in refused(path)

    def test_more_than_256(self, tmp_path):
        y = np.arange(300 * 40) % 300
        frame = pd.DataFrame({"age": y / 2, "target": y})
        splits, names, _ = load(written(tmp_path, frame, "parquet"))
        assert names == [str(i) for i in range(300)]
        assert {split.y.dtype for split in splits.values()} == {np.dtype(np.uint16)}
        X = np.zeros((len(y), 2, 2, 3), np.uint8)
        splits, *_ = load(archived(tmp_path, X=X, y=y), "images")
        assert splits["test"].y.dtype == np.uint16
        assert splits["test"].y.max() == 299
        assert splits["test"].X.shape[1:] == (2, 2, 3)
