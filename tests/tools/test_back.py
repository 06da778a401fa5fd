"""`make back`, in small repositories with what a killed `dvc exp run` leaves."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from eco.errors import EcoError
from tools import back

COMMITTED = {"params.yaml": "threshold: 0.5\n", "metrics/found.json": '{"found": 0.5}\n'}
STAGE = """
stages:
  slow:
    cmd: touch started; test ! -e ../wait || sleep 1000; cp params.yaml metrics/found.json
    params: [threshold]
    outs: [metrics/found.json: {cache: false, persist: true}]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, run_in):
    """A repository with one setting and one result, on a branch; the working directory."""
    repository = tmp_path / "study"
    for name in ("metrics", ".dvc/tmp"):
        (repository / name).mkdir(parents=True)
    for name, content in (
        COMMITTED | {".dvc/config": "", ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n"}
    ).items():
        (repository / name).write_text(content)
    (repository / "code.py").write_text("as committed\n")
    run = run_in(repository)
    run("git", "init", "-q", "-b", "work")
    run("git", "config", "core.trustctime", "false")  # so that a test can set all times
    run("git", "add", "-A")
    run("git", "commit", "-qm", "study")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    return repository


def assert_as_committed(folder, run):
    for name, content in COMMITTED.items():
        assert (folder / name).read_text() == content
    assert run("git", "symbolic-ref", "--short", "HEAD").stdout == "work\n"
    assert run("git", "diff", "--cached", "--name-only").stdout == ""
    assert not (folder / ".dvc/tmp/repro.dat").exists()
    assert "refs/exps/exec" not in run("git", "for-each-ref").stdout


def test_a_change_that_git_does_not_see_is_put_back(folder, run_in):
    """git compares length and second, and here both are alike."""
    path, run = folder / "params.yaml", run_in(folder)
    os.utime(path, (10**9, 10**9))
    run("git", "update-index", "--refresh")
    path.write_text(COMMITTED["params.yaml"].replace("0.5", "0.9"))
    os.utime(path, (10**9, 10**9))
    run("git", "checkout", "HEAD", "--", "params.yaml")
    assert "0.9" in path.read_text()
    back.main()
    assert_as_committed(folder, run)


def test_everything_that_a_killed_experiment_leaves_goes(folder, run_in):
    run = run_in(folder)
    run("git", "checkout", "-q", "--detach", "HEAD")
    for name in ("EXEC_HEAD", "EXEC_MERGE", "EXEC_BASELINE"):
        run("git", "update-ref", f"refs/exps/exec/{name}", "HEAD")
    run("git", "symbolic-ref", "refs/exps/exec/EXEC_BRANCH", "refs/exps/ab/cdef/name")
    (folder / "params.yaml").write_text("threshold: 0.9\n")
    (folder / ".dvc/tmp/repro.dat").write_bytes(b"arguments")
    run("git", "add", "-f", "params.yaml", ".dvc/tmp/repro.dat")
    (folder / "metrics/found.json").unlink()
    (folder / "code.py").write_text("changed by hand\n")
    for torn in (".dvc/tmp/rwlock", ".git/index.lock", ".git/HEAD.lock"):
        (folder / torn).write_text('{"read": {"pa')
    back.main()
    assert_as_committed(folder, run)
    assert (folder / "code.py").read_text() == "changed by hand\n"
    assert run("git", "status", "--porcelain").stdout == " M code.py\n"
    back.main()
    assert_as_committed(folder, run)


@pytest.mark.parametrize("torn", ["", '{"read": {"'])
def test_nothing_is_put_back_beside_a_living_dvc(folder, torn):
    (folder / "params.yaml").write_text("threshold: 0.9\n")
    sleep = [sys.executable, "-c", "import time; time.sleep(60)", "dvc"]
    with subprocess.Popen(sleep) as dvc:
        try:
            lock = json.dumps({"write": {"metrics": {"pid": dvc.pid, "cmd": "dvc repro"}}})
            (folder / ".dvc/tmp/rwlock").write_text(lock + torn)
            with pytest.raises(EcoError, match=f"kill {dvc.pid}"):
                back.main()
        finally:
            dvc.kill()
    assert (folder / "params.yaml").read_text() == "threshold: 0.9\n"
    assert (folder / ".dvc/tmp/rwlock").exists()


def test_outside_a_repository_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EcoError, match="not a git repository"):
        back.main()


def test_a_file_that_is_saved_nowhere_else_stays(folder, run_in):
    run = run_in(folder)
    (folder / "data").mkdir()
    (folder / "data/images").write_text("committed")
    run("dvc", "add", "-q", "data/images")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "images")
    (folder / "data/images").unlink()
    (folder / "data/images").write_text("new")
    with pytest.raises(EcoError, match="dvc checkout --force"):
        back.main()
    assert (folder / "data/images").read_text() == "new"


@pytest.mark.slow
def test_after_a_kill_the_way_back_and_the_next_experiment_work(folder, run_in):
    run = run_in(folder)
    (folder / "dvc.yaml").write_text(STAGE)
    run("git", "add", "dvc.yaml")
    run("git", "commit", "-qm", "stage")
    (folder.parent / "wait").touch()
    command = ["dvc", "exp", "run", "-S", "threshold=0.9"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as dvc:
        deadline = time.monotonic() + 60  # a guard against hanging
        while not (folder / "started").exists():
            assert time.monotonic() < deadline
            assert dvc.poll() is None
            time.sleep(0.05)
        os.killpg(dvc.pid, signal.SIGKILL)
    assert "0.9" in (folder / "params.yaml").read_text()
    back.main()
    assert_as_committed(folder, run)
    (folder.parent / "wait").unlink()
    run("dvc", "exp", "run", "-S", "threshold=0.7")
    assert (folder / "metrics/found.json").read_text() == "threshold: 0.7\n"
    assert run("git", "symbolic-ref", "--short", "HEAD").stdout == "work\n"
