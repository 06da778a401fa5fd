import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from eco import files, graphs, params, tuning
from eco.cascading import run_cascade
from eco.cli import main
from eco.confidence import confidence, correct
from eco.inference import Session
from eco.routing import Policy, run_policy
from tests.conftest import REPOSITORY
from tests.test_samples import idx, needs_its_package, npy, npz, rows_of

SHAPE, CLASSES = (4, 5), ["plain", 'with "quotes", and a comma', "third"]
N = 300
POLICY = {"price": 0.3, "threshold": 0.0}
PROVENANCE = {
    "machine": "another machine",
    "mode": "cpu_load",
    "watts_per_core": 4.0,
    "measured_on": "2026-01-02",
    "threads": 1,
    "call_path": "the same",
    "country": "FRA",
    "grid_g_co2e_per_kwh": 50.0,
}


def energies(names, joules, size, flags=""):
    rows = [
        {"name": n, "batch_size": size, "energy_j": j, "flags": flags, "readings_j": [j] * 3}
        for n, j in zip(names, joules, strict=True)
    ]
    return {"provenance": PROVENANCE, "measurements": rows}


def built(folder):
    """A workflow whose models are random linear ones, the later the more like the last."""
    shutil.copy(REPOSITORY / "params.yaml", folder)
    settings = params.load()
    data, pool, size = settings.data.name, settings.pool, settings.energy.batch_size
    rng, X, p = np.random.default_rng(0), {}, {}
    truth = rng.normal(size=(3, 20))
    for split in ("train", *files.PREDICTED):
        X[split] = rng.integers(0, 256, (N, *SHAPE)).astype(np.uint8)
    for at, model in enumerate(pool):
        noise = (1 - at / (len(pool) - 1)) * rng.normal(size=truth.shape)
        graph = graphs.export_softmax(4 * (truth + noise), np.zeros(3), SHAPE, "linear")
        saved(files.model_path(model), graph)
        session = Session(files.model_path(model), 1)
        p[model] = {split: session(images) for split, images in X.items()}
        kept = {split: p[model][split] for split in files.PREDICTED}
        files.save_predictions(model, data, **kept)
    # Now and then the last model is wrong.
    y = {s: np.where(rng.random(N) < 0.1, 0, p[pool[-1]][s].argmax(1)).astype(np.uint8) for s in X}
    for split, images in X.items():
        files.save_images(split, data, images, y[split])
    files.save_labels(data, CLASSES, **{s: y[s] for s in files.PREDICTED})
    for router, inputs in (("price_router", SHAPE), ("probe_router", (3,))):
        layer = rng.normal(size=(np.prod(inputs), len(pool)))
        scorer = SimpleNamespace(coefs_=[layer], intercepts_=[np.linspace(0, 2, len(pool))])
        saved(files.router_path(router), graphs.export_scores(scorer, inputs, "linear"))
    joules = 1e-6 * 3.0 ** np.arange(len(pool))
    files.save_json(files.ENERGY, energies(pool, joules, size, "wide interval"))
    files.save_json(files.ROUTER_ENERGY, energies(files.ROUTERS, [1e-7, 2e-7, 3e-7], size))
    made_for = files.MadeFor(data, size, settings.cascading.confidence, pool)
    stack = files.load_predictions(pool, "tuning", data)
    right = correct(stack, y["tuning"])
    found = tuning.frontier(confidence(stack, made_for.confidence), right, joules, 100, 2)
    reference = float(right[:, -1].mean())
    files.save_frontier(made_for, reference, {"accuracy": [s.row(pool) for s in found]})
    kinds = dict.fromkeys(("price_router", "probe_router"), POLICY)
    kinds["probe_cascade"] = POLICY | {"threshold": 0.9}
    files.save_certified(made_for, {"cascade": {"none": "too few samples"}} | kinds)
    figures = {"accuracy": 0.75, "energy_share": 0.5, "accuracy_loss_points": 5.0}
    bounds = {"energy_share_low": 0.4, "energy_share_high": 0.6}
    files.save_metrics("models", {"models": dict.fromkeys(pool, figures | bounds)})
    files.save_metrics("doctor", {"doctor": {"energy_order": "fine", "saturated": "a is; mend it"}})
    cascade = {"models": f"{pool[0]} {pool[-1]}", "thresholds": "0.8 0.0"}
    voting = {"name": "agreement voting", "models": pool[0], "thresholds": ""}
    files.save_rows("strategies", [figures | cascade | {"name": "mine"}, figures | voting])
    routers = [{"name": f"{kind}, certified"} for kind in kinds]
    routers += [{"name": "price_router"}]  # whose price nobody wrote down
    files.save_rows("routing", [figures | router for router in routers])
    files.save_rows("cascading", [figures | {"cascade": "of another day"}])
    metered = {"name": "other", "batch_size": size, "energy_share": 0.123}
    files.save_rows("metered", [metered | cascade, metered | {"batch_size": -1}])
    return settings


def saved(path, graph):
    path.parent.mkdir(exist_ok=True)
    onnx.save(graph, path)


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workflow")
    with contextlib.chdir(folder):
        return folder, built(folder)


@pytest.fixture
def here(workflow, tmp_path, monkeypatch):
    """A copy of the workflow to work in, and its settings."""
    shutil.copytree(workflow[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return workflow[1]


def eco(*arguments, ok=True):
    result = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="eco")
    if ok is not None:
        assert (result.exit_code == 0) is ok, result.output
    return result


def refused(*arguments):
    result = eco(*arguments, ok=False)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    return result.stderr


def expected(settings, name):
    """Answers on the test images by arithmetic on the stored probabilities."""
    pool, data, size = settings.pool, settings.data.name, settings.energy.batch_size
    stack = files.load_predictions(pool, "test", data)
    sure = confidence(stack, settings.cascading.confidence)
    joules = files.load_energy(files.ENERGY, pool, size, "benchmark")
    if name in ("chosen", "mine"):
        models = settings.cascading.active_models if name == "chosen" else [pool[0], pool[-1]]
        limits = settings.cascading.chosen_thresholds if name == "chosen" else [0.8, 0.0]
        by, ran = run_cascade(sure, [pool.index(m) for m in models], limits)
        return answered(stack, sure, by, ran @ joules, pool)
    kind, scored = name.removesuffix(", certified"), "probe_router"
    probe, given = pool.index(settings.router.probe), stack[:, pool.index(settings.router.probe)]
    if kind == "price_router":
        scored, probe, given = kind, None, files.load_images("test", data)[0]
    policy = Policy(**POLICY) if kind != "probe_cascade" else Policy(0.3, 0.9)
    scores = Session(files.router_path(scored), 1)(given).round(3)
    by, ran = run_policy(policy, scores, sure, joules, probe)
    router = files.load_energy(files.ROUTER_ENERGY, [scored], size, "benchmark_router")[0]
    return answered(stack, sure, by, ran @ joules + router, pool)


def answered(stack, sure, by, joules, pool):
    at = np.arange(len(by))
    labels = stack[at, by].argmax(axis=1)
    return [
        {
            "index": int(i),
            "label": int(labels[i]),
            "class": CLASSES[labels[i]],
            "confidence": pytest.approx(sure[i, by[i]], abs=1e-4),
            "answered_by": pool[by[i]],
            "energy_j": pytest.approx(joules[i]),
        }
        for i in at
    ]


STRATEGIES = ["chosen", "mine", *(f"{k}, certified" for k in ("price_router", "probe_router"))]


@pytest.mark.parametrize("name", [*STRATEGIES, "probe_cascade, certified"])
def test_predicting_equals_the_arithmetic_for_every_kind_of_strategy(here, tmp_path, name):
    result = eco("predict", "test", "--strategy", name, "--output", "out.json")
    rows, wanted = rows_of(tmp_path / "out.json"), expected(here, name)
    assert rows == wanted
    y = files.load_labels("test", here.data.name)
    joules = sum(row["energy_j"] for row in rows)
    last = files.load_energy(files.ENERGY, here.pool[-1:], here.energy.batch_size, "benchmark")[0]
    right = np.mean([row["label"] == label for row, label in zip(rows, y, strict=True)])
    stored = files.load_predictions(here.pool[-1:], "test", here.data.name)
    best = correct(stored, y).mean()
    for told in (
        f"samples            {N}",
        f"accuracy           {right:.2%}",
        f"points lost        {100 * (best - right):.2f} ",
        f"{here.pool[-1]} {np.mean([r['answered_by'] == here.pool[-1] for r in rows]):.2%}",
        "images/s",
    ):
        assert told in result.stdout
    for label, value in (
        ("energy", joules),
        (f"share of {here.pool[-1]}", joules / N / last),
        ("emissions", joules / 3.6e6 * 50.0),
    ):
        line = next(line for line in result.stdout.splitlines() if line.startswith(label))
        told = float(line.removeprefix(label).split()[0])
        assert told == pytest.approx(value, rel=0.005, abs=6e-5 if "share" in label else 0)


INPUTS = {
    "X.npy": lambda X, y: npy(X),
    "Xy.npz": lambda X, y: npz(np.savez_compressed, X=X, y=y),
    "test.npz": lambda X, y: npz(X_test=X, y_test=y),
    "X-ubyte": lambda X, y: idx(X),
}


@pytest.mark.parametrize("batch_size", [7, 4096])
@pytest.mark.parametrize("given", INPUTS)
@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
def test_predicting_gives_the_same_from_and_to_every_form_of_file(
    here, tmp_path, given, suffix, batch_size
):
    needs_its_package(suffix)
    X, y = files.load_images("test", here.data.name)
    (tmp_path / given).write_bytes(INPUTS[given](X, y))
    (tmp_path / "y-ubyte").write_bytes(idx(y))
    labels = ["--labels", "y-ubyte", "--compare"] if given == "X-ubyte" else []
    out = tmp_path / f"out{suffix}"
    result = eco("predict", given, "-o", out, "--batch-size", batch_size, "--workers", 2, *labels)
    assert rows_of(out) == expected(here, "chosen")
    assert ("accuracy" in result.stdout) is (given != "X.npy")
    assert ("points lost" in result.stdout) is (given == "X-ubyte")


def test_tuned_cascades_of_another_run_are_refused(here, tmp_path):
    rows = files.load_rows("strategies", ["name"], "evaluate_frontier")
    size, confidence = here.energy.batch_size, here.cascading.confidence
    made_for = files.MadeFor(here.data.name, size, confidence, here.pool)
    (known, *_), _ = files.load_frontier("accuracy", made_for)
    told = {key: " ".join(map(str, known[key])) for key in ("models", "thresholds")}
    of_this_run = rows[0] | told | {"name": "tuned to lose 1"}
    files.save_rows("strategies", [*rows, of_this_run])
    assert eco("predict", "test", "-s", "tuned to lose 1").stdout
    of_another = rows[0] | {"name": "tuned to lose 1"}
    files.save_rows("strategies", [*rows, of_another])
    message = refused("predict", "test", "-s", "tuned to lose 1")
    assert "plots/strategies.json is of another run than data/frontier.json" in message
    assert "dvc repro" in message
    path = tmp_path / "params.yaml"
    path.write_text(
        path.read_text().replace("  presets:\n", "  presets:\n    tuned_by_hand: [0.8, 0.0]\n")
    )
    files.save_rows("strategies", [*rows, rows[0] | {"name": "tuned_by_hand"}])
    assert eco("predict", "test", "-s", "tuned_by_hand").stdout


def test_the_chosen_cascade_is_the_tuned_one_where_params_say_so(here, tmp_path):
    text = (tmp_path / "params.yaml").read_text()
    listed = "".join(f"  - {t}\n" for t in here.cascading.chosen_thresholds)
    old = f"  thresholds:\n{listed}"
    assert old in text
    (tmp_path / "params.yaml").write_text(text.replace(old, "  thresholds: tuned\n"))
    limit = here.tuning.max_accuracy_loss
    found = eco("tune", "--max-accuracy-loss", limit).stdout.splitlines()[0]
    assert eco("predict", "test").stdout.startswith(f"chosen: {found}\n")
    (tmp_path / "params.yaml").write_text(text.replace(old, "  thresholds: certified\n"))
    assert "too few samples" in refused("predict", "test")
    names = [row["name"] for row in json.loads(eco("show", "-f", "json").stdout)]
    assert "mine" in names and "chosen" not in names


def test_what_can_not_be_predicted_is_named(here, tmp_path):
    X, y = files.load_images("test", here.data.name)
    (tmp_path / "small.npy").write_bytes(npy(X[:, :3]))
    (tmp_path / "X.npy").write_bytes(npy(X))
    (tmp_path / "nan.npy").write_bytes(npy(np.full(X.shape, np.nan)))
    (tmp_path / "out.csv").write_text("old")
    assert "small.npy has images of 3 x 5" in refused("predict", "small.npy", "-o", "out.csv")
    assert "NaN" in refused("predict", "nan.npy", "-o", "out.csv")
    assert "no.npy does not exist" in refused("predict", "no.npy")
    assert "no labels to --compare" in refused("predict", "X.npy", "--compare")
    assert "labels of its own" in refused("predict", "test", "--labels", "X.npy")
    assert "there are: chosen; always" in refused("predict", "test", "-s", "nobody")
    assert "must end in one of" in refused("predict", "test", "-o", "out.txt")
    (tmp_path / "y.npy").write_bytes(npy(y))
    inputs = [files.images_path("test"), tmp_path / "y.npy"]
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


def test_a_damaged_or_hostile_model_is_named(here):
    last = files.model_path(here.pool[-1])
    name = f"always {here.pool[-1]}"
    healthy = last.read_bytes()
    for content in (healthy[: len(healthy) // 2], b"", b"cos\nsystem\n(S'touch hacked'\ntR."):
        last.write_bytes(content)
        assert f"{last} is not an ONNX model" in refused("predict", "test", "-s", name)
    graph = graphs.export_softmax(np.full((3, 20), np.nan), np.zeros(3), SHAPE, "linear")
    saved(last, graph)
    message = refused("predict", "test", "-s", name)
    assert "must give probabilities" in message and str(last) in message
    last.unlink()
    assert f"{last} is missing" in refused("predict", "test", "-s", name)


def command(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    whole = [sys.executable, "-m", "eco", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(whole, env=environment, **pipes | options)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_ctrl_c_in_the_middle_leaves_the_old_result_and_nothing_else(here, tmp_path, suffix):
    rng = np.random.default_rng(0)
    np.save("X.npy", rng.integers(0, 256, (400_000, *SHAPE)).astype(np.uint8))
    out = tmp_path / "results" / f"out{suffix}"
    out.parent.mkdir()
    out.write_text("old")
    # A shell's background jobs ignore the signal, and so would what they start.
    heeded = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = command("predict", "X.npy", "-o", out, "--batch-size", 20, preexec_fn=heeded)
    while len(list(out.parent.iterdir())) < 2 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Stopped. No result was written" in errors and "Traceback" not in errors
    assert told == ""
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "old"


def test_a_full_disk_is_one_message(here, tmp_path):
    import resource

    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    (tmp_path / "out.csv").write_text("old")
    process = command("predict", "test", "-o", "out.csv", preexec_fn=small)
    errors = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "out.csv could not be written: File too large" in errors and "Traceback" not in errors
    assert (tmp_path / "out.csv").read_text() == "old"


# Not ru_maxrss, which starts at what the process had that started this one.
PEAK = """
import sys
from functools import partial
from pathlib import Path
from pathlib import Path
from eco.cli import main
main(["predict", "X.npy", "-o", "out.csv", "--batch-size", "2000"], standalone_mode=False)
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_ten_times_the_images_take_the_same_memory(here):
    environment, peaks = os.environ | {"PYTHONPATH": str(REPOSITORY)}, []
    for n in (100_000, 1_000_000):  # 2 MB of pixels, then 20 MB, whose answers are 50 MB
        np.save("X.npy", np.random.default_rng(0).integers(0, 256, (n, *SHAPE), np.uint8))
        told = subprocess.check_output([sys.executable, "-c", PEAK], env=environment, text=True)
        peaks.append(int(told.split()[-1]) * 1024)
    assert peaks[1] - peaks[0] < 8_000_000


def test_a_closed_pipe_is_met_quietly(here):
    process = command("show", "--format", "json")
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(timeout=30) == 1
    assert errors == ""


def test_show_lists_what_can_run_in_every_format(here):
    rows = json.loads(eco("show", "--format", "json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["mine"]["realised_share"] == 0.123
    assert by_name["mine"]["setting"] == f"{here.pool[0]} 0.8, {here.pool[-1]} 0"
    assert "accuracy" not in by_name["chosen"]  # its figures are those of another setting
    assert {f"always {m}" for m in here.pool} <= by_name.keys()
    assert {"agreement voting", "price_router"}.isdisjoint(by_name)
    table, markdown = (eco("show", "-f", f).stdout for f in ("table", "markdown"))
    assert f"always {here.pool[0]}" in table and "0.5000 [0.4000, 0.6000]" in table
    assert markdown.count("\n| ") == len(rows) + 1
    for name in by_name:
        assert name in table
        eco("predict", "test", "--strategy", name)


def test_tune_meets_the_target_and_says_how_to_use_it(here):
    text = eco("tune", "--energy-budget", 0.2).stdout
    assert "-S tuning.target=energy_budget -S tuning.energy_budget=0.2" in text
    on_tuning, on_test = (line for line in text.splitlines() if line.startswith("on "))
    assert float(on_tuning.split()[-1]) <= 0.2
    models, thresholds = zip(*(p.split() for p in text.splitlines()[0].split(", ")), strict=True)
    stack = files.load_predictions(here.pool, "test", here.data.name)
    right = correct(stack, files.load_labels("test", here.data.name))
    chain = [here.pool.index(m) for m in models]
    sure = confidence(stack, here.cascading.confidence)
    by, _ = run_cascade(sure, chain, [float(t) for t in thresholds])
    assert f"{right[np.arange(N), by].mean():.2%}" == on_test.split()[2]


def test_tune_says_what_can_be_met(here):
    for option in ("--energy-budget", "--max-accuracy-loss"):
        assert f"{option} must be a number; got nan" in eco("tune", option, "nan", ok=False).stderr
    message = refused("tune", "--energy-budget", 1e-9)
    assert "the least that can be met is" in message and "Raise --energy-budget" in message
    assert eco("tune", ok=False).exit_code == 2
    assert eco("tune", "--max-accuracy-loss", 1, "--energy-budget", 1, ok=False).exit_code == 2
    assert eco("tune", "--max-accuracy-loss", -1, ok=False).exit_code == 2


def test_figures_of_two_runs_are_told_by_show_and_doctor(here):
    assert "NOTE" not in eco("show").stderr, "without a record nothing is known"
    md5 = hashlib.md5(files.CERTIFIED.read_bytes()).hexdigest()
    Path("dvc.lock").write_text(
        "stages:\n  evaluate_routing:\n    deps:\n"
        f"    - path: {files.CERTIFIED}\n      md5: {md5}\n"
        f"    outs:\n    - path: {files.rows_path('routing')}\n      md5: {'0' * 32}\n"
    )
    told = "plots/routing.json was made before plots/routing.json changed"
    assert f"NOTE: {told}" in eco("show", "-f", "json").stderr
    json.loads(eco("show", "-f", "json").stdout)
    assert told in eco("doctor").stdout
    Path("dvc.lock").write_text("stages: {}\n")
    assert "NOTE" not in eco("show").stderr
    assert "all results were made from the files that lie beside them" in eco("doctor").stdout


def test_doctor_tells_findings_energies_and_missing_files(here):
    text = eco("doctor").stdout
    assert "saturated: a is; mend it" in text
    assert f"on another machine; this is {files.machine()}" in text
    assert f"{here.pool[0]} (wide interval)" in text
    router = files.router_path("router")
    assert f"missing: {router}." in text and "dvc checkout" in text
    files.metrics_path("doctor").unlink()
    files.ENERGY.unlink()
    text = eco("doctor").stdout
    assert "metrics/doctor.json is missing" in text
    assert f"missing: {files.ENERGY}, {files.metrics_path('doctor')}. Bring" in text


@pytest.mark.parametrize("name", ["predict", "show", "tune", "doctor"])
def test_every_command_has_help_with_an_example(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = eco(name, "--help").stdout
    assert f"Usage: eco {name}" in text and f"  eco {name}" in text.split("Example")[1]
    assert name in eco("--help").stdout


@pytest.mark.parametrize("arguments", [["show"], ["doctor"], ["predict", "test"]])
def test_outside_the_repository_every_command_says_where_to_go(arguments, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert "from the top of the repository" in refused(*arguments)


LOADED = """
import sys
from eco.cli import main
main(sys.argv[1:], standalone_mode=False)
heavy = {"onnxruntime", "onnx", "tensorflow", "keras", "sklearn", "pandas", "codecarbon"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.parametrize("arguments", [["show"], ["doctor"], ["tune", "--energy-budget", "0.2"]])
def test_asking_loads_no_learning_library(here, arguments):
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", LOADED, *arguments], env=environment, check=True)


@pytest.mark.parametrize(
    "arguments", [["show"], ["show", "-f", "json"], ["doctor"], ["tune", "--energy-budget", "0.1"]]
)
def test_the_files_in_git_are_answered_from_or_named(arguments, monkeypatch):
    """In the middle of a change of pool the committed results may be of the pool before."""
    monkeypatch.chdir(REPOSITORY)
    result = eco(*arguments, ok=None)
    if result.exit_code:
        assert "was made for" in result.stderr or "is missing" in result.stderr
    else:
        expected = "files:" if arguments == ["doctor"] else params.load().pool[-1]
        assert expected in result.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_is_named():
    command = [sys.executable, "-m", "eco", "show"]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(
            command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert run.returncode == 1
    assert "ERROR: what this prints can't be written: No space left" in run.stderr
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
