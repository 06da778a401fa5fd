"""`make repro`, with a `dvc repro` that only notes what it is asked, and readings of its own."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from eco.energy.machine import fingerprint
from eco.processes import Plan
from eco.workflow import artifacts
from tests.conftest import REPOSITORY
from tests.report.studies import metered_row, small_study, strategy_row
from tests.small_workflow import measurements
from tools import repro
from tools.pipeline import planned

FORCED = ["benchmark", "benchmark_router", "meter"]


@pytest.fixture
def readings(tmp_path, monkeypatch):
    """A function that writes the readings of a machine, by file."""
    monkeypatch.chdir(tmp_path)

    def write(file, **changed):
        names = artifacts.ROUTERS if file is artifacts.ROUTER_ENERGY else ["a", "b"]
        energy = measurements(names, [1.0, 2.0, 3.0][: len(names)], 256)
        file.save(energy.add_provenance(fingerprint=fingerprint() | changed))

    for file in repro.READINGS:
        write(file)
    return write


def run(readings, anew=False, other=()):
    """The calls of `dvc repro`, and whether it measured; stages write readings if forced."""
    calls = []
    files = {file.stage(): file for file in repro.READINGS}

    def dvc(*arguments):
        calls.append(arguments)
        if (arguments[:2] == ("-f", "-s") and arguments[-1] in files) or arguments[0] in other:
            readings(files[arguments[-1]])

    return repro.run_study(dvc, repro.TARGETS, anew), calls


def test_readings_of_this_machine_are_kept(readings):
    assert run(readings) == (False, [repro.TARGETS])


@pytest.mark.parametrize(
    ("key", "value"), [("cpu_model", "another"), ("cores", 999), ("onnxruntime", "0.1")]
)
@pytest.mark.parametrize("file", repro.READINGS)
def test_readings_of_another_machine_are_measured(readings, file, key, value):
    readings(file, **{key: value})
    measured, calls = run(readings)
    assert measured
    assert [call[-1] for call in calls if call[0] == "-f"] == [file.stage()]
    assert calls[-1] == repro.TARGETS
    assert run(readings) == (False, [repro.TARGETS])


def test_readings_without_a_fingerprint_are_of_another_machine(readings):
    artifacts.ENERGY.save(measurements(["a", "b"], [1.0, 2.0], 256))
    assert ("-f", "-s", "benchmark") in run(readings)[1]


def test_a_stage_that_ran_anyway_is_not_measured_twice(readings):
    readings(artifacts.ENERGY, cores=999)
    assert not [call for call in run(readings, other=["benchmark"])[1] if call[0] == "-f"]


def test_missing_readings_are_left_to_the_pipeline(readings):
    artifacts.METERED.path().unlink()
    assert run(readings, other=["meter"])[1][-2:] == [("meter",), repro.TARGETS]


def test_measuring_anew_reads_everything_on_the_same_machine_too(readings):
    measured, calls = run(readings, anew=True)
    assert measured
    assert [call[-1] for call in calls if call[0] == "-f"] == ["fetch", *FORCED]


def test_measuring_in_a_clone_brings_the_data_first(readings):
    _, calls = run(readings, anew=True)
    assert calls[0] == ("-f", "-s", "fetch")
    artifacts.SPLITS.path(split="test").touch()
    _, calls = run(readings, anew=True)
    assert "fetch" not in {call[-1] for call in calls}
    assert not [call for call in run(readings)[1] if call[-1] == "fetch"], "that is the pipeline's"


@pytest.mark.slow
def test_the_study_needs_every_stage_but_the_formats(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    stages = set(yaml.safe_load(Path("dvc.yaml").read_text())["stages"])
    needed = {stage.name.partition("@")[0] for stage in planned(repro.TARGETS)}
    assert stages - needed == {"compare_formats"}


def test_five_lines_say_what_was_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tuned = strategy_row("tuned", "tuned")
    study = small_study(strategies=[tuned], metered=[metered_row("tuned")])
    point = study.points[0] | {"strategy": "model", "name": "m1"}
    lines = list(repro.found(replace(study, points=[point])))
    assert len(lines) == 5
    assert lines[0].startswith("always m1") and "realised" in lines[1]
    assert "none meets the target" in lines[2]
    assert "another machine" in lines[3] or "like this one" in lines[3]
    assert "make experiment" in lines[4]


def test_a_failure_says_where_and_what_to_run(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"begin": time.time(), "stages": ["fetch", "tune"]}))
    plan = Plan(path)
    assert "before the first stage" in repro.stopped(plan)
    plan.start("tune")
    text = repro.stopped(Plan(path))
    assert "stage 2 of 2, tune" in text and "make repro" in text and "make back" in text
