"""Many files on a cluster."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from eco import __version__
from tests.cli.conftest import command, eco, refused
from tests.cli.test_many import answers_alone, check_answers, write_inputs
from tests.cli.test_writers import rows_of
from tests.conftest import REPOSITORY
from tests.data.test_streams import npy
from tests.small_workflow import SHAPE


@pytest.fixture
def ray(settings, monkeypatch):
    """Ray, whose processes find this project."""
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return pytest.importorskip("ray")


def test_a_missing_package_is_named(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    write_inputs()
    message = refused("predict", "in", "-o", "answers/", "--engine", "ray")
    assert "the package ray is not installed" in message
    assert "pip install 'ecoinference[ray]'" in message


@pytest.mark.parametrize(
    "arguments",
    [["in", "-o", "answers/", "--workers", 2], ["in/day-1.npy"], ["test", "-o", "answers.csv"]],
)
def test_an_engine_is_for_many_files(settings, arguments):
    write_inputs()
    result = eco("predict", *arguments, "--engine", "ray", ok=False)
    assert "--engine is for many files, and takes all cores of its cluster" in result.stderr


@pytest.mark.slow
def test_a_cluster_answers_as_this_machine_does(ray):
    write_inputs()
    for name, content in (("damaged", b"an email"), ("small", npy(np.zeros((2, 2, 2), np.uint8)))):
        Path("in", f"{name}.npy").write_bytes(content)
    refused("predict", "in", "-o", "here/")
    message = refused("predict", "in", "-o", "there/", "--engine", "ray")
    assert "in/damaged.npy is none of .npy" in message and "has images of 2 x 2" in message
    assert "2 of 12 inputs were not answered" in message
    check_answers("there", answers_alone())
    for path in Path("here").glob("*.csv"):
        assert Path("there", path.name).read_bytes() == path.read_bytes()
    manifests = [json.loads(Path(f, "manifest.json").read_text()) for f in ("here", "there")]
    assert [m.pop("failed") != [] for m in manifests] == [True, True]
    assert manifests[0] == manifests[1]
    Path("in/damaged.npy").unlink()
    Path("in/small.npy").unlink()
    result = eco("predict", "in", "-o", "there/", "--engine", "ray")
    assert "files              10 of 10, 10 from before" in result.stdout


@pytest.mark.slow
def test_another_version_on_the_cluster_is_named(ray, monkeypatch):
    write_inputs()
    monkeypatch.setattr("eco.cli.engines.__version__", "9.9")
    message = refused("predict", "in", "-o", "answers/", "--engine", "ray")
    assert f"ecoinference is {__version__} on a machine of the cluster, 9.9 here" in message


@pytest.mark.slow
def test_a_process_of_a_cluster_that_is_killed_costs_nothing(ray):
    write_inputs()
    expected = answers_alone()
    Path("in/a.npy").write_bytes(npy(np.zeros((40_000, *SHAPE), np.uint8)))
    process = command("predict", "in", "-o", "answers/", "--engine", "ray", "--batch-size", 20)
    while not (drafts := list(Path().glob("answers/.a.csv.*.part"))) and process.poll() is None:
        time.sleep(0.01)
    os.kill(int(drafts[0].name.split(".")[-2]), signal.SIGKILL)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "files              11 of 11, 0 from before" in output
    expected["a.csv"] = rows_of(Path("answers/a.csv"))
    assert len(expected["a.csv"]) == 40_000
    check_answers("answers", expected)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_one_message(ray, monkeypatch):
    write_inputs()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    process = command("predict", "in", "-o", "answers/", "--engine", "ray")
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "no Ray cluster can be used at 127.0.0.1:9" in errors and "Traceback" not in errors
