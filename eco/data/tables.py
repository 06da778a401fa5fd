"""Tables of one's own, as CSV or Parquet."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco.data.encoding import as_frame
from eco.errors import DataError
from eco.predictions.tables import read_errors, read_header, read_parquet, read_rows

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".parquet")


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
    with read_errors(path, where):
        if path.name.lower().endswith(".parquet"):
            frame = read_parquet(path)
        else:
            frame = _read_csv(path, where, as_text)
    frame = as_frame(frame, where)
    if frame.empty:
        raise DataError(f"{where} must hold a row for each sample; it has none")
    return frame


def _read_csv(path: Path, where: str, as_text: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    names = read_header(path, where)
    if "" in names:
        raise DataError(
            f"{where} must have a name for each column in its first line; column "
            f"{names.index('')} has none",
            "If it holds numbers of rows, write the file without: to_csv(index=False).",
        )
    # Of a single column, an empty line is a row.
    form: Any = {"skip_blank_lines": len(names) > 1}
    frame = read_rows(path, names, low_memory=False, **form)
    # pandas takes NA for a missing value among texts, too.
    taken = [place for place in frame if frame[place].isna().any() and _holds_text(frame[place])]
    own = [place for place, name in enumerate(names) if name in as_text]
    if places := sorted({*taken, *own}):
        form |= {"usecols": places, "dtype": str, "keep_default_na": False}
        frame[places] = read_rows(path, names, **form)
        emptied = [place for place in taken if place not in own]
        frame[emptied] = frame[emptied].mask(frame[emptied] == "")
    frame.columns = pd.Index(names)
    return frame


def _holds_text(values: "pd.Series[Any]") -> bool:
    return any(isinstance(value, str) for value in values.to_numpy(object))
