"""Files and folders that are replaced whole or not at all."""

import errno
import glob
import os
import platform
import shutil
import signal
import stat
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from eco.errors import FileError, shortened

#: What ends a process unless it is handled: Ctrl-C, `kill`, a closed terminal, a limit of CPU time.
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU)
#: Machines that share a file system may give processes the same number.
_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
#: Files and folders that are being written, and what each is to replace.
_drafts: dict[Path, Path] = {}


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a stream that takes the place of `path` only when the block ends without an error.

    The folder is made if need be; the mode stays. A process that is killed leaves no draft, or one
    that the next to write `path` removes. Raises `FileError` if the file can't be written.
    """
    with _draft(path) as draft:
        with draft.open("wb") as stream:
            with suppress(FileNotFoundError):
                os.fchmod(stream.fileno(), stat.S_IMODE(path.stat().st_mode))
            yield stream
        draft.replace(path)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """A new folder, which takes the place of `path` only when the block ends without an error.

    As `replacing` does with a file.
    """
    with _draft(path) as draft:
        draft.mkdir()
        yield draft
        former = draft.with_suffix(".former")
        if path.exists():
            path.rename(former)
        try:
            draft.rename(path)
        except OSError:
            if former.exists():
                former.rename(path)
            raise
        shutil.rmtree(former, ignore_errors=True)


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A free path beside `path`, removed at the end, also when a signal ends the process."""
    start = path.name[:60]  # with what follows, no longer than a name may be
    draft = path.with_name(f".{start}.{_MACHINE}.{os.getpid()}.part")
    with _removed_when_stopped(draft, path):
        try:
            make_folder(path.parent)
            _remove_stale(path.parent, start)
            yield draft
        except OSError as error:
            raise FileError(
                f"{shortened(path)} could not be written: {error.strerror or shortened(error)}",
                "Whatever stood there is unchanged. Make room or check the permissions, and run "
                "again.",
            ) from None
        finally:
            _remove(draft)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing; OSError if that can't be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except RecursionError:  # pathlib's, where folders nest too deep
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG)) from None


def _remove(path: Path) -> None:
    """Remove a file or a folder, where there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _remove_stale(folder: Path, start: str) -> None:
    """Remove the drafts of this machine's processes that are gone."""
    for draft in folder.glob(f".{glob.escape(start)}.{_MACHINE}.*.part"):
        with suppress(OSError, ValueError, OverflowError):  # no draft, or another user's
            try:
                os.kill(int(draft.name.split(".")[-2]), 0)
            except ProcessLookupError:
                _remove(draft)


@contextmanager
def _removed_when_stopped(draft: Path, path: Path) -> Iterator[None]:
    """Remove a draft when a signal ends the process; handlers of others are left alone."""

    def stop(number: int, _: object) -> None:
        for each in _drafts:
            _remove(each)
        names = ", ".join(shortened(each) for each in _drafts.values())
        message = f"\nStopped. {names} was not written; what stood there is unchanged.\n"
        with suppress(OSError):  # not `print`, which may be what was interrupted
            os.write(2, message.encode(errors="backslashreplace"))
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    is_main = threading.current_thread() is threading.main_thread()  # others can't handle signals
    handled = [n for n in _STOPPING if is_main and signal.getsignal(n) is signal.SIG_DFL]
    _drafts[draft] = path
    try:
        for number in handled:
            signal.signal(number, stop)
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        _drafts.pop(draft, None)
