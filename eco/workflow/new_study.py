"""A new study: its settings, pipeline, scripts and README, for the installed package to run."""

import os
import re
import shutil
import subprocess
import unicodedata
from importlib.metadata import version
from pathlib import Path
from typing import Any

from eco.atomic import replacing_folder
from eco.data.fetch import expanded
from eco.data.files import Reading
from eco.errors import FileError, ParamsError, extra, shortened
from eco.models.settings import NAME
from eco.workflow import params
from eco.workflow.sections import BUILT_IN_DATA

with extra("workflow"):
    import yaml

#: Copied as they are, but for the pipeline and the settings.
FILES = (
    ".dvc/.gitignore", ".dvc/config", ".dvc/plots", ".dvcignore", ".gitignore", "data/.gitignore",
    "models/.gitignore", "stages",
)  # fmt: skip
#: Settings that name columns of a table.
COLUMNS = ("target", "text", "groups", "time")
README = """# {name}

What one prediction of each model costs in joules on {name}, and which cascades and routers save
most of it: a study with EcoInference {version}.

    dvc repro                            # everything that isn't up to date
    eco show                             # every strategy, its accuracy and energy
    plots/report.html                    # the page
    git add -A && git commit -m Results  # then a threshold for each of cascading.active_models:
    dvc exp run -S 'cascading.thresholds=[...]'
    dvc metrics diff

Settings are in params.yaml, the pipeline is in dvc.yaml, and stages/ has a short script for each
of its stages. To measure energies anew: dvc repro -f -s benchmark benchmark_router, then dvc repro.
After an upgrade of the package, whose code DVC doesn't watch: dvc repro -f.
"""
PIPELINE = "# The study, stage by stage: data, models, energies, selectors, strategies, results.\n"


def check_folder(folder: Path) -> None:
    """Raise a `FileError` unless a new study may be written here."""
    if os.path.exists(folder) and (not folder.is_dir() or any(folder.iterdir())):  # noqa: PTH110
        problem = f"{shortened(folder)} must be a new or an empty folder; it holds something"
        raise FileError(problem, "Name another folder.")


def settings(
    folder: Path, data: str, models: str | None, reading: Reading | None = None
) -> dict[str, Any]:
    """What params.yaml is to hold.

    Parameters
    ----------
    folder : Path
        Of the study; paths of settings are relative to it.
    data : str
        ``digits``, ``fashion-mnist``, or a file or folder of one's own.
    models : str or None
        Names of models in their order, separated by commas; all by default.
    reading : Reading, optional
        What samples are; by default images.

    Raises
    ------
    ParamsError
        If data are none, a model is unknown, or none or the same is named twice.
    """
    reading = reading or Reading()
    values: dict[str, Any] = yaml.safe_load((_template() / "params.yaml").read_text())
    if reading.kind != "images":
        own = Path(__file__).parents[1] / f"templates/{reading.kind}.yaml"
        values = _replaced(values, yaml.safe_load(own.read_text()))
    if not data.strip():
        raise ParamsError("--data must name a file, a folder, or a bundled data set; got nothing")
    section = values["data"]
    if data in BUILT_IN_DATA:
        section |= {"name": data, "path": ""}
    else:
        path = os.path.realpath(expanded(data))
        section |= {"name": _name(Path(path)), "kind": reading.kind}
        section["path"] = os.path.relpath(path, os.path.realpath(folder))
        section |= {key: getattr(reading, key) for key in COLUMNS if key in section}
    if models is not None:
        _choose(values, [name.strip() for name in models.split(",")])
    return values


def _replaced(values: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Settings with those of another kind of data in their place; the models are others."""
    return {
        key: value | own.get(key, {})
        if isinstance(value, dict) and key != "models"
        else own.get(key, value)
        for key, value in values.items()
    }


def _name(path: Path) -> str:
    """A name for data of one's own, of the characters that settings take."""
    stem = path.stem.removesuffix(".csv")
    ascii_only = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")[:NAME].strip("-") or "data"
    return f"my-{name}" if name in BUILT_IN_DATA else name


def _template() -> Path:
    """The files that a study starts from: in the installed package, or in its repository."""
    package = Path(__file__).parents[1]
    packed = package / "templates/study"
    return packed if packed.exists() else package.parent


def _choose(values: dict[str, Any], pool: list[str]) -> None:
    """Leave only some models in the settings, wherever they are named."""
    if not set(pool) <= set(values["models"]) or not 1 < len(pool) == len(set(pool)):
        known, found = ", ".join(values["pool"]), shortened(",".join(pool))
        problem = f"--models must name two models or more of {known}, each once; got {found}"
        raise ParamsError(problem, "Other settings are for params.yaml of the new study.")
    values["pool"] = pool
    values["models"] = {name: values["models"][name] for name in pool}
    values["models"][pool[-1]]["targets"] = "hard"  # those of the others may be its probabilities
    values["quantized"] = [name for name in values["quantized"] if name in pool]
    candidates = [name for name in values["tuning"]["candidates"] if name in pool]
    values["tuning"]["candidates"] = candidates if candidates[-1:] == pool[-1:] else []
    if values["router"]["probe"] not in pool[:-1]:
        values["router"]["probe"] = pool[0]
    cascading = values["cascading"]
    active = cascading["active_models"]
    kept = [place for place, name in enumerate(active) if name in pool[:-1]]
    cascading["active_models"] = [*(active[place] for place in kept), pool[-1]]
    presets = cascading["presets"]
    for section, key in [(cascading, "thresholds"), *((presets, name) for name in presets)]:
        section[key] = [*(section[key][place] for place in kept), 0.0]


def write(folder: Path, values: dict[str, Any]) -> None:
    """Write a study, in a repository of git and of DVC: all of it, or nothing.

    Raises `ParamsError` if the settings break the schema, `FileError` if anything can't be written.
    """
    template = _template()
    target = Path(os.path.realpath(folder))
    with replacing_folder(target) as new:
        (new / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        params.load(new / "params.yaml")
        text = README.format(name=values["data"]["name"], version=version("ecoinference"))
        (new / "README.md").write_text(text)
        (new / "dvc.yaml").write_text(_pipeline((template / "dvc.yaml").read_text()))
        if _run(new, "git", "rev-parse", "--is-inside-work-tree", check=False):
            _run(new, "git", "init", "--quiet")
        # All that `dvc init` does, but for adding files to what git commits next.
        for name in FILES:
            (new / name).parent.mkdir(exist_ok=True)
            if (template / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(template / name, new / name, ignore=ignored)
            else:
                shutil.copyfile(template / name, new / name)


def _pipeline(text: str) -> str:
    """The pipeline without the package's code, and without what a study doesn't need."""
    stages = text[text.index("\nstages:") + 1 :]
    stages = re.sub(r"^  compare_formats:\n(    .*\n)+\n", "", stages, flags=re.MULTILINE)
    stages = re.sub(r"^ *- eco/\S+\n", "", stages, flags=re.MULTILINE)
    return PIPELINE + re.sub(r"eco/[\w/.]+,\s*", "", stages)


def _run(folder: Path, *command: str, check: bool = True) -> int:
    """Exit status of a command; a `FileError` with what it said if it fails."""
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise FileError(f"{command[0]} is not installed", f"Install {command[0]}.") from None
    if check and result.returncode:
        said = shortened(result.stderr.strip())
        raise FileError(f"{' '.join(command[-3:])} failed in {folder}: {said}")
    return result.returncode
