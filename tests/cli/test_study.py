"""`eco study`: a folder of results from a file, whole or not at all."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import eco, refused
from tests.conftest import REPOSITORY
from tests.predictions.pools import wide

FILES = {"metrics.json", "frontier.json", "accuracy_cost.png", "shares.png", "report.html"}
OPTIONS = ("--max-loss", 4, "--max-harm", 4, "--unit", "USD")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "answers.csv"
    wide(n_samples=400).to_csv(path, index=False)
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_a_file_becomes_a_folder_of_results(file):
    text = eco("study", file, *OPTIONS).stdout
    folder = file.with_name("answers-study")
    assert set(contents(folder)) == FILES
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["file"], metrics["unit"], metrics["seed"]) == ("answers.csv", "USD", 42)
    assert f"{metrics['tuned']['cost_share']:.4f} of the cost of large, on test" in text
    assert metrics["division"] == "at random"
    assert "160 samples tune, 120 certify, 120 test, divided at random" in text
    page = (folder / "report.html").read_text()
    assert "Samples were divided into these three at random." in page
    assert "USD per prediction" in page
    assert not re.search(
        r"joules? per|µJ|\bimages\b", page.partition("</main>")[0].partition("<main")[2]
    )
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []
    # The same file, options and seed give the same bytes, in the place of the former ones.
    before = contents(folder)
    eco("study", file, *OPTIONS)
    assert contents(folder) == before


@pytest.mark.slow
def test_results_say_which_metric_they_are_of(tmp_path):
    path = tmp_path / "labelled.csv"
    wide("probabilities", n_samples=600).to_csv(path, index=False)
    options = ("--max-class-loss", 20, "--max-loss", 12, "--max-harm", 12)
    text = eco("study", path, "--metric", "balanced_accuracy", *options).stdout
    assert re.search(
        r"balanced accuracy \d+\.\d+%, .* of the accuracy in class (cat|dog|emu)", text
    )
    folder = path.with_name("labelled-study")
    metrics = json.loads((folder / "metrics.json").read_text())
    assert (metrics["metric"], metrics["max_class_loss"]) == ("balanced_accuracy", 20)
    assert "max_accuracy_loss" not in metrics
    frontier = json.loads((folder / "frontier.json").read_text())
    assert {"balanced_accuracy", "cost"} < set(frontier[0])
    assert "accuracy" not in frontier[0]
    page = (folder / "report.html").read_text()
    assert "points of balanced accuracy and lose at most 20 points of accuracy in any class" in page
    assert "class that loses most" in page


@pytest.mark.slow
def test_a_cost_matrix_is_read_from_a_table(tmp_path):
    path, matrix = tmp_path / "labelled.csv", tmp_path / "costs.csv"
    wide("probabilities", n_samples=300).to_csv(path, index=False)
    matrix.write_text(",cat,dog\ncat,0,1\ndog,2,0\n")
    assert "cat, dog, emu; got none for emu" in refused("study", path, "--cost-matrix", matrix)
    matrix.write_text(",emu,cat,dog\ncat,1,0,1\ndog,9,2,0\nemu,0,3,3\n")
    text = eco("study", path, "--cost-matrix", matrix).stdout
    assert "1 - mean cost" in text
    metrics = json.loads((path.with_name("labelled-study") / "metrics.json").read_text())
    assert metrics["metric"] == "cost_matrix"
    assert metrics["cost_matrix"]["dog"] == {"emu": 9, "cat": 2, "dog": 0}
    assert 0 < metrics["tuned"]["cost_matrix"] <= 1
    message = refused("study", path, "--cost-matrix", matrix, "--metric", "f1_macro")
    assert "there must be either a metric or a cost_matrix; got 'f1_macro'" in message
    assert "must be a table as .csv" in refused("study", path, "--cost-matrix", tmp_path)


def test_nothing_of_others_is_replaced(file, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("dear")
    message = refused("study", file, "--output", mine)
    assert "must be empty, or hold a former study and nothing else; got notes.txt" in message
    (mine / "metrics.json").write_text('{"accuracy": 1}')
    assert "got metrics.json" in refused("study", file, "--output", mine)
    assert (mine / "notes.txt").read_text() == "dear"
    (mine / "metrics.json").write_text('{"made_by": "eco study"}')
    assert "got notes.txt" in refused("study", file, "--output", mine)
    assert "it is a file" in refused("study", file, "--output", file)
    assert "could not be written: File exists" in refused("study", file, "--output", file / "below")


def test_a_refused_file_leaves_the_former_results(file):
    folder = file.with_name("answers-study")
    folder.mkdir()
    (folder / "metrics.json").write_text('{"made_by": "eco study"}')
    assert "budget" in refused("study", file, "--cost-budget", 0.001)
    file.write_text(file.read_text().replace("True", "maybe", 1))
    message = refused("study", file, *OPTIONS)
    assert re.search(r"answers.csv: correct:\w+, line \d+: must hold a number", message)
    assert contents(folder) == {"metrics.json": b'{"made_by": "eco study"}'}
    assert {path.name for path in file.parent.iterdir()} == {"answers.csv", "answers-study"}


ALONE = """
import sys
for name in ("dvc", "onnx", "onnxruntime", "pooch", "psutil", "pydantic", "tqdm", "yaml"):
    sys.modules[name] = None
from eco.__main__ import main
main()
"""


@pytest.mark.slow
def test_it_takes_no_package_of_the_workflow(file):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-c", ALONE, *arguments], cwd=file.parent, capture_output=True,
            text=True, check=False, env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )  # fmt: skip

    assert "opens in any browser" in run("study", file.name, "--max-harm", "4").stdout
    assert "pip install 'ecoinference[workflow]'" in run("show").stderr
    assert "study" in run("--help").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cost", "small"), "--cost must be NAME=NUMBER; got small"),
        (("--cost", "small=much"), "--cost must be NAME=NUMBER; got small=much"),
        (("--max-harm", 0), "max_harm must be points above 0 and below 100; got 0.0"),
        (("--cost-budget", 1.2), "cost_budget must be a share of the last model's cost"),
        (("--cost-budget", 0.1, "--max-accuracy-loss", 1.0), "Give either --max-accuracy-loss or"),
        (("--cost-budget", 0.001), "the least that can be met is 0.05"),
        (("--metric", "f1_macro"), "the metric f1_macro takes labels: there must be probabilities"),
        (("--max-metric-loss", 2), "max_metric_loss doesn't count with metric 'accuracy'; got 2."),
        (("--metric", "f1", "--max-accuracy-loss", 2), "Give max_metric_loss"),
        (("--cost", "small=1"), "models: must be two at least; got small"),
    ],
)
def test_bad_options_are_refused(file, options, message):
    result = eco("study", file, *options, ok=False)
    assert message in result.stderr
    assert not file.with_name("answers-study").exists()
