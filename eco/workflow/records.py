"""What rows, metrics and energies must hold: the schema of each file, checked on reading."""

from typing import Annotated, Any, ClassVar, Literal, Self

from eco.energy.measurement import Measurements
from eco.errors import extra
from eco.models.settings import RuleError
from eco.strategies.strategy import Kind, Strategy
from eco.workflow.codecs import DamagedError, Names

with extra("workflow"):
    from pydantic import (
        AfterValidator,
        BaseModel,
        ConfigDict,
        Field,
        ValidationInfo,
        create_model,
        model_validator,
    )

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Unit = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A table of a file. What it holds beyond its schema is kept as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)

    #: Keys in which the rows of a file differ; rows where one is empty are points of a curve.
    identity: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _lies_in_its_intervals(self) -> Self:
        figures = {k: v for k, v in self if isinstance(v, float | int)}
        for key, value in figures.items():
            low, high = (figures.get(f"{key}_{end}", value) for end in ("low", "high"))
            room = 1e-9 * max(1, abs(value))
            if not low - room <= value <= high + room:
                raise ValueError(f"must have {key} from {low} to {high}, got {value}")
        return self


class Settings(Record):
    """The settings of a strategy, of models that the pool has, where that is known."""

    kind: Kind
    models: list[str]
    thresholds: list[Unit] = []
    price: float | None = None
    probe: str | None = None

    @model_validator(mode="after")
    def _are_of_a_strategy(self, info: ValidationInfo) -> Self:
        try:
            Strategy.from_json(self.model_dump())
        except ValueError:
            raise ValueError(f"must hold the settings of one {self.kind}") from None
        names = info.context or {}
        pool = names["made_for"].pool if "made_for" in names else names.get("pool", self.models)
        if unknown := set(self.models) - set(pool):
            raise ValueError(f"must name models of {', '.join(pool)}; got {', '.join(unknown)}")
        return self


class Point(Settings):
    """A strategy, and its figures on the samples that it was found on."""

    accuracy: Unit
    energy_j: Positive
    accuracy_se: NonNegative
    energy_se_j: NonNegative


class Scores(Record):
    """What is compared of models and strategies."""

    accuracy: Unit
    accuracy_low: float | None
    accuracy_high: float | None
    energy_j: Positive
    energy_j_low: float | None
    energy_j_high: float | None
    energy_share: NonNegative
    energy_share_low: float | None
    energy_share_high: float | None


class ScoredRow(Settings, Scores):
    """A strategy that has a name, and its scores."""

    identity = ("strategy", "name")
    strategy: str
    name: str
    label: str
    share: dict[str, Unit]
    accuracy_on_share: dict[str, Unit | None]

    @model_validator(mode="after")
    def _answers_by_the_pool(self, info: ValidationInfo) -> Self:
        pool = (info.context or {}).get("pool", self.share)
        if not set(pool) <= self.share.keys() & self.accuracy_on_share.keys():
            raise ValueError(f"must hold share and accuracy_on_share of {', '.join(pool)}")
        return self


class PointRow(Record):
    """A point of a picture, or of a curve, which has no name."""

    identity = ("strategy", "name")
    strategy: str
    name: str = ""
    label: str = ""
    accuracy: Unit
    energy_share: NonNegative


class TrainingRow(Record):
    """An epoch of a model, on one split."""

    identity = ("model", "epoch", "split")
    model: str
    epoch: Count
    split: Literal["train", "held out"]
    accuracy: Unit
    loss: float | None = None


class CalibrationRow(Record):
    """A bin of confidences."""

    model: str
    when: Literal["before", "after"]
    confidence: Unit
    accuracy: Unit
    samples: Count


class Energy(Record):
    """The energy of a workload at one batch size."""

    batch_size: Annotated[int, Field(ge=1)]
    energy_j: Positive
    energy_j_low: float
    energy_j_high: float
    flags: list[str] = []


class EnergyRow(Energy):
    """The energy of a model, router or strategy."""

    identity: ClassVar[tuple[str, ...]] = ("name", "batch_size")
    name: str


class FormatRow(Energy):
    """The energy of a model in one format."""

    identity = ("model", "format", "batch_size")
    model: str
    format: str
    energy_share: NonNegative


class MeteredRow(EnergyRow):
    """What a strategy took as it ran."""

    energy_share: NonNegative


class MeasurementRow(EnergyRow):
    """A measurement, of whose other fields `Measurement.from_json` says what they must be."""

    identity = ("name", "batch_size", "format")
    format: str | None = None


class ViolationRow(Record):
    """How often certificates for a bound were wrong."""

    identity = ("of", "strategy", "max_points")
    of: Literal["loss", "harm"]
    strategy: str
    max_points: Positive
    violation_rate: Unit
    delta: Unit


class TargetRow(Record):
    """How cascades tuned for a target did on fresh samples."""

    identity = ("target", "limit", "margin_se")
    target: Literal["max_accuracy_loss", "energy_budget"]
    limit: NonNegative
    margin_se: NonNegative
    kept: Unit
    accuracy_loss_points: float
    accuracy_loss_points_low: float
    accuracy_loss_points_high: float
    energy_share: NonNegative
    energy_share_low: NonNegative
    energy_share_high: NonNegative


class ShareRow(Record):
    """Which share of the samples a model answers."""

    identity = ("point", "model")
    point: str
    model: str
    share: Unit
    accuracy: Unit | None = None


def _differ(rows: list[Any]) -> list[Any]:
    first: dict[tuple[Any, ...], int] = {}
    for place, row in enumerate(rows):
        key = tuple(getattr(row, name) for name in row.identity)
        if key and "" not in key and first.setdefault(key, place) != place:
            problem = f"must differ in {', '.join(row.identity)}; both are of {key}"
            raise RuleError(f"rows {first[key]} and {place}", problem)
    return rows


def rows(row: type[Record]) -> Any:
    """The schema of a list of rows, of which there is one at least, and no two of the same."""
    return Annotated[list[row], Field(min_length=1), AfterValidator(_differ)]  # type: ignore[valid-type]


def table(**keys: Any) -> Any:
    """The schema of a file of metrics with these keys, of these types."""
    fields: dict[str, Any] = {key: (kind, ...) for key, kind in keys.items()}
    return create_model("Metrics", __base__=Record, **fields)


class TrainingFigures(Record):
    """What the training of a model took."""

    targets: Literal["hard", "soft"]
    cpu_seconds: NonNegative


class TeachingFigures(Record):
    """What the making of soft targets took."""

    cpu_seconds: NonNegative


class RouterFigures(Record):
    """What the fitting of each router took."""

    cpu_seconds: dict[str, NonNegative]


class TuningFigures(Record):
    """What the search took."""

    energy_j: NonNegative


class FoundFigures(Record):
    """Scores of what was found, as far as there is any, and figures of other losses."""

    __pydantic_extra__: dict[str, Record]
    tuned: Scores | None = None
    certified: Scores | None = None
    certified_loss: Scores | None = None
    certified_harm: Scores | None = None


class FootprintFigures(Record):
    """A thousand predictions of a strategy."""

    j_per_1000: NonNegative
    wh_per_1000: NonNegative
    g_co2e_per_1000: NonNegative
    extra_j: float | None = None
    break_even_predictions: Count | None = None
    pays: str = ""


class _Provenance(Record):
    grid_g_co2e_per_kwh: NonNegative
    seconds: NonNegative
    drift: NonNegative = 0.0
    fingerprint: dict[str, Any] = {}


class MeasurementsFile(Record):
    """Measured energies, and where, when and how they were read."""

    provenance: _Provenance
    measurements: rows(MeasurementRow)  # type: ignore[valid-type]


def measurements(values: Any, _: Names) -> Measurements:
    """What a `MeasurementsFile` holds."""
    try:
        return Measurements.from_json(values)
    except ValueError as error:
        raise DamagedError(str(error)) from None
