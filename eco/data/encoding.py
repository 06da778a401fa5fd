"""How tables and texts become numbers: learned from the training samples, and kept in a file.

An encoding knows nothing of splits and labels, so that new samples are encoded by it alone.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eco.data.columns import Column, cell_error, fit_column, frequent, is_missing
from eco.data.kinds import Kind
from eco.errors import DataError, shortened

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]

log = logging.getLogger(__name__)

#: The ids of words begin here; 0 stands for no word, 1 for one that isn't in the vocabulary.
FIRST_ID, UNKNOWN = 2, 1
#: Ids of any tokenizer are below.
MAX_ID = 2**31
#: Share of the rows that the categories of a column should cover.
MANY_ROWS = 0.5
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ImageEncoding:
    """Images are kept as they are: uint8 of one shape."""

    kind: ClassVar[Kind] = "images"
    shape: tuple[int, ...]

    def encode(self, samples: Any, where: str = "images") -> Array:
        """The images; a `DataError` if they are of another type or shape."""
        X = np.asarray(samples)
        if X.dtype != np.uint8 or X.shape[1:] != self.shape:
            raise DataError(
                f"{where} must be uint8 of shape (n, {', '.join(map(str, self.shape))}); got "
                f"{X.dtype} of shape {X.shape}"
            )
        return X


@dataclass(frozen=True)
class TableEncoding:
    """The columns of a table, by name."""

    kind: ClassVar[Kind] = "table"
    columns: tuple[Column, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (sum(column.n_columns for column in self.columns),)

    def encode(self, samples: Any, where: str = "") -> Array:
        """Rows of a data frame, or of an array whose columns are called 0, 1, ..., as numbers.

        Other columns are ignored.

        Parameters
        ----------
        samples : DataFrame or array of shape (n_samples, n_columns)
        where : str, optional
            What messages begin with.

        Returns
        -------
        array of shape (n_samples, n_columns), float32

        Raises
        ------
        DataError
            If a column is lacking, or holds what isn't a number; it names row and column.
        """
        frame = as_frame(samples, where)
        if lacking := [column.name for column in self.columns if column.name not in frame]:
            raise _error(
                where,
                f"must have the column {shortened(lacking[0], 40)}; it has "
                f"{shortened(', '.join(frame.columns))}",
                "Name columns as in the data that were trained on.",
            )
        parts = [column.encode(frame[column.name], where) for column in self.columns]
        return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class TextEncoding:
    """Words, by frequency; a text is the ids of its first `length` words.

    ``column``: that of the texts, in tables. Without words, texts are ids already, of a tokenizer
    of one's own.
    """

    kind: ClassVar[Kind] = "text"
    words: tuple[str, ...]
    length: int
    column: str = "text"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one sample."""
        return (self.length,)

    @property
    def n_ids(self) -> int:
        """No id is as large."""
        return FIRST_ID + len(self.words) if self.words else MAX_ID

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, FIRST_ID)}

    def encode(self, samples: Any, where: str = "") -> Array:
        """Ids of words, 0 behind the last.

        Parameters
        ----------
        samples : sequence of str, or DataFrame
            Of a data frame its column of texts. Without words, an array (n_samples, length) of ids.
        where : str, optional
            What messages begin with.

        Returns
        -------
        array of shape (n_samples, length), int32

        Raises
        ------
        DataError
            If a row isn't a text, or there is no such column; if ids are none.
        """
        if not self.words:
            return _read_ids(samples, self.length, where)
        texts = _read_texts(samples, self.column, where)
        X = np.zeros((len(texts), self.length), np.int32)
        for row, text in enumerate(texts):
            words = split_words(text)[: self.length]
            X[row, : len(words)] = [self._ids.get(word, UNKNOWN) for word in words]
        return X


Encoding = ImageEncoding | TableEncoding | TextEncoding


def to_json(encoding: Encoding) -> dict[str, Any]:
    """What `from_json` reads."""
    return {"kind": encoding.kind, **asdict(encoding)}


def from_json(values: Mapping[str, Any]) -> Encoding:
    """The encoding that `to_json` wrote."""
    match values["kind"]:
        case "images":
            return ImageEncoding(tuple(values["shape"]))
        case "table":
            return TableEncoding(tuple(map(_column, values["columns"])))
    return TextEncoding(tuple(values["words"]), values["length"], values["column"])


def _column(values: Mapping[str, Any]) -> Column:
    categories = values["categories"]
    categories = None if categories is None else tuple(categories)
    return Column(values["name"], categories, values["missing"])


def fit_table(frame: "pd.DataFrame", where: str = "") -> TableEncoding:
    """The encoding of a table.

    Of text, the 100 most frequent categories that two rows have become columns. Columns that tell
    nothing, as all their texts differ or all are missing, are left out, with a warning.

    Raises
    ------
    DataError
        If a column holds dates, or lists and the like, or none tells anything.
    """
    frame = as_frame(frame, where)
    columns = {name: fit_column(frame[name], name, where) for name in frame}
    if left_out := [shortened(name, 40) for name, column in columns.items() if column is None]:
        log.warning(
            "left out, as all values are missing or all texts differ: %s", ", ".join(left_out)
        )
    kept = tuple(column for column in columns.values() if column is not None)
    if not kept:
        raise _error(
            where, f"must have a column with numbers, or with texts that repeat; got {len(columns)}"
        )
    _warn_of_rare_categories(frame, kept)
    return TableEncoding(kept)


def _warn_of_rare_categories(frame: "pd.DataFrame", columns: Sequence[Column]) -> None:
    """Say which columns tell nothing of most rows, as of numbers that are written as text."""
    for column in columns:
        if column.categories is not None:
            values = frame[column.name]
            present = values[~is_missing(values.to_numpy(object))]
            share = column.encode(present).any(axis=1).mean()
            if share < MANY_ROWS:
                log.warning(
                    "column %s holds text; only %.0f%% of its rows have one of its %d categories. "
                    "If these are numbers, write them as such: 1234.5",
                    shortened(column.name, 40), 100 * share, column.n_columns,
                )  # fmt: skip


def fit_text(
    texts: Any, max_words: int, max_length: int, column: str = "text", where: str = ""
) -> TextEncoding:
    """The encoding of texts: the most frequent words that occur twice at least.

    Texts are cut to `max_length` words, or the length of the longest.
    """
    split = [split_words(text) for text in _read_texts(texts, column, where)]
    counts = Counter(word for words in split for word in words)
    if not (words := frequent(counts)[:max_words]):
        raise _error(where, "must hold texts in which words occur again; got none")
    length = min(max_length, max(map(len, split)))
    return TextEncoding(tuple(words), length, column)


def split_words(text: str) -> list[str]:
    """Words of a text: runs of letters, digits and _, whatever their case."""
    return WORD.findall(text.casefold())


def as_frame(samples: Any, where: str = "") -> "pd.DataFrame":
    """A data frame whose columns have names, each another."""
    import pandas as pd

    if not isinstance(samples, pd.DataFrame):
        samples = np.asarray(samples)
        if samples.ndim != 2:
            raise _error(where, f"must be a table (n_samples, n_columns); got {samples.shape}")
    frame = pd.DataFrame(samples).rename(columns=str)
    if (repeated := frame.columns.duplicated()).any():
        name = shortened(frame.columns[repeated][0], 40)
        raise _error(where, f"must give each column another name; got {name!r} twice")
    return frame


def _error(where: str, problem: str, remedy: str = "") -> DataError:
    return DataError(f"{where or 'the samples'} {problem}", remedy)


def _read_ids(samples: Any, length: int, where: str) -> Array:
    X = np.asarray(samples)
    if X.dtype.kind not in "iu" or X.ndim != 2 or X.shape[1] != length:
        raise _error(
            where,
            f"must be ids of words, whole numbers (n, {length}), as this study's are; got "
            f"{X.dtype} of shape {X.shape}",
            "Save the ids of your tokenizer, cut and filled up with 0, as .npy or .npz.",
        )
    if ((X < 0) | (X >= MAX_ID)).any():
        raise _error(where, f"must hold ids of words from 0 to {MAX_ID - 1}; got {X.min()}")
    return X.astype(np.int32)


def _read_texts(samples: Any, column: str, where: str) -> list[str]:
    import pandas as pd

    if isinstance(samples, pd.DataFrame):
        frame = as_frame(samples, where)
        if column not in frame:
            found = shortened(", ".join(frame.columns))
            raise _error(where, f"must have the column {shortened(column, 40)}; it has {found}")
        samples = frame[column]
    if np.ndim(samples) != 1:
        raise _error(where, f"must hold a text for each sample; got shape {np.shape(samples)}")
    values = pd.Series(samples, dtype=object)
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise cell_error(where, values, place, column, "a text")
    return values.to_list()
