"""What every evaluating stage loads first: the outcomes of the pool."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.commands import command
from eco.energy.measurement import Measurements
from eco.errors import FileError, MeasurementError
from eco.strategies.confidence import correct
from eco.strategies.outcomes import Outcomes, RouterOutcome
from eco.workflow import artifacts as files
from eco.workflow.schema import Params

Array = NDArray[Any]


def load_probabilities(pool: Sequence[str], split: str, dataset: str) -> Array:
    """Probabilities of every model of a pool: (n_samples, n_models, n_classes) float32."""
    labels = files.LABELS.load(dataset=dataset)
    shape = len(labels.y[split]), len(labels.class_names)
    columns = []
    for model in pool:
        p = files.PREDICTIONS.load(model=model, dataset=dataset, splits=[split])[split]
        _check_shape(files.PREDICTIONS, split, p, shape, model=model)
        columns.append(p)
    return np.stack(columns, axis=1)


def load_outcomes(settings: Params, split: str, routers: bool = False) -> Outcomes:
    """What every model of the pool did on one split, and what it costs.

    Parameters
    ----------
    settings : Params
        Names the pool, the confidence signal, and the batch size whose energies count.
    split : {"calibration", "tuning", "certification", "test"}
    routers : bool
        Whether to load the routers as well.

    Returns
    -------
    Outcomes

    Raises
    ------
    FileError
        If a file is missing or damaged, files don't fit each other, or energies of models and
        routers were measured in different ways.
    """
    pool, dataset, batch_size = settings.pool, settings.data.name, settings.energy.batch_size
    with measured(files.ENERGY) as energy:
        energy_j, readings = energy.energy_j(pool, batch_size), energy.readings(pool, batch_size)
    outcomes = Outcomes.from_probabilities(
        load_probabilities(pool, split, dataset),
        files.LABELS.load(dataset=dataset).y[split],
        energy_j,
        pool,
        settings.cascading.confidence,
        readings,
    )
    if not routers:
        return outcomes
    check_comparable()
    return replace(outcomes, routers=_routers(pool, split, len(outcomes), batch_size))


@contextmanager
def measured(artifact: files.Artifact[Measurements]) -> Iterator[Measurements]:
    """The measurements of a file, to read figures from; one that is missing names the file."""
    measurements = artifact.load()
    try:
        yield measurements
    except MeasurementError as error:
        raise artifact.error(error.problem) from None


def check_comparable() -> None:
    """Raise `FileError` if energies of models and routers were measured in different ways."""
    energy, router_energy = files.ENERGY, files.ROUTER_ENERGY
    differences = energy.load().incomparable(router_energy.load())
    for key, (models, routers) in differences.items():
        raise FileError(
            f"{energy.path()} and {router_energy.path()} can't be added up: {key} is {models!r} "
            f"in the one and {routers!r} in the other",
            f"Measure both anew: {command('measure')}",
        )


def _routers(
    pool: Sequence[str], split: str, n_samples: int, batch_size: int
) -> dict[str, RouterOutcome]:
    with measured(files.ROUTER_ENERGY) as energy:
        energy_j = energy.energy_j(files.ROUTERS, batch_size)
        per_round_j = energy.readings(files.ROUTERS, batch_size).per_round_j
    routers = {}
    for column, router in enumerate(files.ROUTERS):
        names = {"pool": pool, "splits": [split]}
        if router == "router":
            output = files.ROUTER_CHOICES.load(**names)[split]
            _check_shape(files.ROUTER_CHOICES, split, output, (n_samples,), **names)
        else:
            output = files.ROUTER_SCORES.load(router=router, **names)[split]
            _check_shape(files.ROUTER_SCORES, split, output, (n_samples, len(pool)), router=router)
        routers[router] = RouterOutcome(output, float(energy_j[column]), per_round_j[:, column])
    return routers


def _check_shape(
    artifact: files.Artifact[Any], split: str, values: Array, shape: tuple[int, ...], **names: Any
) -> None:
    if values.shape != shape:
        raise artifact.error(
            f"does not fit: {split} must be {shape} for the labels in {files.LABELS.path()}, "
            f"got {values.shape}",
            **names,
        )


def load_router_inputs(settings: Params) -> tuple[dict[str, Array], ...]:
    """What routers learn from, by split: images, probabilities of the probe, the oracle's choices.

    And, of the split calibration alone, which models are correct.
    """
    pool, dataset = settings.pool, settings.data.name
    oracle = files.ORACLE.load(pool=pool)
    X, probe = {}, {}
    for split in files.PREDICTED:
        X[split], _ = files.SPLITS.load(split=split, dataset=dataset)
        probe[split] = load_probabilities([settings.router.probe], split, dataset)[:, 0]
        if not len(X[split]) == len(probe[split]) == len(oracle[split]):
            raise files.ORACLE.error(
                f"does not fit the {len(X[split])} images of {split}", pool=pool
            )
    split = "calibration"
    y = files.LABELS.load(dataset=dataset).y[split]
    return X, probe, oracle, {split: correct(load_probabilities(pool, split, dataset), y)}
