"""Predictions, written a batch at a time: CSV, JSON, JSON lines, Parquet or `.npz`.

They go to a draft that replaces the file only when it is complete. What is slow to import is
imported by the format that needs it.
"""

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from eco.atomic import replacing
from eco.errors import FileError, shortened
from eco.strategies.confidence import DECIMALS
from eco.workflow import owners
from eco.workflow.contents import significant

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]
COLUMNS = ("index", "label", "class", "confidence", "answered_by", "energy_j")
#: Formats that can be read while they are written, and those whose rows may have an ``id``.
STREAMED = (".csv", ".jsonl")
IDENTIFIED = (*STREAMED, ".json")
#: Arrays by column, but for ``class``, and perhaps ``id``; ``answered_by`` holds indices.
Results = Mapping[str, Array]
Write = Callable[[Results], object]


@dataclass(frozen=True)
class Names:
    """What the indices in results stand for: the classes, and the models of the strategy."""

    classes: Sequence[str]
    models: Sequence[str]


def check_output(path: Path, sources: Sequence[Path]) -> None:
    """Refuse an output file before any work is done.

    Raises
    ------
    FileError
        If it could not be written, is an input, or belongs to the study.
    """
    name, remedy = shortened(path), "Name another file for the results."
    if path.suffix not in FORMATS:
        raise FileError(f"{name} must end in one of {', '.join(FORMATS)}")
    try:
        if path.exists() and not path.is_file():
            raise FileError(f"{name} must be a file, not a folder, a pipe or a device", remedy)
        if path.exists() and any(path.samefile(source) for source in sources if source.exists()):
            raise FileError(f"{name} is the input", remedy)
    except OSError as error:
        problem = f"{shortened(error.filename)} can't be opened: {error.strerror}"
        raise FileError(problem, "Name another file.") from None
    if owner := owners.owner(path):
        raise FileError(f"{name} belongs to the study: it is in {owner}", remedy)
    check_format(path.suffix, name)


def check_format(suffix: str, name: str) -> None:
    """Raise `FileError` if a format takes a package that is missing; `name` is what needs it."""
    if suffix == ".parquet":
        try:
            importlib.import_module("pyarrow.parquet")
        except ImportError:
            others = ", ".join(other for other in FORMATS if other != ".parquet")
            raise FileError(
                f"{name} needs the package pyarrow, which is not installed",
                f"Install it with: pip install 'ecoinference[parquet]'; or write one of {others}.",
            ) from None


@contextmanager
def open_output(path: Path, names: Names) -> Iterator[Write]:
    """Open an output file, in the format of its suffix, to be written a batch at a time.

    If the block raises, by a full disk or Ctrl-C too, `path` is left as it was. Where it is a link,
    its target is written. Tables hold names instead of indices; a `.npz` holds the indices, and the
    names once.
    """
    target = Path(os.path.realpath(path))
    with replacing(target) as stream, FORMATS[path.suffix](stream, names) as write:
        yield write


@contextmanager
def to_stream(stream: IO[bytes], suffix: str, names: Names) -> Iterator[Write]:
    """Write to an open stream in a `STREAMED` format; it is flushed after each batch."""
    with FORMATS[suffix](stream, names) as write:

        def write_through(results: Results) -> None:
            write(results)
            stream.flush()

        yield write_through


def _frame(results: Results, names: Names) -> "pd.DataFrame":
    import pandas as pd

    columns = {
        **results,
        "class": np.array(names.classes, object)[results["label"]],
        "answered_by": np.array(names.models, object)[results["answered_by"]],
    }
    first = ["index", "id"] if "id" in results else ["index"]
    return pd.DataFrame(columns, columns=[*first, *COLUMNS[1:]])


def _text_frame(results: Results, names: Names) -> "pd.DataFrame":
    """What text shows: no digits beyond those that mean something."""
    energy_j, places = np.unique(results["energy_j"], return_inverse=True)
    rounded = {
        "confidence": np.round(results["confidence"], DECIMALS),
        "energy_j": np.array(significant(energy_j.tolist()))[places],
    }
    return _frame({**results, **rounded}, names)


def _json_rows(results: Results, names: Names, separator: str) -> bytes:
    # Not by DataFrame.to_json, which keeps 15 decimals: too few digits of a small energy.
    rows = _text_frame(results, names).to_dict("records")
    return separator.join(map(json.dumps, rows)).encode()


@contextmanager
def _csv(stream: IO[bytes], names: Names) -> Iterator[Write]:
    header = True

    def write(results: Results) -> None:
        nonlocal header
        frame = _text_frame(results, names)
        text = frame.to_csv(index=False, header=header, lineterminator="\n")
        stream.write(text.encode())
        header = False

    yield write


@contextmanager
def _json(stream: IO[bytes], names: Names) -> Iterator[Write]:
    def write(results: Results) -> None:
        stream.write(b",\n" if stream.tell() else b"[\n")
        stream.write(_json_rows(results, names, ",\n"))

    yield write
    stream.write(b"\n]\n")


@contextmanager
def _json_lines(stream: IO[bytes], names: Names) -> Iterator[Write]:
    yield lambda results: stream.write(_json_rows(results, names, "\n") + b"\n")


@contextmanager
def _parquet(stream: IO[bytes], names: Names) -> Iterator[Write]:
    # Any: the package is optional, so its types may be missing.
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    types = dict.fromkeys(COLUMNS, arrow.float64())
    types |= dict.fromkeys(("index", "label"), arrow.int64())
    types |= dict.fromkeys(("class", "answered_by"), arrow.string())
    schema = arrow.schema(list(types.items()))
    with parquet.ParquetWriter(stream, schema) as writer:
        yield lambda results: writer.write_table(
            arrow.Table.from_pandas(_frame(results, names), schema, preserve_index=False)
        )


@contextmanager
def _npz(stream: IO[bytes], names: Names) -> Iterator[Write]:
    """Columns wait in unnamed files: an archive takes one member after the other."""
    with ExitStack() as stack:
        columns: dict[str, tuple[Any, np.dtype[Any]]] = {}

        def write(results: Results) -> None:
            for name, values in results.items():
                if name not in columns:
                    folder = Path(stream.name).parent
                    file = stack.enter_context(tempfile.TemporaryFile(dir=folder))
                    columns[name] = file, values.dtype
                columns[name][0].write(np.ascontiguousarray(values).data)

        yield write
        arrays: dict[str, Any] = {}
        for name, (file, dtype) in columns.items():
            file.flush()
            arrays[name] = np.memmap(file, dtype, "r")
        np.savez_compressed(stream, **arrays, classes=names.classes, models=names.models)


FORMATS: dict[str, Callable[[IO[bytes], Names], AbstractContextManager[Write]]] = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".npz": _npz,
}
