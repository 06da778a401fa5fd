"""A clone without DVC's cache, and the commands of the documents, in a finished study."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.digits_study import THRESHOLDS, study_and_output
from tests.documents import QUEUE, commands

pytestmark = pytest.mark.slow

#: Targets of make that take minutes, or run this test.
LONG = ("env", "demo", "repro", "full", "test", "test-fast", "check", "measure", "measurecheck",
        "quick")  # fmt: skip
#: Commands that tests/test_end_to_end.py, or a test below, runs.
RUN_ELSEWHERE = ["dvc metrics diff", ".venv/bin/dvc metrics diff", "dvc params diff",
                 f"dvc exp run -S '{THRESHOLDS}'", "dvc repro --allow-missing --dry",
                 *QUEUE]  # fmt: skip
COMMANDS = [c for c in dict.fromkeys(c for _, c in commands()) if c not in RUN_ELSEWHERE]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return study_and_output(tmp_path_factory)[0]


def test_a_clone_with_no_cache_tries_thresholds_at_once(run_in, study, tmp_path):
    run_in(tmp_path)("git", "clone", "-q", str(study), "clone")
    run = run_in(tmp_path / "clone")
    dry = run("dvc", "repro", "--allow-missing", "--dry").stdout
    assert "Data and pipelines are up to date." in dry
    said = run("dvc", "exp", "run", "--allow-missing", "-S", THRESHOLDS).stdout
    ran = [line.split("'")[1] for line in said.splitlines() if line.startswith("Running")]
    assert ran == ["evaluate_cascading"]
    assert "cascading.accuracy" in run("dvc", "metrics", "diff", "HEAD").stdout
    run("git", "checkout", "-q", ".")
    said = run(
        "dvc", "exp", "run", "--allow-missing", "-S", "cascading.thresholds=tuned",
        "-S", "tuning.max_accuracy_loss=3.0", "-S", "certification.max_loss=7.0",
        "evaluate_cascading",
    ).stdout  # fmt: skip
    assert "Running stage 'certify'" in said
    assert "Running stage 'train" not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_documents_runs(study, run_in, command):
    """In the study as it stands; what takes minutes, or is this, as a dry run."""
    words = shlex.split(command)
    if words[0] == "source":
        return
    if words[0] == "pip":
        pytest.skip("tests/test_installed.py installs the project")
    words[0] = words[0].removeprefix(".venv/bin/")
    if words[0] == "make":
        words += ["-o", "env", f"VENV={Path(sys.executable).parents[1]}"]
        words += ["-n"] if words[1] in LONG else []
    run_in(study)(*words)
