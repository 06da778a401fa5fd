import io

import numpy as np
import pytest

from eco.data import idx
from eco.errors import DataError
from tests.data.test_fetch import encoded

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def test_a_header_gives_shape_and_type_and_leaves_the_elements():
    stream = io.BytesIO(bytes([0, 0, 12, 2]) + np.array([2, 3], ">u4").tobytes() + b"rest")
    assert idx.read_header(stream, "labels") == ((2, 3), np.dtype(">i4"))
    assert stream.read() == b"rest"


def test_bytes_are_decoded():
    assert np.array_equal(idx.decode("images", encoded(ARRAY)), ARRAY)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"<html>",
        b"\0\0\x07\x01\0\0\0\1\0",
        b"\0\0\x08\0",
        encoded(ARRAY)[:9],
        encoded(ARRAY)[:-1],
        encoded(ARRAY) + b"\0",
        b"\0\0\x0c" + encoded(ARRAY)[3:],
        b"\0\0\x08\x03" + b"\xff" * 12,
    ],
)
def test_anything_else_is_refused_by_name(content):
    with pytest.raises(DataError, match="images"):
        idx.decode("images", content)
