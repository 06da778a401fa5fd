"""Put every model and every strategy side by side: metrics, plot rows and pictures."""

from eco.commands import command
from eco.energy.machine import machine
from eco.errors import reported
from eco.evaluation.comparison import compare
from eco.evaluation.intervals import indistinguishable_pairs
from eco.report import charts
from eco.workflow import artifacts, params
from eco.workflow.examination import examine_pool
from eco.workflow.outcomes import load_outcomes


def main() -> None:
    """Write metrics/models.json, oracle.json and doctor.json, the joint plots and pictures."""
    settings = params.load()
    pool, outcomes = settings.pool, load_outcomes(settings, "test")
    scored = [*artifacts.STRATEGY_ROWS.load(pool=pool), *artifacts.ROUTING_ROWS.load(pool=pool)]
    comparison = compare(outcomes, scored, artifacts.CURVE_ROWS.load())
    pairs = indistinguishable_pairs(outcomes.readings, pool)
    ties = "; ".join(f"{a} and {b}" for a, b in pairs) or "none"
    findings = examine_pool(settings, pairs)
    measured_on = artifacts.ENERGY.load().provenance["machine"]
    energies = {"energy_not_told_apart": ties, "energy_measured_on": measured_on}
    artifacts.MODEL_METRICS.save({"models": comparison.models} | energies)
    artifacts.ORACLE_METRICS.save({"oracle": comparison.oracle})
    artifacts.DOCTOR_METRICS.save({"doctor": findings})
    plots = {"accuracy_energy": comparison.point_rows, "shares": comparison.share_rows}
    for name, rows in plots.items():
        charts.rows_file(name).save(rows)
        artifacts.PICTURE.save(charts.draw(name, rows, pool), name=name)
    for check, finding in findings.items():
        print(f"doctor, {check}: {finding}")
    print(f"energies that can't be told apart: {ties}")
    if measured_on != machine():
        print(f"NOTE: energies were measured on {measured_on}")
        print(f"      this is {machine()}; to measure here: {command('measure')}")


if __name__ == "__main__":
    with reported():
        main()
