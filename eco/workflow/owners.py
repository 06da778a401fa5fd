"""The files of a study that no command may overwrite: those of dvc.yaml, and those in git."""

import os
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from eco.errors import FileError, extra

with extra("workflow"):
    import yaml

PIPELINE = Path("dvc.yaml")


def owner(path: Path) -> str | None:
    """What a file belongs to, through links too: ``dvc.yaml``, ``git``, or None if to nothing.

    Whatever lies in a folder that dvc.yaml names belongs to it.
    """
    file = Path(os.path.realpath(path))
    top = Path.cwd().resolve()
    if file.is_relative_to(top):
        inside = file.relative_to(top)
        if inside.parts[0] in (".dvc", ".git"):
            return inside.parts[0]
        parts = [str(part) for part in (inside, *inside.parents)]
        if any(fnmatchcase(part, pattern) for pattern in _patterns() for part in parts):
            return str(PIPELINE)
    return "git" if _is_tracked(file) else None


def _patterns() -> Iterator[str]:
    """The paths in dvc.yaml, with stars for what DVC fills in."""
    try:
        pipeline = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))
        stages = [stage.get("do", stage) for stage in pipeline["stages"].values()]
        for section in (pipeline, *stages):
            for kind in ("deps", "outs", "metrics", "plots"):
                for entry in section.get(kind, []):
                    name = entry if isinstance(entry, str) else next(iter(entry))
                    yield re.sub(r"\$\{[^}]*\}", "*", name)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        raise FileError(
            f"{PIPELINE} is not a pipeline that can be read",
            f"Go back to the committed one with: git checkout HEAD -- {PIPELINE}",
        ) from None


def _is_tracked(file: Path) -> bool:
    command = ["git", "--literal-pathspecs", "ls-files", "--", str(file)]
    try:
        return bool(subprocess.run(command, capture_output=True, check=False).stdout)
    except OSError:  # git is not installed
        return False
