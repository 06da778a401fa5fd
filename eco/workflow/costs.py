"""What it took, in J, before a strategy could run: training, measuring, searching, certifying."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from eco.evaluation.footprint import extra_joules
from eco.strategies.routing import ROUTERS
from eco.workflow import artifacts as files
from eco.workflow.outcomes import measured
from eco.workflow.schema import Params


@dataclass(frozen=True)
class TrainingEnergy:
    """What training took, as CPU seconds times the watts of a core.

    ``models_j``: J of each model of the pool; ``pupils``: the models that learnt from soft
    targets; ``teaching_j``: J that the making of these targets took, once for all of them.
    """

    models_j: Mapping[str, float]
    pupils: Collection[str]
    teaching_j: float

    def beyond_last(self, models: Collection[str]) -> float:
        """J of training that some models took and always running the last wouldn't have.

        Pupils took the last one as well. Negative where `models` do without the last one.
        """
        last = list(self.models_j)[-1]
        has_pupil = not set(models).isdisjoint(self.pupils)
        trained = {*models, last} if has_pupil else set(models)
        joules = [self.models_j[model] for model in trained] + [self.teaching_j] * has_pupil
        return math.fsum(joules) - self.models_j[last]


@dataclass(frozen=True)
class Costs:
    """J that a study took.

    ``measuring_j``: on one core, of the energies of ``models`` and ``routers``; ``tuning_j``: of
    the search for cascades; ``labelling_j``: of running the pool on what routers learn from;
    ``routers_j``: of fitting each router; ``certifying_j``: of running the pool on what certifies.
    """

    training: TrainingEnergy
    measuring_j: Mapping[str, float]
    tuning_j: float
    labelling_j: float
    routers_j: Mapping[str, float]
    certifying_j: float

    def extra_j(self) -> dict[str, float]:
        """J beyond the training of the last model, by what they were spent on."""
        return extra_joules(
            self.training.beyond_last(list(self.training.models_j)),
            self.measuring_j,
            self.tuning_j,
            self.labelling_j,
            self.routers_j,
            self.certifying_j,
        )

    def to_metrics(self) -> dict[str, Any]:
        """The entries of metrics/footprint.json beside those of strategies."""
        return {
            "training_j": self.training.models_j,
            "teaching_j": self.training.teaching_j,
            "measuring_j": self.measuring_j,
            "tuning_j": self.tuning_j,
            "certifying_j": self.certifying_j,
        }


def load_costs(settings: Params) -> Costs:
    """What everything took that strategies are found with."""
    watts, pool = settings.energy.watts_per_core, settings.pool
    with measured(files.ENERGY) as energy:
        run_pool_j = float(energy.energy_j(pool, settings.energy.batch_size).sum())
    labels = files.LABELS.load(dataset=settings.data.name)
    n_samples = {split: len(y) for split, y in labels.y.items()}
    measurements = {"models": files.ENERGY, "routers": files.ROUTER_ENERGY}
    fitting_s = {r: files.ROUTER_METRICS.value("router", "cpu_seconds", r) for r in ROUTERS}
    return Costs(
        load_training(settings),
        {name: watts * file.load().provenance["seconds"] for name, file in measurements.items()},
        files.TUNING_METRICS.value("tuning", "energy_j"),
        (n_samples["calibration"] + n_samples["tuning"]) * run_pool_j,
        {router: watts * seconds for router, seconds in fitting_s.items()},
        n_samples["certification"] * run_pool_j,
    )


def load_training(settings: Params) -> TrainingEnergy:
    """What the training of every model of the pool took."""
    watts, pool = settings.energy.watts_per_core, settings.pool

    def of_model(model: str, key: str) -> Any:
        return files.TRAINING_METRICS.value("training", model, key, model=model)

    return TrainingEnergy(
        {model: watts * float(of_model(model, "cpu_seconds")) for model in pool},
        [model for model in pool if of_model(model, "targets") == "soft"],
        watts * float(files.TEACHING_METRICS.value("teaching", "cpu_seconds")),
    )
