import numpy as np
import pytest

from eco.energy.measurement import Measurement, Measurements
from eco.errors import FileError
from eco.workflow import params
from eco.workflow.artifacts import (
    ENERGY,
    LABELS,
    PREDICTIONS,
    ROUTER_CHOICES,
    ROUTER_ENERGY,
    ROUTER_SCORES,
    ROUTERS,
    Labels,
)
from eco.workflow.outcomes import load_outcomes, load_probabilities, measured
from tests.conftest import REPOSITORY

SPLITS = ("calibration", "tuning", "certification", "test")
Y = np.arange(6, dtype=np.uint8) % 3
P = np.eye(3)[Y] * 0.7 + 0.1
PROVENANCE = {
    "grid_g_co2e_per_kwh": 50.0, "seconds": 60.0, "mode": "cpu_load", "machine": "here",
    "drift": 0.1,
}  # fmt: skip


def energies(names, batch_size, **provenance):
    rows = [
        Measurement(name, batch_size, j, 0.9 * j, 1.1 * j, (j, None, j))
        for j, name in enumerate(names, start=1)
    ]
    return Measurements(PROVENANCE | provenance, tuple(rows))


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """The committed settings, and toy results of their pool: the j-th model costs j joules."""
    settings = params.load(REPOSITORY / "params.yaml")
    monkeypatch.chdir(tmp_path)
    pool, dataset, size = settings.pool, settings.data.name, settings.energy.batch_size
    LABELS.save(Labels(dict.fromkeys(SPLITS, Y), ["a", "b", "c"]), dataset=dataset)
    for model in pool:
        PREDICTIONS.save(dict.fromkeys(SPLITS, P), model=model, dataset=dataset)
    ENERGY.save(energies(pool, size))
    ROUTER_ENERGY.save(energies(ROUTERS, size))
    ROUTER_CHOICES.save(dict.fromkeys(SPLITS, np.zeros(6, int)), pool=pool)
    for router in ROUTERS[1:]:
        scores = dict.fromkeys(SPLITS, np.zeros((6, len(pool))))
        ROUTER_SCORES.save(scores, router=router, pool=pool)
    return settings


def test_outcomes_come_in_pool_order_with_energies_and_readings(workflow):
    outcomes = load_outcomes(workflow, "test")
    n_models = len(workflow.pool)
    assert outcomes.pool == tuple(workflow.pool)
    assert outcomes.confidence == pytest.approx(np.full((6, n_models), 0.8))
    assert outcomes.correct.all()
    assert outcomes.energy_j.tolist() == list(range(1, n_models + 1))
    assert outcomes.readings.drift == 0.1
    assert np.isnan(outcomes.readings.per_round_j[1]).all()
    assert outcomes.routers == {}


def test_outcomes_of_routers_carry_what_the_routers_cost(workflow):
    routers = load_outcomes(workflow, "test", routers=True).routers
    assert [router.energy_j for router in routers.values()] == [1.0, 2.0, 3.0]
    assert routers["router"].output.shape == (6,)
    assert routers["price_router"].output.shape == (6, len(workflow.pool))
    assert routers["price_router"].readings_j[[0, 2]].tolist() == [2.0, 2.0]


def test_probabilities_are_stacked_in_the_order_of_the_pool(workflow):
    PREDICTIONS.save({"test": P[::-1]}, model="extra", dataset=workflow.data.name)
    p = load_probabilities(["extra", "tiny"], "test", workflow.data.name)
    assert p.shape == (6, 2, 3)
    assert p.dtype == np.float32
    assert p[:, 0] == pytest.approx(P[::-1], abs=1e-4)
    assert p[:, 1] == pytest.approx(P, abs=1e-4)


def test_predictions_of_another_number_of_samples_are_refused(workflow):
    p = dict.fromkeys(SPLITS, np.full((5, 3), 1 / 3))
    PREDICTIONS.save(p, model="extra", dataset=workflow.data.name)
    with pytest.raises(FileError, match=r"extra\.npz .* must be \(6, 3\) for the labels.*predict@"):
        load_outcomes(workflow, "test")


def test_choices_of_another_number_of_samples_are_refused(workflow):
    ROUTER_CHOICES.save(dict.fromkeys(SPLITS, np.zeros(5, int)), pool=workflow.pool)
    with pytest.raises(FileError, match=r"router\.npz .* must be \(6,\) for the labels"):
        load_outcomes(workflow, "test", routers=True)


def test_energies_of_two_kinds_are_never_added_up(workflow):
    energy = energies(ROUTERS, workflow.energy.batch_size, mode="intel_rapl")
    ROUTER_ENERGY.save(energy)
    assert load_outcomes(workflow, "test").routers == {}
    with pytest.raises(FileError, match=r"mode is 'cpu_load' .* 'intel_rapl'.*dvc repro -f"):
        load_outcomes(workflow, "test", routers=True)


def test_an_energy_of_another_batch_size_is_not_taken(workflow):
    ENERGY.save(energies(workflow.pool, 7))
    with pytest.raises(FileError, match=r"energy\.json has no energy of tiny at batch size 256"):
        load_outcomes(workflow, "test")
    with pytest.raises(FileError, match="batch size 1"), measured(ENERGY) as energy:
        energy.energy_j(["tiny"], 1)
