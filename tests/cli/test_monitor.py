from pathlib import Path

import numpy as np
import pytest

from eco.cli import writers
from eco.strategies.decisions import decide
from eco.strategies.strategy import OperatingPoint
from eco.workflow import artifacts
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import made_for
from tests.cli.conftest import eco, refused
from tests.cli.test_writers import skip_without_package
from tests.data.test_streams import idx
from tests.small_workflow import CLASSES, THRESHOLD, N, two_models

ALARM = 3


def save(path, models, answered_by, label=0, confidence=0.9):
    n = len(answered_by)
    names = writers.Names(CLASSES, models)
    with writers.open_output(path, names) as write:
        write({
            "index": np.arange(n), "label": np.broadcast_to(label, n).astype(np.int64),
            "confidence": np.broadcast_to(confidence, n), "energy_j": np.full(n, 1e-5),
            "answered_by": np.array(answered_by, np.int64),
        })  # fmt: skip


@pytest.fixture
def models(settings):
    """Those of the preset called mine."""
    return two_models(settings.pool).models


def shown(text):
    """The rows of the first table by their first cell."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line}


@pytest.mark.parametrize("suffix", writers.FORMATS)
def test_answers_to_the_held_out_images_raise_no_alarm(settings, tmp_path, models, suffix):
    skip_without_package(suffix)
    out = tmp_path / f"out{suffix}"
    eco("predict", "test", "-s", "mine", "-o", out)
    text = eco("monitor", out, "-s", "mine").stdout
    answered_by = decide(two_models(settings.pool), load_outcomes(settings, "test")).answered_by
    for place, model in ((0, models[0]), (len(settings.pool) - 1, models[-1])):
        share = f"{np.mean(answered_by == place):.2%}"
        assert shown(text)[model] == [share, share]
    assert shown(text)["alarm"] == ["none"]
    assert "can be sure of images that they can't read" in text


def test_other_shares_raise_an_alarm_that_says_when_and_what_to_do(settings, models, tmp_path):
    answered_by = decide(two_models(settings.pool), load_outcomes(settings, "test")).answered_by
    good = (answered_by > 0).astype(int)
    save(tmp_path / "good.csv", models, good)
    save(tmp_path / "bad.npz", models, np.ones(400))
    result = eco("monitor", "good.csv", "bad.npz", "-s", "mine", "--batch-size", 50, ok=None)
    assert result.exit_code == ALARM
    *_, at = shown(result.stdout)["alarm"]
    assert N < int(at) <= N + 400 and int(at) % 50 == 0
    assert f"-s 'always {models[-1]}'" in result.stdout and "-s certified" in result.stdout
    swapped = eco("monitor", "bad.npz", "good.csv", "-s", "mine", "--batch-size", 50, ok=None)
    assert swapped.exit_code == ALARM and int(shown(swapped.stdout)["alarm"][-1]) < int(at)
    assert eco("monitor", "good.csv", "-s", "mine").exit_code == 0
    save(tmp_path / "all.jsonl", models, [*good, *np.ones(400)])
    joined = eco("monitor", "all.jsonl", "-s", "mine", "--batch-size", 50, ok=None)
    assert joined.stdout == result.stdout


def test_a_lower_alpha_takes_more_evidence(models, tmp_path):
    save(tmp_path / "bad.npz", models, np.ones(400))
    at = [
        int(shown(eco("monitor", "bad.npz", "-s", "mine", "--batch-size", 1, "--alpha", alpha,
                      ok=None).stdout)["alarm"][-1])
        for alpha in (0.1, 0.001, 0.00001)
    ]  # fmt: skip
    assert at == sorted(set(at))
    for alpha in (0, 1):
        assert eco("monitor", "bad.npz", "--alpha", alpha, ok=False).exit_code == 2


def certify_mine(settings, of):
    point = OperatingPoint(two_models(settings.pool), 0.99, 1e-5)
    certified = artifacts.CERTIFIED.load(made_for=made_for(settings))
    results = certified | {of: certified[of] | {"cascade": point}}
    artifacts.CERTIFIED.save(results, made_for=made_for(settings))


def proportional(settings, times):
    answered_by = decide(two_models(settings.pool), load_outcomes(settings, "test")).answered_by
    return np.tile((answered_by > 0).astype(int), times)


@pytest.mark.parametrize(("wrong", "state", "status"), [(0, "holds", 0), (60, "broken", ALARM)])
def test_labels_and_the_last_model_say_whether_a_certificate_holds(
    settings, models, tmp_path, wrong, state, status
):
    """Of 6,000 answers a share is wrong where the last model is right; the limit is 0.5 points."""
    certify_mine(settings, "loss")
    by = proportional(settings, 20)
    label = np.zeros(len(by), int)
    label[np.flatnonzero(by == 0)[:wrong]] = 1
    save(tmp_path / "mine.npz", models, by, label)
    save(tmp_path / "last.csv", models[-1:], 0 * by)
    np.save("y.npy", 0 * by)
    given = ["monitor", "mine.npz", "-s", "mine", "--labels", "y.npy"]
    result = eco(*given, "--last", "last.csv", ok=None)
    limit = settings.certification.max_loss
    assert result.exit_code == status
    assert f"at most {limit:g} certified: {state}" in result.stdout
    assert ("broken from labelled sample " in result.stdout) is (state == "broken")
    share = f"{100 * wrong / len(by):.2f}"
    for row in ("wrong answers", "points of loss", "points of harm"):
        (line,) = (line for line in result.stdout.splitlines() if line.startswith(row))
        assert f"  {share} " in line
    assert "points of" not in eco(*given, ok=None).stdout


def test_labels_may_come_late(settings, models, tmp_path):
    by = proportional(settings, 1)
    save(tmp_path / "mine.npz", models, by)
    np.save("y.npy", np.array([0, 1, -1, 0]))
    text = eco("monitor", "mine.npz", "-s", "mine", "--labels", "y.npy").stdout
    assert "of 3 labelled" in text and "  33.33 " in text
    (tmp_path / "y-ubyte").write_bytes(idx(np.array([0, 1, 0], np.uint8)))
    assert eco("monitor", "mine.npz", "-s", "mine", "--labels", "y-ubyte").stdout == text


def test_what_fits_no_answers_is_named(settings, models, tmp_path):
    by = proportional(settings, 1)
    save(tmp_path / "mine.npz", models, by)
    save(tmp_path / "last.npz", models[-1:], 0 * by, 1)
    save(tmp_path / "few.npz", models[-1:], [0])
    given = ["monitor", "mine.npz", "-s", "mine"]
    for name, y, problem in [
        ("more.npy", np.zeros(N + 1, int), f"some of the {N} samples; got {N + 1}"),
        ("high.npy", np.full(N, 9), "labels from 0 to 2"),
        ("none.npy", np.full(N, -1), "labels from 0 to 2"),
        ("floats.npy", np.zeros(N), "one whole number for each sample"),
    ]:
        np.save(name, y)
        assert problem in refused(*given, "--labels", name)
    np.save("y.npy", 0 * by)
    labelled = [*given, "--labels", "y.npy", "--last"]
    assert "is of other samples" in refused(*labelled, "last.npz")
    assert f"few.npz answers 1 of {N} labelled" in refused(*labelled, "few.npz")
    message = refused(*labelled, "mine.npz")
    assert f"mine.npz: {models[0]} answered" in message and "with -s" not in message
    assert f"--last takes answers of always {models[-1]}: eco predict INPUT" in message
    assert eco(*given, "--last", "last.npz", ok=False).exit_code == 2


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".npz"])
@pytest.mark.parametrize(
    ("confidence", "answered_by", "refused_at"),
    [
        ([0.8, 0.9, 0.1], [0, 0, 1], None),  # the threshold itself; the last model takes the rest
        ([0.8, 0.79996, 0.1], [0, 0, 1], None),  # 0.8 as it is compared, and as text has it
        ([0.8, 0.7999, 0.1], [0, 0, 1], "sample 2"),
        ([0.8, 0.9, 0.1], [1, 0, 0], "sample 3"),
    ],
)
def test_answers_below_a_threshold_are_of_another_strategy(
    settings, models, suffix, confidence, answered_by, refused_at
):
    """The first model of mine answers from 0.8 on."""
    save(Path(f"a{suffix}"), models, answered_by, confidence=np.array(confidence))
    if refused_at is None:
        eco("monitor", f"a{suffix}", "-s", "mine")
    else:
        message = refused("monitor", f"a{suffix}", "-s", "mine")
        assert f"a{suffix}, {refused_at}: {models[0]} answered at " in message
        assert "below its threshold 0.8 in mine. Name the strategy" in message


def test_a_probe_cascade_answers_below_its_threshold_by_the_last_model_alone(settings):
    name, pool = "probe_cascade, certified", settings.pool
    n = len(pool)
    at_threshold = np.where(np.arange(n) < n - 1, THRESHOLD, 0.1)
    save(Path("good.npz"), pool, np.arange(n), confidence=at_threshold)
    eco("monitor", "good.npz", "-s", name, ok=None)
    save(Path("bad.npz"), pool, np.arange(n), confidence=at_threshold - 0.01)
    assert f"sample 1: {pool[0]} answered at 0.8900" in refused("monitor", "bad.npz", "-s", name)


def test_what_holds_no_answers_is_named(settings, models, tmp_path):
    save(tmp_path / "mine.npz", models, [0, 1])
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "cut.csv").write_text("label,confidence,answered_by\n1,,\n")
    (tmp_path / "sure.csv").write_text(f"label,confidence,answered_by\n1,1.5,{models[0]}\n")
    (tmp_path / "half.csv").write_text(f"label,confidence,answered_by\n1,0.5,{models[0]}")
    (tmp_path / "empty.csv").write_text("label,confidence,answered_by\n")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:200])
    (tmp_path / "torn.jsonl").write_text('{"label": 1,')
    np.savez("high.npz", label=[0], confidence=[0.5], answered_by=[7], models=models)
    np.savez("low.npz", label=[0], confidence=[0.5], answered_by=[-1], models=models)
    np.savez("shapes.npz", label=[0, 1], confidence=[0.5], answered_by=[1], models=models)
    answer = f'{{"label": %s, "confidence": 1.0, "answered_by": ["{models[0]}"]}}\n'
    (tmp_path / "lists.jsonl").write_text(answer % 1)
    (tmp_path / "label.jsonl").write_text(answer.replace("[", "").replace("]", "") % 3)
    (tmp_path / "minus.jsonl").write_text(answer.replace("[", "").replace("]", "") % -1)
    for name, problem in [
        ("lists.jsonl", "must hold label, confidence, answered_by"),
        ("label.jsonl", "sample 1: label must be from 0 to 2; got 3"),
        ("minus.jsonl", "sample 1: label must be from 0 to 2; got -1"),
        ("text.csv", "must hold label, confidence, answered_by"),
        ("cut.csv", "must hold label, confidence, answered_by"),
        ("sure.csv", "a confidence from 0 to 1"),
        ("half.csv", "is cut off: its last line has no end"),
        ("empty.csv", "holds no samples"),
        ("torn.npz", "must hold label"),
        ("torn.jsonl", "must hold label"),
        ("high.npz", "out of bounds"),
        ("low.npz", "0 or more"),
        ("shapes.npz", "for each sample"),
        ("none.csv", "must be a file; there is none"),
        ("mine.txt", "must end in one of .csv"),
    ]:
        message = refused("monitor", name, "-s", "mine")
        assert name in message and problem in message
    message = refused("monitor", "mine.npz", "-s", f"always {models[-1]}")
    assert (
        f"{models[0]} answered, which is no model of always {models[-1]} ({models[-1]})" in message
    )
    assert "-s" in message
