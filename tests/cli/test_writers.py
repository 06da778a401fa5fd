import csv
import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from eco.cli import writers
from eco.errors import DataError, FileError
from tests.conftest import REPOSITORY

N = 23
NAMES = writers.Names(['one, "quoted"', "zwei", "drei"], ["light", "heavy"])


def results(n=N):
    rng = np.random.default_rng(3)
    return {
        "index": np.arange(n),
        "label": rng.integers(0, 3, n),
        "confidence": rng.random(n).round(4),
        "answered_by": rng.integers(0, 2, n),
        "energy_j": rng.choice([1.25e-6, 3e-5], n),
    }


def write(path, columns, size=5):
    with writers.open_output(path, NAMES) as write_batch:
        for start in range(0, len(columns["index"]), size):
            write_batch({name: v[start : start + size] for name, v in columns.items()})


def rows_of(path):
    match path.suffix:
        case ".csv":
            with path.open(newline="") as stream:
                rows = list(csv.DictReader(stream))
            kinds = {"index": int, "label": int, "confidence": float, "energy_j": float}
            return [{k: kinds.get(k, str)(v) for k, v in row.items()} for row in rows]
        case ".json":
            return json.loads(path.read_text())
        case ".jsonl":
            return [json.loads(line) for line in path.read_text().splitlines()]
        case ".parquet":
            return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
    with np.load(path, allow_pickle=False) as archive:
        columns = {name: archive[name].tolist() for name in writers.COLUMNS if name != "class"}
        classes, models = archive["classes"].tolist(), archive["models"].tolist()
    columns["class"] = [classes[label] for label in columns["label"]]
    columns["answered_by"] = [models[model] for model in columns["answered_by"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def skip_without_package(suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("suffix", writers.FORMATS)
def test_every_format_holds_what_was_written_in_batches_of_any_size(tmp_path, suffix, size):
    skip_without_package(suffix)
    columns, path = results(), tmp_path / f"new folder/out{suffix}"
    write(path, columns, size)
    expected = [
        {
            "index": i,
            "label": label,
            "class": NAMES.classes[label],
            "confidence": confidence,
            "answered_by": NAMES.models[model],
            "energy_j": joules,
        }
        for i, label, confidence, model, joules in zip(
            *(values.tolist() for values in columns.values()), strict=True
        )
    ]
    assert rows_of(path) == expected
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", writers.FORMATS)
def test_text_has_the_digits_that_mean_something_and_arrays_have_all(tmp_path, suffix):
    skip_without_package(suffix)
    columns, path = results(3), tmp_path / f"out{suffix}"
    columns["confidence"] = np.array([1 / 3, 0.1 + 0.2, 1.0])
    columns["energy_j"] = np.array([1e-5 / 3, 0.1 + 0.2, 123456789.0])
    write(path, columns)
    rows = rows_of(path)
    if suffix in (".npz", ".parquet"):
        assert [row["confidence"] for row in rows] == columns["confidence"].tolist()
        assert [row["energy_j"] for row in rows] == columns["energy_j"].tolist()
    else:
        assert [row["confidence"] for row in rows] == [0.3333, 0.3, 1.0]
        assert [row["energy_j"] for row in rows] == [3.33333e-06, 0.3, 123457000.0]
        assert "0000000" not in path.read_text()


@pytest.mark.parametrize("suffix", writers.FORMATS)
@pytest.mark.parametrize(
    "stop", [KeyboardInterrupt(), DataError("damaged"), OSError(errno.ENOSPC, "No space")]
)
def test_what_stops_the_writing_leaves_the_old_result_and_nothing_else(tmp_path, suffix, stop):
    skip_without_package(suffix)
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    error = FileError if isinstance(stop, OSError) else type(stop)
    with pytest.raises(error), writers.open_output(path, NAMES) as write_batch:
        write_batch(results())
        raise stop
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


FULL_DISK = """
import resource, sys
from pathlib import Path
from eco.errors import reported
from tests.cli.test_writers import results, write
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with reported():
    write(Path(sys.argv[1]), results(20_000), 1000)
"""


@pytest.mark.parametrize("suffix", writers.FORMATS)
def test_a_full_disk_is_named_and_leaves_the_old_result(tmp_path, suffix):
    skip_without_package(suffix)
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert f"{path} could not be written: File too large" in result.stderr
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_file_of_results_that_can_not_be_written_is_refused_beforehand(tmp_path):
    source = tmp_path / "X.npz"
    source.touch()
    with pytest.raises(FileError, match=r"must end in one of \.csv"):
        writers.check_output(tmp_path / "out.txt", [source])
    with pytest.raises(FileError, match="is the input"):
        writers.check_output(source, [tmp_path / "other.npz", source])
    writers.check_output(tmp_path / "out.csv", [source])
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "device.csv").symlink_to("/dev/null")
    for name in ("folder.csv", "pipe.csv", "device.csv"):
        with pytest.raises(FileError, match=f"{name} must be a file, not a folder, a pipe or a de"):
            writers.check_output(tmp_path / name, [source])
    for output, other in (("n" * 5000 + ".csv", source), ("out.csv", tmp_path / ("n" * 5000))):
        with pytest.raises(FileError, match="can't be opened: File name too long") as error:
            (tmp_path / "out.csv").touch()
            writers.check_output(tmp_path / output, [other])
        assert len(str(error.value)) < 500


def test_the_target_of_a_link_is_written_with_the_mode_that_it_had(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link, dangling = (tmp_path / n for n in ("elsewhere/a.csv", "link.csv", "new.csv"))
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    dangling.symlink_to("elsewhere/made/b.csv")
    for path in (link, dangling):
        write(path, results())
        assert path.is_symlink()
        assert len(rows_of(path)) == N
    assert target.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "elsewhere/made/b.csv").is_file()


@pytest.mark.parametrize(
    "name", ["n" * 250 + ".csv", os.fsdecode(b"\xff\xfe.csv"), "€" * 83 + ".csv"]
)
def test_a_file_of_results_may_have_any_name(tmp_path, name):
    writers.check_output(tmp_path / name, [])
    write(tmp_path / name, results())
    assert len(rows_of(tmp_path / name)) == N
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(FileError, match=r"pyarrow.* pip install .*\[parquet\]"):
        writers.check_output(tmp_path / "out.parquet", [tmp_path / "X.npz"])


MEMORY = """
import sys, tracemalloc
import pandas  # the writer of CSV loads it: its own memory is not counted
from pathlib import Path
from eco.cli import writers
from eco.data import streams
from tests.cli.test_writers import NAMES, results
source, target = map(Path, sys.argv[1:])
tracemalloc.start()
with streams.open_samples(source) as samples, writers.open_output(target, NAMES) as write:
    for X, *_ in samples.batches(500, 3):
        write(results(len(X)))
print(tracemalloc.get_traced_memory()[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("save", "suffix"), [(np.save, ".csv"), (np.savez, ".npz"), (np.savez_compressed, ".csv")]
)
def test_ten_times_the_samples_take_the_same_memory(tmp_path, save, suffix):
    peaks = []
    for n in (4_000, 40_000):
        X = np.random.default_rng(0).integers(0, 256, (n, 8, 8)).astype(np.uint8)
        source = tmp_path / f"{n}.npz"
        with source.open("wb") as stream:
            save(stream, X) if save is np.save else save(stream, X=X)
        command = [sys.executable, "-c", MEMORY, str(source), str(tmp_path / f"{n}{suffix}")]
        run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout))
    # NumPy writes an array to an archive through a buffer, here one column: 8 bytes a sample.
    assert peaks[1] - peaks[0] < X.nbytes / 4
