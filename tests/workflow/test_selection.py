import pytest

from eco.energy.measurement import Measurement, Measurements
from eco.errors import FileError, TargetError
from eco.strategies.certification import NotCertified
from eco.strategies.strategy import OperatingPoint, Strategy, always
from eco.workflow import params
from eco.workflow.artifacts import CERTIFIED, ENERGY, FRONTIER, FRONTIERS, Frontiers
from eco.workflow.selection import (
    chosen_strategy,
    made_for,
    named_strategies,
    preset_strategies,
)
from tests.conftest import REPOSITORY

REASON = NotCertified("loss", 0.5, 0.05, 100, 3)
HARM_REASON = NotCertified("harm", 0.5, 0.05, 100, 3)


def cascade(*models_and_thresholds):
    models, thresholds = zip(*models_and_thresholds, strict=True)
    return Strategy("cascade", models, thresholds)


CHEAP = cascade(("tiny", 0.0))
MIDDLE = cascade(("tiny", 0.7), ("extra", 0.0))
SAFE = cascade(("large", 0.7), ("extra", 0.0))


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The committed settings beside a frontier of three points, and what is certified."""
    settings = params.load(REPOSITORY / "params.yaml")
    monkeypatch.chdir(tmp_path)
    pool = tuple(settings.pool)
    points = [(CHEAP, 0.80, 1.0), (MIDDLE, 0.893, 20.0), (SAFE, 0.896, 30.0)]
    points = [OperatingPoint(*point) for point in points]
    voting = OperatingPoint(Strategy("agreement", pool), 0.9, 50.0)
    frontiers = dict.fromkeys(FRONTIERS, points) | {"agreement voting": [voting]}
    FRONTIER.save(Frontiers(0.9, frontiers), made_for=made_for(settings))
    router = Strategy("price_router", pool, price=0.1)
    probes = Strategy("probe_cascade", pool, (0.9,), 0.2, "large")
    certified = {s.kind: OperatingPoint(s, 1.0, 9.0) for s in (always("extra"), router, probes)}
    loss = certified | {"router": REASON, "probe_router": REASON}
    harm = loss | {"cascade": OperatingPoint(SAFE, 1.0, 9.0)}
    CERTIFIED.save({"loss": loss, "harm": harm}, made_for=made_for(settings))
    row = Measurement("extra", 256, 100.0, 90.0, 110.0, (100.0,))
    ENERGY.save(Measurements({"grid_g_co2e_per_kwh": 50.0, "seconds": 60.0}, (row,)))
    return settings


def change(settings, section, **values):
    changed = getattr(settings, section).model_copy(update=values)
    return settings.model_copy(update={section: changed})


def test_numbers_and_presets_are_for_the_active_models(settings):
    models = tuple(settings.cascading.active_models)
    numbers = change(settings, "cascading", thresholds=[0.5, 0.4, 0.3, 0.0])
    assert chosen_strategy(numbers) == Strategy("cascade", models, (0.5, 0.4, 0.3, 0.0))
    preset = change(settings, "cascading", thresholds="aggressive")
    assert chosen_strategy(preset) == Strategy("cascade", models, (0.95, 0.9, 0.85, 0.0))


def test_tuned_meets_the_target_at_the_least_energy(settings):
    tuned = change(settings, "cascading", thresholds="tuned")
    assert chosen_strategy(tuned) == SAFE
    assert chosen_strategy(change(tuned, "tuning", max_accuracy_loss=1.0)) == MIDDLE
    budget = change(tuned, "tuning", target="energy_budget", energy_budget=0.25)
    assert chosen_strategy(budget) == MIDDLE
    # The last model alone loses nothing, so any loss can be met; not so any budget.
    assert chosen_strategy(change(tuned, "tuning", max_accuracy_loss=0.1)) == always("extra")
    with pytest.raises(TargetError, match=r"tuning\.energy_budget in params\.yaml"):
        chosen_strategy(change(budget, "tuning", energy_budget=0.001))


def test_certified_is_what_was_certified_or_says_why_there_is_nothing(settings):
    certified = change(settings, "cascading", thresholds="certified")
    assert chosen_strategy(certified) == always("extra")
    harm = change(certified, "certification", of="harm")
    assert chosen_strategy(harm) == SAFE
    found = CERTIFIED.load(made_for=made_for(settings))
    reasons = {"loss": REASON, "harm": HARM_REASON}
    nothing = {of: found[of] | {"cascade": reason} for of, reason in reasons.items()}
    CERTIFIED.save(nothing, made_for=made_for(settings))
    with pytest.raises(TargetError, match=r"takes 7\d\d .*Raise certification\.max_loss") as error:
        chosen_strategy(certified)
    assert (error.value.target, error.value.attainable) == ("max_loss", REASON.attainable)
    with pytest.raises(TargetError, match=r"takes at least 598 .*Raise certification\.max_harm"):
        chosen_strategy(harm)


def test_the_certificate_that_is_not_chosen_has_a_name_of_its_own(settings):
    named = named_strategies(settings)
    assert (named["certified"], named["certified_harm"]) == (always("extra"), SAFE)
    named = named_strategies(change(settings, "certification", of="harm"))
    assert (named["certified"], named["certified_loss"]) == (SAFE, always("extra"))


def test_what_was_tuned_for_other_settings_is_refused(settings):
    other = change(settings, "cascading", thresholds="tuned", confidence="margin")
    with pytest.raises(FileError, match="made for confidence max_probability, not margin"):
        chosen_strategy(other)


def test_every_strategy_that_can_run_has_a_name(settings):
    presets = settings.cascading.presets | {"of another length": [0.9, 0.0]}
    settings = change(settings, "cascading", presets=presets)
    named = named_strategies(settings)
    assert list(named) == [
        "always extra", "aggressive", "balanced", "conservative", "tuned to lose 0",
        "tuned to lose 0.5", "tuned to lose 1", "router", "certified", "price_router, certified",
        "probe_cascade, certified", "certified_harm",
    ]  # fmt: skip
    assert named["always extra"] == always("extra")
    assert named["tuned to lose 0"] == always("extra")
    assert named["tuned to lose 0.5"] == SAFE
    assert named["tuned to lose 1"] == MIDDLE
    assert named["router"] == Strategy("router", tuple(settings.pool))
    assert list(preset_strategies(settings)) == ["aggressive", "balanced", "conservative"]
