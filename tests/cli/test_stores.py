"""Inputs and answers in object stores: one in memory, and some that fail."""

import errno
import json
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tests.cli.conftest import eco, refused
from tests.cli.test_many import write_inputs


class Named(MemoryFileSystem):
    """The store in memory under another name."""

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix(f"{cls.protocol}://"))


class ReadOnly(Named):
    """A store without the right to write."""

    protocol = "readonly"

    def pipe_file(self, path, value, mode="overwrite", **options):
        raise PermissionError("Access Denied")


class Failing(Named):
    """A store that is lost after a few objects were put, at what is put or at the next record."""

    protocol, left = "failing", 0

    def put_file(self, lpath, rpath, **options):
        self.count()
        super().put_file(lpath, rpath, **options)

    def pipe_file(self, path, value, mode="overwrite", **options):
        self.count()
        super().pipe_file(path, value, mode, **options)

    def count(self):
        if Failing.left == 0:
            raise ConnectionError("gone away")
        Failing.left -= 1


class Unversioned(Named):
    """A store that doesn't say when an object was changed."""

    protocol = "unversioned"

    def info(self, path, **options):
        return {k: v for k, v in super().info(path, **options).items() if k != "created"}

    def ls(self, path, detail=True, **options):
        infos = super().ls(path, True, **options)
        kept = [{k: v for k, v in info.items() if k != "created"} for info in infos]
        return kept if detail else [info["name"] for info in kept]


class Full(Named):
    """A store whose objects find no room here."""

    protocol = "full"

    def get_file(self, rpath, lpath, **options):
        raise OSError(errno.ENOSPC, "No space left on device")


for kind in (ReadOnly, Failing, Unversioned, Full):
    fsspec.register_implementation(kind.protocol, kind, clobber=True)


@pytest.fixture
def store(settings):
    """An empty store in memory with ten inputs, which are in this machine's folder too."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    write_inputs()
    memory.put("in/", "/bucket/in/", recursive=True)
    return memory


@pytest.fixture
def expected(store):
    """The answers of each input, and the manifest."""
    eco("predict", "in", "-o", "expected/", "--batch-size", 7)
    files = {path.name: path.read_bytes() for path in Path("expected").glob("[!.]*")}
    return files, json.loads(files.pop("manifest.json"))


def check_answers(store, folder, expected):
    """Every object of answers is there, whole, and no other."""
    files, manifest = expected
    names = {Path(each).name for each in store.ls(folder, detail=False)}
    assert names == {*files, "manifest.json", ".eco-predict"}
    assert {name: store.cat_file(f"{folder}/{name}") for name in files} == files
    found = json.loads(store.cat_file(f"{folder}/manifest.json"))
    for entry in (*found["files"], *manifest["files"]):
        entry["input"] = Path(entry["input"]).name
    assert found == manifest


@pytest.mark.parametrize(
    "source", ["memory://bucket/in", "memory://bucket/in/", "memory://b*/i?/*"]
)
def test_objects_are_answered_as_files_are(store, expected, source):
    result = eco("predict", source, "-o", "memory://bucket/new", "--batch-size", 7)
    assert "files              10 of 10, 0 from before" in result.stdout
    assert "answers in memory://bucket/new, listed in memory://bucket/new/manifest" in result.stdout
    check_answers(store, "/bucket/new", expected)


def test_stores_and_this_machine_mix(store, expected):
    sources = ["memory://bucket/in/day-1.npy", *sorted(map(str, Path("in").glob("[!d]*")))]
    sources += [f"in/day-{i}.npy" for i in (0, 2, 3, 4, 5)]
    eco("predict", *sources, "-o", "answers/")
    for name, content in expected[0].items():
        assert Path("answers", name).read_bytes() == content


def test_answers_in_a_store_are_kept_while_what_they_follow_from_stays(store, expected):
    def kept(*options):
        result = eco("predict", "memory://bucket/in", "-o", "memory://bucket/new/", *options)
        return int(result.stdout.split(" from before")[0].rsplit(maxsplit=1)[-1])

    assert [kept(), kept(), kept("--batch-size", 3)] == [0, 10, 10]
    content = store.cat_file("/bucket/in/day-1.npy")
    store.pipe_file("/bucket/in/day-1.npy", content)  # the same, but who can tell
    store.pipe_file("/bucket/new/day-2.csv", b"somebody else's")
    store.rm_file("/bucket/new/day-3.csv")
    store.pipe_file("/bucket/new/.eco-predict/day-4.csv.json", b"cut off")
    assert kept() == 6
    check_answers(store, "/bucket/new", expected)
    assert kept("-s", "mine") == 0


@pytest.mark.parametrize("left", range(1, 8))
def test_a_store_that_is_lost_loses_and_doubles_nothing(store, expected, left):
    Failing.left = left
    message = refused("predict", "memory://bucket/in", "-o", "failing://bucket/new")
    assert "failing://bucket/new can't be used: gone away" in message
    Failing.left = -1
    eco("predict", "memory://bucket/in", "-o", "failing://bucket/new")
    check_answers(store, "/bucket/new", expected)


def test_objects_of_others_are_not_overwritten(store):
    store.pipe_file("/bucket/other/day-1.csv", b"mine")
    message = refused("predict", "in", "-o", "memory://bucket/other")
    assert "memory://bucket/other holds what eco predict did not write there: day-1.csv" in message
    eco("predict", "in/day-2.npy", "-o", "memory://bucket/answers")
    store.pipe_file("/bucket/answers/day-1.csv", b"mine")
    assert "there: day-1.csv" in refused("predict", "in", "-o", "memory://bucket/answers")
    for folder in ("other", "answers"):
        assert store.cat_file(f"/bucket/{folder}/day-1.csv") == b"mine"


def test_a_damaged_object_is_named_by_its_url(store):
    store.pipe_file("/bucket/in/day-1.npy", store.cat_file("/bucket/in/day-1.npy")[:-1])
    message = refused("predict", "memory://bucket/in", "-o", "memory://bucket/new")
    assert "memory:///bucket/in/day-1.npy is damaged or cut off" in message
    assert "1 of 10 inputs were not answered" in message
    assert not store.exists("/bucket/new/day-1.csv")


@pytest.mark.parametrize(
    ("source", "folder", "says"),
    [
        ("memory://bucket/no", "new/", "memory://bucket/no does not exist. Check the name"),
        ("memory://bucket/*.txt", "new/", "memory://bucket/*.txt matches no object"),
        ("memory://bucket", "new/", "memory://bucket holds none of .npy, .npz"),
        ("floppy://a/X.npy", "new/", "floppy://a/X.npy can't be used: Protocol not known: floppy"),
        ("file:///in", "new/", "file:///in is on this machine. Leave out file://"),
        ("in", "memory://bucket/new.csv", "memory://bucket/new.csv must be a folder. In a store:"),
        ("in", "readonly://bucket/new", "bucket/new: the store refuses access: Access Denied"),
    ],
)
def test_what_a_store_refuses_is_one_message(store, source, folder, says):
    assert says in refused("predict", source, "-o", folder)
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("url", "package", "extra"),
    [("s3://bucket/X.npy", "s3fs", "s3"), ("gs://bucket/X.npy", "gcsfs", "gcs")],
)
def test_a_missing_package_names_its_extra(settings, url, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = refused("predict", url, "-o", "answers/")
    assert f"{url} needs a package that is not installed" in message
    assert f"pip install 'ecoinference[{extra}]'" in message


def test_a_store_that_tells_no_versions_is_read_and_written_anew(store, expected):
    source, folder = "unversioned://bucket/in", "unversioned://bucket/new"
    for options in (["-o", "answers/"], ["-o", folder]):
        for _ in range(2):
            result = eco("predict", source, *options)
            assert "files              10 of 10, 0 from before" in result.stdout
    check_answers(store, "/bucket/new", expected)


def test_room_for_copies_is_needed(store):
    message = refused("predict", "full://bucket/in/day-1.npy", "-o", "answers/")
    assert "in/day-1.npy can't be used: [Errno 28] No space left" in message
    assert "Make room for copies in the temporary folder, or set TMPDIR" in message


def test_an_object_needs_a_folder_for_its_answers(settings):
    result = eco("predict", "memory://bucket/X.npy", "-o", "answers.csv", ok=False)
    assert "for their answers, and so do those of a store: -o answers/" in result.stderr
