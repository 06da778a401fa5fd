import numpy as np
import pytest

from eco.energy.measurement import Measurement, Measurements
from eco.workflow import artifacts, params
from eco.workflow.artifacts import ROUTERS
from eco.workflow.costs import load_costs, load_training
from tests.conftest import REPOSITORY

POOL = ["light", "pupil", "other", "last"]
TRAINING_S = (1.0, 10.0, 20.0, 100.0)
TEACHING_S, TUNING_J, FITTING_S = 5.0, 7.0, (2.0, 3.0, 4.0)
SECONDS = {"models": 60.0, "routers": 30.0}
N_SAMPLES = {"calibration": 2, "tuning": 3, "certification": 4, "test": 5}


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of a pool, and what it took; the j-th model takes j joules per sample."""
    settings = params.load(REPOSITORY / "params.yaml").model_copy(update={"pool": POOL})
    monkeypatch.chdir(tmp_path)
    for model, cpu_s in zip(POOL, TRAINING_S, strict=True):
        targets = "soft" if model in ("pupil", "other") else "hard"
        figures = {"cpu_seconds": cpu_s, "targets": targets}
        artifacts.TRAINING_METRICS.save({"training": {model: figures}}, model=model)
    artifacts.TEACHING_METRICS.save({"teaching": {"cpu_seconds": TEACHING_S}})
    artifacts.TUNING_METRICS.save({"tuning": {"energy_j": TUNING_J}})
    fitting = {"cpu_seconds": dict(zip(ROUTERS, FITTING_S, strict=True))}
    artifacts.ROUTER_METRICS.save({"router": fitting})
    y = {split: np.zeros(n, np.uint8) for split, n in N_SAMPLES.items()}
    artifacts.LABELS.save(artifacts.Labels(y, ["one"]), dataset=settings.data.name)
    files = {"models": (artifacts.ENERGY, POOL), "routers": (artifacts.ROUTER_ENERGY, ROUTERS)}
    for name, (file, workloads) in files.items():
        provenance = {"grid_g_co2e_per_kwh": 50.0, "seconds": SECONDS[name]}
        rows = [
            Measurement(workload, settings.energy.batch_size, j, j, j, (j,))
            for j, workload in enumerate(workloads, start=1)
        ]
        file.save(Measurements(provenance, tuple(rows)))
    return settings


def test_training_beyond_the_last_model_counts_the_teacher_and_its_teaching_once(settings):
    watts, training = settings.energy.watts_per_core, load_training(settings)

    def beyond(*models):
        return training.beyond_last(models) / watts

    assert training.models_j["last"] == 100 * watts
    assert beyond("last") == 0
    assert beyond("light", "last") == 1.0
    assert beyond("light") == 1.0 - 100.0, "the last model need not have been trained"
    assert beyond("pupil") == beyond("pupil", "last") == 10 + 5, "its teacher had to be"
    assert beyond(*POOL) == 1 + 10 + 20 + 5


def test_a_strategy_is_billed_for_the_pool_its_measuring_and_what_found_it(settings):
    watts, costs = settings.energy.watts_per_core, load_costs(settings)
    measured_j = watts * (1 + 10 + 20 + 5 + SECONDS["models"])
    tuned_j = measured_j + TUNING_J
    run_pool_j = 1 + 2 + 3 + 4
    labelled_j = measured_j + watts * SECONDS["routers"] + run_pool_j * (2 + 3)
    extra_j = costs.extra_j()
    assert extra_j["tuned"] == pytest.approx(tuned_j)
    assert extra_j["certified"] == pytest.approx(tuned_j + 4 * run_pool_j)
    for router, seconds in zip(ROUTERS, FITTING_S, strict=True):
        assert extra_j[router] == pytest.approx(labelled_j + watts * seconds)


def test_the_metrics_hold_the_parts(settings):
    costs, watts = load_costs(settings), settings.energy.watts_per_core
    metrics = costs.to_metrics()
    assert metrics["training_j"] == {m: watts * s for m, s in zip(POOL, TRAINING_S, strict=True)}
    assert metrics["teaching_j"] == watts * TEACHING_S
    assert metrics["measuring_j"] == {name: watts * s for name, s in SECONDS.items()}
    assert (metrics["tuning_j"], metrics["certifying_j"]) == (TUNING_J, 40.0)
