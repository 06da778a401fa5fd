"""Tables of one's own, as CSV or Parquet."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco.data.columns import is_missing
from eco.data.encoding import as_frame
from eco.errors import DataError, extra, shortened

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
        Columns of a CSV in which every cell is a text, as ``NA`` is.

    Raises
    ------
    DataError
        If the file can't be read, has no rows, or columns without a name or with the same.
    """
    import pandas as pd

    try:
        if path.name.lower().endswith(".parquet"):
            with extra("parquet"):
                import pyarrow.parquet  # noqa: F401
            frame = pd.read_parquet(path).reset_index(drop=True)
        else:
            frame = _read_csv(path, where, as_text)
    except FileNotFoundError:
        raise DataError(f"{where} does not exist in {shortened(Path.cwd())}") from None
    except (DataError, ImportError):
        raise
    except Exception as error:  # what pandas raises on damaged bytes is not a closed list
        raise DataError(
            f"{where} can't be read as a table ({shortened(str(error).strip())})",
            "Write it by pandas with to_csv(index=False) or to_parquet.",
        ) from None
    frame = as_frame(frame, where)
    if frame.empty:
        raise DataError(f"{where} must hold a row for each sample; it has none")
    return frame


def _read_csv(path: Path, where: str, as_text: tuple[str, ...]) -> "pd.DataFrame":
    import pandas as pd

    # First, as pandas would give names to columns without, or with that of another.
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, encoding="utf-8-sig")
    names = header.iloc[0].tolist()
    if (lacking := is_missing(names)).any():
        raise DataError(
            f"{where} must have a name for each column in its first line; column "
            f"{lacking.argmax()} has none",
            "If it holds numbers of rows, write the file without: to_csv(index=False).",
        )
    if len(names) == 1 and any(separator in names[0] for separator in ";\t"):
        raise DataError(
            f"{where} must have commas between its columns; got {shortened(names[0])!r}",
            "Write it with sep=','.",
        )
    form: Any = {"header": 0, "names": range(len(names)), "encoding": "utf-8-sig"}
    form["skip_blank_lines"] = len(names) > 1  # of a single column, an empty line is a row
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the first line
        frame = pd.read_csv(path, index_col=False, low_memory=False, **form)
    if places := [place for place, name in enumerate(names) if name in as_text]:
        frame[places] = pd.read_csv(path, usecols=places, dtype=str, keep_default_na=False, **form)
    frame.columns = pd.Index(names)
    return frame
