"""The schema of params.yaml as a whole, and the rules that join its sections."""

from typing import Annotated, Self

from eco.errors import ParamsError, extra
from eco.models.settings import ModelName, ModelSettings, RuleError, Section, parse_settings
from eco.strategies.names import is_taken
from eco.workflow.sections import (
    Calibration,
    Cascading,
    Certification,
    Data,
    Distillation,
    Energy,
    Oracle,
    Pool,
    Router,
    Tuning,
)

with extra("workflow"):
    from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

Model = Annotated[SerializeAsAny[ModelSettings], BeforeValidator(parse_settings)]


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        description="Of every random choice: split, initial weights, augmentation, resampling."
    )
    data: Data
    calibration: Calibration
    distillation: Distillation
    pool: Annotated[Pool, Field(min_length=2)] = Field(
        description="The models, light to heavy; the others are compared with the last."
    )
    quantized: list[ModelName] = Field(
        description="Those that compute with 8-bit integers instead of floats; trees can't."
    )
    models: dict[ModelName, Model] = Field(description="One section for each model of the pool.")
    energy: Energy
    oracle: Oracle
    router: Router
    cascading: Cascading
    tuning: Tuning
    certification: Certification

    @model_validator(mode="after")
    def _named_models_exist(self) -> Self:
        pool, models = self.pool, self.models
        able = [name for name in pool if name in models and models[name].quantizable]
        probe, active = [self.router.probe], self.cascading.active_models
        for key, rule, allowed, names in [
            ("pool", "must name models that have a section under models", models, pool),
            ("models", "must hold no section but those that pool names", pool, models),
            ("quantized", "must name models of the pool that aren't trees", able, self.quantized),
            ("router.probe", "must name another model than the last", pool[:-1], probe),
            ("cascading.active_models", "must name models of the pool", pool, active),
            ("tuning.candidates", "must name models of the pool", pool, self.tuning.candidates),
        ]:
            for name in names:
                if name not in allowed:
                    raise RuleError(key, f"{rule} ({', '.join(allowed)}), got {name}")
        if self.candidates[-1] != pool[-1]:
            problem = f"must name {pool[-1]}, the last model of the pool, or be []"
            raise RuleError("tuning.candidates", f"{problem}; got {self.tuning.candidates}")
        for name in filter(lambda name: is_taken(name, pool), self.cascading.presets):
            problem = "must not hold that name: another strategy has it"
            raise RuleError("cascading.presets", f"{problem}; got {name}")
        if models[pool[-1]].targets == "soft":
            problem = "must be hard: the last model of the pool teaches those that learn from soft"
            raise RuleError(f"models.{pool[-1]}.targets", f"{problem} targets; got soft")
        return self

    @property
    def candidates(self) -> list[str]:
        """The models that cascades are tuned from, in the order of the pool."""
        return [name for name in self.pool if name in (self.tuning.candidates or self.pool)]

    def model(self, name: str) -> ModelSettings:
        """Settings of one model; raises `ParamsError` if the pool has none of that name."""
        if name not in self.pool:
            raise ParamsError(
                f"{name or 'nothing'} is not a model of the pool in params.yaml "
                f"({', '.join(self.pool)})",
                f"Name one of them, as in: python -m stages.train {self.pool[0]}",
            )
        return self.models[name]
