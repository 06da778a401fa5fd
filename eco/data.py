"""The data sets: found or downloaded, verified, and split.

Fashion-MNIST (Xiao, Rasul, Vollgraf 2017) is four IDX files. A source is trusted for nothing:
whatever it gives counts only if the SHA-256 of the decompressed bytes is the published content's,
because mirrors compress the same content differently.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eco.errors import DataError

Array = NDArray[Any]
Source = Callable[[str], bytes]

FOLDER_VARIABLE = "ECOINFERENCE_DATA"
DEBIAN_PACKAGE = "dataset-fashion-mnist"
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
TIMEOUT_S = (5, 20)

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

CLASS_NAMES = {
    "fashion-mnist": [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ],
    "digits": [str(digit) for digit in range(10)],
}


class Split(NamedTuple):
    """Images, (n_samples, height, width) uint8, and labels, (n_samples,) uint8."""

    X: Array
    y: Array


def load_splits(
    name: str,
    folder: str,
    shares: Mapping[str, float],
    seed: int,
    announce: Callable[[str], None],
) -> dict[str, Split]:
    """The splits of a data set, disjoint and stratified: ``train``, those held out, ``test``.

    Parameters
    ----------
    name : {"fashion-mnist", "digits"}
        Digits is scikit-learn's bundled data, 8 x 8 pixels; a quarter of it becomes test.
    folder : str
        Where the four IDX files of Fashion-MNIST may already lie; "" for nowhere.
    shares : mapping of str to float
        Held-out splits, and the share of the training images that each takes.
    seed : int
        The same seed gives the same splits.
    announce : callable
        Told which source served, and which did not.

    Raises
    ------
    DataError
        If no source has the files, or a split would not hold every class.
    """
    from sklearn.model_selection import train_test_split

    if name == "digits":
        X, y = _digits()
        X_rest, X_test, y_rest, y_test = train_test_split(
            X, y, test_size=0.25, stratify=y, random_state=seed
        )
    else:
        files = fetch(sources(folder), announce)
        X_rest, y_rest = files["train-images-idx3-ubyte"], files["train-labels-idx1-ubyte"]
        X_test, y_test = files["t10k-images-idx3-ubyte"], files["t10k-labels-idx1-ubyte"]
    # Everything held out is split off at once, so the training split depends on its size only.
    sizes = {split: round(share * len(y_rest)) for split, share in shares.items()}
    rest, held_out = Split(X_rest, y_rest), {}
    try:
        X_train, X, y_train, y = train_test_split(
            *rest, test_size=sum(sizes.values()), stratify=y_rest, random_state=seed
        )
        *first, last = sizes
        for split in first:
            X, X_split, y, y_split = train_test_split(
                X, y, test_size=sizes[split], stratify=y, random_state=seed
            )
            held_out[split] = Split(X_split, y_split)
        held_out[last] = Split(X, y)
        least = min(np.bincount(part.y, minlength=10).min() for part in held_out.values())
        if least < 2:
            raise ValueError(f"a class with {least} images can't be calibrated or judged")
    except ValueError as error:
        listed = ", ".join(f"{split} {size}" for split, size in sizes.items())
        raise DataError(
            f"params.yaml: data.shares must leave images of every class in each split of {name}; "
            f"got {listed} of {len(y_rest)} training images ({error}). Raise the smallest share."
        ) from None
    return {"train": Split(X_train, y_train), **held_out, "test": Split(X_test, y_test)}


def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return np.round(bunch.images * (255 / 16)).astype(np.uint8), bunch.target.astype(np.uint8)


def sources(folder: str) -> dict[str, Callable[[], Any]]:
    """Context managers that open each source of Fashion-MNIST, in the order they are tried."""
    named: dict[str, Callable[[], Any]] = {}
    for origin, place in (
        ("data.folder of params.yaml", folder),
        (f"folder in {FOLDER_VARIABLE}", os.environ.get(FOLDER_VARIABLE, "")),
        ("system folder", str(SYSTEM_FOLDER)),
    ):
        if place:
            named[f"{origin}, {place}"] = partial(_folder, Path(place).expanduser())
    for origin, url in MIRRORS.items():
        named[f"{origin}, {url}"] = partial(_mirror, url)
    named[f"Debian or Ubuntu package {DEBIAN_PACKAGE}"] = _debian_package
    return named


def fetch(
    sources: Mapping[str, Callable[[], Any]],
    announce: Callable[[str], None],
    sha256: Mapping[str, str] = SHA256,
) -> dict[str, Array]:
    """Every file of `sha256`, decoded, each from the first source whose copy is genuine.

    Parameters
    ----------
    sources : mapping of str to callable
        Context managers; each gives a function from file name to bytes.
    announce : callable
        Told the fate of each source.
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
    for source, opened in sources.items():
        try:
            with opened() as read:
                for name in [name for name in sha256 if name not in files]:
                    files[name] = _decode(name, _verified(name, read(name), sha256[name]))
        except (OSError, DataError, subprocess.SubprocessError) as error:
            failures.append(f"{source}: {_reason(error)}")
            announce(f"not from {failures[-1]}")
            continue
        announce(f"from {source}")
        return files
    listed = "\n".join(f"  - {failure}" for failure in failures)
    raise DataError(
        f"Fashion-MNIST could not be had from any source:\n{listed}\n"
        f"Put the four files ({', '.join(f'{name}.gz' for name in sha256)}) into a folder and name "
        f"it in params.yaml under data.folder, or in the variable {FOLDER_VARIABLE}; then: "
        "dvc repro. To run the same workflow on the bundled digits instead, offline: make quick"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        lines = (error.stderr or "").strip().splitlines()
        return lines[-1] if lines else f"{error.cmd[0]} failed with status {error.returncode}"
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} does not exist"
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return reason.splitlines()[0][:200]


def _verified(name: str, content: bytes, digest: str) -> bytes:
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{name} is truncated or damaged ({error})") from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DataError(
            f"{name} is not the published file: SHA-256 of its {len(content)} bytes begins "
            f"{found[:12]}, must begin {digest[:12]}"
        )
    return content


def _decode(name: str, content: bytes) -> Array:
    """An IDX file of unsigned bytes as an array (format: yann.lecun.com/exdb/mnist)."""
    n_dimensions = content[3]
    shape = np.frombuffer(content, ">u4", count=n_dimensions, offset=4)
    pixels = np.frombuffer(content, np.uint8, offset=4 + 4 * n_dimensions)
    if content[:3] != b"\x00\x00\x08" or pixels.size != np.prod(shape, dtype=np.int64):
        raise DataError(f"{name} is not an IDX file of unsigned bytes")
    return pixels.reshape(shape)


@contextmanager
def _folder(folder: Path) -> Iterator[Source]:
    def read(name: str) -> bytes:
        compressed = folder / f"{name}.gz"
        return (compressed if compressed.exists() else folder / name).read_bytes()

    if not folder.is_dir():
        raise DataError("no such folder")
    yield read


@contextmanager
def _mirror(url: str) -> Iterator[Source]:
    import requests
    from tqdm import tqdm

    with requests.Session() as session:

        def read(name: str) -> bytes:
            try:
                return download(name)
            except requests.Timeout:
                raise DataError(f"no answer within {max(TIMEOUT_S)} s") from None
            except requests.ConnectionError:
                raise DataError("no connection") from None

        def download(name: str) -> bytes:
            with session.get(f"{url}/{name}.gz", stream=True, timeout=TIMEOUT_S) as response:
                response.raise_for_status()
                size = int(response.headers.get("Content-Length", 0)) or None
                with tqdm(desc=name, total=size, unit="B", unit_scale=True, leave=False) as bar:
                    chunks = []
                    for chunk in response.iter_content(1 << 16):
                        chunks.append(chunk)
                        bar.update(len(chunk))
            return b"".join(chunks)

        yield read


@contextmanager
def _debian_package() -> Iterator[Source]:
    """The distribution's own package, downloaded by apt and unpacked without root."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise DataError("apt-get and dpkg-deb are not on this machine")
    with tempfile.TemporaryDirectory(prefix="ecoinference-") as temporary:
        folder = Path(temporary)
        try:
            _run(folder, "apt-get", "download", DEBIAN_PACKAGE)
        except subprocess.CalledProcessError:
            # The machine's package lists may be empty or old; private ones need no root.
            (folder / "lists/partial").mkdir(parents=True)
            (folder / "cache/archives/partial").mkdir(parents=True)
            lists, cache = f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache"
            for action in (["update"], ["download", DEBIAN_PACKAGE]):
                _run(folder, "apt-get", "-o", lists, "-o", cache, *action)
        packages = list(folder.glob("*.deb"))
        if len(packages) != 1:
            raise DataError(f"apt-get brought {len(packages)} packages instead of one")
        (package,) = packages
        _run(folder, "dpkg-deb", "-x", str(package), "content")
        with _folder(folder / "content" / SYSTEM_FOLDER.relative_to("/")) as read:
            yield read


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
