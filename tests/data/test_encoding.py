import datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from eco.data import encoding
from eco.data.columns import Column
from eco.data.encoding import ImageEncoding, TableEncoding, TextEncoding, fit_table, fit_text
from eco.data.kinds import kind_of
from eco.errors import DataError


class TestTable:
    frame = pd.DataFrame(
        {
            "age": [30.5, np.nan, 41, 7],
            "city": ["Køln", "Paris", "Paris", None],
            "member": [True, False, True, True],
        }
    )

    def test_numbers_categories_and_missing_numbers_become_columns(self):
        found = fit_table(self.frame)
        assert found.columns == (
            Column("age", missing=True),
            Column("city", ("Paris",)),
            Column("member"),
        )
        assert found.shape == (4,)
        X = found.encode(self.frame)
        assert kind_of(X) == found.kind == "table"
        nan = np.nan
        expected = [[30.5, 0, 0, 1], [nan, 1, 1, 0], [41, 0, 1, 1], [7, 0, 0, 1]]
        np.testing.assert_array_equal(X, np.array(expected, np.float32))

    def test_new_rows_are_encoded_by_the_names_of_their_columns(self):
        found = fit_table(self.frame)
        new = pd.DataFrame(
            {"member": [0, 1], "other": "x", "city": ["Rome", 3], "age": ["1e1", ""]}
        )
        new = new.replace({"age": {"": None}})
        np.testing.assert_array_equal(
            found.encode(new), np.array([[10, 0, 0, 0], [np.nan, 1, 0, 1]], np.float32)
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"age": ["1", "abc"]}, r"row 8, column age: must be a number; got 'abc'.*empty"),
            ({"age": [1, "?"]}, r"row 8, column age: must be a number; got '\?'"),
            ({"age": [1, np.inf]}, r"row 8, column age: must be a finite number.* got inf"),
            ({"age": [1e39, 1]}, r"row 7, column age: must be a finite number.* got 1e\+39"),
            ({"age": [1j, 1]}, r"row 7, column age: must be a number; got 1j"),
            ({"age": [pd.Timestamp(0)] * 2}, r"row 7, column age: must be a number; got Timestamp"),
            ({"age": [[1], [2]]}, r"row 7, column age: must be a number; got \[1\]"),
        ],
    )
    def test_a_cell_that_can_not_be_encoded_is_named(self, change, message):
        new = pd.DataFrame({"age": [1, 2], "city": "Paris", "member": True} | change, index=[7, 8])
        with pytest.raises(DataError, match=message):
            fit_table(self.frame).encode(new)

    def test_a_column_that_is_lacking_or_there_twice(self):
        found = fit_table(self.frame)
        with pytest.raises(DataError, match="new must have the column city; it has age, member"):
            found.encode(self.frame.drop(columns="city"), "new")
        with pytest.raises(DataError, match="the column age; it has 0, 1"):
            found.encode(np.zeros((3, 2)))
        with pytest.raises(DataError, match="another name; got 'age' twice"):
            found.encode(pd.concat([self.frame, self.frame[["age"]]], axis=1))
        with pytest.raises(DataError, match=r"must be a table.*got \(3,\)"):
            found.encode(np.zeros(3))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (pd.date_range("2026-01-01", periods=3), "number or a text; got Timestamp.*Turn dates"),
            ([datetime.date(2026, 1, 1)] * 3, "number or a text; got datetime.date.*Turn dates"),
            (["2026-01-01", "2026-01-02 12:00", None], "got '2026-01-01'. Turn dates"),
            (["3/4/2026", "31.12.99", "1-1-01"], "got '3/4/2026'. Turn dates"),
            ([[1], [2], [3]], r"row 0, column x: must be a number or a text; got \[1\]"),
        ],
    )
    def test_columns_of_dates_and_the_like_are_refused(self, values, message):
        with pytest.raises(DataError, match=message):
            fit_table(pd.DataFrame({"x": values}))

    def test_columns_that_tell_nothing_are_left_out_with_a_warning(self, caplog):
        frame = pd.DataFrame({"x": [1, 2], "name": ["Ann", "Bob"], "void": None})
        assert [column.name for column in fit_table(frame).columns] == ["x"]
        assert "left out" in caplog.text
        assert "name, void" in caplog.text
        with pytest.raises(DataError, match=r"own\.csv must have a column with numbers"):
            fit_table(frame.drop(columns="x"), "own.csv")

    def test_a_column_whose_categories_are_rare_is_warned_of(self, caplog):
        amounts = [f"{i},5" for i in range(40)] + ["7,0"] * 2
        fit_table(pd.DataFrame({"amount": amounts, "kind": ["a", "b"] * 21}))
        assert "column amount holds text; only 5% of its rows have one of its 1 cat" in caplog.text
        assert "column kind" not in caplog.text

    def test_text_that_is_mostly_numbers_is_meant_as_numbers(self):
        numbers = [str(i) for i in range(50)]
        assert fit_table(pd.DataFrame({"x": numbers})).columns == (Column("x"),)
        with pytest.raises(DataError, match="row 50, column x: must be a number; got '5o'"):
            fit_table(pd.DataFrame({"x": [*numbers, "5o"]}))
        few = pd.DataFrame({"x": ["1", "2", "3", "4", "5+"] * 10})
        assert fit_table(few).columns[0].categories == ("1", "2", "3", "4", "5+")

    @pytest.mark.parametrize(
        "values",
        [
            pd.array([1, None, 3], "Int64"),
            pd.array([True, None, False], "boolean"),
            [True, None, False],
            [Fraction(1, 2), None, Decimal("1.5")],
            np.array([1, np.nan, 2], np.float16),
        ],
    )
    def test_numbers_of_any_type(self, values):
        X = fit_table(pd.DataFrame({"x": values})).encode(pd.DataFrame({"x": values}))
        assert X.shape == (3, 2)
        assert np.isnan(X[:, 0]).tolist() == [False, True, False] == X[:, 1].astype(bool).tolist()

    def test_the_most_frequent_categories_have_columns_and_those_of_equal_frequency_in_order(self):
        values = [f"{i:03}" for i in range(150)] * 2 + ["zz"] * 3
        categories = fit_table(pd.DataFrame({"x": pd.Categorical(values)})).columns[0].categories
        assert categories == ("zz", *(f"{i:03}" for i in range(99)))

    def test_a_category_that_is_a_number_is_the_same_whatever_its_type(self):
        found = TableEncoding((Column("x", ("1", "2")),))
        for values in ([1, 2], [1.0, 2.0], ["1", "2"], pd.Categorical([1, 2])):
            assert found.encode(pd.DataFrame({"x": values})).tolist() == [[1, 0], [0, 1]]


class TestText:
    def test_words_that_occur_twice_have_ids_by_frequency(self):
        found = fit_text(["Ein Haus, ein Baum", "ein haus. Straße STRASSE"], 20, 128)
        assert found == TextEncoding(("ein", "haus", "strasse"), 4)
        X = found.encode(["EIN neues haus", "", "strasse ein ein ein ein"])
        assert kind_of(X) == found.kind == "text"
        assert X.shape[1:] == found.shape
        assert X.tolist() == [[2, 1, 3, 0], [0, 0, 0, 0], [4, 2, 2, 2]]

    def test_words_and_lengths_are_limited(self):
        found = fit_text(["b a c d"] * 3, 2, 3)
        assert found == TextEncoding(("a", "b"), 3)

    def test_a_data_frame_has_a_column_of_texts(self):
        found = fit_text(pd.Series(["a a"]), 9, 9, "review")
        assert found.encode(pd.DataFrame({"review": ["a b"], "x": 1})).tolist() == [[2, 1]]
        with pytest.raises(DataError, match="new must have the column review; it has text"):
            found.encode(pd.DataFrame({"text": ["a b"]}), "new")

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (["a a", None], "row 1, column text: must be a text; got nothing"),
            (["a a", 5], "row 1, column text: must be a text; got 5"),
            (["a", "b"], "must hold texts in which words occur again"),
            (["...", ""], "must hold texts in which words occur again"),
            ([], "must hold texts in which words occur again"),
            (np.array([["a a"]]), r"a text for each sample; got shape \(1, 1\)"),
        ],
    )
    def test_what_is_no_text_is_refused(self, texts, message):
        with pytest.raises(DataError, match=message):
            fit_text(texts, 20, 128)

    def test_ids_of_a_tokenizer_are_kept(self):
        found = TextEncoding((), 2)
        X = found.encode(np.array([[101, 30_000], [7, 0]]))
        assert kind_of(X) == "text"
        assert X.tolist() == [[101, 30_000], [7, 0]]

    @pytest.mark.parametrize(
        ("samples", "message"),
        [
            (["a text"], r"new must be ids of words, whole numbers \(n, 2\).*your tokenizer"),
            (np.zeros((1, 3), int), r"got int64 of shape \(1, 3\)"),
            (np.array([[0, -1]]), "must hold ids of words from 0 to 2147483647; got -1"),
            (np.array([[0, 2**31]]), "must hold ids of words from 0 to 2147483647"),
        ],
    )
    def test_what_are_no_ids_is_refused(self, samples, message):
        with pytest.raises(DataError, match=message):
            TextEncoding((), 2).encode(samples, "new")


def test_images_are_kept_as_they_are():
    X = np.zeros((2, 5, 6, 3), np.uint8)
    found = ImageEncoding((5, 6, 3))
    assert found.encode(X) is X
    assert kind_of(X) == found.kind == "images"
    for wrong in (X[..., 0], X.astype(float)):
        with pytest.raises(DataError, match=r"images must be uint8 of shape \(n, 5, 6, 3\); got"):
            found.encode(wrong)


@pytest.mark.parametrize(
    "given",
    [
        ImageEncoding((28, 28)),
        TableEncoding((Column("a", missing=True), Column("ü", ("x", "y")))),
        TextEncoding(("ein", "haus"), 7, "review"),
    ],
)
def test_an_encoding_is_written_and_read_back(given):
    assert encoding.from_json(encoding.to_json(given)) == given
