"""Which strategies the settings choose, and those that have a name."""

from collections.abc import Iterator

from eco.errors import TargetError
from eco.strategies.certification import MEASURES, Measure, NotCertified
from eco.strategies.names import OTHER_CERTIFIED, strategy_name
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.strategies.tuning import for_loss, for_target, with_last
from eco.workflow.artifacts import CERTIFIED, ENERGY, FRONTIER, MadeFor
from eco.workflow.outcomes import measured
from eco.workflow.schema import Params

#: Losses of accuracy, in points, whose tuned cascades have names.
LOSSES = (0.0, 0.5, 1.0)


def made_for(settings: Params) -> MadeFor:
    """What settings that are tuned or certified now hold for."""
    return MadeFor(
        settings.data.name,
        settings.energy.batch_size,
        settings.cascading.confidence,
        tuple(settings.pool),
    )


def chosen_strategy(settings: Params) -> Strategy:
    """The cascade that ``cascading.thresholds`` chooses: numbers, a preset, tuned or certified.

    Raises `FileError` if data/frontier.json or data/certified.json can't be used, `TargetError` if
    nothing meets the target or nothing is certified.
    """
    if settings.cascading.thresholds == "tuned":
        return tuned_strategy(settings)
    if settings.cascading.thresholds == "certified":
        return certified_strategy(settings)
    chain = settings.cascading
    return Strategy("cascade", tuple(chain.active_models), tuple(chain.chosen_thresholds))


def tuned_cascades(settings: Params) -> tuple[list[OperatingPoint], OperatingPoint]:
    """The cascades among which targets choose, by rising energy, and the last model alone."""
    frontiers, last = FRONTIER.load(made_for=made_for(settings)), settings.pool[-1]
    with measured(ENERGY) as energy:
        last_j = float(energy.energy_j([last], settings.energy.batch_size)[0])
    alone = OperatingPoint(always(last), frontiers.reference_accuracy, last_j)
    return with_last(frontiers.points["accuracy"], alone), alone


def tuned_strategy(settings: Params) -> Strategy:
    """The tuned cascade that meets the target of ``tuning``; raises as `chosen_strategy` does."""
    points, last = tuned_cascades(settings)
    goal = settings.tuning
    return for_target(
        points,
        goal.target,
        goal.max_accuracy_loss,
        goal.energy_budget,
        last.accuracy,
        last.energy_j,
        goal.margin_se,
    ).strategy


def certified_strategy(settings: Params, of: Measure | None = None) -> Strategy:
    """The cascade with a certificate, by default of ``certification.of``.

    Raises as `chosen_strategy` does.
    """
    of = of or settings.certification.of
    certified = CERTIFIED.load(made_for=made_for(settings))[of]["cascade"]
    if isinstance(certified, NotCertified):
        raise TargetError(
            f"no cascade is certified: {certified.describe()}",
            f"Raise certification.max_{of} or data.shares.certification in params.yaml.",
            target=f"max_{of}",
            attainable=certified.attainable,
        )
    return certified.strategy


def other_certified(settings: Params) -> tuple[str, Measure]:
    """Name and measure of the certified cascade that ``certification.of`` doesn't choose."""
    of = next(each for each in MEASURES if each != settings.certification.of)
    return OTHER_CERTIFIED[of], of


def preset_strategies(settings: Params) -> dict[str, Strategy]:
    """The presets by name; those with thresholds for another number of models are left out."""
    models = tuple(settings.cascading.active_models)
    return {
        name: Strategy("cascade", models, tuple(thresholds))
        for name, thresholds in settings.cascading.presets.items()
        if len(thresholds) == len(models)
    }


def named_strategies(settings: Params) -> dict[str, Strategy]:
    """Every strategy that has a name: always the last model, presets, tuned, routers, certified."""
    last = settings.pool[-1]
    named = {strategy_name("model", last): always(last)} | preset_strategies(settings)
    return named | dict(_found(settings))


def _found(settings: Params) -> Iterator[tuple[str, Strategy]]:
    """What was tuned or certified, and the router on oracle labels."""
    pool, key = tuple(settings.pool), made_for(settings)
    points, alone = tuned_cascades(settings)
    for loss in LOSSES:
        tuned = for_loss(points, loss, alone.accuracy, settings.tuning.margin_se).strategy
        yield strategy_name("tuned", f"lose {loss:g}"), tuned
    yield strategy_name("router", "router"), Strategy("router", pool)
    certified = CERTIFIED.load(made_for=key)
    for kind, result in certified[settings.certification.of].items():
        if kind != "router" and not isinstance(result, NotCertified):
            yield strategy_name("certified", kind), result.strategy
    name, of = other_certified(settings)
    if not isinstance(other := certified[of]["cascade"], NotCertified):
        yield name, other.strategy
