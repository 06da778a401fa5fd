"""Objects of stores such as S3, by fsspec."""

import errno
import glob
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from eco.errors import DataError, EcoError, extra, shortened

#: What tells one content of an object from the next, in the words of the stores.
VERSIONS = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "mtime", "created")
#: Extras by the first part of a URL.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}

Record = dict[str, Any]


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
        with opened(self.url) as (store, path):
            store.invalidate_cache()
            return {"input": self.url} | state(store.info(path))

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """A copy on this machine."""
        with tempfile.TemporaryDirectory(prefix="eco-") as folder:
            copy = Path(folder, self.name)
            try:
                with opened(self.url) as (store, path):
                    store.get_file(path, str(copy))
                yield copy
            except EcoError as error:  # of its reader, which knows only the copy
                problem = error.problem.replace(str(copy), self.url)
                raise EcoError(problem, error.remedy) from None


def find_objects(url: str, endings: tuple[str, ...]) -> list[Object]:
    """The objects of a URL, a pattern, or a folder with names of such endings, in order.

    Raises `DataError` if there are none.
    """
    with opened(url) as (store, path):
        store.invalidate_cache()
        if glob.has_magic(path):
            found, holds = store.glob(path, detail=True), "matches no object"
        elif store.isfile(path):
            found, holds = {path: store.info(path)}, ""
        else:
            inside, holds = store.ls(path, detail=True), f"holds none of {', '.join(endings)}"
            found = {each["name"]: each for each in inside if each["name"].endswith(endings)}
        files = {
            store.unstrip_protocol(name): state(each)
            for name, each in sorted(found.items())
            if each["type"] == "file"
        }
    if not files:
        raise DataError(f"{shortened(url)} {holds}", "Nothing was answered: check the name.")
    return [Object(file, {"input": file} | listed) for file, listed in files.items()]


def state(info: Mapping[str, Any]) -> Record:
    """What tells a content of an object from another, from what its store says of it."""
    version = next((info[key] for key in VERSIONS if info.get(key)), None)
    if isinstance(version, datetime):  # or a number, as listings have it
        version = version.timestamp()
    return {"bytes": info["size"], "version": None if version is None else str(version)}


@contextmanager
def opened(url: str) -> Iterator[tuple[Any, str]]:
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
        remedy = "Check the URL, the network and the credentials."
        if getattr(error, "errno", None) == errno.ENOSPC:
            remedy = "Make room for copies in the temporary folder, or set TMPDIR."
        raise DataError(problem, remedy) from None
