"""Answering samples with a strategy that is loaded once, and what that cost."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eco.cli import writers
from eco.cli.inputs import SAMPLES
from eco.cli.strategies import load_energy_j, load_router_energy_j, load_strategy
from eco.data.kinds import KINDS
from eco.data.streams import Samples
from eco.energy.machine import origin
from eco.errors import DataError, FileError
from eco.evaluation.footprint import per_thousand
from eco.runtime.calls import Model
from eco.runtime.engine import Answers, Parallel
from eco.strategies.strategy import Strategy
from eco.workflow import artifacts
from eco.workflow.schema import Params

Array = NDArray[Any]
#: From the position of a batch's first sample, and the batch, to labels.
Reference = Callable[[int, Array], Array]


class Runner:
    """A strategy that is loaded once: from samples to answers, and J of each.

    ``names`` are those of the classes and of the strategy's models; ``workers`` are threads;
    ``session`` loads a model or a router by its name.
    """

    def __init__(
        self, settings: Params, strategy: Strategy, workers: int = 1,
        session: Callable[[str], Model] | None = None,
    ) -> None:  # fmt: skip
        self._energy_j = load_energy_j(settings, strategy.models)
        self._router_j = load_router_energy_j(settings, strategy.router)
        run = load_strategy(settings, strategy, session)
        self._answer = run if workers == 1 else Parallel(run, workers)
        class_names = artifacts.LABELS.load(dataset=settings.data.name).class_names
        self.names = writers.Names(class_names, strategy.models)
        kind = settings.data.kind
        self._dtype = next(dtype for (dtype, _), one in KINDS.items() if one == kind)
        self._samples = SAMPLES[kind]

    def __call__(self, X: Array) -> tuple[Answers, Array]:
        """Answer a batch of samples."""
        answers = self._answer(X)
        return answers, answers.ran @ self._energy_j + self._router_j

    def check(self, source: str, shape: tuple[int, ...]) -> None:
        """Answer zeros as a sample; raises an `EcoError` if none of the shape can be answered."""
        try:
            answers, _ = self(np.zeros((1, *shape), self._dtype))
        except FileError:
            size = " x ".join(map(str, shape))
            raise DataError(
                f"{source} has {self._samples} of {size}, which these models don't take",
                f"Use {self._samples} of the size that the models were trained on, or train them "
                f"on such {self._samples} (data.path).",
            ) from None
        n_classes = answers.probabilities.shape[1]
        if len(self.names.classes) != n_classes:
            raise FileError(
                f"{artifacts.LABELS.path()} names {len(self.names.classes)} classes, but "
                f"{self.names.models[0]} gives probabilities of {n_classes}",
                "Make the models anew: dvc repro",
            )


@dataclass
class Totals:
    """Sums over the samples.

    ``answered``: (n_models,) samples that each model answered; ``labelled``: those with a label,
    of which ``correct`` are; ``reference_correct``: of the last model, None where it didn't run;
    ``seconds``: that answering took, 0.0 if unknown.
    """

    answered: Array
    energy_j: float = 0.0
    labelled: int = 0
    correct: int = 0
    reference_correct: int | None = None
    seconds: float = 0.0

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.answered.sum())

    def to_json(self) -> dict[str, Any]:
        """The sums of any strategy as JSON values."""
        sums = {"energy_j": self.energy_j, "labelled": self.labelled, "correct": self.correct}
        return {"answered": self.answered.tolist()} | sums

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote; KeyError, TypeError or ValueError if it isn't that."""
        answered = np.array(values["answered"], np.int64)
        return cls(answered, float(values["energy_j"]), values["labelled"], values["correct"])

    def __add__(self, other: Self) -> Self:
        """The sums over the samples of both, whose last model was not run."""
        labelled, correct = self.labelled + other.labelled, self.correct + other.correct
        energy_j = self.energy_j + other.energy_j
        return type(self)(self.answered + other.answered, energy_j, labelled, correct)


def answer(
    samples: Samples, runner: Runner, reference: Reference | None, batch_size: int,
    write: writers.Write | None, advance: Callable[[int], object] | None = None,
) -> Totals:  # fmt: skip
    """Answer every sample, write the answers, and add up; `advance` is called with each few."""
    names = runner.names
    totals, begin = Totals(np.zeros(len(names.models), np.int64)), time.perf_counter()
    for X, y, ids in samples.batches(batch_size, len(names.classes)):
        start = totals.n
        answers, energy_j = runner(X)
        if write is not None:
            results = {"index": np.arange(start, start + len(X))}
            results |= {} if ids is None else {"id": ids}
            results |= {"label": answers.labels, "confidence": answers.confidence}
            write(results | {"answered_by": answers.answered_by, "energy_j": energy_j})
        totals.energy_j += float(energy_j.sum())
        totals.answered += np.bincount(answers.answered_by, minlength=len(names.models))
        if y is not None:
            totals.labelled += len(y)
            totals.correct += int((answers.labels == y).sum())
            if reference is not None:
                correct = int((reference(start, X) == y).sum())
                totals.reference_correct = (totals.reference_correct or 0) + correct
        if advance is not None:
            advance(len(X))
    totals.seconds = time.perf_counter() - begin
    return totals


def described(name: str, strategy: Strategy) -> str:
    """A strategy in one line: its name, and its settings where the name isn't made of them."""
    description = strategy.describe()
    return name if description == name else f"{name}: {description}"


def summary(settings: Params, strategy: Strategy, totals: Totals) -> Iterator[str]:
    """The totals, line by line."""
    n, last = totals.n, settings.pool[-1]
    yield f"samples            {n:,}"
    if totals.labelled:
        part = "" if totals.labelled == n else f" of the {totals.labelled:,} with labels"
        yield f"accuracy           {totals.correct / totals.labelled:.2%}{part}"
        if totals.reference_correct is not None:
            loss = 100 * (totals.reference_correct - totals.correct) / n
            accuracy = totals.reference_correct / n
            yield f"points lost        {loss:.2f} (always {last}: {accuracy:.2%})"
    (reference_j,) = load_energy_j(settings, [last])
    yield f"energy             {totals.energy_j:.4g} J, {totals.energy_j / n:.4g} J per sample"
    yield f"share of {last:9} {totals.energy_j / n / reference_j:.4f}"
    provenance = artifacts.ENERGY.load().provenance
    grid, country = provenance["grid_g_co2e_per_kwh"], provenance.get("country")
    emitted_g = per_thousand(totals.energy_j, grid)["g_co2e_per_1000"] / 1000
    yield f"emissions          {emitted_g:.3g} g CO2e at {grid:g} g/kWh ({country})"
    shares = zip(strategy.models, totals.answered / n, strict=True)
    yield f"answered by        {', '.join(f'{model} {share:.2%}' for model, share in shares)}"
    if totals.seconds:
        yield f"time               {totals.seconds:.2f} s, {n / totals.seconds:,.0f} samples/s"
    yield (
        f"(joules as measured at batch size {settings.energy.batch_size} on "
        f"{origin(provenance)}, mode {provenance.get('mode')})"
    )
