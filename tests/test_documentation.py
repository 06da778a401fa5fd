"""What README.md and docs/ say is true: worked examples, packages, the graph of the stages."""

import re
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from tests.conftest import REPOSITORY, clone
from tests.documents import DOCUMENTS, blocks, commands

EXAMPLES = [
    pytest.param(code, id=f"{path.stem}-{number}")
    for path in DOCUMENTS
    for number, code in enumerate(blocks("python", path))
    if "class Model" not in code
]
STAGES = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]


def test_every_page_is_linked_from_the_readme():
    text = (REPOSITORY / "README.md").read_text()
    for path in DOCUMENTS[1:]:
        assert f"({path.relative_to(REPOSITORY)})" in text


def test_the_graph_of_the_pipeline_names_every_stage():
    (graph,) = blocks("mermaid", REPOSITORY / "docs/pipeline.md")
    assert set(re.findall(r"[a-z_]+", graph)) - {"flowchart"} == set(STAGES)


def test_the_readme_names_every_package():
    text = (REPOSITORY / "README.md").read_text()
    for package in sorted((REPOSITORY / "eco").glob("*/__init__.py")):
        assert f"  {package.parent.name}/" in text, package


def test_a_figure_of_the_readme_is_found_in_two_hops():
    """The README names the stage's script, and the script calls the module that computes it."""
    text = (REPOSITORY / "README.md").read_text()
    for path in set(re.findall(r"`((?:stages|eco)/[\w/]+\.py)`", text)):
        assert (REPOSITORY / path).exists(), path
    assert "stages/evaluate_frontier.py" in text


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """A function that runs an example, once, and gives what it prints."""

    @cache
    def run(code):
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path_factory.mktemp("example"),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.mark.slow
@pytest.mark.parametrize("code", EXAMPLES)
def test_an_example_in_python_runs(code, printed):
    assert printed(code)


@pytest.mark.slow
def test_the_example_of_the_readme_prints_what_stands_there(printed):
    (code,) = blocks("python", REPOSITORY / "README.md")
    shown = "".join(f"{line}\n" for line in re.findall(r"^# (.*)$", code, re.MULTILINE))
    found, number = printed(code), r"\d\.\d+"
    assert re.sub(number, "#", found) == re.sub(number, "#", shown)
    figures = [np.array(re.findall(number, text), float) for text in (found, shown)]
    accuracy, threshold, _, energy = figures[0]
    # Another processor or library may fit a little otherwise; the energy is measured.
    assert np.abs(np.subtract(*figures)[:2]).max() < 0.1
    assert accuracy > 0.94
    assert threshold > 0.5
    assert energy < 0.7


@pytest.mark.slow
def test_a_model_and_a_data_set_of_ones_own(tmp_path, run_in):
    """docs/your-own.md as it stands: a new kind, a new data set, no change of dvc.yaml."""
    page, folder = REPOSITORY / "docs/your-own.md", clone(tmp_path)
    X, y = load_digits(return_X_y=True)
    np.savez_compressed(
        folder / "letters.npz", X=(X * 15).astype(np.uint8).reshape(-1, 8, 8), y=y,
        class_names=[*"abcdefghij"],
    )  # fmt: skip
    (code,) = (block for block in blocks("python", page) if "class Model" in block)
    path, code = re.match(r"# (\S+)\n(.*)", code, re.DOTALL).groups()
    (folder / path).write_text(code)
    settings = yaml.safe_load((folder / "params.yaml").read_text())
    for block in map(yaml.safe_load, blocks("yaml", page)):
        for section, values in block.items():
            settings[section] |= values
    settings["pool"].insert(1, "discriminant")
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    run = run_in(folder)
    output = run("dvc", "repro", "predict@discriminant").stdout
    assert re.search(r"discriminant: 9\d\.\d+%", output), output
    with np.load(folder / "data/predictions/discriminant.npz") as predictions:
        assert predictions["test"].shape == (450, 10)
    settings["models"]["discriminant"] |= {"shrinkage": "lots", "depth": 3}
    (folder / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    refused = run("dvc", "repro", "-s", "train@discriminant", ok=False)
    assert "arguments of its class Model" in refused.stderr + refused.stdout


def test_there_are_commands_to_check():
    assert len(commands()) > 15
