"""What is answered, by the kind of the study's samples: files, standard input, splits."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from eco.data import lines, rows, streams, tables
from eco.data.coded import Coding
from eco.data.encoding import ImageEncoding
from eco.errors import DataError
from eco.workflow import artifacts
from eco.workflow.schema import Params

SPLITS = ("train", *artifacts.PREDICTED)
#: Standard input, and standard output.
PIPE = "-"
#: What a study of each kind of data answers.
SAMPLES = {"images": "images", "table": "rows", "text": "texts"}
#: Endings of files with arrays, and of those with images.
ARRAYS = (".npy", ".npz", ".npy.gz")
IMAGES = (*ARRAYS, "-idx3-ubyte", "-idx3-ubyte.gz")


def endings(settings: Params) -> tuple[str, ...]:
    """Of the files that a folder is searched for."""
    return IMAGES if settings.data.kind == "images" else (*tables.SUFFIXES, *ARRAYS)


def load_coding(settings: Params) -> Coding | None:
    """How tables and texts become numbers; None for images, which are numbers."""
    if settings.data.kind == "images":
        return None
    encoding = artifacts.ENCODING.load()
    if isinstance(encoding, ImageEncoding):
        raise artifacts.ENCODING.error(f"must be of a {settings.data.kind}; it is of images")
    return encoding


def open_file(
    settings: Params, path: Path, labels: Path | None = None
) -> AbstractContextManager[streams.Samples]:
    """Open a file of samples, and perhaps another of labels; a `DataError` if it can't be used."""
    coding = load_coding(settings)
    if coding is None or not tables.is_table(path):
        return streams.open_samples(path, labels, coding)
    class_names = artifacts.LABELS.load(dataset=settings.data.name).class_names
    return rows.open_rows(path, coding, settings.data.target, class_names, labels)


@contextmanager
def open_input(settings: Params, source: str, labels: Path | None) -> Iterator[streams.Samples]:
    """Open a file, a split or standard input; raises as `open_file` does."""
    if source == PIPE:
        if sys.stdin.isatty():
            remedy = "Pipe samples into it, .npy or JSON lines: cat X.npy | eco predict -"
            raise DataError(f"{lines.NAME} is a terminal", remedy)
        with lines.open_pipe(sys.stdin.buffer, labels, load_coding(settings)) as samples:
            yield samples
    elif source not in SPLITS:
        with open_file(settings, Path(source), labels) as samples:
            yield samples
    elif labels is not None:
        raise DataError(f"the split {source} has labels of its own", "Leave out --labels.")
    else:
        X, y = artifacts.SPLITS.load(split=source, dataset=settings.data.name)
        yield streams.from_arrays(X, y)
