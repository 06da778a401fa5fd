"""Draw how the models learnt, what one prediction costs, and how far both can be believed."""

from eco.errors import reported
from eco.report import charts
from eco.workflow import artifacts, params


def main() -> None:
    """Write the pictures, and the joint rows of the pool that they and `dvc plots` show."""
    settings = params.load()
    pool = settings.pool
    rows = {
        "training_curves": [
            row for model in pool for row in artifacts.TRAINING_ROWS.load(model=model)
        ],
        "reliability": [
            row for model in pool for row in artifacts.CALIBRATION_ROWS.load(model=model)
        ],
        "energy": [
            measurement.to_json()
            for artifact in (artifacts.ENERGY, artifacts.ROUTER_ENERGY)
            for measurement in artifact.load().rows
        ],
        "violations": artifacts.VIOLATION_ROWS.load(),
        "targets": artifacts.TARGET_ROWS.load(),
    }
    for name in ("training_curves", "reliability", "energy"):
        charts.rows_file(name).save(rows[name])
    for name in rows:
        artifacts.PICTURE.save(charts.draw(name, rows[name], pool), name=name)
    print(f"plots/: {', '.join(rows)}, of {len(pool)} models")


if __name__ == "__main__":
    with reported():
        main()
