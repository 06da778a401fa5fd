"""What was found, tuned or certified: the schema and the content of two files in data."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from eco.errors import extra
from eco.models.settings import RuleError
from eco.strategies import routing
from eco.strategies.baselines import RULES
from eco.strategies.certification import MEASURES, Measure, NotCertified
from eco.strategies.strategy import OperatingPoint
from eco.workflow.codecs import DamagedError, Names
from eco.workflow.records import Count, Point, Positive, Record, Unit

with extra("workflow"):
    from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

#: Rules that found the settings of data/frontier.json.
FRONTIERS = ("accuracy", "harm", *RULES)


@dataclass(frozen=True)
class MadeFor:
    """What tuned and certified settings hold for: elsewhere their thresholds mean nothing."""

    data: str
    batch_size: int
    confidence: str
    pool: tuple[str, ...]


class _MadeFor(Record):
    data: str
    batch_size: int
    confidence: str
    pool: list[str]


class _Made(Record):
    made_for: _MadeFor

    @field_validator("made_for")
    @classmethod
    def _is_of_these_settings(cls, made_for: _MadeFor, info: ValidationInfo) -> _MadeFor:
        expected: MadeFor = (info.context or {})["made_for"]
        for key, value in {**asdict(expected), "pool": list(expected.pool)}.items():
            if (found := getattr(made_for, key)) != value:
                raise DamagedError(f"was made for {key} {found}, not {value}")
        return made_for


class FrontierFile(_Made):
    """The settings that no other one beats, by the rule that found them."""

    reference_accuracy: Unit
    frontiers: dict[str, Annotated[list[Point], Field(min_length=1)]]

    @field_validator("frontiers")
    @classmethod
    def _rise(cls, frontiers: dict[str, list[Point]]) -> dict[str, list[Point]]:
        for rule in FRONTIERS:
            kind = "agreement" if rule == "agreement voting" else "cascade"
            points, key = frontiers.get(rule, []), f"frontiers.{rule}"
            if not points or any(point.kind != kind for point in points):
                raise RuleError(key, f"must hold settings of kind {kind}")
            for place, (one, other) in enumerate(itertools.pairwise(points)):
                if one.energy_j >= other.energy_j or one.accuracy >= other.accuracy:
                    problem = f"must rise in energy_j and accuracy from point {place} to the next"
                    raise RuleError(key, problem)
        return frontiers


class _Reason(Record):
    of: Measure
    max_points: Positive
    delta: Annotated[float, Field(gt=0, lt=1)]
    n_samples: Count
    n_harmed: Count
    n_gained: Count


class _NotCertified(Record):
    not_certified: _Reason


_Result = Point | _NotCertified


def _certified(value: Any, info: ValidationInfo) -> Record:
    is_reason = isinstance(value, dict) and "not_certified" in value
    schema: type[Record] = _NotCertified if is_reason else Point
    return schema.model_validate(value, context=info.context)


class CertifiedFile(_Made):
    """What is certified of every kind of strategy, or why nothing is, for loss and for harm."""

    certified: dict[Measure, dict[str, Annotated[_Result, BeforeValidator(_certified)]]]

    @field_validator("certified")
    @classmethod
    def _kinds_are_theirs(cls, certified: dict[Measure, dict[str, Any]]) -> dict[Measure, Any]:
        for of, kind in itertools.product(MEASURES, ("cascade", *routing.KINDS)):
            results = certified.get(of, {})
            if kind not in results or getattr(results[kind], "kind", kind) != kind:
                raise RuleError(f"certified.{of}.{kind}", f"must hold a setting of {kind}")
        return certified


@dataclass(frozen=True)
class Frontiers:
    """The settings that no other one beats, by rising energy, by the rule that found them.

    ``reference_accuracy``: that of the last model on the tuning split.
    """

    reference_accuracy: float
    points: Mapping[str, Sequence[OperatingPoint]]


def frontiers(values: Any, _: Names) -> Frontiers:
    """What a `FrontierFile` holds."""
    found = values["frontiers"]
    points = {rule: [OperatingPoint.from_json(row) for row in found[rule]] for rule in FRONTIERS}
    return Frontiers(float(values["reference_accuracy"]), points)


def frontiers_json(value: Frontiers, names: Names) -> dict[str, Any]:
    """What `frontiers` reads."""
    return {
        "made_for": asdict(names["made_for"]),
        "reference_accuracy": value.reference_accuracy,
        "frontiers": {rule: [p.to_json() for p in points] for rule, points in value.points.items()},
    }


#: By what is bounded, and by kind of strategy, what is certified, or why nothing is.
Certified = Mapping[Measure, Mapping[str, OperatingPoint | NotCertified]]


def certified(values: Any, _: Names) -> Certified:
    """What a `CertifiedFile` holds."""
    kinds = ("cascade", *routing.KINDS)
    return {of: {k: _from_json(values["certified"][of][k]) for k in kinds} for of in MEASURES}


def _from_json(row: Mapping[str, Any]) -> OperatingPoint | NotCertified:
    reason = row.get("not_certified")
    return NotCertified.from_json(reason) if reason else OperatingPoint.from_json(row)


def certified_json(value: Certified, names: Names) -> dict[str, Any]:
    """What `certified` reads."""
    rows = {
        of: {
            kind: {"not_certified": x.to_json()} if isinstance(x, NotCertified) else x.to_json()
            for kind, x in results.items()
        }
        for of, results in value.items()
    }
    return {"made_for": asdict(names["made_for"]), "certified": rows}
