"""Which files are those that the last run of the pipeline made or read, as dvc.lock records."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PATH = Path("dvc.lock")
#: A file as DVC writes it there; PyYAML would take half a second for the whole.
RECORD = re.compile(r"^ *- path: (\S+)\n(?: +hash: md5\n)? +md5: '?([0-9a-f]{32})'?$", re.MULTILINE)


def changed(paths: Iterable[Path]) -> Iterator[Path]:
    """Those of some files that are there, and are others than dvc.lock records; none without it."""
    try:
        records = set(RECORD.findall(PATH.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return
    recorded = {path for path, _ in records}
    for path in paths:
        if path.as_posix() in recorded and path.is_file():
            digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
            # A stage that has not run since may have read another one.
            if {md5 for name, md5 in records if name == path.as_posix()} != {digest}:
                yield path
