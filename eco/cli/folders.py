"""Folders of answers, on this machine or in an object store, and the records of what is whole."""

import hashlib
import json
import platform
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from eco.atomic import make_folder, replacing
from eco.cli import stores
from eco.cli.stores import Record
from eco.cli.writers import FORMATS
from eco.errors import DataError, FileError, shortened

#: Where the records lie in the folder of answers.
RECORDS = ".eco-predict"
#: Writes answers, and returns what is to be on record of them.
Make = Callable[[BinaryIO], Record]


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
    """The folder of a name or URL, which need not be there; `FileError` if it is that of a file."""
    if stores.is_url(name) and name.endswith(tuple(FORMATS)):
        raise FileError(f"{shortened(name)} must be a folder", "In a store: s3://bucket/answers/")
    return StoreFolder(name.rstrip("/")) if stores.is_url(name) else LocalFolder(Path(name))


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
        states = {name: stores.state(info) for name, info in self._listed().items()}
        wanted = [
            f"{RECORDS}/{name}.json"
            for name in set(names) & set(states) & (self.recorded() or set())
        ]
        with stores.opened(self.url) as (store, path):
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
            with stores.opened(self.url) as (store, path):
                store.put_file(str(draft), f"{path}/{name}")
                store.invalidate_cache()
                record["object"] = stores.state(store.info(f"{path}/{name}"))
        self._put(record_name, _encoded(record))
        return record

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._put(name, content)

    def remove(self, name: str) -> None:
        """Remove an object."""
        with suppress(DataError), stores.opened(self.url) as (store, path):
            store.rm_file(f"{path}/{name}")

    def _put(self, name: str, content: bytes) -> None:
        with stores.opened(self.url) as (store, path):
            store.pipe_file(f"{path}/{name}", content)

    def _listed(self, folder: str = "") -> dict[str, Record]:
        """The objects of the folder, by name."""
        with stores.opened(self.url) as (store, path), suppress(FileNotFoundError):
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
