"""What the settings of every kind of model have in common."""

import importlib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from eco.errors import extra

with extra("workflow"):
    from pydantic import (
        AfterValidator,
        BaseModel,
        ConfigDict,
        Field,
        field_validator,
    )

KINDS = Path(__file__).parent / "kinds"

#: No number of a model's section is larger, and no list longer.
LARGEST, LONGEST = 1_000_000, 100
#: Characters of a name: those of models are parts of paths.
NAME = 40

Count = Annotated[int, Field(ge=1, le=100_000)]
Epochs = Annotated[int, Field(ge=1, le=10_000)]
Positive = Annotated[float, Field(ge=1e-9, le=LARGEST)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
PositiveFraction = Annotated[float, Field(gt=0, le=1)]


class RuleError(ValueError):
    """Settings that don't fit each other: the problem continues the key."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key} {problem}")


def _model_name(name: str) -> str:
    if not name.isascii() or not name.isidentifier() or name != name.lower() or name[0] == "_":
        raise ValueError("must be lower case letters, digits and _, a letter first")
    if name.endswith("router"):  # as the results of routers do
        raise ValueError("must not end in router")
    if len(name) > NAME:
        raise ValueError(f"must have at most {NAME} letters")
    return name


def distinct(values: list[Any]) -> list[Any]:
    """The values, of which there must be one, and none twice."""
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated or not values:
        raise ValueError("must name at least one, and each once")
    return values


ModelName = Annotated[str, AfterValidator(_model_name)]


class Section(BaseModel):
    """A section of params.yaml: read-only, no unknown keys, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, regex_engine="python-re"
    )


class ModelSettings(Section):
    """What every section under ``models`` holds.

    A file in eco/models/kinds may hold a subclass called ``Settings``; its fields are the
    arguments of the file's class ``Model``, and ``kind`` and ``targets``.
    """

    #: Whether the kind can compute with 8-bit integers: what branches has nothing to gain.
    quantizable: ClassVar[bool] = True
    #: Whether the kind can learn from soft targets.
    learns_from_soft_targets: ClassVar[bool] = False

    kind: str = Field(
        pattern=r"^[a-z][a-z0-9_]*\Z", description="File in eco/models/kinds that makes the model."
    )
    targets: Literal["hard", "soft"] = Field(
        description="`hard`: the labels. `soft`: the labels and the last model's probabilities "
        "(knowledge distillation); networks only."
    )

    @field_validator("targets")
    @classmethod
    def _can_be_learnt(cls, targets: str) -> str:
        if targets == "soft" and not cls.learns_from_soft_targets:
            raise ValueError("must be hard: models of this kind learn from labels only")
        return targets

    @field_validator("*")
    @classmethod
    def _is_bounded(cls, value: Any) -> Any:
        """A limit for what has no narrower one."""
        values = value if isinstance(value, list) else [value]
        if len(values) > LONGEST:
            raise ValueError(f"must hold at most {LONGEST} numbers")
        if any(isinstance(number, int | float) and abs(number) > LARGEST for number in values):
            raise ValueError(f"must be at most {LARGEST}")
        return value


class NetworkSettings(ModelSettings):
    """How a network is trained: AdamW, cosine schedule; images are shifted and mirrored."""

    learns_from_soft_targets: ClassVar[bool] = True

    epochs: Epochs = Field(description="Passes over the training samples.")
    batch_size: Count = Field(description="Samples per step.")
    learning_rate: Annotated[float, Field(ge=1e-9, le=1)] = Field(
        description="The largest; it rises over the first tenth of the steps and falls to 0 as a "
        "cosine."
    )
    weight_decay: float = Field(ge=0, le=10, description="Of AdamW.")
    label_smoothing: Fraction = Field(description="Share of a label spread over all classes.")
    max_shift: int = Field(
        0, ge=0, le=64, description="Of images: pixels by which they are shifted at random."
    )
    mirror: bool = Field(False, description="Of images: whether they are mirrored at random.")
    precision: Literal["float32", "bfloat16"] = Field(
        description="Numbers that training computes with."
    )


class OwnSettings(ModelSettings):
    """Settings of a kind without a schema: the arguments of its class ``Model`` check them."""

    model_config = ConfigDict(extra="allow", strict=False)

    learns_from_soft_targets: ClassVar[bool] = True

    @field_validator("kind")
    @classmethod
    def _has_a_file(cls, kind: str) -> str:
        if kind not in kinds():
            raise ValueError(f"must be one of {', '.join(kinds())}")
        return kind


def kinds() -> list[str]:
    """The kinds of models: those that have a file."""
    return sorted(path.stem for path in KINDS.glob("[a-z]*.py"))


def settings_class(kind: str) -> type[ModelSettings]:
    """The schema of the sections of one kind."""
    module = importlib.import_module(f"eco.models.kinds.{kind}")
    schema: type[ModelSettings] = getattr(module, "Settings", OwnSettings)
    return schema


def parse_settings(section: Any) -> ModelSettings:
    """The checked section of one model, by the schema of its kind."""
    kind = section.get("kind") if isinstance(section, dict) else None
    schema = settings_class(kind) if isinstance(kind, str) and kind in kinds() else OwnSettings
    return schema.model_validate(section)
