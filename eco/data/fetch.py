"""Fashion-MNIST: found on this machine or downloaded, and verified.

Four IDX files (Xiao, Rasul & Vollgraf 2017). No source is trusted: a file counts only if the
SHA-256 of its decompressed bytes is the published content's, because mirrors compress the same
content differently.
"""

import gzip
import hashlib
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from eco.data import idx
from eco.errors import DataError, EcoError, extra, shortened

Array = NDArray[Any]
#: From names of files to pairs of name and content, compressed or not.
Source = Callable[[Iterable[str]], Iterator[tuple[str, bytes]]]

log = logging.getLogger(__name__)

FOLDER_VARIABLE = "ECOINFERENCE_DATA"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
#: Seconds until a mirror must connect, and answer.
TIMEOUT_S = (5, 20)
#: Bytes of a file at most, as it comes and decompressed: twice the largest.
MAX_BYTES = 100_000_000
#: Seconds until a mirror must have sent a whole file.
MAX_SECONDS = 600

SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

MIRRORS = {
    "Zalando": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "GitHub": "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    "TensorFlow": "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
}

CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker",
           "Bag", "Ankle boot"]  # fmt: skip


def sources(folder: str) -> dict[str, Source]:
    """Where Fashion-MNIST may be had, in the order that it is tried.

    Parameters
    ----------
    folder : str
        Tried first, unless empty.
    """
    folders = {
        "data.path of params.yaml": folder,
        f"folder in {FOLDER_VARIABLE}": os.environ.get(FOLDER_VARIABLE, ""),
        "system folder": str(SYSTEM_FOLDER),
    }
    available: dict[str, Source] = {
        f"{origin}, {shortened(path)}": partial(read_folder, expanded(path))
        for origin, path in folders.items()
        if path
    }
    available |= {f"{origin}, {url}": partial(download, url) for origin, url in MIRRORS.items()}
    return available | {f"Debian or Ubuntu package {DEBIAN_PACKAGE}": unpack_debian_package}


def fetch(sources: Mapping[str, Source], sha256: Mapping[str, str] = SHA256) -> dict[str, Array]:
    """Every file of `sha256`, decoded, each from the first source whose copy is genuine.

    Parameters
    ----------
    sources : mapping of str to Source
    sha256 : mapping of str to str
        Expected digest of each decompressed file.

    Returns
    -------
    dict of str to array
        Images, (n, height, width) uint8, and labels, (n,) uint8, by file name.

    Raises
    ------
    DataError
        If files remain after the last source; it lists every source with its reason.
    """
    files: dict[str, Array] = {}
    failures: list[str] = []
    for source, read in sources.items():
        try:
            for name, content in read([name for name in sha256 if name not in files]):
                files[name] = idx.decode(name, _verified(name, content, sha256[name]))
        except Exception as error:  # whatever it is, the next source may work
            failures.append(f"{source}: {reason(error)}")
            log.info("not from %s", failures[-1])
        else:
            log.info("from %s", source)
            return files
    raise DataError(
        "Fashion-MNIST could not be had from any source:\n"
        + "\n".join(f"  - {failure}" for failure in failures),
        f"Put the four files ({', '.join(f'{name}.gz' for name in sha256)}) into a folder and name "
        f"it in params.yaml under data.path, or in the variable {FOLDER_VARIABLE}; then: "
        "dvc repro. To run the same workflow on the bundled digits instead, offline: make quick",
    )


def reason(error: Exception) -> str:
    """Why a file could not be had, in one line."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or "").strip().splitlines()
        return lines[-1] if lines else f"{error.cmd[0]} failed with status {error.returncode}"
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} does not exist"
    if isinstance(error, EcoError):
        return str(error)
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}".splitlines()[0][:200]


def decompressed(name: str, content: bytes, limit: int = -1) -> bytes:
    """The content of a file that gzip may have compressed, at most `limit` bytes of it.

    Raises
    ------
    DataError
        If it is damaged.
    """
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(content)).read(limit)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is truncated or damaged ({error})") from None


def _verified(name: str, content: bytes, digest: str) -> bytes:
    content = decompressed(name, content, MAX_BYTES)
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise DataError(
            f"{name} is not the published file: SHA-256 of its {len(content)} bytes begins "
            f"{actual[:12]}, must begin {digest[:12]}"
        )
    return content


def expanded(path: str) -> Path:
    """A path with ~ replaced by a home, if there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def check_regular(path: Path) -> None:
    """Refuse a pipe or a device, which could be read from without end, or never answer."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DataError(f"{shortened(path)} must be a file, not a pipe or a device")


def read_folder(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files of a folder, each with or without .gz."""
    if not folder.is_dir():
        raise DataError("no such folder")
    for name in names:
        compressed = folder / f"{name}.gz"
        file = compressed if compressed.exists() else folder / name
        check_regular(file)
        yield name, file.read_bytes()


class _Buffer(io.BytesIO):
    """Bytes in memory, as many as a file may have."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def write(self, chunk: Any) -> int:
        if self.tell() + len(chunk) > MAX_BYTES:
            raise DataError(f"{self.name} is larger than {MAX_BYTES:,} bytes")
        return super().write(chunk)


def download(url: str, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files of a mirror, NAME.gz under its URL."""
    with extra("workflow"):
        from pooch import HTTPDownloader

    downloader = HTTPDownloader(
        progressbar=sys.stderr is not None, chunk_size=1 << 16, timeout=TIMEOUT_S,
        headers={"Accept-Encoding": "identity"}, hooks={"response": _leave_as_stored},
    )  # fmt: skip
    for name in names:
        buffer = _Buffer(f"{name}.gz")
        try:
            _in_time(partial(downloader, f"{url}/{buffer.name}", buffer, None))
        except TimeoutError:
            buffer.close()  # so that a download that still goes on ends
            problem = f"{name}.gz is not there after {MAX_SECONDS} seconds"
            raise DataError(problem) from None
        except OSError as error:
            if getattr(error, "response", None) is None:  # as those of requests that never arrived
                raise DataError(f"no answer ({type(error).__name__})") from None
            raise
        yield name, buffer.getvalue()


def _leave_as_stored(response: Any, **_: Any) -> None:
    """Keep requests from decoding a body, or reading that of a redirect: both know no limit."""
    response.raw.headers.discard("Content-Encoding")
    if response.is_redirect:
        response.close()


def _in_time(call: Callable[[], Any]) -> None:
    """Wait for a call in a thread of its own: timeouts of sockets begin anew with each byte."""
    outcome: Future[Any] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # raised again where it is awaited
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    outcome.result(MAX_SECONDS)


def unpack_debian_package(names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """Files of the distribution's own package, downloaded by apt and unpacked without root."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise DataError("apt-get and dpkg-deb are not on this machine")
    with tempfile.TemporaryDirectory(prefix="ecoinference-") as temporary:
        folder = Path(temporary)
        run = partial(
            subprocess.run, cwd=folder, check=True, capture_output=True, text=True, timeout=300
        )
        try:
            run(["apt-get", "download", DEBIAN_PACKAGE])
        except subprocess.CalledProcessError:
            # The machine's package lists may be empty or old; private ones need no root.
            (folder / "lists/partial").mkdir(parents=True)
            (folder / "cache/archives/partial").mkdir(parents=True)
            lists, cache = f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache"
            for action in (["update"], ["download", DEBIAN_PACKAGE]):
                run(["apt-get", "-o", lists, "-o", cache, *action])
        packages = list(folder.glob("*.deb"))
        if len(packages) != 1:
            raise DataError(f"apt-get brought {len(packages)} packages instead of one")
        run(["dpkg-deb", "-x", str(packages[0]), "content"])
        yield from read_folder(folder / "content" / SYSTEM_FOLDER.relative_to("/"), names)
