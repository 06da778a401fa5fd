"""The errors that a user can mend, and how a stage reports them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class EcoError(Exception):
    """Something a user can mend: the message names it and the next command."""


class ParamsError(EcoError):
    """params.yaml holds something that no stage can work with."""


class FileError(EcoError):
    """A file of the workflow is missing, damaged or not what its name says."""


class DataError(EcoError):
    """A data set can't be had, or isn't what it must be."""


class TargetError(EcoError):
    """What was asked of a strategy can't be had; the message says what can."""


class ModelError(EcoError):
    """A model gives something else than what the strategies can work with."""


class MeasurementError(EcoError):
    """Energy could not be measured in a way that could be trusted."""


@contextmanager
def reported() -> Iterator[None]:
    """Print an `EcoError` as one readable message and exit with status 1.

    Other exceptions are defects of the program and keep their traceback.
    """
    try:
        yield
    except EcoError as error:
        print(f"\nERROR: {error}\n", file=sys.stderr)
        raise SystemExit(1) from None
