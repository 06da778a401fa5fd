import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from eco.atomic import replacing, replacing_folder
from eco.errors import FileError
from tests.conftest import REPOSITORY

WRITING = """
import signal, sys, time
from pathlib import Path
from eco.atomic import replacing, replacing_folder
signal.signal(signal.SIGINT, signal.SIG_DFL)
with replacing(Path(sys.argv[1])) as stream, replacing_folder(Path(sys.argv[2])) as folder:
    stream.write(b"half")
    (folder / "half").touch()
    print("writing", flush=True)
    time.sleep(30)
"""
STOPPING = ["SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, content=b"new"):
    with replacing(path) as stream:
        stream.write(content)


@pytest.mark.parametrize("name", STOPPING)
def test_a_process_that_is_ended_leaves_the_old_file_and_nothing_else(tmp_path, name):
    number = getattr(signal, name)
    (tmp_path / "a.json").write_text("old")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, tmp_path / "a.json", tmp_path / "b.json"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stdout.readline() == "writing\n"
    assert len(names(tmp_path)) == 3
    process.send_signal(number)
    process.communicate()
    assert process.returncode == -number
    assert names(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "old"


def test_signals_are_handled_by_others_before_and_after(tmp_path):
    numbers = [getattr(signal, name) for name in STOPPING]
    handlers = [lambda *_: None, signal.SIG_IGN, signal.SIG_DFL, signal.SIG_DFL]
    before = [signal.signal(*pair) for pair in zip(numbers, handlers, strict=True)]
    try:
        with replacing(tmp_path / "a.json"):
            assert [signal.getsignal(number) for number in numbers[:2]] == handlers[:2]
        assert [signal.getsignal(number) for number in numbers] == handlers
    finally:
        for pair in zip(numbers, before, strict=True):
            signal.signal(*pair)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "study"
    with replacing_folder(folder) as new:
        (new / "a").touch()
    with pytest.raises(ZeroDivisionError), replacing_folder(folder) as new:
        (new / "b").touch()
        raise ZeroDivisionError
    assert (names(tmp_path), names(folder)) == (["study"], ["a"])
    with replacing_folder(folder) as new:
        (new / "b").touch()
    assert (names(tmp_path), names(folder)) == (["study"], ["b"])


def test_a_thread_can_write(tmp_path):
    thread = threading.Thread(target=write, args=[tmp_path / "a.json"])
    thread.start()
    thread.join()
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with replacing(tmp_path / "a.json") as stream:
        own = Path(stream.name).name
    draft = own.replace(f".{os.getpid()}.", ".{}.")
    other_machine = ".a.json.{}.{}.part".format("0" * 8, gone.pid)
    others = [draft.format(os.getppid()), draft.format(gone.pid).replace(".a.", ".b."),
              draft.format("mine"), draft.format(9**30), other_machine]  # fmt: skip
    for name in (draft.format(gone.pid), *others):
        (tmp_path / name).touch()
    write(tmp_path / "a.json")
    assert names(tmp_path) == sorted([*others, "a.json"])


@pytest.mark.parametrize("mode", [0o640, 0o444, 0o755])
def test_the_mode_of_a_file_stays(tmp_path, mode):
    path = tmp_path / "a.json"
    path.touch()
    path.chmod(mode)
    write(path)
    assert path.stat().st_mode & 0o777 == mode
    assert path.read_bytes() == b"new"


def test_a_name_may_be_as_long_as_a_name_may_be(tmp_path):
    for name in ("n" * 255, "é" * 127, "€" * 85):
        write(tmp_path / name)
        assert names(tmp_path) == [name]
        (tmp_path / name).unlink()
    for name in ("n" * 5000, "a/" * 1500 + "b"):
        with pytest.raises(FileError, match="could not be written: File name too long") as error:
            write(tmp_path / name)
        assert len(str(error.value)) < 500
