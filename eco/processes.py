"""A stage ends with the `dvc` that runs it, and says which of the stages of a run it is."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

#: Seconds between two looks at the processes, where the system tells no end of one.
INTERVAL_S = 0.5
#: The variable of the environment that names the file of a `Plan`.
PLAN = "ECO_PLAN"


class Plan:
    """The stages of a whole run in their order, kept in a file beside the one that ran last."""

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_text())
        self.stages: list[str] = content["stages"]
        self.begin: float = content["begin"]
        self._last = path.with_suffix(".last")

    def start(self, stage: str) -> None:
        """Remember the stage that runs."""
        self._last.write_text(stage)

    def describe_last(self) -> str | None:
        """Which of how many stages ran last, and the minutes since the begin; None before one."""
        if not self._last.exists():
            return None
        stage = self._last.read_text()
        place = self.stages.index(stage) + 1 if stage in self.stages else 0
        minutes = (time.time() - self.begin) / 60
        return f"stage {place} of {len(self.stages)}, {stage}, after {minutes:.0f} min"


def announce_stage() -> None:
    """Say which stage this is, where a run has left its plan."""
    stage, path = os.environ.get("DVC_STAGE"), os.environ.get(PLAN)
    if stage and path and Path(path).exists():
        plan = Plan(Path(path))
        plan.start(stage)
        print(plan.describe_last(), file=sys.stderr, flush=True)


def end_with_dvc() -> None:
    """End this process, if it is a stage, as soon as its `dvc` has gone, and at once on Ctrl-C.

    A stage that outlived its `dvc` would write over results that were put back or made anew.
    """
    stage = os.environ.get("DVC_STAGE")
    if stage is None:
        return
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Python's own handler waits for the call that is running, such as an epoch of a training.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    dvc = _runner(stage)
    if dvc is None:
        _say_why()
        raise SystemExit(1)
    # A process of its own: a call that holds Python's lock would keep a thread waiting.
    command = [sys.executable, "-I", __file__, str(dvc.pid), str(os.getpid())]
    subprocess.Popen(command, start_new_session=True)  # out of the reach of Ctrl-C


def _runner(stage: str) -> Any:
    """The nearest ancestor that isn't part of the stage, as a shell between may be."""
    import psutil

    for ancestor in psutil.Process().parents():
        with contextlib.suppress(psutil.AccessDenied):
            if ancestor.environ().get("DVC_STAGE") == stage:
                continue
        # Who adopts orphans, such as init, is in another session.
        alike = not hasattr(os, "getsid") or os.getsid(ancestor.pid) == os.getsid(0)
        return ancestor if alike else None
    return None


def watch(dvc: int, stage: int) -> None:
    """Wait until one of two processes ends; kill the stage if it is the other one."""
    try:
        select.select([os.pidfd_open(dvc), os.pidfd_open(stage)], [], [])
    except (AttributeError, OSError):  # not everywhere, or one has ended before
        while _lives(dvc) and os.getppid() == stage:
            time.sleep(INTERVAL_S)
    if os.getppid() == stage:
        os.kill(stage, signal.SIGKILL)
        _say_why()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _say_why() -> None:
    print("\nERROR: dvc has gone: this stage ends, nothing is saved\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    watch(*map(int, sys.argv[1:]))
