"""Try settings: `make experiment SET='key=value'`.

They are checked before DVC writes them, so that a refused one leaves everything as it was. Up to
these stages thresholds need neither images nor trained models, so a fresh clone can run them.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from eco.errors import EcoError, ParamsError, reported
from eco.workflow import params
from tools.pipeline import planned

TARGETS = ("evaluate_cascading", "compare")
LEFT = "An earlier experiment or edit left it in params.yaml. Give it another value, or: make back"
#: Of DVC's dependencies those on files name one; those on settings list keys.
Reads = dict[str, tuple[Sequence[str], Sequence[str]]]


def split(text: str) -> list[str]:
    """The settings of SET, one a word; raises `EcoError` if a word is none."""
    words = text.split()
    if any(not re.match(r"[^=]+=|~", word) for word in words):
        raise EcoError(
            f"SET must hold settings like key=value, without spaces inside a list; got '{text}'"
        )
    return words


def check(settings: Sequence[str]) -> None:
    """Raise `ParamsError` if params.yaml with these settings breaks the schema."""
    from dvc.utils.hydra import apply_overrides

    try:
        params.load()
        remedy = "Nothing was run or changed. Give it another value."
    except ParamsError:
        remedy = LEFT
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(params.PATH, folder)
        with contextlib.chdir(folder):
            try:
                apply_overrides(params.PATH, list(settings))
            except Exception as error:  # DVC's own
                raise EcoError(_problem(settings, error), remedy) from None
            try:
                params.load()
            except ParamsError as error:
                raise ParamsError(error.problem, remedy) from None


def _problem(settings: Sequence[str], error: Exception) -> str:
    """What is wrong with settings that DVC refuses: of unknown ones the schema knows more."""
    from dvc.utils.hydra import apply_overrides

    with contextlib.suppress(Exception):  # of those that are no additions either
        apply_overrides(params.PATH, [f"+{setting.lstrip('+')}" for setting in settings])
        try:
            params.load()
        except ParamsError as refused:
            return refused.problem
    return f"SET={' '.join(settings)}: {str(error).splitlines()[0]}"


def reads() -> Reads:
    """By stage the settings that it reads, and the files that it needs and that are missing."""
    found = {}
    for stage in planned(TARGETS):
        keys = [key for dep in stage.deps for key in getattr(dep, "params", ())]
        files = [dep.def_path for dep in stage.deps if not hasattr(dep, "params")]
        missing = [file for file in files if not Path(file).exists()]
        found[stage.addressing] = keys, missing
    return found


def affected(settings: Sequence[str], stages: Reads) -> list[str]:
    """The stages that read one of the settings; raises `EcoError` if they lack files."""
    names = [setting.lstrip("+~").partition("=")[0] for setting in settings]
    found = [
        stage
        for stage, (keys, _) in stages.items()
        if any(f"{a}.".startswith(f"{b}.") for key in keys for n in names for a, b in
               ((key, n), (n, key)))
    ]  # fmt: skip
    for stage in found:
        if missing := stages[stage][1]:
            raise EcoError(
                f"{' '.join(settings)} needs what this clone lacks: {stage} reads {missing[0]}, "
                "and models would be trained",
                "Make data and models first: make repro. Then repeat this.",
            )
    return found


def main() -> None:
    """Check the settings, run DVC, and end with its status."""
    settings = split(os.environ.get("SETTINGS", ""))
    if not settings:
        raise EcoError(
            "SET must hold a setting",
            "Example: make experiment SET='cascading.thresholds=aggressive'",
        )
    check(settings)
    found = affected(settings, reads())
    print(f"read by {', '.join(found) or 'no stage'}; what follows runs anew", flush=True)
    command = ["dvc", "exp", "run", "--allow-missing"]
    command += [f"--set-param={setting}" for setting in settings]
    status = subprocess.run([*command, *TARGETS], check=False).returncode
    if status:
        print("\nSettings and results as committed: make back", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    with reported():
        main()
