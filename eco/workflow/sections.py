"""The sections of params.yaml: every setting, what it means and what it must be."""

from typing import Annotated, Any, Literal, Self

from eco.data.files import Reading
from eco.data.kinds import Kind
from eco.errors import extra
from eco.models.settings import (
    LARGEST,
    NAME,
    Count,
    Fraction,
    ModelName,
    Positive,
    PositiveFraction,
    RuleError,
    Section,
    Share,
    distinct,
)
from eco.strategies.certification import Measure
from eco.strategies.names import CERTIFIED, TUNED
from eco.workflow.countries import check_country

with extra("workflow"):
    from pydantic import (
        AfterValidator,
        BeforeValidator,
        Field,
        field_validator,
        model_validator,
    )

#: Data sets that are found or downloaded; any other lies at `data.path`.
BUILT_IN_DATA = ("fashion-mnist", "digits")

#: Shares that are held out add up to less.
MOST_HELD_OUT = 0.9

#: What `cascading.thresholds` may say instead of numbers; both bring their own models.
SELECTED = (TUNED, CERTIFIED)


def _is_number(value: Any, highest: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= highest


def _price(value: Any) -> Any:
    if value != "tuned" and not _is_number(value, LARGEST):
        raise ValueError(f"must be tuned or a number from 0 to {LARGEST}")
    return value


def _thresholds(value: Any) -> Any:
    if not isinstance(value, list | str):
        raise ValueError(
            f"must be a list of numbers, {' or '.join(SELECTED)}, or the name of a preset"
        )
    for threshold in value if isinstance(value, list) else []:
        if not _is_number(threshold, 1):
            problem = f"must hold numbers from 0 to 1, got {threshold!r} in {value}"
            raise RuleError("cascading.thresholds", problem)
    return value


Column = Annotated[str, Field(min_length=1, max_length=200)]
OptionalColumn = Annotated[str, Field(max_length=200)]
Points = Annotated[float, Field(ge=0.001, lt=100)]
Pool = Annotated[list[ModelName], Field(max_length=30), AfterValidator(distinct)]
PresetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*\Z", max_length=NAME)]


class Shares(Section):
    """Shares of the training images that are held out; the rest is trained on."""

    calibration: Share = Field(description="Calibrates probabilities, and trains routers.")
    tuning: Share = Field(description="Tunes thresholds and prices.")
    certification: Share = Field(description="Certifies what was tuned.")

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.calibration + self.tuning + self.certification >= MOST_HELD_OUT:
            raise ValueError(
                "must leave at least a tenth of the samples to train on, "
                f"got {self.calibration} + {self.tuning} + {self.certification}"
            )
        return self


class Data(Section):
    """Which data set, where it lies, and how it is split."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*\Z", max_length=NAME)] = Field(
        description="`fashion-mnist`: the study. `digits`: scikit-learn's bundled digits. Any "
        "other name: a data set of your own at `data.path`."
    )
    kind: Kind = Field(
        default="images",
        description="What samples are: `images`, `table` (rows of numbers and categories) or "
        "`text`.",
    )
    path: str = Field(
        max_length=4096,
        description="An .npz file; of images, or a folder of four IDX files; of a table or texts, "
        "or .csv, .csv.gz or .parquet; of fashion-mnist, a folder that is tried before any "
        "download.",
    )
    target: Column = Field(
        default="target", description="Of .csv and .parquet: the column with the class."
    )
    text: Column = Field(
        default="text", description="Of .csv and .parquet: the column with the texts."
    )
    groups: OptionalColumn = Field(
        default="",
        description="Of .csv and .parquet: a column of which equal values are in one split; "
        "`''`: none.",
    )
    time: OptionalColumn = Field(
        default="",
        description="Of .csv and .parquet: a column by which the latest rows are held out; "
        "`''`: none.",
    )
    words: Count = Field(
        default=20_000,
        description="Words of texts that have an id, at most: the most frequent ones of train.",
    )
    length: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=128, description="Words of a text that are kept: the first ones."
    )
    shares: Shares

    @model_validator(mode="after")
    def _own_data_have_a_path(self) -> Self:
        if self.name not in BUILT_IN_DATA and not self.path:
            raise RuleError(
                "data.name",
                f"must be {' or '.join(BUILT_IN_DATA)}, or data.path must say where the data set "
                f"of your own lies; got data.name {self.name!r} and no path",
            )
        if self.name == "digits" and self.path:
            problem = f"must be empty for digits, which are bundled; got {self.path!r}"
            raise RuleError("data.path", f"{problem}. Give data of your own another data.name")
        if self.name in BUILT_IN_DATA and self.kind != "images":
            raise RuleError("data.kind", f"must be images, as {self.name} are; got {self.kind}")
        if self.name in BUILT_IN_DATA and (self.groups or self.time):
            key = "data.groups" if self.groups else "data.time"
            raise RuleError(key, f"must be '', as {self.name} have no columns")
        if self.groups and self.time:
            raise RuleError("data.time", "must be '' where data.groups is a column; got both")
        return self

    @property
    def reading(self) -> Reading:
        """What samples are, and what of a file is read."""
        keys = {"kind", "target", "text", "groups", "time", "words", "length"}
        return Reading(**self.model_dump(include=keys))


class Calibration(Section):
    """How the models' probabilities are calibrated."""

    method: Literal["temperature", "isotonic", "none"] = Field(
        description="`temperature`: one factor per model. `isotonic`: a rising line per class. "
        "`none`: probabilities as trained."
    )


class Distillation(Section):
    """How the last model teaches those that learn from soft targets."""

    weight: PositiveFraction = Field(
        description="Share of the last model's probabilities in a soft target; the rest: the label."
    )
    mirror: bool = Field(
        description="Whether they are the mean of an image's and of its mirror image's; of images "
        "only."
    )


class Energy(Section):
    """How joules are measured, and which of the figures the strategies use."""

    batch_size: Count = Field(description="Whose joules strategies use; one of `batch_sizes`.")
    threads: Annotated[int, Field(ge=1, le=1024)] = Field(
        description="Threads of one inference session."
    )
    mode: Literal["auto", "rapl", "load"] = Field(
        description="`rapl`: the processor's own counters. `load`: CPU time x `watts_per_core`. "
        "`auto`: the first there is."
    )
    country: Annotated[str, AfterValidator(check_country)] = Field(
        description="ISO code of the country whose grid turns joules into g CO2e."
    )
    watts_per_core: Annotated[float, Field(ge=1e-3, le=1000)] = Field(
        description="Watts of one busy core in mode `load`: joules scale with it, ratios don't."
    )
    half_width: Share = Field(
        description="Of each 95 % interval, as a share of its mean: ends the rounds when reached."
    )
    drift: Fraction = Field(
        description="Half-width by which a later run differs beyond what the rounds of one run "
        "show; it widens every interval. `make measurecheck` says whether it is wide enough."
    )
    window_s: Annotated[float, Field(ge=0.05, le=0.9)] = Field(
        description="CPU seconds of one reading. CodeCarbon reads CPU time in ticks of 10 ms; past "
        "1 s its background sampler can count work twice."
    )
    budget_s: Positive = Field(description="Seconds after which no new round begins anyway.")
    batch_sizes: Annotated[list[Count], Field(max_length=30), AfterValidator(distinct)] = Field(
        description="Batch sizes that are measured."
    )

    @model_validator(mode="after")
    def _batch_size_is_measured(self) -> Self:
        if self.batch_size not in self.batch_sizes:
            problem = f"must be one of the measured batch_sizes {self.batch_sizes}"
            raise RuleError("energy.batch_size", f"{problem}, got {self.batch_size}")
        return self


class Oracle(Section):
    """What the oracle does where no model is right."""

    none_correct: Literal["last", "cheapest"] = Field(
        description="The model that it names there; `last` is the original study's rule."
    )


class Router(Section):
    """Settings of the routers."""

    C: Positive = Field(
        description="Inverse regularization of the original study's router, a logistic regression "
        "from pixels to the oracle's model."
    )
    max_iter: Count = Field(description="Iterations of its solver.")
    class_weight: Literal["balanced", "none"] = Field(
        description="`balanced`: rare oracle labels weigh as much as frequent ones."
    )
    pixels: Literal["linear", "square_root"] = Field(
        description="What the routers that predict P(correct) make of pixels."
    )
    hidden_units: Annotated[int, Field(ge=1, le=10_000)] = Field(
        description="Hidden units of these routers."
    )
    probe: ModelName = Field(
        description="The model whose probabilities the probe router reads; not the last."
    )
    price: Annotated[float | Literal["tuned"], BeforeValidator(_price)] = Field(
        description="Probability of being right given up to save one run of the last model; "
        "`tuned`: for the target in `tuning`."
    )


class Cascading(Section):
    """Which models form the cascade, and the confidence at which each accepts."""

    confidence: Literal["max_probability", "margin", "entropy"] = Field(
        description="What of a model's probabilities is its confidence."
    )
    active_models: Pool = Field(description="The models in the order they run.")
    thresholds: Annotated[list[float] | str, BeforeValidator(_thresholds)] = Field(
        description="One number for each active model: at or above it the answer is accepted, "
        "below it the sample is deferred to the next model; the last is 0.0. Or the name of a "
        "preset. Or `tuned` or `certified`: models and thresholds for the targets in `tuning` or "
        "`certification`."
    )
    presets: dict[PresetName, list[Annotated[float, Field(ge=0, le=1)]]] = Field(
        description="Thresholds of the active models under a name."
    )

    @field_validator("presets")
    @classmethod
    def _presets_end_in_zero(cls, presets: dict[str, list[float]]) -> dict[str, list[float]]:
        for name, thresholds in presets.items():
            if not thresholds or thresholds[-1] != 0:
                raise RuleError(f"cascading.presets.{name}", f"must end in 0.0, got {thresholds}")
        return presets

    @model_validator(mode="after")
    def _one_threshold_per_active_model(self) -> Self:
        if self.thresholds in SELECTED:
            return self
        if isinstance(self.thresholds, str) and self.thresholds not in self.presets:
            raise RuleError(
                "cascading.thresholds",
                f"must be a list, {' or '.join(SELECTED)}, or the name of a preset "
                f"({', '.join(self.presets)}), got {self.thresholds!r}",
            )
        chosen, n_models = self.chosen_thresholds, len(self.active_models)
        if len(chosen) != n_models or chosen[-1] != 0:
            raise RuleError(
                "cascading.thresholds",
                f"must hold one threshold for each of the {n_models} active models "
                f"({', '.join(self.active_models)}), the last of them 0.0; "
                f"got {len(chosen)}: {chosen}",
            )
        return self

    @property
    def chosen_thresholds(self) -> list[float]:
        """The numbers, also where params.yaml names a preset; not of `SELECTED`."""
        chosen = self.thresholds
        return self.presets[chosen] if isinstance(chosen, str) else chosen


class Tuning(Section):
    """What thresholds and prices are tuned for."""

    target: Literal["max_accuracy_loss", "energy_budget"] = Field(
        description="Which of the two limits counts."
    )
    max_accuracy_loss: Annotated[float, Field(ge=0, lt=100)] = Field(
        description="Points of accuracy below the last model."
    )
    energy_budget: PositiveFraction = Field(description="Share of the last model's energy.")
    candidates: list[ModelName] = Field(
        max_length=30,
        description="The models of the pool that cascades are tuned from, and certified; the last "
        "one among them. `[]`: all. The others are measured and reported.",
    )
    margin_se: Annotated[float, Field(ge=0, le=10)] = Field(
        description="Standard errors, on the tuning images, that must lie between what a setting "
        "does there and the limit: what is chosen does worse on new images. With 0 most limits "
        "of a loss are missed (docs/results.md)."
    )
    settings_per_chain: Annotated[int, Field(ge=100, le=10_000_000)] = Field(
        description="Combinations of thresholds tried for each sub-chain of the pool."
    )
    longest_chain: Annotated[int, Field(ge=1, le=100)] = Field(
        description="Models in the longest chain that is tried; their number decides the time."
    )


class Certification(Section):
    """What is certified of a strategy."""

    of: Measure = Field(
        description="What `certified` stands for; `harm` is the stricter one. Both are computed."
    )
    max_loss: Points = Field(description="Points of accuracy below the last model's.")
    max_harm: Points = Field(description="Points of harm: only the last model is right.")
    delta: Share = Field(description="Probability with which a certificate may be wrong.")
    resplits: Annotated[int, Field(ge=100, le=10_000)] = Field(
        description="Draws in which it is counted how often certificates are wrong."
    )
