"""Fixtures: a pool whose probabilities a reader can check by eye, and a clone to work in."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# Under nohup, and in the background of a shell, these are ignored, by all that is started as well.
for _number, _handler in (
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGINT, signal.default_int_handler),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, what needs its results comes last: workers end together."""
    place = {"test_end_to_end.py": -2, "test_table_study.py": -1, "test_commands.py": 1}
    top = REPOSITORY / "tests"
    items.sort(key=lambda item: place.get(item.path.name, 0) if item.path.parent == top else 0)


@pytest.fixture
def table() -> dict[str, np.ndarray]:
    """Four samples, three models, two classes: rows are samples, columns models.

    =======  =====  ====  ====  ====
    sample   label  light mid   heavy
    =======  =====  ====  ====  ====
    0        0      0.95  0.90  0.99   all right
    1        0      0.60* 0.85  0.90   the light one is wrong
    2        1      0.92* 0.55* 0.80   only the heavy one is right
    3        1      0.70* 0.60* 0.75*  none is right
    =======  =====  ====  ====  ====
    """
    for_class_0 = np.array(
        [[0.95, 0.90, 0.99], [0.40, 0.85, 0.90], [0.92, 0.55, 0.20], [0.70, 0.60, 0.75]]
    )
    return {
        "probabilities": np.stack([for_class_0, 1 - for_class_0], axis=-1).astype(np.float32),
        "y": np.array([0, 0, 1, 1], np.uint8),
        "energy_j": np.array([1.0, 10.0, 100.0]),
    }


Run = Callable[..., subprocess.CompletedProcess[str]]


def clone(folder: Path) -> Path:
    """The repository as it would be committed now, in a git repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, folder / name)
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "clone"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def run_in() -> Callable[[Path], Run]:
    """A function that runs commands in a folder, with no settings of the user or of git hooks."""

    def bound(folder: Path) -> Run:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "DVC_"))}
        environment |= {
            "GIT_AUTHOR_NAME": "tests",
            "GIT_AUTHOR_EMAIL": "tests@example.org",
            "GIT_COMMITTER_NAME": "tests",
            "GIT_COMMITTER_EMAIL": "tests@example.org",
            "DVC_NO_ANALYTICS": "1",
            "COLUMNS": "200",
        }

        def run(*command: str, ok: bool | None = True) -> subprocess.CompletedProcess[str]:
            result = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            if ok is not None:
                assert (result.returncode == 0) is ok, f"{result.stdout}\n{result.stderr}"
            return result

        return run

    return bound
