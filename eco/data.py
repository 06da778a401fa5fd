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

FASHION_CLASSES = [
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
]

#: Arrays of an .npz of one's own; without the last two a quarter of the samples becomes test.
ARRAYS = ("X_train", "y_train", "X_test", "y_test")


class Split(NamedTuple):
    """Images, (n_samples, height, width) uint8, and labels, (n_samples,) uint8."""

    X: Array
    y: Array


def load_splits(
    name: str,
    path: str,
    shares: Mapping[str, float],
    seed: int,
    announce: Callable[[str], None],
) -> tuple[dict[str, Split], list[str]]:
    """The splits of a data set, disjoint and stratified: ``train``, those held out, ``test``.

    Parameters
    ----------
    name : str
        ``fashion-mnist``; ``digits``, scikit-learn's bundled data, 8 x 8 pixels; or a name for
        what lies at `path`.
    path : str
        An ``.npz`` with ``X_train``, ``y_train``, ``X_test``, ``y_test`` (or ``X`` and ``y``, of
        which a quarter becomes test) and perhaps ``class_names``; or a folder with four IDX files
        called like those of Fashion-MNIST. For ``fashion-mnist`` a folder that is tried first.
    shares : mapping of str to float
        Held-out splits, and the share of the training images that each takes.
    seed : int
        The same seed gives the same splits.
    announce : callable
        Told which source served, and which did not.

    Returns
    -------
    splits : dict of str to Split
    class_names : list of str
        In label order.

    Raises
    ------
    DataError
        If no source has the files, they aren't images with labels, or a split would not hold
        every class.
    """
    if name == "digits":
        arrays = _digits()
    elif name == "fashion-mnist":
        arrays = _of_idx(fetch(sources(path), announce))
    else:
        arrays = _own(Path(path).expanduser())
    classes = arrays.pop("class_names", None)
    if not set(ARRAYS) <= set(arrays):
        arrays = _quarter_for_test(name, arrays["X"], arrays["y"], seed)
    train, test = (
        Split(*_checked(arrays[f"X_{part}"], arrays[f"y_{part}"], f"{path or name}: {part}"))
        for part in ("train", "test")
    )
    names = _class_names(name, classes, train, test, path)
    held_out = _held_out(name, train, shares, seed, len(names))
    return {**held_out, "test": test}, names


def _held_out(
    name: str, rest: Split, shares: Mapping[str, float], seed: int, n_classes: int
) -> dict[str, Split]:
    from sklearn.model_selection import train_test_split

    y_rest, held_out = rest.y, {}
    # Everything held out is split off at once, so the training split depends on its size only.
    sizes = {split: round(share * len(y_rest)) for split, share in shares.items()}
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
        least = min(np.bincount(part.y, minlength=n_classes).min() for part in held_out.values())
        if least < 2:
            raise ValueError(f"a class with {least} images can't be calibrated or judged")
    except ValueError as error:
        listed = ", ".join(f"{split} {size}" for split, size in sizes.items())
        raise DataError(
            f"params.yaml: data.shares must leave images of every class in each split of {name}; "
            f"got {listed} of {len(y_rest)} training images ({error}). Raise the smallest share."
        ) from None
    return {"train": Split(X_train, y_train), **held_out}


def _digits() -> dict[str, Array]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {"X": np.round(bunch.images * (255 / 16)).astype(np.uint8), "y": bunch.target}


def _of_idx(files: Mapping[str, Array]) -> dict[str, Array]:
    return {array: files[name] for array, name in zip(ARRAYS, SHA256, strict=True)}


def _own(path: Path) -> dict[str, Array]:
    """The arrays of a data set of one's own, as they stand in its file or folder."""
    if path.is_dir():
        with _folder(path) as read:
            try:
                return _of_idx(
                    {name: _decode(name, _decompressed(name, read(name))) for name in SHA256}
                )
            except OSError as error:
                raise DataError(
                    f"data.path of params.yaml, {path}: {_reason(error)}. A folder must hold "
                    f"{', '.join(SHA256)}, each with or without .gz."
                ) from None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise DataError(
            f"data.path of params.yaml: {path} does not exist in {Path.cwd()}. Name an .npz file "
            "or a folder of IDX files."
        ) from None
    except Exception as error:  # what NumPy raises on damaged bytes is not a closed list
        raise DataError(
            f"data.path of params.yaml: {path} is not an .npz of arrays without pickles "
            f"({_reason(error)}). Write it with numpy.savez_compressed."
        ) from None
    if not (set(ARRAYS) <= set(arrays) or {"X", "y"} <= set(arrays)):
        raise DataError(
            f"data.path of params.yaml: {path} must hold {', '.join(ARRAYS)}, or X and y; it holds "
            f"{', '.join(arrays) or 'nothing'}."
        )
    if set(ARRAYS) & set(arrays) and {"X", "y"} & set(arrays):
        raise DataError(
            f"data.path of params.yaml: {path} must hold {', '.join(ARRAYS)}, or X and y, but not "
            f"both: which of them are meant is not clear. It holds {', '.join(arrays)}."
        )
    return arrays


def _quarter_for_test(name: str, X: Array, y: Array, seed: int) -> dict[str, Array]:
    from sklearn.model_selection import train_test_split

    _checked(X, y, name)
    try:
        parts = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    except ValueError as error:
        raise DataError(f"{name}: a quarter of the samples can't become test ({error}).") from None
    return dict(zip(("X_train", "X_test", "y_train", "y_test"), parts, strict=True))


def _checked(X: Array, y: Array, where: str) -> tuple[Array, Array]:
    """Images and labels in the workflow's own types, or an error that says what they are."""
    X = X[..., 0] if X.ndim == 4 and X.shape[-1] == 1 else X
    if X.dtype != np.uint8 or X.ndim != 3 or min(X.shape) == 0:
        values = f", from {X.min()} to {X.max()}" if X.size and X.dtype.kind in "iuf" else ""
        raise DataError(
            f"{where}: images must be a uint8 array of shape (n_samples, height, width), at least "
            f"one; got {X.dtype} of shape {X.shape}{values}. Scale them to 0 to 255 and use "
            ".astype('uint8')."
        )
    whole = y.dtype.kind in "iu" and y.shape == (len(X),)
    if not whole or y.min() < 0 or y.max() > 255 or len(np.unique(y)) < 2:
        raise DataError(
            f"{where}: labels must be whole numbers 0, 1, 2, ... of two classes at least, one for "
            f"each of {len(X)} images; got {y.dtype} of shape {y.shape}, "
            f"values {np.unique(y)[:5].tolist()}."
        )
    return X, y.astype(np.uint8)


def _class_names(name: str, given: Array | None, train: Split, test: Split, path: str) -> list[str]:
    if name == "fashion-mnist":
        return FASHION_CLASSES
    present = np.unique(train.y)
    if not np.array_equal(present, np.arange(len(present))) or test.y.max() > present[-1]:
        raise DataError(
            f"{path or name}: training labels must be 0 to k - 1, each present, and test labels "
            f"among them; got {present.tolist()[:20]} and at most {test.y.max()} in test."
        )
    if test.X.shape[1:] != train.X.shape[1:]:
        raise DataError(
            f"{path}: images of train and test must be of one size; got {train.X.shape[1:]} and "
            f"{test.X.shape[1:]}."
        )
    if given is None:
        return [str(label) for label in present]
    if given.shape != present.shape:
        raise DataError(
            f"{path}: class_names must name each of the {len(present)} classes; got shape "
            f"{given.shape}."
        )
    return [str(one) for one in given]


def sources(folder: str) -> dict[str, Callable[[], Any]]:
    """Context managers that open each source of Fashion-MNIST, in the order they are tried."""
    named: dict[str, Callable[[], Any]] = {}
    for origin, place in (
        ("data.path of params.yaml", folder),
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
        f"it in params.yaml under data.path, or in the variable {FOLDER_VARIABLE}; then: "
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


def _decompressed(name: str, content: bytes) -> bytes:
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{name} is truncated or damaged ({error})") from None


def _verified(name: str, content: bytes, digest: str) -> bytes:
    content = _decompressed(name, content)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise DataError(
            f"{name} is not the published file: SHA-256 of its {len(content)} bytes begins "
            f"{found[:12]}, must begin {digest[:12]}"
        )
    return content


def _decode(name: str, content: bytes) -> Array:
    """An IDX file of unsigned bytes as an array (format: yann.lecun.com/exdb/mnist)."""
    if len(content) < 4 or len(content) < 4 + 4 * content[3]:
        raise DataError(f"{name} is not an IDX file of unsigned bytes")
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
