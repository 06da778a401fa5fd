"""The faults that a user can fix, and how a command reports them."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from eco.processes import announce_stage, end_with_dvc

#: Characters of a problem, and of a remedy: what was given may be of any length.
LONGEST = 300


def shortened(text: object, longest: int = 120) -> str:
    """What a message quotes, without its middle if it is long."""
    text = str(text)
    if len(text) <= longest:
        return text
    return f"{text[: longest * 3 // 4]} ... {text[5 - longest // 4 :]}"


class EcoError(Exception):
    """A fault that a user can fix.

    Parameters
    ----------
    problem : str
        The file or key, what must hold and what was found; ends without a full stop.
    remedy : str
        What to do next, as whole sentences. Both are `shortened`.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = shortened(problem, LONGEST)
        self.remedy = shortened(remedy, LONGEST)

    def __str__(self) -> str:
        """Problem and remedy, one after the other."""
        return f"{self.problem}. {self.remedy}" if self.remedy else self.problem


class ParamsError(EcoError):
    """params.yaml holds something that no stage can work with."""


class FileError(EcoError):
    """A file of the workflow is missing, damaged or not what its name says."""


class DataError(EcoError):
    """A data set can't be had, or isn't what it must be."""


class TargetError(EcoError):
    """No strategy meets ``target``: "max_accuracy_loss", "energy_budget", "max_loss" or "max_harm".

    ``attainable`` is the least value of it that can be met, where there is one.
    """

    def __init__(
        self, problem: str, remedy: str = "", *, target: str, attainable: float | None = None
    ) -> None:
        super().__init__(problem, remedy)
        self.target = target
        self.attainable = attainable


class ModelError(EcoError):
    """A model gives something that strategies can't work with.

    ``model`` is its position in the strategy, or its name; the problem doesn't name it.
    """

    def __init__(self, problem: str, remedy: str = "", *, model: int | str | None = None) -> None:
        super().__init__(problem, remedy)
        self.model = model

    def __str__(self) -> str:
        """The message, with the model in front."""
        text = super().__str__()
        return text if self.model is None else f"model {self.model} {text}"


class MeasurementError(EcoError):
    """Energy could not be measured in a way that can be trusted."""


class MissingExtraError(EcoError, ImportError):
    """A package that an extra of this project installs is missing."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Turn a failed import inside the block into a `MissingExtraError` that names the extra.

    Examples
    --------
    >>> with extra("onnx"):
    ...     import onnxruntime
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "eco":
            raise
        raise MissingExtraError(
            f"the package {error.name} is not installed",
            f"Install it with: pip install 'ecoinference[{name}]'",
        ) from None


@contextmanager
def reported() -> Iterator[None]:
    """Log progress, and print an `EcoError` as one readable message and exit with status 1.

    Both go to standard error. Other exceptions are defects and keep their traceback. A stage ends
    with the `dvc` that runs it.
    """
    end_with_dvc()
    announce_stage()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("eco").setLevel(logging.INFO)
    try:
        yield
    except EcoError as error:
        print(f"\nERROR: {error}\n", file=sys.stderr)
        raise SystemExit(1) from None
