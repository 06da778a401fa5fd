"""What the page and the documentation show: the results of a study, loaded in one place."""

from collections.abc import Mapping
from dataclasses import dataclass

from eco.report.rows import Row, Rows, strategy_of
from eco.strategies.certification import NotCertified
from eco.strategies.strategy import OperatingPoint
from eco.workflow import artifacts
from eco.workflow.artifacts import Frontiers
from eco.workflow.schema import Params
from eco.workflow.selection import made_for


@dataclass(frozen=True, eq=False)
class Study:
    """Results of a study, as the rows and metrics of its files have them.

    ``points``: accuracy and energy of models, strategies and oracles, and the curves;
    ``strategies``, ``routing``: scores of cascades and routers; ``metered``: what the strategies
    took as they ran; ``measured``: energies of models and routers; ``shares``: who answers;
    ``reliability``: accuracy by confidence; ``violations``: how often certificates are wrong;
    ``footprint``: by strategy; ``doctor``: finding by check; ``model_energy``, ``router_energy``:
    provenance of each.
    """

    settings: Params
    points: Rows
    strategies: Rows
    routing: Rows
    metered: Rows
    measured: Rows
    shares: Rows
    reliability: Rows
    violations: Rows
    footprint: Mapping[str, Row]
    doctor: Mapping[str, str]
    model_energy: Row
    router_energy: Row
    frontiers: Frontiers
    certified: Mapping[str, OperatingPoint | NotCertified]

    @property
    def models(self) -> Rows:
        """The points of the models alone; the last is what losses are counted from."""
        return [row for row in self.points if row["strategy"] == "model"]

    @property
    def oracles(self) -> Rows:
        """The points of the oracles."""
        return [row for row in self.points if row["strategy"] == "oracle"]

    def named(self, name: str) -> Row | None:
        """The cascade of that name, if there is one."""
        return next((row for row in self.strategies if row["name"] == name), None)

    @property
    def headline(self) -> Row | None:
        """The cascade that the page speaks of: tuned, or else certified, or else a preset."""
        presets = (row for row in self.strategies if row["strategy"] == "preset")
        return self.named("tuned") or self.named("certified") or next(presets, None)

    def realised(self, row: Row) -> Row | None:
        """What the same strategy took as it ran, at the batch size of the study if it can be."""
        strategy, batch_size = strategy_of(row), self.settings.energy.batch_size
        same = [ran for ran in self.metered if strategy and strategy_of(ran) == strategy]
        at_size = [ran for ran in same if ran["batch_size"] == batch_size]
        return next(iter([*at_size, *same[::-1]]), None)


def load_study(settings: Params) -> Study:
    """Load what `Study` holds; a FileError names a file that is missing or damaged."""
    key = made_for(settings)
    return Study(
        settings,
        points=artifacts.POINT_ROWS.load(),
        strategies=artifacts.STRATEGY_ROWS.load(),
        routing=artifacts.ROUTING_ROWS.load(),
        metered=artifacts.METERED_ROWS.load(),
        measured=artifacts.ENERGY_ROWS.load(),
        shares=artifacts.SHARE_ROWS.load(),
        reliability=artifacts.RELIABILITY_ROWS.load(),
        violations=artifacts.VIOLATION_ROWS.load(),
        footprint=artifacts.FOOTPRINT_METRICS.value("footprint"),
        doctor=artifacts.DOCTOR_METRICS.value("doctor"),
        model_energy=artifacts.ENERGY.load().provenance,
        router_energy=artifacts.ROUTER_ENERGY.load().provenance,
        frontiers=artifacts.FRONTIER.load(made_for=key),
        certified=artifacts.CERTIFIED.load(made_for=key)[settings.certification.of],
    )
