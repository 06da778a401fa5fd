import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eco.data import encoding, lines
from eco.errors import DataError
from tests.data.test_streams import GOOD, npy


class Trickle(io.BytesIO):
    """A pipe that has `size` bytes at a time."""

    def __init__(self, content, size):
        super().__init__(content)
        self.size = size

    def read1(self, size=-1, /):
        return super().read(min(size, self.size))


def read(content, chunk=1000, size=100, labels=None, coding=None):
    """The batches, and the error that ended them, or None."""
    batches = []
    with lines.open_pipe(Trickle(content, chunk), labels, coding) as samples:
        try:
            for batch in samples.batches(size, 10):
                batches.append(batch)
        except DataError as error:
            return samples, batches, error
        return samples, batches, None


@given(
    n=st.integers(1, 8), shape=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    chunk=st.integers(1, 60), size=st.integers(1, 5), seed=st.integers(0, 99),
    identified=st.booleans(), newline=st.sampled_from(["\n", "\r\n", "\n\n"]), ended=st.booleans(),
)  # fmt: skip
def test_images_are_the_same_in_whatever_pieces_they_come(
    n, shape, chunk, size, seed, identified, newline, ended
):
    X = np.random.default_rng(seed).integers(0, 256, (n, *shape))
    ids = [f"n{i}" if i % 2 else i for i in range(n)]
    values = [{"x": x.tolist(), "id": i, "more": {}} for x, i in zip(X, ids, strict=True)]
    values = values if identified else X.tolist()
    text = newline.join(map(json.dumps, values)) + newline * ended
    samples, batches, error = read(text.encode(), chunk, size)
    assert error is None
    assert (samples.n, samples.shape, samples.labelled) == (None, shape, False)
    assert samples.identified is identified
    np.testing.assert_array_equal(np.concatenate([batch.X for batch in batches]), X)
    assert all(batch.X.dtype == np.uint8 and len(batch.X) <= size for batch in batches)
    if identified:
        assert [id_ for batch in batches for id_ in batch.ids.tolist()] == ids
    else:
        assert {batch.ids for batch in batches} == {None}


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_an_array_comes_through_a_pipe_as_well(tmp_path, chunk):
    (tmp_path / "y.npy").write_bytes(npy(np.arange(len(GOOD)) % 3))
    for labels in (None, tmp_path / "y.npy"):
        samples, batches, error = read(npy(GOOD), chunk, 5, labels)
        assert error is None
        assert (samples.n, samples.labelled) == (len(GOOD), labels is not None)
        np.testing.assert_array_equal(np.concatenate([batch.X for batch in batches]), GOOD)


FIRST = "[[1, 2], [3, 4]]\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[[1, 2], [3, 4]", "line 3 is not JSON: Expecting ',' delimiter at character 16"),
        ("\\", "line 3 is not JSON"),
        ("[" * 5000, "line 3 is not JSON"),
        (f"[[{'9' * 9000}]]", "line 3 is not JSON"),
        ("[[1, 2], [3]]", "line 3 must be an image"),
        ("[1, 2]", "line 3 must be an image"),
        ("[[[1]]]", "line 3 must be an image"),
        ("[[[1, 2, 3]], [[4, 5, 256]]]", "whole numbers from 0 to 255"),
        ("[[[1, 2, 3]], [[4, 5, 6]]]", "2 x 2 pixels without an id; got 2 x 1 x 3"),
        ("[]", "line 3 must be an image"),
        ("null", "line 3 must be an image"),
        ('"an email"', 'line 3 must be an image.*got "an email"'),
        ("[[1, 2], [3, 256]]", "whole numbers from 0 to 255"),
        ("[[1, 2], [3, -1]]", "whole numbers from 0 to 255"),
        ("[[1, 2], [3, 0.5]]", "whole numbers from 0 to 255"),
        ("[[1, 2], [3, NaN]]", "whole numbers from 0 to 255"),
        ("[[1, 2], [3, null]]", "whole numbers from 0 to 255"),
        (f"[[1, 2], [3, {10**30}]]", "whole numbers from 0 to 255"),
        ("[[1, 2], [3, true]]", "whole numbers from 0 to 255"),
        ("[[false, true], [true, true]]", "whole numbers from 0 to 255"),
        ('{"x": [[1, 2], [3, 4]], "id": true}', "line 3: id must be a text or a whole number"),
        ('{"X": [[1, 2], [3, 4]]}', "hold one as x"),
        ('{"x": [[1, 2], [3, 4]], "id": [1]}', "line 3: id must be a text or a whole number"),
        (
            '{"x": [[1, 2], [3, 4]], "id": 1}',
            "like .* before it, 2 x 2 .* without an id; got .*with",
        ),
        ("[[1, 2, 3]]", "2 x 2 pixels without an id; got 1 x 3"),
    ],
)
def test_a_line_that_is_no_image_is_named_after_those_before_it_are_given(line, says):
    for chunk in (3, 10**6):
        _, batches, error = read(f"{FIRST}\n{line}\n{FIRST}".encode(), chunk)
        assert np.concatenate([batch.X for batch in batches]).tolist() == [[[1, 2], [3, 4]]]
        with pytest.raises(DataError, match=says):
            raise error
        assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "standard input is empty. Pipe samples into it"),
        (b"\n\n  \n\n\n\n\n", "no line with a sample"),
        (b"\xff\xfe\xff\xff\xff\xff\xff", "line 1 is not JSON"),
        (b"PK\3\4" + bytes(50), "compressed. Pipe it through gunzip, or save an .npz to a file"),
        (b"\x1f\x8b" + bytes(50), "compressed"),
        (npy(GOOD.astype(float)), "standard input must hold uint8 images"),
        (npy(GOOD)[:50], "standard input can't be read"),
        (npy(GOOD)[:-5], "standard input is cut off: it has 22 of 23"),
        (npy(GOOD) + b"1", "standard input is damaged: it goes on"),
    ],
)
def test_what_is_no_stream_of_images_is_named(content, says):
    with pytest.raises(DataError, match=says):
        if error := read(content)[2]:
            raise error


def test_images_may_be_in_colour():
    X = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 3))
    samples, batches, _ = read("\n".join(map(json.dumps, X.tolist())).encode())
    assert samples.shape == (2, 3, 3)
    np.testing.assert_array_equal(np.concatenate([batch.X for batch in batches]), X)


FRAME = pd.DataFrame({"age": [1.5, None, 3.0], "city": ["Nice", "Metz", "Nice"]})
TABLE = encoding.fit_table(pd.concat([FRAME, FRAME]))
TEXT = encoding.fit_text(["so dear", "so dear"], 10, 4)


@pytest.mark.parametrize("chunk", [1, 9, 10**6])
def test_rows_and_texts_are_encoded(chunk):
    rows = [{"id": i, "more": {}} | row for i, row in enumerate(FRAME.to_dict("records"))]
    written = json.dumps(rows).replace("NaN", "null")
    content = "\n".join(map(json.dumps, json.loads(written))).encode()
    samples, batches, error = read(content, chunk, 2, coding=TABLE)
    assert error is None and (samples.n, samples.shape, samples.identified) == (None, (4,), True)
    X = np.concatenate([batch.X for batch in batches])
    np.testing.assert_array_equal(X, TABLE.encode(FRAME))
    assert [id_ for batch in batches for id_ in batch.ids] == [0, 1, 2]
    samples, batches, error = read(b'"dear dear"\n{"text": "oh, so"}', chunk, coding=TEXT)
    assert error is None and not samples.identified
    assert np.concatenate([batch.X for batch in batches]).tolist() == [[2, 2], [1, 3]]


def test_encoded_rows_come_as_arrays():
    X = TABLE.encode(FRAME)
    _, batches, error = read(npy(X), coding=TABLE)
    assert error is None
    np.testing.assert_array_equal(batches[0].X, X)


@pytest.mark.parametrize(
    ("coding", "first", "line", "says"),
    [
        (TABLE, '{"age": 1, "city": ""}', '{"age": 2}', "line 2 must be an object with city"),
        (TABLE, '{"age": 1, "city": ""}', "[2, 3]", "line 2 must be an object with age"),
        (TABLE, '{"age": 1, "city": ""}', '{"age": "x", "city": ""}', "line 2, column age"),
        (TABLE, '{"age": 1, "city": ""}', '{"age": [2], "city": ""}', "line 2, column age"),
        (TABLE, '{"age": 1, "city": ""}', '{"age": 1e999, "city": ""}', "line 2, column age"),
        (
            TABLE,
            '{"age": 1, "city": ""}',
            f'{{"age": {10**400}, "city": ""}}',
            "line 2, column age",
        ),
        (TABLE, '{"age": 1, "city": ""}', '{"age": 1, "city": "", "id": 2}', "without an id; got"),
        (TEXT, '"so"', "5", "line 2 must be a text, or an object that holds one as text"),
        (TEXT, '"so"', '{"texts": "so"}', "line 2 must be a text, or an object"),
        (TEXT, '{"text": "so"}', '{"text": null}', "line 2 must be a text, or an object"),
    ],
)
def test_a_line_that_can_not_be_encoded_is_named_after_those_before_it(coding, first, line, says):
    for chunk in (3, 10**6):
        _, batches, error = read(f"{first}\n{line}\n{first}".encode(), chunk, coding=coding)
        assert sum(len(batch.X) for batch in batches) == 1
        with pytest.raises(DataError, match=says):
            raise error
        assert len(str(error)) < 500


def test_a_line_is_not_read_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE", 100)
    with pytest.raises(DataError, match="line 1 is longer than 100 bytes"):
        read(b"[[1, " + b"1, " * 10**6 + b"1]]", 50)


def test_labels_of_lines_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"--labels goes with an array.* leave out --labels"):
        read(FIRST.encode(), labels=tmp_path / "y.npy")
