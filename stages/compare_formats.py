"""Measure what one prediction of each model costs in each format in which it can run."""

from eco.data.kinds import kind_of
from eco.energy.format_comparison import choose_formats, measure_formats
from eco.energy.formats import ONNX
from eco.errors import DataError, reported
from eco.workflow import params
from eco.workflow.artifacts import FORMAT_METRICS, FORMAT_ROWS, FORMATS, SPLITS


def main() -> None:
    """Write the measured energies, their shares, and which format is the cheapest."""
    settings = params.load()
    energy, dataset = settings.energy, settings.data.name
    sections = {name: settings.model(name) for name in settings.pool}
    models = {
        name: (section.kind, section.model_dump(exclude={"kind", "targets"}))
        for name, section in sections.items()
    }
    X, _ = SPLITS.load(split="test", dataset=dataset)
    if (kind := kind_of(X)) != "images":
        raise DataError(
            f"{SPLITS.path(split='test')} must hold images: formats are compared for images only; "
            f"got samples of kind {kind}",
            "Leave this stage out: remove compare_formats from dvc.yaml.",
        )
    train = SPLITS.load(split="train", dataset=dataset)
    measurements = measure_formats(models, train, X, energy, settings.seed)
    FORMATS.save(measurements)
    FORMAT_ROWS.save(measurements.shares(format_name=ONNX))
    choices = choose_formats(measurements, settings.quantized, energy.batch_size)
    FORMAT_METRICS.save({"formats": choices})
    print(measurements.table())


if __name__ == "__main__":
    with reported():
        main()
