"""The schema of params.yaml: every setting, what it must be, and the message when it isn't."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eco.errors import ParamsError

PATH = Path("params.yaml")
KINDS = Path(__file__).parent / "kinds"

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Threshold = Annotated[float, Field(ge=0, le=1)]
# `router`, `price_router` and `probe_router` would take the place of models/router.onnx and so on.
MODEL_NAME = r"^(?!.*router$)[a-z][a-z0-9_]*\Z"
ModelName = Annotated[str, Field(pattern=MODEL_NAME)]

#: Data sets that are found or downloaded; any other lies at `data.path`.
BUILT_IN_DATA = ("fashion-mnist", "digits")

#: What `cascading.thresholds` may say instead of numbers: found on the tuning split, and found
#: there and certified on the certification split. They bring their own models.
FOUND = ("tuned", "certified")


def _distinct(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("must name at least one model")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"must name each model once, but repeats {', '.join(repeated)}")
    return names


def _distinct_sizes(sizes: list[int]) -> list[int]:
    if not sizes or len(set(sizes)) < len(sizes):
        raise ValueError(f"must name each batch size once, got {sizes}")
    return sizes


class Section(BaseModel):
    """A section of params.yaml: read-only, no unknown keys, no silent conversions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, regex_engine="python-re"
    )


class Shares(Section):
    """Shares of the training images that each held-out split takes; the rest is trained on."""

    calibration: Share
    tuning: Share
    certification: Share

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.calibration + self.tuning + self.certification >= 0.9:
            raise ValueError(
                "data.shares must leave at least a tenth of the images to train on, "
                f"got {self.calibration} + {self.tuning} + {self.certification}"
            )
        return self


class Data(Section):
    """Which data set, where it lies, and how it is split."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*\Z")]
    path: str
    shares: Shares

    @model_validator(mode="after")
    def _own_data_have_a_path(self) -> Self:
        if self.name not in BUILT_IN_DATA and not self.path:
            raise ValueError(
                f"data.name must be {' or '.join(BUILT_IN_DATA)}, or data.path must say where the "
                f"data set of your own lies; got data.name {self.name!r} and no path"
            )
        return self


class Distillation(Section):
    """How the last model teaches those that learn from soft targets."""

    weight: Annotated[float, Field(gt=0, le=1)]
    mirror: bool


class DecisionTree(Section):
    """Settings of `sklearn.tree.DecisionTreeClassifier`."""

    kind: Literal["decision_tree"]
    targets: Literal["hard"]
    max_leaf_nodes: Annotated[int, Field(ge=2)]


class LogisticRegression(Section):
    """Settings of `sklearn.linear_model.LogisticRegression`."""

    kind: Literal["logistic_regression"]
    targets: Literal["hard"]
    C: Positive
    max_iter: Count
    pixels: Literal["linear", "square_root"]


class RandomForest(Section):
    """Settings of `sklearn.ensemble.RandomForestClassifier`."""

    kind: Literal["random_forest"]
    targets: Literal["hard"]
    n_estimators: Count
    min_samples_leaf: Count
    max_features: Annotated[float, Field(gt=0, le=1)]
    bootstrap: bool
    pixels: Literal["whole", "edges"]


class Network(Section):
    """How a network is trained: AdamW, cosine schedule, shifted and mirrored images."""

    targets: Literal["hard", "soft"]
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Fraction
    max_shift: Annotated[int, Field(ge=0)]
    mirror: bool
    precision: Literal["float32", "bfloat16"]


class MLP(Network):
    """Settings of the multi-layer perceptron."""

    kind: Literal["mlp"]
    units: Annotated[list[Count], Field(min_length=1)]
    dropout: Fraction


class Convolutional(Network):
    """Filters and strides of a convolutional network."""

    filters: Annotated[list[Count], Field(min_length=1)]
    strides: list[Annotated[int, Field(ge=1, le=4)]]

    @model_validator(mode="after")
    def _one_stride_for_each(self) -> Self:
        if len(self.strides) != len(self.filters):
            raise ValueError(
                f"must have one of strides for each of its {len(self.filters)} filters, "
                f"got {self.strides}"
            )
        return self


class StridedCNN(Convolutional):
    """Settings of the plain convolutional network."""

    kind: Literal["strided_cnn"]


class CNN(Convolutional):
    """Settings of the residual convolutional network."""

    kind: Literal["cnn"]
    stem: Literal["pooled", "folded"]
    stem_filters: Count
    small_epochs: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ends_on_whole_images(self) -> Self:
        if self.small_epochs >= self.epochs:
            raise ValueError(
                f"must have small_epochs below its {self.epochs} epochs, got {self.small_epochs}"
            )
        return self

    @model_validator(mode="after")
    def _folds_images_of_one_size(self) -> Self:
        if self.small_epochs and self.stem == "folded":
            raise ValueError(
                "must have small_epochs 0 with stem folded, whose layers fit one size of image, "
                f"got {self.small_epochs}"
            )
        return self


class OwnKind(BaseModel):
    """Settings of a kind that has a file in eco/kinds and no schema here: its class checks them."""

    model_config = ConfigDict(
        frozen=True, extra="allow", allow_inf_nan=False, regex_engine="python-re"
    )

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\Z")]
    targets: Literal["hard", "soft"]

    @field_validator("kind")
    @classmethod
    def _has_a_file(cls, kind: str) -> str:
        if not (KINDS / f"{kind}.py").is_file():
            raise ValueError(f"must be one of {', '.join(_kinds())}; got {kind!r}")
        return kind


SCHEMAS = {
    "decision_tree": DecisionTree,
    "logistic_regression": LogisticRegression,
    "random_forest": RandomForest,
    "mlp": MLP,
    "strided_cnn": StridedCNN,
    "cnn": CNN,
}
#: Kinds that branch instead of multiplying: integers would change nothing.
TREES = ("decision_tree", "random_forest")


def _schema(section: Any) -> str:
    kind = section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None)
    return kind if isinstance(kind, str) and kind in SCHEMAS else "own"


Model = Annotated[
    Annotated[DecisionTree, Tag("decision_tree")]
    | Annotated[LogisticRegression, Tag("logistic_regression")]
    | Annotated[RandomForest, Tag("random_forest")]
    | Annotated[MLP, Tag("mlp")]
    | Annotated[StridedCNN, Tag("strided_cnn")]
    | Annotated[CNN, Tag("cnn")]
    | Annotated[OwnKind, Tag("own")],
    Discriminator(_schema),
]


class Calibration(Section):
    """How the models' probabilities are calibrated."""

    method: Literal["temperature", "isotonic", "none"]


class Energy(Section):
    """How joules are measured, and which of the figures the strategies use."""

    batch_size: Count
    batch_sizes: Annotated[list[Count], AfterValidator(_distinct_sizes)]
    threads: Count
    mode: Literal["auto", "rapl", "load"]
    country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    watts_per_core: Positive
    half_width: Share
    drift: Fraction
    budget_s: Positive

    @model_validator(mode="after")
    def _batch_size_is_measured(self) -> Self:
        if self.batch_size not in self.batch_sizes:
            raise ValueError(
                f"energy.batch_size must be one of the measured batch_sizes {self.batch_sizes}, "
                f"got {self.batch_size}"
            )
        return self


class Oracle(Section):
    """Which model the oracle names where no model is right."""

    none_correct: Literal["last", "cheapest"]


class Router(Section):
    """Settings of the routers."""

    C: Positive
    max_iter: Count
    class_weight: Literal["balanced", "none"]
    pixels: Literal["linear", "square_root"]
    hidden_units: Count
    probe: ModelName
    price: Annotated[float, Field(ge=0)] | Literal["tuned"]


class Tuning(Section):
    """What thresholds and prices are tuned for."""

    target: Literal["max_accuracy_loss", "energy_budget"]
    max_accuracy_loss: Annotated[float, Field(ge=0, lt=100)]
    energy_budget: Positive
    settings_per_chain: Annotated[int, Field(ge=100, le=10_000_000)]


class Certification(Section):
    """What is certified: the harm, in points, and how often the certificate may be wrong."""

    max_harm: Annotated[float, Field(gt=0, lt=100)]
    delta: Share
    resplits: Annotated[int, Field(ge=100)]


class Cascading(Section):
    """Which models form the cascade, and the confidence at which each accepts."""

    confidence: Literal["max_probability", "margin", "entropy"]
    active_models: Annotated[list[ModelName], AfterValidator(_distinct)]
    thresholds: list[Threshold] | str
    presets: dict[str, list[Threshold]]

    @field_validator("thresholds", mode="before")
    @classmethod
    def _thresholds_are_shares(cls, value: Any) -> Any:
        if not isinstance(value, list | str):
            raise ValueError(
                f"must be a list of numbers, {' or '.join(FOUND)}, or the name of a preset, "
                f"got {value!r}"
            )
        for threshold in value if isinstance(value, list) else []:
            is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
            if not is_number or not 0 <= threshold <= 1:
                raise ValueError(f"must hold numbers from 0 to 1, got {threshold!r} in {value}")
        return value

    @field_validator("presets")
    @classmethod
    def _presets_end_in_zero(cls, presets: dict[str, list[float]]) -> dict[str, list[float]]:
        for name, thresholds in presets.items():
            if name in (*FOUND, "router"):
                raise ValueError(f"must not be called {name}: another strategy has that name")
            if not thresholds or thresholds[-1] != 0:
                raise ValueError(f"preset {name} must end in 0.0, got {thresholds}")
        return presets

    @model_validator(mode="after")
    def _one_threshold_per_active_model(self) -> Self:
        if self.thresholds in FOUND:
            return self
        if isinstance(self.thresholds, str) and self.thresholds not in self.presets:
            raise ValueError(
                f"cascading.thresholds must be a list, {' or '.join(FOUND)}, or the name of a "
                f"preset ({', '.join(self.presets)}), got {self.thresholds!r}"
            )
        chosen = self.chosen_thresholds
        if len(chosen) != len(self.active_models) or chosen[-1] != 0:
            raise ValueError(
                "cascading.thresholds must hold one threshold for each of the "
                f"{len(self.active_models)} active models ({', '.join(self.active_models)}), "
                "the last of them 0.0; "
                f"got {len(chosen)}: {chosen}"
            )
        return self

    @property
    def chosen_thresholds(self) -> list[float]:
        """The thresholds themselves, also where params.yaml names a preset.

        Not to be asked where they are `FOUND`: what was found stands in a file, not here.
        """
        if isinstance(self.thresholds, str):
            return self.presets[self.thresholds]
        return self.thresholds


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    calibration: Calibration
    distillation: Distillation
    pool: Annotated[list[ModelName], AfterValidator(_distinct)]
    quantized: list[ModelName]
    models: Annotated[dict[ModelName, Model], Field(min_length=1)]
    energy: Energy
    oracle: Oracle
    router: Router
    cascading: Cascading
    tuning: Tuning
    certification: Certification

    @model_validator(mode="after")
    def _named_models_exist(self) -> Self:
        for name in self.pool:
            if name not in self.models:
                raise ValueError(
                    f"pool must name models that have a section under models "
                    f"({', '.join(self.models)}), got {name}"
                )
        for name in self.models:
            if name not in self.pool:
                raise ValueError(
                    f"models must hold no section that pool doesn't name ({', '.join(self.pool)}), "
                    f"got {name}: add it to pool, or delete its section"
                )
        for name in self.quantized:
            if name not in self.pool or self.models[name].kind in TREES:
                able = [m for m in self.pool if self.models[m].kind not in TREES]
                raise ValueError(
                    f"quantized must name models of the pool that aren't trees "
                    f"({', '.join(able)}), got {name}"
                )
        for name in self.cascading.active_models:
            if name not in self.pool:
                raise ValueError(
                    f"cascading.active_models must name models of the pool "
                    f"({', '.join(self.pool)}), got {name}"
                )
        if len(self.pool) < 2:
            raise ValueError(f"pool must name two models at least, got {self.pool}")
        if self.models[self.pool[-1]].targets == "soft":
            raise ValueError(
                f"models.{self.pool[-1]}.targets must be hard: the last model of the pool is the "
                "teacher of those that learn from soft targets; got soft"
            )
        if self.router.probe not in self.pool[:-1]:
            raise ValueError(
                f"router.probe must name a model of the pool before the last "
                f"({', '.join(self.pool[:-1])}), got {self.router.probe}"
            )
        return self

    def model(self, name: str) -> Model:
        """Settings of one model of the pool.

        Raises
        ------
        ParamsError
            If the pool has no such model.
        """
        if name not in self.pool:
            listed = ", ".join(self.pool)
            raise ParamsError(
                f"{name or 'nothing'} is not a model of the pool in params.yaml ({listed}). Name "
                f"one of them, as in: python -m stages.train {self.pool[0]}"
            )
        return self.models[name]


def load(path: Path = PATH) -> Params:
    """Read and check the whole of params.yaml.

    Parameters
    ----------
    path : Path
        The file to read.

    Returns
    -------
    Params
        The settings, frozen.

    Raises
    ------
    ParamsError
        If the file is missing, isn't YAML, or breaks the schema anywhere.
    """
    try:
        # YAML 1.2, as DVC reads it: PyYAML would take 1e-05 for a string.
        raw = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(
            f"{path} does not exist in {Path.cwd()}. Run stages from the top of the repository, "
            f"or get the file back with: git checkout HEAD -- {path}"
        ) from None
    except (YAMLError, ValueError, OSError) as error:  # ValueError: a date that there isn't
        raise ParamsError(f"{path} is not readable YAML: {error}\n{_undo(path)}") from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path} must hold the settings, but holds {raw!r}.\n{_undo(path)}")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = dict.fromkeys(f"{path}: {_sentence(problem)}" for problem in error.errors())
        raise ParamsError("\n".join([*lines, _undo(path)])) from None


def _undo(path: Path) -> str:
    return (
        "Nothing was run, and the results on disk are those of the last good run. "
        f"Mend the value, or go back to the committed settings with: git checkout HEAD -- {path}"
    )


def _sentence(problem: Any) -> str:
    # Union members and discriminator tags are pydantic's affair, not keys of the file.
    inner = {
        "list[constrained-float]",
        "str",
        "constrained-float",
        "literal['tuned']",
        "own",
        *_kinds(),
    }
    loc = [str(part) for part in problem["loc"] if part not in inner]
    key = ".".join(loc)
    found = f"got {problem['input']!r}"
    match problem["type"]:
        case "missing":
            return f"{key} is missing. Every setting must be given."
        case "extra_forbidden":
            return f"{key} is not a setting.{_did_you_mean(loc)}"
        case "value_error":
            message = str(problem["ctx"]["error"])
            return f"{key} {message}." if message.startswith(("must", "preset")) else f"{message}."
        case "string_pattern_mismatch":
            if problem["ctx"]["pattern"] == MODEL_NAME:
                pattern = "lower case letters, digits and _, and not end in router"
                return f"{key} must be {pattern}; {found}."
            return f"{key} must match {problem['ctx']['pattern']}; {found}."
        case _:
            must = problem["msg"].removeprefix("Input should be ").removeprefix("Value should be ")
            return f"{key} must be {must}; {found}."


def _kinds() -> Sequence[str]:
    """Built-in kinds, then those that have a file of their own."""
    files = sorted(path.stem for path in KINDS.glob("[a-z]*.py"))
    return [*SCHEMAS, *(kind for kind in files if kind not in SCHEMAS)]


def _did_you_mean(loc: Sequence[str]) -> str:
    section: Any = Params
    for part in loc[:-1]:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        section = field.annotation if field else None
    known = list(getattr(section, "model_fields", {}))
    close = difflib.get_close_matches(loc[-1], known, n=1)
    if close:
        return f" Did you mean {'.'.join([*loc[:-1], close[0]])}?"
    return f" Known here: {', '.join(known)}." if known else ""
