"""Inputs and folders of answers, on this machine or in an object store by fsspec.

A store's objects appear whole or not at all, and can't be renamed.
"""

import glob
import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from eco.atomic import make_folder, replacing
from eco.errors import DataError, EcoError, FileError, extra, shortened

#: Where the records lie in the folder of answers.
RECORDS = ".eco-predict"
#: What tells one content of an object from the next, in the words of the stores.
VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "mtime", "created")
#: Extras by the first part of a URL.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}

Record = dict[str, Any]
#: Writes answers, and returns what is to be on record of them.
Make = Callable[[BinaryIO], Record]


def is_url(name: str) -> bool:
    """Whether a name is that of objects in a store."""
    return "://" in name


@dataclass(frozen=True)
class Object:
    """An object of a store, as an input; ``listed``: its state when it was found."""

    url: str
    listed: Record

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.url).name

    def state(self) -> Record:
        """What tells it now from others, and from what it was before."""
        with _store(self.url) as (store, path):
            store.invalidate_cache()
            return {"input": self.url} | _state(store.info(path))

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """A copy on this machine."""
        with tempfile.TemporaryDirectory(prefix="eco-") as folder:
            copy = Path(folder, self.name)
            try:
                with _store(self.url) as (store, path):
                    store.get_file(path, str(copy))
                yield copy
            except EcoError as error:  # of its reader, which knows only the copy
                problem = error.problem.replace(str(copy), self.url)
                raise EcoError(problem, error.remedy) from None


def find_objects(url: str, endings: tuple[str, ...]) -> list[Object]:
    """The objects of a URL, a pattern, or a folder with names of such endings, in order.

    Raises `DataError` if there are none.
    """
    with _store(url) as (store, path):
        store.invalidate_cache()
        if glob.has_magic(path):
            found, holds = store.glob(path, detail=True), "matches no object"
        elif store.isfile(path):
            found, holds = {path: store.info(path)}, ""
        else:
            listed, holds = store.ls(path, detail=True), f"holds none of {', '.join(endings)}"
            found = {each["name"]: each for each in listed if each["name"].endswith(endings)}
        files = {
            store.unstrip_protocol(name): _state(each)
            for name, each in sorted(found.items())
            if each["type"] == "file"
        }
    if not files:
        raise DataError(f"{shortened(url)} {holds}", "Nothing was answered: check the name.")
    return [Object(file, {"input": file} | state) for file, state in files.items()]


class Folder(Protocol):
    """Where answers lie, each with a record."""

    def prepare(self) -> None:
        """Make it; OSError or `EcoError` if it can't hold answers."""

    def check(self) -> None:
        """Raise `FileError` if this machine doesn't see what `prepare` made."""

    def absolute(self) -> "Folder":
        """The same, wherever one works."""

    def place(self, name: str) -> str:
        """The path or URL of a file in it."""

    def names(self) -> set[str]:
        """The visible files and folders in it."""

    def recorded(self) -> set[str] | None:
        """The names of those that have a record, present or not; None before it was prepared."""

    def whole(self, names: Collection[str]) -> Mapping[str, Record]:
        """The records of answers that are there as they were written."""

    def save(self, name: str, make: Make) -> Record:
        """Write answers and then show them, with their record, which is returned."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file without a record."""

    def remove(self, name: str) -> None:
        """Remove a file, where there is one."""


def open_folder(name: str) -> Folder:
    """The folder of a name or URL, which need not be there."""
    return StoreFolder(name.rstrip("/")) if is_url(name) else LocalFolder(Path(name))


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or of a file system that several share."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def prepare(self) -> None:
        """Make it."""
        make_folder(self.path / RECORDS)

    def check(self) -> None:
        """Raise `FileError` if it isn't on this machine, or shared with it."""
        if not (self.path / RECORDS).is_dir():
            raise FileError(
                f"{shortened(self.path)} is not a folder on {platform.node()}",
                "Name a folder that all machines share, or one of a store: s3://bucket/answers/",
            )

    def absolute(self) -> "LocalFolder":
        """The folder by its whole path."""
        return LocalFolder(self.path.absolute())

    def place(self, name: str) -> str:
        """The path of a file."""
        return str(self.path / name)

    def names(self) -> set[str]:
        """What is in it and visible."""
        return {path.name for path in self.path.glob("*") if not path.name.startswith(".")}

    def recorded(self) -> set[str] | None:
        """The names of those that have a record."""
        if not (self.path / RECORDS).is_dir():
            return None
        records = (self.path / RECORDS).glob("*.json")
        return {path.name.removesuffix(".json") for path in records}

    def whole(self, names: Collection[str]) -> dict[str, Record]:
        """The records of answers that have the SHA-256 that they were written with."""
        found = {}
        for name in names:
            with suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(self._record(name).read_bytes())
                if record["sha256"] == sha256(self.path / name):
                    found[name] = record
        return found

    def save(self, name: str, make: Make) -> Record:
        """Write answers beside their place, and move them there."""
        with replacing(self.path / name) as stream:
            record = make(stream)
            stream.flush()
            record["sha256"] = sha256(Path(stream.name))
            # First, as answers without a record would be taken for somebody else's.
            with replacing(self._record(name)) as record_stream:
                record_stream.write(_encoded(record))
        return record

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        with replacing(self.path / name) as stream:
            stream.write(content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with suppress(OSError):
            (self.path / name).unlink()

    def _record(self, name: str) -> Path:
        return self.path / RECORDS / f"{name}.json"


@dataclass(frozen=True)
class StoreFolder:
    """A prefix of an object store."""

    url: str

    def __str__(self) -> str:
        return self.url

    def prepare(self) -> None:
        """Find out whether objects can be written: a bucket tells by refusing."""
        self._put(f"{RECORDS}/begun", b"")

    def check(self) -> None:
        """Every machine sees the same store."""

    def absolute(self) -> "StoreFolder":
        """The folder itself."""
        return self

    def place(self, name: str) -> str:
        """The URL of an object."""
        return f"{self.url}/{name}"

    def names(self) -> set[str]:
        """The objects in it."""
        return {name for name in self._listed() if not name.startswith(".")}

    def recorded(self) -> set[str] | None:
        """The names of those that have a record."""
        listed = self._listed(RECORDS)
        return {n.removesuffix(".json") for n in listed if n.endswith(".json")} if listed else None

    def whole(self, names: Collection[str]) -> dict[str, Record]:
        """The records of objects that have the size and version that they were written with."""
        states = {name: _state(info) for name, info in self._listed().items()}
        wanted = [
            f"{RECORDS}/{name}.json"
            for name in set(names) & set(states) & (self.recorded() or set())
        ]
        with _store(self.url) as (store, path):
            # All at once: each takes a round trip.
            contents = store.cat([f"{path}/{name}" for name in wanted]) if wanted else {}
        found = {}
        for key, content in contents.items():
            name = PurePosixPath(key).name.removesuffix(".json")
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(content)
                if states[name]["version"] is not None and record["object"] == states[name]:
                    found[name] = record
        return found

    def save(self, name: str, make: Make) -> Record:
        """Write answers here, and then the whole object, between two records."""
        record_name = f"{RECORDS}/{name}.json"
        with tempfile.TemporaryDirectory(prefix="eco-") as folder:
            draft = Path(folder, name)
            try:
                with draft.open("wb") as stream:
                    record = make(stream)
            except OSError as error:
                problem = f"{shortened(draft)} could not be written: {error.strerror}"
                raise FileError(problem, "Make room there, or set TMPDIR.") from None
            # Without "object", it says that the answers are ours, and not that they are whole.
            self._put(record_name, _encoded(record))
            with _store(self.url) as (store, path):
                store.put_file(str(draft), f"{path}/{name}")
                store.invalidate_cache()
                record["object"] = _state(store.info(f"{path}/{name}"))
        self._put(record_name, _encoded(record))
        return record

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._put(name, content)

    def remove(self, name: str) -> None:
        """Remove an object."""
        with suppress(DataError), _store(self.url) as (store, path):
            store.rm_file(f"{path}/{name}")

    def _put(self, name: str, content: bytes) -> None:
        with _store(self.url) as (store, path):
            store.pipe_file(f"{path}/{name}", content)

    def _listed(self, folder: str = "") -> dict[str, Record]:
        """The objects of the folder, by name."""
        with _store(self.url) as (store, path), suppress(FileNotFoundError):
            store.invalidate_cache()
            listed = store.ls(f"{path}/{folder}".rstrip("/"), detail=True)
            return {PurePosixPath(e["name"]).name: e for e in listed if e["type"] == "file"}
        return {}


def sha256(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _encoded(record: Record) -> bytes:
    return json.dumps(record, indent=1).encode()


def _state(info: Mapping[str, Any]) -> Record:
    version = next((info[key] for key in VERSIONS if info.get(key)), None)
    if isinstance(version, datetime):  # or a number, as listings have it
        version = version.timestamp()
    return {"bytes": info["size"], "version": None if version is None else str(version)}


@contextmanager
def _store(url: str) -> Iterator[tuple[Any, str]]:
    """The store of a URL, and the path in it; what it raises becomes a `DataError`."""
    name, protocol = shortened(url), url.partition("://")[0]
    if protocol in ("file", "local"):
        raise DataError(f"{name} is on this machine", f"Leave out {protocol}://")
    with extra("s3"):
        from fsspec.core import url_to_fs
    try:
        yield url_to_fs(url)
    except EcoError:
        raise
    except ImportError as error:
        kind = EXTRAS.get(protocol)
        remedy = f"Install it with: pip install 'ecoinference[{kind}]'" if kind else str(error)
        problem = f"{name} needs a package that is not installed"
        raise DataError(problem, remedy) from None
    except FileNotFoundError:
        raise DataError(f"{name} does not exist", "Check the name of the bucket.") from None
    except PermissionError as error:
        remedy = "Check the credentials, and the rights to list, read and write there."
        raise DataError(f"{name}: the store refuses access: {shortened(error)}", remedy) from None
    except Exception as error:  # what stores raise is not a closed list
        problem = f"{name} can't be used: {shortened(str(error) or type(error).__name__)}"
        raise DataError(problem, "Check the URL, the network and the credentials.") from None
