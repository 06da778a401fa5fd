"""Put what was asked, found and measured into one page that needs no network."""

from typing import Any

import numpy as np

from eco import explorer, files, params, report
from eco.cascading import run_cascade
from eco.confidence import confidence, predictions
from eco.errors import reported

KEYS = ("strategy", "name", "accuracy", "energy_share")


def asked(settings: params.Params) -> dict[str, Any]:
    """All settings but the thresholds: an experiment with those must not make the page anew."""
    models = {}
    for name in settings.pool:
        section = settings.model(name)
        models[name] = section.model_dump()
    chain = settings.cascading
    return {
        "seed": settings.seed,
        "data": settings.data.model_dump(),
        "calibration": settings.calibration.model_dump(),
        "distillation": settings.distillation.model_dump(),
        "pool": settings.pool,
        "quantized": settings.quantized,
        "models": models,
        "energy": settings.energy.model_dump(),
        "oracle": settings.oracle.model_dump(),
        "router": settings.router.model_dump(),
        "cascading": {
            "confidence": chain.confidence,
            "active_models": chain.active_models,
            "presets": chain.presets,
        },
        "tuning": settings.tuning.model_dump(),
        "certification": settings.certification.model_dump(),
    }


def main() -> None:
    """Write plots/report.html."""
    settings = params.load()
    name, pool, batch_size = settings.data.name, settings.pool, settings.energy.batch_size
    signal = settings.cascading.confidence
    energy_j = files.load_energy(files.ENERGY, pool, batch_size, "benchmark")
    probabilities, y = files.load_predictions(pool, "test", name), files.load_labels("test", name)
    sure, labels = confidence(probabilities, signal), predictions(probabilities)
    made_for = files.MadeFor(name, batch_size, signal, pool)
    found, reference = files.load_frontier("accuracy", made_for)
    certified = files.load_certified("cascade", made_for)
    class_names = files.load_class_names(name)
    strategies = files.load_rows("strategies", [*KEYS, "models", "thresholds"], "evaluate_frontier")
    routing = files.load_rows("routing", KEYS, "evaluate_routing")
    points = files.load_rows("accuracy_energy", ["strategy", *KEYS[2:]], "compare")
    footprint = files.load_metric("footprint", ["footprint"], "footprint")
    provenance = files.load_provenance(files.ENERGY, "benchmark")
    routers = files.load_provenance(files.ROUTER_ENERGY, "benchmark_router")
    measured = files.load_rows("energy", ["name", "batch_size", "energy_j"], "draw_pool")
    ties = files.load_metric("models", ["energy_not_told_apart"], "compare")
    metered = files.load_rows("metered", ["name", "batch_size", "energy_share"], "meter")
    cascade = report.shown(strategies)
    chain, thresholds = explorer.chain_of(cascade, pool) if cascade else ([len(pool) - 1], [0.0])
    by = run_cascade(sure, np.array(chain), np.array(thresholds))[0]
    images, _ = files.load_images("test", name)
    used = {split: len(files.load_labels(split, name)) for split in files.PREDICTED}
    data = explorer.data(sure, labels, y, energy_j, pool, found, reference, strategies)
    sections = {
        "dataset": report.escape(name),
        "last": report.escape(pool[-1]),
        "headline": report.headline(strategies, metered, batch_size, pool[-1]),
        "missing": report.missing(strategies, certified),
        "asked": report.asked(asked(settings), used, class_names, provenance),
        "compared": report.compared(points, [*strategies, *routing]),
        "buttons": explorer.buttons(data["settings"]),
        "dials": explorer.dials(pool),
        "examples": report.examples(images, y, labels, sure, by, pool, class_names),
        "realised": report.realised(metered),
        "paid": report.paid(footprint),
        "doctor": report.findings(files.load_metric("doctor", ["doctor"], "compare")),
        "provenance": report.provenance(provenance, routers, measured, ties),
        "settings": report.table(("setting", "value"), report.flat(asked(settings))),
    }
    rows = {
        "points": points,
        "shares": files.load_rows("shares", ["point", "model", "share"], "compare"),
        "classes": report.by_class(by, y, pool, class_names),
        "energy": measured,
        "reliability": files.load_rows("reliability", ["model", "when"], "draw_pool"),
        "violations": files.load_rows("violations", ["strategy", "violation_rate"], "certify"),
        "paid": report.break_even(footprint),
    }
    report.write(files.REPORT, sections, data | report.drawn(rows))
    size = files.REPORT.stat().st_size / 1e6
    print(f"{files.REPORT}: {size:.2f} MB, opens in any browser, needs no network")


if __name__ == "__main__":
    with reported():
        main()
