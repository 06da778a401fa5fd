"""Tables in files, CSV or Parquet, as they are, and what is wrong with those that are none."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eco.errors import DataError, EcoError, extra, shortened

if TYPE_CHECKING:
    import pandas as pd

#: Of CSV; what else than a comma may stand between its columns.
ENCODING, SEPARATORS = "utf-8-sig", ";\t|"
#: What files that aren't CSV begin with.
OTHERS = {
    b"PK": "a zip archive, as .xlsx is", b"\xd0\xcf\x11\xe0": "an .xls file",
    b"\x1f\x8b": "what gzip compressed, whose name must end in .csv.gz",
    b"PAR1": "Parquet, whose name must end in .parquet",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip


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


def read_rows(path: Path, names: Sequence[str], **how: Any) -> "pd.DataFrame":
    """The rows of a CSV, of as many columns as there are names; columns are called 0, 1, ...

    Raises a `ParserWarning` if a row has more cells.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            path, header=0, names=range(len(names)), encoding=ENCODING, index_col=False, **how
        )


def read_parquet(path: Path) -> "pd.DataFrame":
    """The rows of a Parquet file, with numbers from 0; an index with a name is a column."""
    import pandas as pd

    with extra("parquet"):
        import pyarrow.parquet  # noqa: F401
    frame = pd.read_parquet(path)
    return frame.reset_index(drop=frame.index.names == [None])
