"""Turn joules into what people ask for: CO2 per thousand predictions, and when it pays."""

from eco.errors import reported
from eco.evaluation.footprint import footprint_rows
from eco.workflow import artifacts, params
from eco.workflow.costs import load_costs
from eco.workflow.outcomes import measured


def main() -> None:
    """Write metrics/footprint.json: always the last model, cascades that were found, routers."""
    settings = params.load()
    batch_size, costs = settings.energy.batch_size, load_costs(settings)
    with measured(artifacts.ENERGY) as energy:
        (last_j,) = energy.energy_j(settings.pool[-1:], batch_size)
        grid = energy.provenance["grid_g_co2e_per_kwh"]
    scored = [*artifacts.STRATEGY_ROWS.load(), *artifacts.ROUTING_ROWS.load()]
    metered = [row for row in artifacts.METERED_ROWS.load() if row["batch_size"] == batch_size]
    rows = footprint_rows(scored, metered, costs.extra_j(), float(last_j), grid)
    artifacts.FOOTPRINT_METRICS.save({"footprint": rows} | costs.to_metrics())
    for name, row in rows.items():
        pays = f"; pays for what it took {row['pays']}" if "pays" in row else ""
        print(f"{name:23} {row['wh_per_1000']:.3g} Wh per 1,000 predictions{pays}")


if __name__ == "__main__":
    with reported():
        main()
