"""Certify strategies: bounds on their loss and harm that hold with a stated probability."""

from eco.errors import reported
from eco.strategies.certification import MEASURES, NotCertified, certify
from eco.workflow import params
from eco.workflow.artifacts import CERTIFICATE_METRICS, CERTIFIED, FRONTIER, VIOLATION_ROWS
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for


def main() -> None:
    """Write data/certified.json, metrics/certificate.json and the study over draws."""
    settings = params.load()
    goal, key = settings.certification, made_for(settings)
    names = ("tuning", "certification", "test")
    splits = {split: load_outcomes(settings, split, routers=True) for split in names}
    certificates = certify(
        splits,
        FRONTIER.load(made_for=key).points["harm"],
        settings.router.probe,
        {"loss": goal.max_loss, "harm": goal.max_harm},
        goal.delta,
        goal.resplits,
        settings.seed,
    )
    by_measure = {of: [c for c in certificates if c.of == of] for of in MEASURES}
    results = {of: {c.kind: c.result for c in found} for of, found in by_measure.items()}
    CERTIFIED.save(results, made_for=key)
    metrics = {of: {c.kind: c.to_row() for c in found} for of, found in by_measure.items()}
    n_samples = len(splits["certification"])
    CERTIFICATE_METRICS.save({"certificate": metrics | {"samples": n_samples}})
    VIOLATION_ROWS.save([row for c in certificates for row in c.violation_rows()])
    for c in certificates:
        print(
            f"{c.kind:14} {c.settings_certified:4} of {c.n_settings} settings certified: {c.of} "
            f"of at most {c.max_points:g} points; on {goal.resplits} draws the certificate was "
            f"wrong in {c.to_row()['violation_rate']:.1%}"
        )
        if isinstance(c.result, NotCertified):
            print(f"  {c.result.describe()}")


if __name__ == "__main__":
    with reported():
        main()
