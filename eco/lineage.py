"""Whether results belong together: dvc.lock says from which files each of them was made."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from eco import files
from eco.errors import FileError

LOCK = Path("dvc.lock")
#: Folders of the results, and of what they are made from.
RESULTS = ("data", "metrics", "plots")
#: Of any size, and never changed but by `fetch`, which writes the labels anew as well.
IMAGES = {files.images_path(split) for split in ("train", *files.PREDICTED)}


class Outdated(NamedTuple):
    """A result, and the files that have changed since it was made: itself, or what it is made from.

    A run that stopped half way leaves such results, and so does a file that was brought back alone.
    """

    result: Path
    changed: list[Path]


def outdated() -> list[Outdated]:
    """Results of the workflow that weren't made from the files that lie beside them.

    Of code, settings and images nothing is said, nor of files that aren't there: `dvc status`
    does that.

    Raises
    ------
    FileError
        If dvc.lock is missing or isn't DVC's.
    """
    try:
        stages = YAML(typ="safe").load(LOCK.read_text(encoding="utf-8"))["stages"].values()
        made = [
            (dict(_recorded(stage.get("deps", []))), dict(_recorded(stage.get("outs", []))))
            for stage in stages
        ]
    except (OSError, YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise FileError(
            f"{LOCK} can't be read ({reason}). Bring it back with: git checkout {LOCK}"
        ) from None
    recorded = {path for kinds in made for kind in kinds for path in kind}
    now = {path: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
           for path in recorded if path.is_file()}  # fmt: skip
    found = []
    for sources, results in made:
        others = [path for path, md5 in sources.items() if now.get(path, md5) != md5]
        for path, md5 in results.items():
            changed = ([path] if now.get(path, md5) != md5 else []) + others
            if changed and path in now:
                found.append(Outdated(path, changed))
    return found


def _recorded(entries: list[dict[str, Any]]) -> Iterator[tuple[Path, str]]:
    for entry in entries:
        path = Path(entry["path"])
        if path.parts[0] in RESULTS and path not in IMAGES:
            yield path, str(entry["md5"])


def advice() -> str | None:
    """One sentence on results that are out of date, and what to do; None if there are none."""
    found = outdated()
    if not found:
        return None
    changed = sorted({str(path) for result in found for path in result.changed})
    results = sorted(str(result.result) for result in found)
    return (
        f"{_some(results)} {'was' if len(results) == 1 else 'were'} made before {_some(changed)} "
        "changed, so figures of two runs may stand side by side: dvc repro (in a clone without "
        "data: dvc repro --allow-missing evaluate_cascading compare footprint); or go back: "
        "git checkout HEAD -- params.yaml dvc.lock data metrics plots"
    )


def _some(names: list[str]) -> str:
    kept = ", ".join(names[:3])
    return kept if len(names) <= 3 else f"{kept} and {len(names) - 3} more"
