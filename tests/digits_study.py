"""The whole study on scikit-learn's bundled digits: made once, and copied by each file of tests."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import yaml
from dvc.utils.hydra import apply_overrides

from tests.conftest import clone

THRESHOLDS = "cascading.thresholds=[0.95,0.9,0.85,0.0]"
#: One model of each kind that a stage treats in a way of its own, to save time.
POOL = ["tiny", "medium", "large", "extra"]
#: Beyond `make quick`: as little of everything as still shows that it works.
SHORT = ["energy.budget_s=1.0", "energy.window_s=0.05", "models.large.epochs=8",
         "tuning.settings_per_chain=1000", "certification.resplits=100"]  # fmt: skip


def study_and_output(tmp_path_factory) -> tuple[Path, str]:
    """A finished study of one's own, in git, and what `dvc repro` said that finished it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers
    made, said = shared / "digits", shared / "digits.log"
    with (shared / "digits.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            said.write_text(_kill_and_finish(_configure(clone(made))))
    own = tmp_path_factory.mktemp("digits") / "study"
    return shutil.copytree(made, own, symlinks=True), said.read_text()


def _configure(folder: Path) -> Path:
    quick = re.search(r"^QUICK := (.*)$", (folder / "Makefile").read_text(), re.MULTILINE)
    path = folder / "params.yaml"
    apply_overrides(path, [*quick.group(1).split(), *SHORT])
    settings = yaml.safe_load(path.read_text())
    settings["pool"] = POOL
    settings["quantized"] = [model for model in settings["quantized"] if model in POOL]
    settings["models"] = {model: settings["models"][model] for model in POOL}
    settings["tuning"]["candidates"] = []
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return folder


def _kill_and_finish(folder: Path) -> str:
    """Kill `dvc repro` in the middle of a training, run it to the end, and commit the results."""
    log = folder.with_name("killed.log")
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=folder, stdout=stream, stderr=stream, start_new_session=True
        )
    while "Running stage 'train@medium'" not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = subprocess.run(
        ["dvc", "repro"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["add", "-A"], [*identity, "commit", "-qm", "digits"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return result.stdout
