import numpy as np

from eco.energy.machine import machine
from eco.workflow import artifacts
from tests.cli.conftest import eco


def test_doctor_lists_findings_energies_and_missing_files(settings):
    text = eco("doctor").stdout
    assert "saturated: a is; fix it" in text
    assert f"on another machine (another machine); this is {machine()}" in text
    assert f"{settings.pool[0]} (wide interval)" in text
    assert "wide interval: its rounds differ by more than energy.half_width" in text
    router = artifacts.ROUTER_MODEL.path(router="router")
    assert f"missing: {router}." in text and "git checkout" in text
    assert "dvc status" in text
    artifacts.DOCTOR_METRICS.path().unlink()
    artifacts.ENERGY.path().unlink()
    text = eco("doctor").stdout
    assert "metrics/doctor.json is missing" in text
    assert f"{artifacts.ENERGY.path()}, " in text and f", {artifacts.DOCTOR_METRICS.path()}" in text


def test_missing_images_come_back_from_the_cache(settings):
    image = artifacts.SPLITS.path(split="train")
    image.unlink()
    assert f"missing: {image}. Bring them back: dvc checkout" in eco("doctor").stdout


def test_a_complete_workflow_is_called_so(settings):
    path = artifacts.ROUTER_MODEL.path(router="router")
    path.write_bytes(artifacts.ROUTER_MODEL.path(router="price_router").read_bytes())
    text = eco("doctor").stdout
    assert "missing" not in text and "are there" in text


def test_a_cascade_that_saves_nothing_is_named(settings):
    dataset, first = settings.data.name, settings.cascading.active_models[0]
    assert "runs and answers nothing" not in eco("doctor").stdout
    for model in settings.cascading.active_models[:-1]:
        p = artifacts.PREDICTIONS.load(model=model, dataset=dataset)
        unsure = {split: np.full_like(values, 1 / 3) for split, values in p.items()}
        artifacts.PREDICTIONS.save(unsure, model=model, dataset=dataset)
    text = eco("doctor").stdout
    assert f"{first} runs and answers nothing: lower its threshold, or leave it out" in text
    assert f"times the energy of always {settings.pool[-1]}: choose another" in text


def test_a_class_that_the_chosen_cascade_never_answers_is_named(settings):
    assert "answers every class" in eco("doctor").stdout
    dataset = settings.data.name
    for model in settings.cascading.active_models[:-1]:
        p = artifacts.PREDICTIONS.load(model=model, dataset=dataset)
        certain = {split: np.eye(3)[np.zeros(len(p[split]), int)] for split in p}
        artifacts.PREDICTIONS.save(certain, model=model, dataset=dataset)
    last = settings.pool[-1]
    classes = artifacts.LABELS.load(dataset=dataset).class_names[1:]
    assert f"never answers {', '.join(classes)}, which {last} does" in eco("doctor").stdout
