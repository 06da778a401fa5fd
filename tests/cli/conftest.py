"""The small workflow, in whose folder the tests run commands."""

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from eco.cli import main
from tests.conftest import REPOSITORY
from tests.small_workflow import build


@pytest.fixture(scope="session")
def workflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workflow")
    return folder, build(folder)


@pytest.fixture
def settings(workflow, tmp_path, monkeypatch):
    """The settings of a workflow, in whose folder the test runs."""
    shutil.copytree(workflow[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return workflow[1]


def eco(*arguments, ok=True, **options):
    result = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="eco", **options)
    if ok is not None:
        assert (result.exit_code == 0) is ok, result.output
    return result


def refused(*arguments):
    """The message of a command that must fail without a traceback."""
    result = eco(*arguments, ok=False)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def command(*arguments, **options):
    """The command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    whole = [sys.executable, "-m", "eco", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(whole, env=environment, **pipes | options)
