"""Results of predictions, written as they come: CSV, JSON, JSON lines, Parquet or `.npz`.

They go to a draft that takes the place of the file only when it is complete.
"""

import csv
import importlib
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.errors import FileError
from eco.files import replacing

Array = NDArray[Any]


class Names(NamedTuple):
    """What indices stand for in results: the classes, and the models of the strategy."""

    classes: Sequence[str]
    models: Sequence[str]


#: One array for each of `COLUMNS` but ``class``, where ``answered_by`` is an index.
Results = Mapping[str, Array]
Write = Callable[[Results], object]
COLUMNS = ("index", "label", "class", "confidence", "answered_by", "energy_j")


def check_output(path: Path, sources: Sequence[Path]) -> None:
    """Refuse a file of results that could not be written, before any work is done.

    Raises
    ------
    FileError
        If its suffix is unknown, a package for it is missing, or it is one of `sources`.
    """
    if path.suffix not in FORMATS:
        raise FileError(f"{path} must end in one of {', '.join(FORMATS)}")
    for source in sources:
        if path.exists() and source.exists() and path.samefile(source):
            raise FileError(f"{path} is the input: results must go to another file")
    if path.suffix == ".parquet":
        try:
            importlib.import_module("pyarrow.parquet")
        except ImportError:
            raise FileError(
                f"{path} takes the package pyarrow: pip install pyarrow; "
                f"or write one of {', '.join(s for s in FORMATS if s != '.parquet')}"
            ) from None


@contextmanager
def writing(path: Path, names: Names) -> Iterator[Write]:
    """Open a file of results, in the format of its suffix, to be written a batch at a time.

    Parameters
    ----------
    path : Path
        Left as it was if the block raises, a full disk and Ctrl-C included.
    names : Names
        In tables they stand for the indices; a `.npz` holds the indices, and the names once.
    """
    with replacing(path) as stream, FORMATS[path.suffix](stream, names) as write:
        yield write


def _table(given: Results, names: Names) -> dict[str, list[Any]]:
    columns = {name: values.tolist() for name, values in given.items()}
    columns["class"] = [names.classes[label] for label in columns["label"]]
    columns["answered_by"] = [names.models[model] for model in columns["answered_by"]]
    return {name: columns[name] for name in COLUMNS}


def _texts(values: Array) -> list[str]:
    """Floats as text; few of them are distinct, and writing one takes longer than a cascade."""
    distinct, at = np.unique(values, return_inverse=True)
    texts = [repr(value) for value in distinct.tolist()]
    return [texts[i] for i in at.tolist()]


def _rows(given: Results, names: Names, form: str, quoted: Callable[[str], str]) -> Iterator[str]:
    """One text for each sample: `form` with its values, the names as `quoted` writes them."""
    table = _table(given, Names(*([quoted(name) for name in listed] for listed in names)))
    table |= {name: _texts(given[name]) for name in ("confidence", "energy_j")}
    return map(form.__mod__, zip(*table.values(), strict=True))


def _csv_quoted(name: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([name])
    return text.getvalue()


@contextmanager
def _csv(stream: IO[bytes], names: Names) -> Iterator[Write]:
    def write(given: Results) -> None:
        form = ",".join(["%s"] * len(COLUMNS)) + "\n"
        stream.write("".join(_rows(given, names, form, _csv_quoted)).encode())

    stream.write(",".join(COLUMNS).encode() + b"\n")
    yield write


#: One sample as a JSON object.
OBJECT = "{" + ", ".join(f'"{name}": %s' for name in COLUMNS) + "}"


@contextmanager
def _json(stream: IO[bytes], names: Names) -> Iterator[Write]:
    before = "[\n"

    def write(given: Results) -> None:
        nonlocal before
        stream.write((before + ",\n".join(_rows(given, names, OBJECT, json.dumps))).encode())
        before = ",\n"

    yield write
    stream.write(b"\n]\n")


@contextmanager
def _json_lines(stream: IO[bytes], names: Names) -> Iterator[Write]:
    def write(given: Results) -> None:
        stream.write("".join(_rows(given, names, OBJECT + "\n", json.dumps)).encode())

    yield write


@contextmanager
def _parquet(stream: IO[bytes], names: Names) -> Iterator[Write]:
    # Any: the package is optional, so its types can't be counted on.
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    types = dict.fromkeys(COLUMNS, arrow.float64())
    types |= {"index": arrow.int64(), "label": arrow.int64()}
    types |= {"class": arrow.string(), "answered_by": arrow.string()}
    schema = arrow.schema(list(types.items()))
    with parquet.ParquetWriter(stream, schema) as writer:
        yield lambda given: writer.write_table(arrow.table(_table(given, names), schema))


@contextmanager
def _npz(stream: IO[bytes], names: Names) -> Iterator[Write]:
    """Columns wait in files without a name: an archive takes one member after the other."""
    with ExitStack() as stack:
        waiting: dict[str, tuple[IO[bytes], np.dtype[Any]]] = {}

        def write(given: Results) -> None:
            for name, values in given.items():
                if name not in waiting:
                    beside = Path(stream.name).parent
                    file = stack.enter_context(tempfile.TemporaryFile(dir=beside))
                    waiting[name] = file, values.dtype
                waiting[name][0].write(np.ascontiguousarray(values).data)

        yield write
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, (file, dtype) in waiting.items():
                shape = (file.tell() // dtype.itemsize,)
                descr = np.lib.format.dtype_to_descr(dtype)
                header = {"descr": descr, "fortran_order": False, "shape": shape}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    file.seek(0)
                    shutil.copyfileobj(file, member, 2**16)
            for name, listed in names._asdict().items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.array(listed), allow_pickle=False)


FORMATS = {
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".npz": _npz,
}
