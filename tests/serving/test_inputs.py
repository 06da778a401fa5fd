"""What a strategy takes, read from requests."""

import json

import numpy as np
import pandas as pd
import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eco.data import encoding
from eco.serving.inputs import LINES, NUMBERS, count_lines, make_inputs
from eco.serving.protocol import Tensor

TABLE = encoding.fit_table(
    pd.DataFrame({"age": [1.5, 2.0, np.nan, 7.0], "city": ["Lyon", "Nice", "Lyon", "Nice"]})
)
TEXT = encoding.fit_text(["good good day", "bad day", "bad bad"], 10, 3)
IDS = encoding.TextEncoding((), 3)
ROWS, TEXTS = make_inputs("rows", TABLE.shape, TABLE), make_inputs("texts", TEXT.shape, TEXT)
TOKENS = make_inputs("texts", IDS.shape, IDS)


def images(shape):
    return make_inputs("images", shape, None)


def tensor(name, datatype, shape, data):
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


def refusal(read, *arguments):
    with pytest.raises(HTTPException) as refused:
        read(*arguments)
    assert refused.value.status_code == 400
    return refused.value.detail


sizes = st.integers(1, 3)
grey = st.tuples(st.integers(1, 4), sizes, sizes)
colour = st.tuples(st.integers(1, 4), sizes, sizes, st.just(3))


@given(hnp.arrays(np.uint8, grey | colour))
def test_images_are_read_as_they_were_written(X):
    inputs = images(X.shape[1:])
    for data in (X.tolist(), X.ravel().tolist()):
        assert (inputs.from_tensors([tensor("X", "UINT8", list(X.shape), data)]) == X).all()
    assert (inputs.from_body(X.tobytes(), NUMBERS).X == X).all()
    if X.shape[1] > 1 or X.shape[2] > 1:  # a line of one pixel is a pixel
        lines = "\n".join(json.dumps({"x": x.tolist(), "id": i}) for i, x in enumerate(X))
        found = inputs.from_body(lines.encode(), LINES)
        assert (found.X == X).all() and found.ids.tolist() == list(range(len(X)))


@given(st.lists(st.tuples(st.none() | st.floats(-1e3, 1e3), st.sampled_from([None, "Lyon", "?"]))))
def test_columns_and_lines_are_encoded_as_a_table_is(rows):
    rows = [(3.5, "Nice"), *rows]
    expected = TABLE.encode(pd.DataFrame(rows, columns=["age", "city"]))
    ages, cities = map(list, zip(*rows, strict=True))
    n = len(rows)
    tensors = [
        tensor("city", "BYTES", [n], cities),
        tensor("age", "FP64", [n, 1], [[age] for age in ages]),
        tensor("other", "BOOL", [n], [True] * n),
    ]
    np.testing.assert_array_equal(ROWS.from_tensors(tensors), expected)
    lines = "".join(json.dumps({"city": c, "age": a}) + "\n" for a, c in rows)
    np.testing.assert_array_equal(ROWS.from_body(lines.encode(), LINES).X, expected)
    assert count_lines(lines.encode() + b"\n \n") == n


def test_whole_numbers_are_numbers_and_nan_is_a_missing_one():
    cities = tensor("city", "BYTES", [2], ["Lyon", None])
    found = ROWS.from_tensors([tensor("age", "INT64", [2], [3, None]), cities])
    values = json.loads("[3.0, NaN]")
    np.testing.assert_array_equal(
        found, ROWS.from_tensors([tensor("age", "FP32", [2], values), cities])
    )
    assert found[0, 0] == 3 and np.isnan(found[1, 0])


def test_texts_are_encoded_and_ids_are_taken_as_they_are():
    data = ["good day", "worse"]
    expected = TEXT.encode(data)
    for shape in ([2], [2, 1]):
        found = TEXTS.from_tensors([tensor("text", "BYTES", shape, data)])
        np.testing.assert_array_equal(found, expected)
    lines = b'"good day"\n{"text": "worse"}'
    np.testing.assert_array_equal(TEXTS.from_body(lines, LINES).X, expected)
    X = np.array([[1, 2, 0], [7, 70_000, 3]], np.int32)
    assert (TOKENS.from_tensors([tensor("X", "INT32", [2, 3], X.tolist())]) == X).all()
    assert (TOKENS.from_body(X.tobytes(), NUMBERS).X == X).all()


def test_inputs_are_described_by_their_columns():
    assert ROWS.describe() == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1]},
    ]
    assert TEXTS.describe() == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
    assert TOKENS.describe() == [{"name": "X", "datatype": "INT32", "shape": [-1, 3]}]
    X = {"name": "X", "datatype": "UINT8", "shape": [-1, 4, 5, 3]}
    assert images((4, 5, 3)).describe() == [X]


def columns(age=("FP64", [2], [1, 2]), city=("BYTES", [2], ["a", "b"])):
    return [tensor("age", *age), tensor("city", *city)]


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        (columns()[:1], "inputs must have the column city; it has age"),
        (columns() + columns()[:1], "another name; got 'age' twice"),
        (columns(age=("FP64", [2], [1, "x"])), "row 1, column age: must be a number or null, as"),
        (columns(age=("INT32", [2], [1.5, 2])), "row 0, column age: must be a whole number or nu"),
        (columns(age=("INT8", [2], [41, 300])), "row 1, column age: must be from -128 to 127, as"),
        (columns(age=("UINT8", [2], [-1, 3])), "row 0, column age: must be from 0 to 255, as U"),
        (columns(age=("FP64", [2], [True, 2])), "row 0, column age: must be a number or null"),
        (columns(age=("BYTES", [2], ["1", "x"])), "row 1, column age: must be a number; got 'x'"),
        (columns(age=("FP64", [2], [1, 1e31])), "row 1, column age: must be a finite number"),
        (columns(age=("FP64", [2], [1, float("inf")])), "row 1, column age: must be a finite"),
        (columns(city=("BYTES", [2], ["a", 2])), "row 1, column city: must be a text or null"),
        (columns(city=("STRING", [2], ["a", "b"])), "datatype of city must be one of BYTES, BOOL"),
        (columns(city=("BYTES", [3], ["a"] * 3)), "at least 1; got age of [2] and city of [3]"),
        (columns(city=("BYTES", [2, 2], [["a"] * 2] * 2)), "and city of [2, 2]"),
        (columns(age=("FP64", [], [])), "at least 1; got age of []"),
        (columns(age=("FP64", [0], []), city=("BYTES", [0], [])), "at least 1; got age of [0]"),
        (columns(age=("FP64", [2], [1])), "data of age must hold the 2 values of shape [2]"),
        (columns(age=("FP64", [2, 1], [[1], [2, 3]])), "data of age must hold the 2 values"),
        (columns(age=("FP64", [2], [[1], [2]])), "row 0, column age: must be a number or null"),
    ],
)  # fmt: skip
def test_columns_that_can_not_be_encoded_name_row_and_column(tensors, problem):
    assert problem in refusal(ROWS.from_tensors, tensors)


@pytest.mark.parametrize(
    ("inputs", "lines", "problem"),
    [
        (ROWS, '{"age": 1, "city": "a"}\n{"age": 2}', "the body, line 2 must be an object with ci"),
        (ROWS, '{"age": "old", "city": null}', "the body: line 1, column age: must be a number"),
        (ROWS, "{", "the body, line 1 is not JSON"),
        (ROWS, "", "the body has no line with a sample"),
        (TEXTS, '"good"\n\n3', "the body, line 3 must be a text, or an object that holds one"),
        (images((2, 2)), "[[1, 2]]", "the body must hold images of 2 x 2; got 1 x 2"),
        (images((2, 2, 3)), "[[1, 2], [3, 4]]", "the body must hold images of 2 x 2 x 3; got 2 x"),
        (images((2, 2)), "[[1, 256], [3, 4]]", "the body, line 1 must be an image"),
    ],
)
def test_lines_that_are_no_samples_are_named(inputs, lines, problem):
    assert problem in refusal(inputs.from_body, lines.encode(), LINES)


def test_numbers_that_are_no_samples_are_named():
    assert "texts of 3 x 4 bytes, a multiple of 12" in refusal(TOKENS.from_body, b"1234", NUMBERS)
    below = np.array([-1, 0, 0], np.int32)
    assert "from 0 on; got -1" in refusal(TOKENS.from_body, below.tobytes(), NUMBERS)
    for data in ([-1, 0, 0], [2**31, 0, 0], [0.5, 0, 0]):
        given = [tensor("X", "INT32", [1, 3], data)]
        assert "from 0 to 2147483647" in refusal(TOKENS.from_tensors, given)
    two = [tensor("X", "UINT8", [1, 1, 1], [0])] * 2
    assert "must be one tensor X" in refusal(images((1, 1)).from_tensors, two)
    assert "[1, 1, 1] and 1 more" in refusal(images((1, 1)).from_tensors, two)
