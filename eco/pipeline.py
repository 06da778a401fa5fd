"""The lines of dvc.yaml that name each model of the pool, kept in step with params.yaml.

DVC expands a list into stages, but not into dependencies: a stage that needs every model has a
line for each. `make pool` writes those lines anew after a change of `pool`.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from eco import files, params
from eco.errors import FileError, reported

#: Where each model has a file of its own, as a dependency is written.
FILES = (
    "models/{}.onnx",
    "data/predictions/{}.npz",
    "metrics/training/{}.json",
    "plots/training/{}.json",
    "plots/calibration/{}.json",
)
TRAINING = """- Training of {0}:
    template: training
    x: epoch
    y:
      plots/training/{0}.json: accuracy
    x_label: "epoch"
    y_label: "accuracy"
"""
OF_TRAINING = re.compile(r"^- Training of .*\n(?:    .*\n)+", re.MULTILINE)
PLOTS = re.compile(r"^plots:$", re.MULTILINE)
#: The one model whose file as trained is a dependency: the last.
LAST = re.compile(r"^(    - models/trained/)[a-z0-9_]+(\.onnx)$", re.MULTILINE)


def in_step(text: str, pool: Sequence[str], learning: Sequence[str]) -> str:
    r"""The text of dvc.yaml with the lines of the present pool.

    Parameters
    ----------
    text : str
        Of dvc.yaml.
    pool : sequence of str
        The models, in order.
    learning : sequence of str
        Those that learn in epochs, whose curves are drawn.

    Examples
    --------
    >>> print(in_step("    - models/tiny.onnx\n    - models/old.onnx\n", ["tiny", "new"], []))
        - models/tiny.onnx
        - models/new.onnx
    <BLANKLINE>
    """
    lines = (line for part in _runs(text.splitlines(), pool) for line in part)
    text = "\n".join(lines) + "\n"
    text = LAST.sub(rf"\g<1>{pool[-1]}\g<2>", text)
    curves = "".join(TRAINING.format(model) for model in learning)
    return OF_TRAINING.sub("", text) + curves if PLOTS.search(text) else text


def _runs(lines: Sequence[str], pool: Sequence[str]) -> Iterator[Sequence[str]]:
    """The lines, those in a row that name a model's file of one sort replaced by the pool's."""
    for sort, group in groupby(lines, key=_sort):
        run = list(group)
        # A single one is a model that a stage needs for itself, or a router.
        yield [f"    - {sort.format(model)}" for model in pool] if sort and len(run) > 1 else run


def _sort(line: str) -> str | None:
    for sort in FILES:
        pattern = re.escape(sort).replace(r"\{\}", r"(?!.*router)[a-z][a-z0-9_]*")
        if re.fullmatch(f"    - {pattern}", line):
            return sort
    return None


def refresh(path: Path) -> None:
    """Write dvc.yaml with the lines of the pool in params.yaml."""
    settings = params.load()
    learning = [m for m in settings.pool if hasattr(settings.models[m], "epochs")]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} can't be read ({error.strerror}): git checkout {path}") from None
    with files.replacing(path) as stream:
        stream.write(in_step(text, settings.pool, learning).encode())
    print(f"{path} has the lines of {', '.join(settings.pool)}")


if __name__ == "__main__":
    with reported():
        refresh(Path(sys.argv[1]))
