import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from eco.cli import COMMANDS, main
from eco.workflow import params
from tests.cli.conftest import eco, refused
from tests.conftest import REPOSITORY
from tests.small_workflow import N


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = eco(name, "--help").stdout
    assert f"Usage: eco {name}" in text and f"  eco {name}" in text.split("Example")[1]
    assert name in eco("--help").stdout


RANGES = [
    pytest.param(name, option.opts[-1], option.nargs, id=f"{name} {option.opts[-1]}")
    for name in COMMANDS
    for option in main.get_command(None, name).params
    if isinstance(option.type, click.FloatRange)
]


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(("name", "option", "nargs"), RANGES)
def test_a_range_holds_finite_numbers(name, option, nargs, value):
    result = eco(name, option, *[value] * nargs, ok=False)
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': " in result.stderr and value in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["show"],
        ["doctor"],
        ["predict", "test"],
        ["demo"],
        ["report"],
        ["machines"],
        ["monitor", "a.csv"],
        ["serve"],
    ],
)
def test_outside_the_repository_every_command_says_where_to_go(arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "from the top of a study" in refused(*arguments)


LOADED = """
import sys
from eco.cli import main
main(sys.argv[1:], standalone_mode=False)
heavy = {"onnxruntime", "onnx", "tensorflow", "keras", "sklearn", "pandas", "codecarbon"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["doctor"], ["machines"], ["tune", "--energy-budget", "0.2"]],
)
def test_asking_loads_no_learning_library(settings, arguments):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", LOADED, *arguments], env=environment, check=True)


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "-f", "json"], ["doctor"], ["tune", "--energy-budget", "0.1"]]
)
def test_the_files_in_git_are_answered_from_or_named(arguments, monkeypatch):
    """In the middle of a change of pool the committed results may be of the pool before."""
    monkeypatch.chdir(REPOSITORY)
    result = eco(*arguments, ok=None)
    if result.exit_code:
        assert "was made for" in result.stderr or "is missing" in result.stderr
    else:
        expected = "files:" if arguments == ["doctor"] else params.load().pool[-1]
        assert expected in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["show", "--help"]])
def test_a_full_disk_behind_the_output_is_named(arguments):
    command = [sys.executable, "-m", "eco", *arguments]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert run.returncode == 1
    assert "ERROR: the output can't be written: No space left" in run.stderr
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--help"], 0), (["predict", "test", "-o", "out.npz"], 0), (["predict", "no.npy"], 1)],
)
def test_streams_may_be_closed(settings, tmp_path, arguments, status, closed):
    script = f'exec "$@" {closed}'
    run = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "eco", *arguments],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == status
    assert "Traceback" not in run.stderr
    if "-o" in arguments:
        with np.load(tmp_path / "out.npz") as archive:
            assert len(archive["label"]) == N
