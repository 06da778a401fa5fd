import gzip
import hashlib
import http.server
import itertools
import threading
import time
import tracemalloc
from functools import partial

import numpy as np
import pytest

from eco.data import fetch
from eco.errors import DataError


def encoded(array: np.ndarray) -> bytes:
    """An array of unsigned bytes as an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.tobytes()


FILES = {
    "images": encoded(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)),
    "labels": encoded(np.array([3, 1], np.uint8)),
}
# Without a date: pytest-xdist wants the same parameters in every worker.
PACKED = gzip.compress(FILES["images"], mtime=0)
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def source(contents):
    return lambda names: ((name, contents[name]) for name in names)


def unreachable(names):
    raise DataError("no connection")
    yield


@pytest.fixture
def fetched(caplog):
    caplog.set_level("INFO", "eco.data")

    def fetched(**sources):
        return fetch.fetch(sources, SHA256), caplog.messages

    return fetched


def test_files_are_decoded_compressed_or_not(fetched):
    files, _ = fetched(
        here=source({"images": gzip.compress(FILES["images"])} | {"labels": FILES["labels"]})
    )
    assert files["images"].tolist() == np.arange(24).reshape(2, 3, 4).tolist()
    assert files["labels"].tolist() == [3, 1]


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        pytest.param(PACKED[:-9], "truncated", id="last bytes missing"),
        pytest.param(PACKED[:20], "truncated", id="only the first bytes"),
        pytest.param(FILES["images"][:-1], "not the published file", id="a byte less"),
        pytest.param(FILES["images"] + b"\0", "not the published file", id="a byte more"),
        pytest.param(FILES["labels"], "not the published file", id="another file"),
        pytest.param(b"<html>404</html>", "not the published file", id="an error page"),
        pytest.param(b"", "not the published file", id="nothing"),
    ],
)
def test_a_damaged_copy_is_thrown_away_and_the_next_source_tried(damaged, reason, fetched):
    files, log = fetched(bad=source(FILES | {"images": damaged}), good=source(FILES))
    assert files["images"].shape == (2, 3, 4)
    assert log[0].startswith("not from bad: images")
    assert reason in log[0]
    assert log[1] == "from good"


def test_what_one_source_has_is_not_read_from_the_next(fetched):
    files, log = fetched(
        half=source({"images": FILES["images"], "labels": b""}),
        rest=source({"labels": FILES["labels"]}),
    )
    assert set(files) == set(FILES)
    assert log[1] == "from rest"


def test_whatever_goes_wrong_with_a_source_the_next_is_tried(fetched):
    files, log = fetched(broken=source({}), good=source(FILES))
    assert set(files) == set(FILES)
    assert log[0] == "not from broken: KeyError: 'images'"


def test_if_every_source_fails_each_is_listed_with_its_reason(fetched):
    bad = FILES | {"labels": FILES["labels"][:-1]}
    with pytest.raises(DataError) as failure:
        fetched(offline=unreachable, damaged=source(bad))
    message = str(failure.value)
    assert "offline: no connection" in message
    assert "damaged: labels is not the published file" in message
    assert "images.gz, labels.gz" in message
    assert "data.path" in message
    assert "make quick" in message


@pytest.fixture
def mirror(tmp_path):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, partial(fetch.download, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_mirror_serves_over_http(mirror, fetched):
    folder, web = mirror
    for name, content in FILES.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    files, log = fetched(web=web)
    assert log == ["from web"]
    assert files["labels"].tolist() == [3, 1]


def test_a_mirror_without_the_file_is_named(mirror, fetched):
    _, log = fetched(web=mirror[1], good=source(FILES))
    assert "404" in log[0]


def test_a_mirror_that_is_down_is_named(fetched):
    _, log = fetched(web=partial(fetch.download, "http://127.0.0.1:9"), good=source(FILES))
    assert log[0] == "not from web: no answer (ConnectionError)"


def test_a_file_without_end_is_not_taken(mirror, fetched):
    folder, web = mirror
    with (folder / "images.gz").open("wb") as stream:
        stream.truncate(fetch.MAX_BYTES + 1)
    _, log = fetched(web=web, good=source(FILES))
    assert "images.gz is larger than 100,000,000 bytes" in log[0]


PACKED_FILES = {name: gzip.compress(content, mtime=0) for name, content in FILES.items()}
CHUNK = b"10000\r\n" + bytes(0x10000) + b"\r\n"


class Hostile(http.server.BaseHTTPRequestHandler):
    """What a mirror of /KIND/NAME.gz may do."""

    def log_message(self, *_):
        pass

    def answer(self, body=(), status=200, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        try:
            for part in body:
                self.wfile.write(part)
        except OSError:  # the other side has had enough
            pass

    def do_GET(self):
        kind, name = self.path.split("/")[1:]
        content = PACKED_FILES[name.removesuffix(".gz")]
        endless = itertools.repeat(CHUNK, 2000)
        slow = (time.sleep(0.05) or b"x" for _ in range(200))
        match kind:
            case "length":
                self.answer([content], Content_Length="long")
            case "longer":
                self.answer([content], Content_Length=len(content) + 9)
            case "shorter":
                self.answer([content], Content_Length=len(content) - 9)
            case "junk":
                self.answer(status=302, Location=f"/page/{name}")
            case "page":
                self.answer([b"<html>Log in"])
            case "circle":
                self.answer(status=302, Location=self.path)
            case "local":
                self.answer(status=302, Location="file:///etc/passwd")
            case "nowhere":
                self.answer(status=302, Location="http://[::1")
            case "moving":
                self.answer(endless, status=302, Location=f"/page/{name}")
            case "endless":
                self.answer(endless)
            case "chunks":
                self.answer(endless, Transfer_Encoding="chunked")
            case "slow":
                self.answer(slow)
            case "bomb":
                self.answer([gzip.compress(bytes(100_000_000), 1)])
            case "encoded":
                self.answer([gzip.compress(bytes(100_000_000), 1)], Content_Encoding="gzip")
            case "labelled":
                self.answer([content], Content_Encoding="x-gzip")


@pytest.fixture(scope="module")
def hostile():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lambda kind: partial(fetch.download, f"http://127.0.0.1:{server.server_port}/{kind}")
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("length", "ValueError"),
        ("longer", "no answer"),
        ("shorter", "truncated or damaged"),
        ("junk", "not the published file"),
        ("circle", "TooManyRedirects"),
        ("local", "no answer"),
        ("nowhere", "ValueError"),
        ("moving", "not the published file"),
        ("endless", "images.gz is larger than 1,000,000 bytes"),
        ("chunks", "images.gz is larger than 1,000,000 bytes"),
        ("slow", "images.gz is not there after 0.5 seconds"),
        ("bomb", "SHA-256 of its 1000000 bytes"),
        ("encoded", "SHA-256 of its 1000000 bytes"),
    ],
)
def test_whatever_a_mirror_does_the_next_is_tried_in_bounded_memory(
    hostile, fetched, monkeypatch, kind, says
):
    monkeypatch.setattr(fetch, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(fetch, "MAX_SECONDS", 0.5 if kind == "slow" else 30)
    if kind in ("moving", "endless", "chunks"):
        tracemalloc.start()
    files, log = fetched(web=hostile(kind), good=source(FILES))
    if tracemalloc.is_tracing():
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()
    assert set(files) == set(FILES)
    assert log[0].startswith("not from web: ")
    assert says in log[0]


def test_a_mirror_that_calls_its_files_encoded_serves_them(hostile, fetched):
    files, log = fetched(web=hostile("labelled"))
    assert log == ["from web"]
    assert set(files) == set(FILES)


def test_a_file_that_decompresses_without_end_is_not_taken(fetched):
    bomb = gzip.compress(bytes(fetch.MAX_BYTES + 2**20), compresslevel=1)
    _, log = fetched(bad=source(FILES | {"images": bomb}), good=source(FILES))
    assert "SHA-256 of its 100000000 bytes" in log[0]


def test_a_folder_serves_compressed_and_plain_files(tmp_path, fetched):
    (tmp_path / "images.gz").write_bytes(gzip.compress(FILES["images"]))
    (tmp_path / "labels").write_bytes(FILES["labels"])
    files, _ = fetched(folder=partial(fetch.read_folder, tmp_path))
    assert set(files) == set(FILES)


def test_a_folder_without_the_files_is_named(tmp_path, fetched):
    sources = {
        "absent": partial(fetch.read_folder, tmp_path / "absent"),
        "empty": partial(fetch.read_folder, tmp_path),
    }
    _, log = fetched(**sources, good=source(FILES))
    assert log[0] == "not from absent: no such folder"
    assert "images does not exist" in log[1]


def test_named_folders_come_first_and_the_package_last(monkeypatch):
    monkeypatch.setenv(fetch.FOLDER_VARIABLE, "/from/environment")
    names = list(fetch.sources("/from/params"))
    assert "/from/params" in names[0]
    assert "/from/environment" in names[1]
    assert "/usr/share/datasets" in names[2]
    assert [name.split(",")[0] for name in names[3:6]] == ["Zalando", "GitHub", "TensorFlow"]
    assert fetch.DEBIAN_PACKAGE in names[6]
