import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from eco.models.features import ImageFeatures
from eco.models.onnx.export import export_softmax
from eco.runtime.session import Session
from eco.strategies.decisions import decide
from eco.strategies.outcomes import RouterOutcome
from eco.strategies.strategy import always
from eco.workflow import artifacts
from eco.workflow.outcomes import load_outcomes
from eco.workflow.selection import chosen_strategy, made_for
from tests.cli.conftest import command, eco, refused
from tests.cli.test_writers import rows_of, skip_without_package
from tests.conftest import REPOSITORY
from tests.data.test_streams import idx, npy, npz
from tests.small_workflow import CLASSES, SHAPE, N, routers, row, two_models


def strategy_of(settings, name):
    certified = {f"{kind}, certified": s for kind, s in routers(settings).items()}
    others = {"chosen": chosen_strategy(settings), "mine": two_models(settings.pool)}
    return (certified | others)[name]


def expected(settings, name):
    """Answers on the test images by arithmetic on the stored probabilities."""
    strategy, outcomes = strategy_of(settings, name), load_outcomes(settings, "test")
    if strategy.router:
        size = settings.energy.batch_size
        X, _ = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
        if strategy.probe:
            stored = artifacts.PREDICTIONS.load(model=strategy.probe, dataset=settings.data.name)
            X = stored["test"]
        path = artifacts.ROUTER_MODEL.path(router=strategy.router)
        joules = artifacts.ROUTER_ENERGY.load().energy_j([strategy.router], size)[0]
        router = RouterOutcome(Session(path, 1)(X).round(3), float(joules))
        outcomes = replace(outcomes, routers={strategy.router: router})
    decisions = decide(strategy, outcomes)
    router_j = outcomes.routers[strategy.router].energy_j if strategy.router else 0.0
    energy_j = decisions.ran @ outcomes.energy_j + router_j
    return [
        {
            "index": i,
            "label": int(outcomes.labels[i, model]),
            "class": CLASSES[outcomes.labels[i, model]],
            "confidence": pytest.approx(outcomes.confidence[i, model], abs=1e-4),
            "answered_by": settings.pool[model],
            "energy_j": pytest.approx(energy_j[i]),
        }
        for i, model in enumerate(decisions.answered_by)
    ]


STRATEGIES = ["chosen", "mine", *(f"{k}, certified" for k in ("price_router", "probe_router"))]


@pytest.mark.parametrize("name", [*STRATEGIES, "probe_cascade, certified"])
def test_predicting_equals_the_arithmetic_for_every_kind_of_strategy(settings, tmp_path, name):
    result = eco("predict", "test", "--strategy", name, "--output", "out.json")
    rows, last = rows_of(tmp_path / "out.json"), settings.pool[-1]
    assert rows == expected(settings, name)
    outcomes = load_outcomes(settings, "test")
    accuracy = np.mean([row["label"] == label for row, label in zip(rows, outcomes.y, strict=True)])
    energy_j = sum(row["energy_j"] for row in rows)
    for text in (
        f"samples            {N}",
        f"accuracy           {accuracy:.2%}",
        f"points lost        {100 * (outcomes.reference_accuracy - accuracy):.2f} ",
        f"{last} {np.mean([r['answered_by'] == last for r in rows]):.2%}",
        "samples/s",
    ):
        assert text in result.stdout
    for label, value in (
        ("energy", energy_j),
        (f"share of {last}", energy_j / N / outcomes.energy_j[-1]),
        ("emissions", energy_j / 3.6e6 * 50.0),
    ):
        line = next(line for line in result.stdout.splitlines() if line.startswith(label))
        printed = float(line.removeprefix(label).split()[0])
        assert printed == pytest.approx(value, rel=0.005, abs=6e-5 if "share" in label else 0)


INPUTS = {
    "X.npy": lambda X, y: npy(X),
    "Xy.npz": lambda X, y: npz(np.savez_compressed, X=X, y=y),
    "test.npz": lambda X, y: npz(X_test=X, y_test=y),
    "X-ubyte": lambda X, y: idx(X),
}


@pytest.mark.parametrize("batch_size", [7, 4096])
@pytest.mark.parametrize("source", INPUTS)
@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_predicting_gives_the_same_from_and_to_every_form_of_file(
    settings, tmp_path, source, suffix, batch_size
):
    skip_without_package(suffix)
    X, y = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
    (tmp_path / source).write_bytes(INPUTS[source](X, y))
    (tmp_path / "y-ubyte").write_bytes(idx(y))
    labels = ["--labels", "y-ubyte", "--compare"] if source == "X-ubyte" else []
    out = tmp_path / f"out{suffix}"
    result = eco("predict", source, "-o", out, "--batch-size", batch_size, "--workers", 2, *labels)
    assert rows_of(out) == expected(settings, "chosen")
    assert ("accuracy" in result.stdout) is (source != "X.npy")
    assert ("points lost" in result.stdout) is (source == "X-ubyte")


def test_tuned_cascades_of_another_run_are_refused(settings, tmp_path):
    rows = artifacts.STRATEGY_ROWS.load()
    known, *_ = artifacts.FRONTIER.load(made_for=made_for(settings)).points["accuracy"]
    name = "tuned to lose 1"
    artifacts.STRATEGY_ROWS.save([*rows, row("tuned", name, known.strategy)])
    assert eco("predict", "test", "-s", name).stdout
    artifacts.STRATEGY_ROWS.save([*rows, row("tuned", name, two_models(settings.pool))])
    message = refused("predict", "test", "-s", name)
    assert "plots/strategies.json is of another run than data/frontier.json" in message
    assert "dvc repro" in message
    path = tmp_path / "params.yaml"
    text = path.read_text()
    path.write_text(text.replace("  presets:\n", "  presets:\n    tuned_by_hand: [0.8, 0.0]\n"))
    artifacts.STRATEGY_ROWS.save([*rows, row("preset", "tuned_by_hand", two_models(settings.pool))])
    assert eco("predict", "test", "-s", "tuned_by_hand").stdout


def test_a_strategy_that_is_no_longer_certified_is_not_listed(settings):
    certified = artifacts.CERTIFIED.load(made_for=made_for(settings))
    loss = certified["loss"] | {"price_router": certified["loss"]["cascade"]}
    artifacts.CERTIFIED.save(certified | {"loss": loss}, made_for=made_for(settings))
    message = refused("predict", "test", "-s", "price_router, certified")
    assert "no strategy is called price_router, certified" in message


def test_energies_measured_in_different_ways_are_not_added_up(settings):
    energy = artifacts.ROUTER_ENERGY.load().add_provenance(mode="rapl")
    artifacts.ROUTER_ENERGY.save(energy)
    message = refused("predict", "test", "-s", "price_router, certified")
    assert "can't be added up: mode is 'cpu_load' in the one and 'rapl'" in message
    assert "Measure both anew: dvc repro -f -s benchmark" in message
    assert message.split("ERROR: ")[1].strip() in eco("doctor").stdout


def test_the_chosen_cascade_is_the_tuned_one_where_params_say_so(settings, tmp_path):
    text = (tmp_path / "params.yaml").read_text()
    thresholds = "".join(f"  - {t}\n" for t in settings.cascading.chosen_thresholds)
    old = f"  thresholds:\n{thresholds}"
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, "  thresholds: tuned\n"))
    limit = settings.tuning.max_accuracy_loss
    tuned = eco("tune", "--max-accuracy-loss", limit).stdout.splitlines()[0]
    assert eco("predict", "test").stdout.startswith(f"chosen: {tuned}\n")
    (tmp_path / "params.yaml").write_text(text.replace(old, "  thresholds: certified\n"))
    assert "takes 712 samples" in refused("predict", "test")
    listed = eco("show", "-f", "json").stdout
    assert '"mine"' in listed and '"chosen"' not in listed


def test_what_can_not_be_predicted_is_named(settings, tmp_path):
    X, y = artifacts.SPLITS.load(split="test", dataset=settings.data.name)
    (tmp_path / "small.npy").write_bytes(npy(X[:, :3]))
    (tmp_path / "X.npy").write_bytes(npy(X))
    (tmp_path / "nan.npy").write_bytes(npy(np.full(X.shape, np.nan)))
    (tmp_path / "out.csv").write_text("old")
    assert "small.npy has images of 3 x 5" in refused("predict", "small.npy", "-o", "out.csv")
    assert "NaN" in refused("predict", "nan.npy", "-o", "out.csv")
    assert "no.npy does not exist" in refused("predict", "no.npy")
    assert "no labels to --compare" in refused("predict", "X.npy", "--compare")
    assert "labels of its own" in refused("predict", "test", "--labels", "X.npy")
    assert "no strategy is called nobody. List those there are: eco show" in refused(
        "predict", "test", "-s", "nobody"
    )
    assert "must end in one of" in refused("predict", "test", "-o", "out.txt")
    (tmp_path / "y.npy").write_bytes(npy(y))
    inputs = [artifacts.SPLITS.path(split="test"), tmp_path / "y.npy"]
    before = [path.read_bytes() for path in inputs]
    assert "is the input" in refused("predict", "test", "-o", inputs[0])
    (tmp_path / "labels.csv").symlink_to(inputs[1])  # an ending that results may have
    assert "is the input" in refused("predict", "X.npy", "--labels", "y.npy", "-o", "labels.csv")
    assert [path.read_bytes() for path in inputs] == before
    bad = y.copy()
    bad[-1] = 9
    (tmp_path / "bad.npz").write_bytes(npz(X=X, y=bad))
    message = refused("predict", "bad.npz", "-o", "out.csv", "--batch-size", 10)
    assert f"sample {N - 1} has 9" in message
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not list(tmp_path.glob(".*.part"))


def test_files_of_the_study_are_not_overwritten(settings, tmp_path):
    pipeline = "stages: {fetch: {cmd: fetch, outs: [data/labels.npz], deps: [data/predictions]}}"
    (tmp_path / "dvc.yaml").write_text(pipeline)
    (tmp_path / "mine.csv").write_text("committed")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "mine.csv"], check=True)
    (tmp_path / "link.npz").symlink_to("data/labels.npz")
    before = (tmp_path / "data/labels.npz").read_bytes()
    for output, owner in (
        ("data/labels.npz", "dvc.yaml"),
        ("link.npz", "dvc.yaml"),
        ("data/predictions/answers.csv", "dvc.yaml"),
        ("mine.csv", "git"),
    ):
        message = refused("predict", "test", "-o", output)
        assert f"{output} belongs to the study: it is in {owner}. Name another file" in message
    assert (tmp_path / "data/labels.npz").read_bytes() == before
    assert (tmp_path / "mine.csv").read_text() == "committed"
    assert (tmp_path / "link.npz").is_symlink()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"])
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_a_signal_in_the_middle_leaves_the_old_result_and_nothing_else(
    settings, tmp_path, name, suffix
):
    np.save("X.npy", np.zeros((400_000, *SHAPE), np.uint8))
    out = tmp_path / "results" / f"out{suffix}"
    out.parent.mkdir()
    out.write_text("old")
    number = getattr(signal, name)
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    default = partial(signal.signal, number, signal.SIG_DFL)
    process = command("predict", "X.npy", "-o", out, "--batch-size", 20, preexec_fn=default)
    while len(list(out.parent.iterdir())) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(number)
    output, errors = process.communicate()
    assert process.returncode == -number, errors
    assert f"Stopped. {out} was not written" in errors and "Traceback" not in errors
    assert output == ""
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "old"


def test_names_that_an_encoding_lacks_are_written_all_the_same(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    name = os.fsdecode("é€".encode() + b"\xff.npz")
    process = command("predict", "test", "-o", name, encoding="latin-1")
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert r"answers in é\u20ac\udcff.npz" in output
    assert (tmp_path / name).is_file()


def test_a_damaged_or_hostile_model_is_named(settings):
    last = artifacts.MODEL.path(model=settings.pool[-1])
    name = f"always {settings.pool[-1]}"
    healthy = last.read_bytes()
    for content in (healthy[: len(healthy) // 2], b"", b"cos\nsystem\n(S'touch hacked'\ntR."):
        last.write_bytes(content)
        assert f"{last} is not an ONNX model" in refused("predict", "test", "-s", name)
    graph = export_softmax(np.full((3, 20), np.nan), np.zeros(3), ImageFeatures(SHAPE))
    artifacts.MODEL.save(graph, model=settings.pool[-1])
    message = refused("predict", "test", "-s", name)
    assert "must return probabilities" in message and str(last) in message
    last.unlink()
    message = refused("predict", "test", "-s", name)
    assert f"{last} is missing" in message and f"git checkout HEAD -- {last}" in message


def test_models_of_other_classes_are_named(settings):
    labels = artifacts.LABELS.load(dataset=settings.data.name)
    four = artifacts.Labels(labels.y, [*CLASSES, "fourth"])
    artifacts.LABELS.save(four, dataset=settings.data.name)
    message = refused("predict", "train")
    assert "data/labels.npz names 4 classes" in message and "probabilities of 3" in message


def test_a_full_disk_is_one_message(settings, tmp_path):
    import resource

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    (tmp_path / "out.csv").write_text("old")
    process = command("predict", "test", "-o", "out.csv", preexec_fn=small)
    errors = process.communicate()[1]
    assert process.returncode == 1
    assert "out.csv could not be written: File too large" in errors and "Traceback" not in errors
    assert (tmp_path / "out.csv").read_text() == "old"


# Not ru_maxrss, which starts at what the process had that started this one.
PEAK = """
from pathlib import Path
from eco.cli import main
main(["predict", "X.npy", "-o", "out.csv", "--batch-size", "2000"], standalone_mode=False)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_ten_times_the_images_take_the_same_memory(settings):
    environment, peaks = os.environ | {"PYTHONPATH": str(REPOSITORY)}, []
    for n in (50_000, 500_000):  # 1 MB of pixels, then 10 MB, whose answers are 25 MB
        np.save("X.npy", np.random.default_rng(0).integers(0, 256, (n, *SHAPE), np.uint8))
        output = subprocess.check_output([sys.executable, "-c", PEAK], env=environment, text=True)
        peaks.append(int(output.split()[-1]) * 1024)
    assert peaks[1] - peaks[0] < 5_000_000


class TestModelsOfDvcLock:
    """A file of a model must be the one that the results were made with."""

    @pytest.fixture(autouse=True)
    def record(self, settings):
        files = {path: hashlib.md5(path.read_bytes()) for path in Path("models").rglob("*.onnx")}
        self.outs = [
            {"path": path.as_posix(), "hash": "md5", "md5": md5.hexdigest(), "size": 1}
            for path, md5 in files.items()
        ]
        self.write(calibrate={"cmd": "x", "outs": self.outs})

    def write(self, **stages):
        lock = {"schema": "2.0", "stages": stages}
        Path("dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))

    @pytest.mark.parametrize("arguments", [("test",), ("test", "X.npy", "-o", "out/")])
    def test_another_file_is_named(self, settings, arguments):
        np.save("X.npy", artifacts.SPLITS.load(split="test", dataset=settings.data.name)[0])
        first, *_, last = settings.pool
        of_first, of_last = (artifacts.MODEL.path(model=model) for model in (first, last))
        assert eco("predict", *arguments, "-s", "mine").stderr == ""
        of_first.write_bytes(of_last.read_bytes())
        warning, *others = eco("predict", *arguments, "-s", "mine").stderr.splitlines()
        assert f"WARNING: {of_first} is not the file that" in warning and others == []
        assert "dvc status says what changed" in warning
        assert f"git checkout HEAD -- {of_first}" in warning
        assert eco("predict", "test", "-s", f"always {last}").stderr == ""

    def test_also_the_last_one_that_is_compared_with_and_the_router(self, settings):
        first, *_, last = settings.pool
        path = artifacts.MODEL.path(model=last)
        path.write_bytes(artifacts.MODEL.path(model=first).read_bytes())
        assert eco("predict", "test", "-s", f"always {first}").stderr == ""
        assert str(path) in eco("predict", "test", "-s", f"always {first}", "--compare").stderr
        path = artifacts.ROUTER_MODEL.path(router="price_router")
        path.write_bytes(path.read_bytes() + b"\x3a\x00")  # an empty graph, merged into the other
        assert str(path) in eco("predict", "test", "-s", "price_router, certified").stderr

    def test_a_stage_that_read_another_one(self, settings):
        path = artifacts.MODEL.path(model=settings.pool[0])
        deps = [{"path": path.as_posix(), "hash": "md5", "md5": "0" * 32, "size": 1}]
        self.write(calibrate={"cmd": "x", "outs": self.outs}, benchmark={"cmd": "x", "deps": deps})
        assert f"WARNING: {path}" in eco("predict", "test", "-s", "mine").stderr

    @pytest.mark.parametrize("content", [None, b"", b"no: yaml: at all", b"\xff"])
    def test_without_a_record_nothing_is_said(self, settings, content):
        Path("dvc.lock").unlink()
        if content is not None:
            Path("dvc.lock").write_bytes(content)
        assert eco("predict", "test", "-s", "mine").stderr == ""


def test_a_single_model_has_its_own_name(settings):
    last = settings.pool[-1]
    first_line, *_ = eco("predict", "test", "-s", f"always {last}").stdout.splitlines()
    assert first_line == f"always {last}: {always(last).describe()}"
