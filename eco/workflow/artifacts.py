"""Every file of the workflow, declared once: its path, its content, and the stage that makes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from eco.atomic import replacing
from eco.commands import command
from eco.energy.measurement import Measurements
from eco.errors import FileError, ModelError
from eco.strategies.routing import ROUTERS
from eco.workflow import codecs, contents, encodings, found, records
from eco.workflow.codecs import Arrays, Codec, DamagedError, Names
from eco.workflow.contents import Labels
from eco.workflow.found import FRONTIERS, Frontiers, MadeFor

__all__ = ["FRONTIERS", "ROUTERS", "Frontiers", "Labels", "MadeFor"]

Rows = list[dict[str, Any]]
T = TypeVar("T")

#: Held out of training, in the order of their use, and test, on which nothing is ever chosen.
HELD_OUT = ("calibration", "tuning", "certification")
PREDICTED = (*HELD_OUT, "test")


@dataclass(frozen=True)
class Artifact(Generic[T]):
    """A file of the workflow, or one for each model, router or split.

    Every method takes the names that the file is for: those in its path, such as ``model``, and
    those that its content must agree with, such as ``dataset`` or ``pool``.

    Parameters
    ----------
    template, made_by : str
        Path, and the stage that makes it, with names in braces.
    codec : Codec
    in_git : bool
        Whether git keeps the file; else DVC's cache does, which a fresh clone lacks.
    """

    template: str
    made_by: str
    codec: Codec[T]
    in_git: bool = True

    def path(self, **names: Any) -> Path:
        """Where the file lies, from the top of the repository."""
        return Path(self.template.format(**names))

    def stage(self, **names: Any) -> str:
        """The stage that makes the file, as `dvc repro` takes it."""
        return self.made_by.format(**names)

    def load(self, **names: Any) -> T:
        """The content; raises `FileError` if the file is missing, damaged or of something else."""
        try:
            return self.codec.decode(self.path(**names).read_bytes(), names)
        except FileNotFoundError:
            raise self.error("is missing", **names) from None
        except OSError as error:
            raise self.error(f"can't be read ({error.strerror})", **names) from None
        except DamagedError as error:
            raise self.error(str(error), **names) from None

    def save(self, value: T, **names: Any) -> None:
        """Write the content; the file is whole or as it was."""
        content = self.codec.encode(value, names)
        with replacing(self.path(**names)) as stream:
            stream.write(content)

    def error(self, problem: str, **names: Any) -> FileError:
        """An error that names the file, what is wrong with it, and the way to have it again."""
        path, stage = self.path(**names), self.stage(**names)
        if self.in_git and not path.exists() and not Path("dvc.lock").exists():
            return FileError(f"{path} {problem}", "The study was not run yet: dvc repro")
        if self.in_git:
            remedy = (
                f"Bring back the last committed one with: git checkout HEAD -- {path}; or make "
            )
            return FileError(f"{path} {problem}", f"{remedy}it anew: dvc repro -f -s {stage}")
        remedy = (
            f"Make it with: dvc repro {stage}, or everything: {command('repro')}; or bring it back "
        )
        remedy += f"from DVC's cache, which a fresh clone lacks: dvc checkout {path}"
        return FileError(f"{path} {problem}", remedy)


class Trained(Artifact[T]):
    """What the training of a model makes."""

    def save(self, value: T, **names: Any) -> None:
        """Write the content; raises `ModelError` if it holds numbers that are none."""
        try:
            super().save(value, **names)
        except ValueError:
            raise ModelError(
                "has weights or losses that are not numbers: its training diverged",
                f"{self.path(**names)} is as it was. Lower models.{names['model']}.learning_rate, "
                "or whatever else sets the steps of its training, in params.yaml.",
                model=names["model"],
            ) from None


class Metrics(Artifact[dict[str, Any]]):
    """A small JSON file that `dvc metrics` shows."""

    def value(self, *keys: str, **names: Any) -> Any:
        """One entry, by its keys from the outside in; raises as `load` does."""
        value: Any = self.load(**names)
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise self.error(f"must hold {'.'.join(keys)}", **names)
            value = value[key]
        return value


def _arrays(
    name: str, made_by: str, holds: str, parse: Callable[[Arrays, Names], T],
    arrays: Callable[[T], Arrays], default: Sequence[str], in_git: bool = True,
) -> Artifact[T]:  # fmt: skip
    codec = codecs.arrays_codec(holds, parse, arrays, default)
    return Artifact(f"data/{name}.npz", made_by, codec, in_git)


def _onnx(path: str, made_by: str, in_git: bool = True) -> Artifact[Any]:
    return Artifact(f"models/{path}.onnx", made_by, codecs.ONNX, in_git)


def _energies(name: str, made_by: str) -> Artifact[Measurements]:
    codec = codecs.json_codec(
        records.MeasurementsFile, records.measurements, lambda value, _: value.to_json()
    )
    return Artifact(f"data/{name}.json", made_by, codec)


def _json(schema: Any) -> Codec[Any]:
    return codecs.json_codec(schema, lambda values, _: values, contents.significant)


def _metrics(name: str, made_by: str, **keys: Any) -> Metrics:
    return Metrics(f"metrics/{name}.json", made_by, _json(records.table(**keys)))


def _rows(name: str, made_by: str, row: type[records.Record]) -> Artifact[Rows]:
    return Artifact(f"plots/{name}.json", made_by, _json(records.rows(row)))


# Names: SPLITS split, dataset; SAMPLE, LABELS dataset; TARGETS kind ("hard" or "soft"), dataset;
# PREDICTIONS model, dataset; ORACLE, ROUTER_CHOICES pool; ROUTER_SCORES router, pool; FRONTIER,
# CERTIFIED made_for; rows of strategies pool, if their models must be of it. Where a file holds
# several splits, `splits` are those to read.
SPLITS = _arrays(
    "{split}", "fetch", "{split} samples of {dataset}",
    contents.samples, contents.samples_arrays, ("X", "y"), in_git=False,
)  # fmt: skip
#: How samples became numbers, for new ones to be encoded alike.
ENCODING = Artifact(
    "data/encoding.json",
    "fetch",
    codecs.json_codec(encodings.EncodingFile, encodings.parse, encodings.values),
)
#: The first samples of test, for what a fresh clone can show.
SAMPLE = _arrays(
    "sample", "sample", "sample of {dataset}",
    contents.samples, contents.samples_arrays, ("X", "y"),
)  # fmt: skip
TARGETS = _arrays(
    "targets/{kind}", "teach", "{kind} targets of {dataset}",
    contents.targets, contents.targets_arrays, ("y",), in_git=False,
)  # fmt: skip
LABELS = _arrays(
    "labels", "fetch", "labels of {dataset}",
    contents.labels, contents.labels_arrays, ("class_names", *PREDICTED),
)  # fmt: skip
PREDICTIONS = _arrays(
    "predictions/{model}", "predict@{model}", "predictions of {model} on {dataset}",
    contents.probabilities, contents.rounded_probabilities, PREDICTED,
)  # fmt: skip
ORACLE = _arrays(
    "oracle", "label_oracle", "choices of the oracle among {pool}",
    contents.choices, contents.small, PREDICTED,
)  # fmt: skip
ROUTER_CHOICES = _arrays(
    "router", "train_router", "choices of the router among {pool}",
    contents.choices, contents.small, PREDICTED,
)  # fmt: skip
ROUTER_SCORES = _arrays(
    "{router}_scores", "train_router", "{router}_scores of {pool}",
    contents.scores, contents.rounded, PREDICTED[1:],
)  # fmt: skip

TRAINED_MODEL = Trained(
    "models/trained/{model}.onnx", "train@{model}", codecs.TRAINED_ONNX, in_git=False
)
#: The last model as it was trained, from which the others learn.
TEACHER = _onnx("teacher", "teach")
QUANTIZED_MODEL = _onnx("quantized/{model}", "quantize@{model}", in_git=False)
MODEL = _onnx("calibrated/{model}", "calibrate@{model}")
ROUTER_MODEL = _onnx("routers/{router}", "train_router")

ENERGY = _energies("energy", "benchmark")
ROUTER_ENERGY = _energies("router_energy", "benchmark_router")
METERED = _energies("metered", "meter")
FORMATS = _energies("formats", "compare_formats")

FRONTIER = Artifact(
    "data/frontier.json",
    "tune",
    codecs.json_codec(found.FrontierFile, found.frontiers, found.frontiers_json),
)
CERTIFIED = Artifact(
    "data/certified.json",
    "certify",
    codecs.json_codec(found.CertifiedFile, found.certified, found.certified_json),
)

TRAINING_METRICS = _metrics(
    "training/{model}", "train@{model}", training=dict[str, records.TrainingFigures]
)
TEACHING_METRICS = _metrics("teaching", "teach", teaching=records.TeachingFigures)
QUANTIZATION_METRICS = _metrics(
    "quantization/{model}", "quantize@{model}", quantization=dict[str, records.Record]
)
CALIBRATION_METRICS = _metrics(
    "calibration/{model}", "calibrate@{model}", calibration=dict[str, records.Record]
)
FORMAT_METRICS = _metrics("formats", "compare_formats", formats=dict[str, records.Record])
ROUTER_METRICS = _metrics("router", "train_router", router=records.RouterFigures)
TUNING_METRICS = _metrics("tuning", "tune", tuning=records.TuningFigures)
CERTIFICATE_METRICS = _metrics("certificate", "certify", certificate=records.Record)
TARGET_METRICS = _metrics("targets", "check_targets", targets=records.Record)
METERED_METRICS = _metrics("metered", "meter", metered=dict[str, records.Record])
CASCADING_METRICS = _metrics("cascading", "evaluate_cascading", cascading=records.Scores)
FRONTIER_METRICS = _metrics("frontier", "evaluate_frontier", frontier=records.FoundFigures)
ROUTING_METRICS = _metrics("routing", "evaluate_routing", routing=dict[str, records.Scores])
MODEL_METRICS = _metrics("models", "compare", models=dict[str, records.Scores])
ORACLE_METRICS = _metrics("oracle", "compare", oracle=records.Record)
DOCTOR_METRICS = _metrics("doctor", "compare", doctor=dict[str, str])
FOOTPRINT_METRICS = _metrics(
    "footprint", "footprint", footprint=dict[str, records.FootprintFigures]
)

TRAINING_ROWS = Trained(
    "plots/training/{model}.json", "train@{model}", _json(records.rows(records.TrainingRow))
)
CALIBRATION_ROWS = _rows("calibration/{model}", "calibrate@{model}", records.CalibrationRow)
FORMAT_ROWS = _rows("formats", "compare_formats", records.FormatRow)
VIOLATION_ROWS = _rows("violations", "certify", records.ViolationRow)
TARGET_ROWS = _rows("targets", "check_targets", records.TargetRow)
METERED_ROWS = _rows("metered", "meter", records.MeteredRow)
CASCADING_ROWS = _rows("cascading", "evaluate_cascading", records.ScoredRow)
CONFUSION_ROWS = _rows("confusion", "evaluate_cascading", records.Record)
CLASS_ROWS = _rows("classes", "evaluate_cascading", records.Record)
STRATEGY_ROWS = _rows("strategies", "evaluate_frontier", records.ScoredRow)
CURVE_ROWS = _rows("curves", "evaluate_frontier", records.PointRow)
ROUTING_ROWS = _rows("routing", "evaluate_routing", records.ScoredRow)
POOL_TRAINING_ROWS = _rows("training", "draw_pool", records.TrainingRow)
ENERGY_ROWS = _rows("energy", "draw_pool", records.EnergyRow)
RELIABILITY_ROWS = _rows("reliability", "draw_pool", records.CalibrationRow)
POINT_ROWS = _rows("accuracy_energy", "compare", records.PointRow)
SHARE_ROWS = _rows("shares", "compare", records.ShareRow)

#: The page that shows the whole study, HTML in UTF-8.
REPORT = Artifact("plots/report.html", "report", codecs.BYTES)
#: PNG.
PICTURE = Artifact("plots/{name}.png", "draw_pool compare", codecs.BYTES)
