"""What becomes of a stage whose `dvc` is interrupted or killed, in pipelines of one stage."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from tests.conftest import REPOSITORY

#: Far longer than anything here takes on a busy machine: a guard against hanging.
PATIENCE_S = 300
#: A call that takes hours and, as in a library, neither ends nor lets Python look at signals.
CALL = "sum(itertools.repeat(1, 10**13))"


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lives(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def repro(tmp_path, run_in):
    """A function that starts `dvc repro` of a stage in a session of its own.

    It gives the process of `dvc` and the stage's number once the stage works.
    """
    started = []

    def start(command, body):
        (tmp_path / "stage.py").write_text(
            textwrap.dedent(f"""
                import itertools, os, pathlib, time
                from eco.errors import reported
                with reported():
                    pathlib.Path("started").write_text(str(os.getpid()))
                    pathlib.Path("started").rename("pid")
                    {body}
                    pathlib.Path("out").write_text("saved")
            """)
        )
        (tmp_path / "dvc.yaml").write_text(
            f"stages:\n  slow:\n    cmd: {command}\n    outs: [out: {{cache: false}}]\n"
        )
        run_in(tmp_path)("dvc", "init", "-q", "--no-scm")
        environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "DVC_NO_ANALYTICS": "1"}
        with (tmp_path / "log").open("w") as log:
            dvc = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"], cwd=tmp_path, env=environment,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        started.append(dvc)
        wait_for(lambda: (tmp_path / "pid").exists() or dvc.poll() is not None)
        assert (tmp_path / "pid").exists(), (tmp_path / "log").read_text()
        return dvc, int((tmp_path / "pid").read_text())

    yield start
    for dvc in started:
        for pid in {dvc.pid, int((tmp_path / "pid").read_text())}:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)
        dvc.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "body", "death"),
    [
        pytest.param("python stage.py", CALL, signal.SIGKILL, id="child of dvc"),
        pytest.param("python stage.py", CALL, signal.SIGHUP, id="hang-up"),
        pytest.param("python stage.py; true", CALL, signal.SIGTERM, id="child of a shell"),
    ],
)
def test_a_stage_ends_with_its_dvc(repro, tmp_path, command, body, death):
    dvc, stage = repro(command, body)
    dvc.send_signal(death)
    wait_for(lambda: not lives(stage))
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ctrl_c_ends_a_stage_in_the_middle_of_a_call(repro, tmp_path):
    dvc, stage = repro("python stage.py", CALL)
    os.killpg(dvc.pid, signal.SIGINT)
    wait_for(lambda: dvc.poll() is not None)
    assert not lives(stage)
    said = (tmp_path / "log").read_text()
    assert "failed to reproduce 'slow'" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_a_stage_whose_dvc_went_before_it_could_look_ends_too(tmp_path):
    """Its mark without a process to match: every ancestor carries it, or is of another session."""
    code = "from eco.errors import reported\nwith reported(): open('out', 'w')"
    shell = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    result = subprocess.run(
        [sys.executable, "-c", shell],
        cwd=tmp_path,
        env=os.environ | {"DVC_STAGE": "slow", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert result.returncode == 1
    assert "dvc has gone" in result.stderr
    assert not (tmp_path / "out").exists()


def test_without_dvc_a_stage_runs_as_any_script(tmp_path):
    code = "from eco.errors import reported\nwith reported(): open('out', 'w')"
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(REPOSITORY)},
        start_new_session=True,
        check=True,
    )
    assert (tmp_path / "out").exists()
