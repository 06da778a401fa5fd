import csv
import io
import json
import os
import threading

import numpy as np
import pytest

from eco.workflow import artifacts
from tests.cli.conftest import command, eco, refused
from tests.cli.test_predict import expected
from tests.cli.test_writers import rows_of
from tests.data.test_streams import npy
from tests.small_workflow import SHAPE, N


@pytest.fixture
def images(settings):
    X, y = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
    np.save("y.npy", y)
    return X


def lines_of(X, **more):
    return "".join(json.dumps({"x": x.tolist(), **more} if more else x.tolist()) + "\n" for x in X)


def piped(content, *arguments):
    """Exit code, standard output and standard error of a command at the end of a pipe."""
    result = eco("predict", *arguments, ok=None, input=content)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_answers_through_a_pipe_are_those_of_the_file(settings, images):
    code, output, errors = piped(npy(images), "-", "--labels", "y.npy", "--batch-size", 7)
    assert code == 0, errors
    kinds = {"index": int, "label": int, "confidence": float, "energy_j": float}
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [{k: kinds.get(k, str)(v) for k, v in row.items()} for row in rows] == expected(
        settings, "chosen"
    )
    assert f"samples            {N}\naccuracy" in errors
    code, output, errors = piped(lines_of(images).encode(), "-", "-o", "-")
    assert code == 0, errors
    assert [json.loads(line) for line in output.splitlines()] == expected(settings, "chosen")
    assert f"samples            {N}\nenergy" in errors


def test_a_pipe_at_one_end_and_a_file_at_the_other(settings, images, tmp_path):
    np.save("X.npy", images)
    for source, content in (("X.npy", b""), ("-", npy(images))):
        code, output, errors = piped(content, source, "-o", "-", "--format", "jsonl")
        assert code == 0, errors
        assert [json.loads(line) for line in output.splitlines()] == expected(settings, "chosen")
    code, output, errors = piped(npy(images), "-", "-o", "out.npz")
    assert code == 0, errors
    assert "answers in out.npz" in output
    assert rows_of(tmp_path / "out.npz") == expected(settings, "chosen")


def test_an_answer_comes_before_the_next_image(settings, images):
    process = command("predict", "-", stdin=-1)
    guard = threading.Timer(120, process.kill)  # instead of waiting without end for an answer
    guard.start()
    for i in range(3):
        process.stdin.write(lines_of(images[i : i + 1]))
        process.stdin.flush()
        assert process.stdout.readline().startswith(f'{{"index": {i},')
    output, errors = process.communicate("[[1]]\n" + lines_of(images[:1]))
    guard.cancel()
    assert (process.returncode, output) == (1, "")
    assert "ERROR: standard input, line 4 must be like the lines before it" in errors
    assert "Traceback" not in errors


def test_ids_are_kept_where_text_is_written(settings, images, tmp_path):
    content = lines_of(images[:2], id="€, or\n").encode()
    code, output, errors = piped(content, "-", "--format", "jsonl")
    assert code == 0, errors
    assert [json.loads(line)["id"] for line in output.splitlines()] == ["€, or\n"] * 2
    code, output, errors = piped(content, "-", "--format", "csv")
    assert code == 0, errors
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [row["id"] for row in rows] == ["€, or\n"] * 2
    for name in ("out.npz", "out.parquet"):
        code, output, errors = piped(content, "-", "-o", name)
        assert code == 1
        assert f"{name} can't hold ids. Write one of .csv, .jsonl, .json" in errors
        assert not (tmp_path / name).exists()


def test_a_line_that_is_no_image_leaves_what_was_answered(settings, images, tmp_path):
    content = (lines_of(images[:5]) + "no image\n" + lines_of(images)).encode()
    code, output, errors = piped(content, "-")
    assert code == 1
    assert [json.loads(line) for line in output.splitlines()] == expected(settings, "chosen")[:5]
    assert "ERROR: standard input, line 6 is not JSON" in errors and "Traceback" not in errors
    (tmp_path / "out.csv").write_text("old")
    assert piped(content, "-", "-o", "out.csv")[0] == 1
    assert (tmp_path / "out.csv").read_text() == "old"


def test_what_is_compared_takes_an_array_and_labels(settings, images):
    for content, remedy in (
        (npy(images), "Name a file of --labels."),
        (lines_of(images).encode(), "Lines have none: pipe .npy, and name a file of --labels."),
    ):
        code, _, errors = piped(content, "-", "--compare")
        assert code == 1
        assert f"standard input has no labels to --compare with. {remedy}" in errors
    code, _, errors = piped(npy(images), "-", "--compare", "--labels", "y.npy")
    assert code == 0 and "points lost" in errors


def test_a_reader_that_leaves_is_met_quietly(settings):
    np.save("X.npy", np.zeros((100_000, *SHAPE), np.uint8))
    process = command("predict", "X.npy", "-o", "-", "--batch-size", 100)
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 1
    assert errors == ""


def test_a_terminal_and_nothing_at_all_are_refused_rather_than_waited_for(settings):
    terminal, end = os.openpty()
    process = command("predict", "-", stdin=end)
    _, errors = process.communicate()
    os.close(terminal)
    os.close(end)
    assert process.returncode == 1
    assert "standard input is a terminal. Pipe samples into it" in errors
    assert "standard input is empty. Pipe samples into it" in refused("predict", "-")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-", "--format", "npz"), "takes --format csv or jsonl"),
        (("test", "-o", "x.csv", "--format", "csv"), "a file's ending says it"),
        (("test", "--format", "csv"), "a file's ending says it"),
        (("-", "test", "-o", "answers/"), "Several files take a folder"),
        (("-", "-o", "answers/"), "Several files take a folder"),
        (("test", "tuning", "-o", "-"), "Several files take a folder"),
        (("test", "tuning", "-o", "out.csv"), "Several files take a folder"),
        (("test", "tuning"), "Several files take a folder"),
        (("test", "-o", "answers/", "--measure"), "take one INPUT and no folder"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(settings, arguments, says):
    result = eco("predict", *arguments, ok=False)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
