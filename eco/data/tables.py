"""Tables of one's own, as CSV or Parquet."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco.data.encoding import as_frame
from eco.errors import DataError, EcoError, extra, shortened

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".parquet")
#: Of CSV; what else than a comma may stand between its columns.
ENCODING, SEPARATORS = "utf-8-sig", ";\t|"
#: What files that aren't CSV begin with.
OTHERS = {
    b"PK": "a zip archive, as .xlsx is", b"\xd0\xcf\x11\xe0": "an .xls file",
    b"\x1f\x8b": "what gzip compressed, whose name must end in .csv.gz",
    b"PAR1": "Parquet, whose name must end in .parquet",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table."""
    return path.name.lower().endswith(SUFFIXES)


def read_table(path: Path, where: str, as_text: tuple[str, ...] = ()) -> "pd.DataFrame":
    """The rows of a file, with numbers from 0.

    Parameters
    ----------
    path : Path
    where : str
        What messages begin with.
    as_text : tuple of str, optional
        Columns of a CSV in which every cell is a text, also an empty one.

    Raises
    ------
    DataError
        If the file can't be read, has no rows, or columns without a name or with the same.
    """
    import pandas as pd

    with read_errors(path, where):
        if path.name.lower().endswith(".parquet"):
            with extra("parquet"):
                import pyarrow.parquet  # noqa: F401
            frame = pd.read_parquet(path)
            # What has a name is a column, as it is in a CSV of the same frame.
            frame = frame.reset_index(drop=frame.index.names == [None])
        else:
            frame = _read_csv(path, where, as_text)
    frame = as_frame(frame, where)
    if frame.empty:
        raise DataError(f"{where} must hold a row for each sample; it has none")
    return frame


@contextmanager
def read_errors(path: Path, where: str) -> Iterator[None]:
    """Turn what reading a table raises into a `DataError` that begins with `where`."""
    try:
        yield
    except EcoError:
        raise
    except FileNotFoundError:
        folder = "" if path.is_absolute() else f" in {shortened(Path.cwd())}"
        raise DataError(f"{where} does not exist{folder}") from None
    except UnicodeDecodeError as error:
        with path.open("rb") as file:
            start = file.read(4)
        others = (f"it is {other}" for magic, other in OTHERS.items() if start.startswith(magic))
        raise DataError(
            f"{where} can't be read as a table: it must be text in UTF-8 "
            f"({next(others, shortened(error))})",
            "Save it as CSV in UTF-8, or convert it: iconv -f LATIN1 -t UTF-8.",
        ) from None
    except Exception as error:  # what pandas raises on damaged bytes is not a closed list
        longer = "a row has more cells than the first line has"
        reason = longer if isinstance(error, Warning) else shortened(str(error).strip())
        raise DataError(
            f"{where} can't be read as a table ({reason})",
            "Write it by pandas with to_csv(index=False) or to_parquet.",
        ) from None


def read_header(path: Path, where: str) -> list[str]:
    """Names of the columns of a CSV, as they are; "" of those without.

    pandas would give names to these, and to columns with that of another. Raises a `DataError` if
    there seems to be one column because something else than a comma separates them.
    """
    import pandas as pd

    form: Any = {"header": None, "nrows": 1, "dtype": str, "keep_default_na": False}
    names: list[str] = pd.read_csv(path, encoding=ENCODING, **form).iloc[0].tolist()
    if len(names) == 1 and any(separator in names[0] for separator in SEPARATORS):
        raise DataError(
            f"{where} must have commas between its columns; got {shortened(names[0])!r}",
            "Write it with sep=','.",
        )
    return names


def _read_csv(path: Path, where: str, as_text: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    names = read_header(path, where)
    if "" in names:
        raise DataError(
            f"{where} must have a name for each column in its first line; column "
            f"{names.index('')} has none",
            "If it holds numbers of rows, write the file without: to_csv(index=False).",
        )
    form: Any = {"header": 0, "names": range(len(names)), "encoding": ENCODING}
    form["skip_blank_lines"] = len(names) > 1  # of a single column, an empty line is a row
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        frame = pd.read_csv(path, index_col=False, low_memory=False, **form)
    # pandas takes NA for a missing value among texts, too.
    taken = [place for place in frame if frame[place].isna().any() and _holds_text(frame[place])]
    own = [place for place, name in enumerate(names) if name in as_text]
    if places := sorted({*taken, *own}):
        frame[places] = pd.read_csv(path, usecols=places, dtype=str, keep_default_na=False, **form)
        emptied = [place for place in taken if place not in own]
        frame[emptied] = frame[emptied].mask(frame[emptied] == "")
    frame.columns = pd.Index(names)
    return frame


def _holds_text(values: "pd.Series[Any]") -> bool:
    return any(isinstance(value, str) for value in values.to_numpy(object))
