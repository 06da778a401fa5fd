"""What a server refuses, and how it ends."""

import json
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import numpy as np
import pytest

from eco.errors import EcoError
from eco.models.features import ImageFeatures
from eco.models.onnx.export import export_softmax
from eco.serving.server import listen
from eco.workflow import artifacts
from tests.cli.conftest import refused, settings, workflow  # noqa: F401
from tests.conftest import REPOSITORY
from tests.serving.conftest import LONG, connect, received, serving
from tests.small_workflow import SHAPE

INFER = "/v2/models/eco/infer"
JSON, OCTETS = "application/json", "application/octet-stream"
HEIGHT, WIDTH = SHAPE
SIZE = HEIGHT * WIDTH


def tensor(**changes):
    values = {"name": "X", "datatype": "UINT8", "shape": [1, *SHAPE], "data": [0] * SIZE}
    return {"inputs": [values | changes]}


BAD_TENSORS = [
    ({"name": "Y"}, "one tensor X of datatype UINT8 and shape [n, 4, 5]"),
    ({"datatype": "FP32"}, "of datatype UINT8"),
    ({"shape": [1, 5, 4]}, "got X, UINT8, [1, 5, 4]"),
    ({"shape": [0, *SHAPE], "data": []}, "n at least 1"),
    ({"shape": [-1, *SHAPE]}, "n at least 1"),
    ({"shape": []}, "shape [n, 4, 5]"),
    ({"shape": ["a", 4, 5]}, "inputs.0.shape.0 must be a whole number; got 'a'"),
    ({"shape": [True, *SHAPE]}, "inputs.0.shape.0 must be a whole number; got True"),
    ({"shape": ["1", *SHAPE]}, "inputs.0.shape.0 must be a whole number; got '1'"),
    ({"shape": [1.0, *SHAPE]}, "inputs.0.shape.0 must be a whole number; got 1.0"),
    ({"data": [0] * (SIZE - 1)}, "the 20 values of shape [1, 4, 5]"),
    ({"data": [[0] * SIZE]}, "the 20 values"),
    ({"data": [[[0] * 5] * 4] * 2}, "the 20 values"),
    ({"data": [[[[0]] * 5] * 4]}, "whole numbers from 0 to 255"),
    ({"data": [256] * SIZE}, "whole numbers from 0 to 255"),
    ({"data": [-1] * SIZE}, "whole numbers from 0 to 255"),
    ({"data": [0.5] * SIZE}, "whole numbers from 0 to 255"),
    ({"data": [True] * SIZE}, "whole numbers from 0 to 255"),
    ({"data": ["0"] * SIZE}, "whole numbers from 0 to 255"),
    ({"data": "x"}, "inputs.0.data must be a list"),
    ({"data": None}, "inputs.0.data must be a list"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_TENSORS)
def test_a_tensor_that_holds_no_images_is_a_400(client, changes, reason):
    response = client.post(INFER, json=tensor(**changes))
    assert response.status_code == 400
    assert reason in response.json()["error"]


@pytest.mark.parametrize(
    ("path", "media", "body", "status", "reason"),
    [
        (INFER, JSON, b'{"inputs":', 400, "not valid JSON: Expecting value"),
        (INFER, JSON, b'{"inputs": "\xff"}', 400, "not valid JSON: 'utf-8' codec"),
        (INFER, JSON, b"[" * 40_000, 400, "not valid JSON: maximum recursion depth"),
        (INFER, JSON, b"1" * 5000, 400, "not valid JSON"),
        (INFER, JSON, b"[1]", 400, "the body must be a JSON object; got [1]"),
        (INFER, JSON, b'{"inputs": [1]}', 400, "inputs.0 must be a JSON object; got 1"),
        (INFER, JSON, b"", 400, "the body is missing"),
        (INFER, JSON, b"{}", 400, "inputs is missing"),
        (INFER, JSON, b'{"inputs": []}', 400, "inputs must hold at least 1"),
        (INFER, JSON, b'{"inputs": [], "outputs": [{"name": "z"}]}', 400, "inputs must hold"),
        (INFER, OCTETS, b"{}", 415, "must be application/json; got application/octet-stream"),
        (INFER, "", b"{}", 415, "must be application/json; got none"),
        ("/v2/models/other/infer", JSON, b"{}", 404, "no model is called other"),
        ("/predict", OCTETS, b"", 400, "images of 4 x 5 bytes, a multiple of 20; got 0 bytes"),
        ("/predict", OCTETS, b"x" * (SIZE + 1), 400, "a multiple of 20; got 21 bytes"),
        ("/predict", OCTETS, b"x" * SIZE * 301, 413, "300 images (--max-samples); got 301"),
        ("/predict", OCTETS, b"x" * 50_001, 413, "may hold 0.05 MB (--max-body-mb)"),
        (INFER, JSON, b" " * 50_001, 413, "may hold 0.05 MB (--max-body-mb)"),
        ("/predict", "application/jsonl", b"[1]\n\n" * 301, 413, "(--max-samples); got 301"),
        ("/predict", "application/jsonl", b"[[1]]", 400, "images of 4 x 5; got 1 x 1"),
        ("/predict", "application/jsonl", b"\xff", 400, "the body, line 1 is not JSON"),
        ("/predict", "application/jsonl", b"[" * 40_000, 400, "the body, line 1 is not JSON"),
        ("/predict", JSON, b"x" * SIZE, 415, "or application/jsonl; got application/j"),
        ("/predict", "", b"x" * SIZE, 415, f"must be {OCTETS} or application/jsonl; got none"),
        ("/nowhere", JSON, b"{}", 404, "Not Found"),
        ("/metrics", JSON, b"{}", 405, "Not Allowed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["whole", "in parts"])
def test_a_bad_request_is_refused_with_the_reason(client, path, media, body, status, reason, form):
    content = body if form == "whole" else iter([body[:7], body[7:]])
    response = client.post(path, content=content, headers={"content-type": media})
    assert (response.status_code, response.headers["content-type"]) == (status, JSON)
    assert reason in response.json()["error"]
    assert client.get("/v2/health/live").status_code == 200


def test_too_many_images_are_refused_whatever_their_data(client):
    response = client.post(INFER, json=tensor(shape=[301, *SHAPE], data=[]))
    assert (response.status_code, "--max-samples" in response.text) == (413, True)


def test_the_raw_route_takes_post_alone(client):
    response = client.get("/predict")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def head(path, media, length, *more):
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Type: {media}"]
    return "\r\n".join([*lines, f"Content-Length: {length}", *more, "", ""]).encode()


@pytest.mark.parametrize(("path", "media"), [("/predict", OCTETS), (INFER, JSON)])
def test_a_gigabyte_is_refused_before_it_is_sent(client, path, media):
    with connect(client) as connection:
        connection.sendall(head(path, media, 10**9))
        assert received(connection).startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize(("path", "media"), [("/predict", OCTETS), (INFER, JSON)])
def test_compressed_bodies_are_not_taken_for_pixels(client, path, media):
    headers = {"content-type": media, "content-encoding": "gzip"}
    body = json.dumps(tensor()).encode() if media == JSON else bytes(SIZE)
    response = client.post(path, content=body, headers=headers)
    assert response.status_code == 415
    assert "Content-Encoding must be identity; got gzip" in response.json()["error"]


@pytest.mark.parametrize("line", [b"X-a: %s\r\n" % (b"a" * 1000), b"a" * 1000])
def test_headers_without_an_end_are_refused(client, line):
    with connect(client) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nX-b: ")
        with suppress(OSError):  # it may end before all is sent
            for _ in range(1000):
                connection.sendall(line)
        with suppress(ConnectionError):
            assert received(connection).startswith("HTTP/1.1 431 ")
    assert client.get("/v2/health/live").status_code == 200


def test_what_is_no_http_is_told_in_json(client):
    with connect(client) as connection:
        connection.sendall(b"GET\r\n\r\n")
        assert '{"error": "the request must be HTTP/1.1, with' in received(connection)


def test_headers_are_too_long_from_a_stated_number_of_bytes_on(client):
    for length, status in ((60_000, 200), (66_000, 431), (100_000, 431)):
        with connect(client) as connection:
            connection.sendall(
                b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-a: %s\r\n\r\n"
                % (b"a" * length)
            )
            assert received(connection).startswith(f"HTTP/1.1 {status} "), length


def test_a_line_is_too_long_from_there_on_too(client):
    with connect(client) as connection:
        connection.sendall(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"a" * 70_000))
        assert received(connection).startswith("HTTP/1.1 431 ")


@pytest.mark.parametrize("path", ["/v2/models/eco/", "/v2/"])
def test_a_slash_too_many_is_not_found(client, path):
    response = client.get(path)
    assert response.status_code == 404
    assert "error" in response.json()


def test_large_bodies_that_wait_fill_no_memory(client):
    """Sixteen of the largest may wait together: one of twenty is refused, and frees its place."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(client)) for _ in range(20)]
        for connection in connections:
            connection.sendall(head("/predict", OCTETS, 50_000) + bytes(49_000))
        answered, _, _ = select.select(connections, [], [], LONG)
        assert received(answered[0]).startswith("HTTP/1.1 503 ")
    deadline = time.monotonic() + LONG
    while time.monotonic() < deadline:  # until it has noticed that they are gone
        if client.post(
            "/predict", content=bytes(SIZE), headers={"content-type": OCTETS}
        ).is_success:
            return
    raise AssertionError("the memory is not given back")


CHUNKED = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n"
CHUNKED += b"Transfer-Encoding: chunked\r\n\r\nnot a number\r\n"


@pytest.mark.parametrize("junk", [CHUNKED, b"\0" * 300, b"GET\r\n\r\n", b"A" * 100_000])
def test_what_is_not_http_ends_its_connection_only(client, junk):
    with connect(client) as connection:
        connection.sendall(junk)
        assert "200 OK" not in received(connection)
    assert client.get("/v2/health/live").status_code == 200


def test_clients_that_wait_are_waited_for_no_longer_than_the_limit(small):
    with (
        serving(small[0], "--timeout", 1) as (client, _),
        connect(client) as silent,
        connect(client) as stuck,
    ):
        stuck.sendall(b"POST /predict HTTP/1.1\r\nHo")
        for path, media in (("/predict", OCTETS), (INFER, JSON)):
            with connect(client) as slow:
                slow.sendall(head(path, media, SIZE) + b"x")
                answer = received(slow)
                assert answer.startswith("HTTP/1.1 408 ")
                assert "must arrive in 1 s (--timeout)" in answer
        for connection in (silent, stuck):
            with suppress(ConnectionResetError):
                assert received(connection) == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_answered_before_the_end(small, number):
    with serving(small[0]) as (client, process), connect(client) as connection:
        connection.sendall(head("/predict", OCTETS, SIZE, "Expect: 100-continue"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100 ")
        process.send_signal(number)
        deadline = time.monotonic() + LONG
        while time.monotonic() < deadline:  # until it takes no more connections
            try:
                connect(client).close()
            except ConnectionError:  # refused, or reset where it was already waiting
                break
        connection.sendall(bytes(SIZE))
        answer = received(connection)
        assert answer.startswith("HTTP/1.1 200 ") and '"label"' in answer
        assert process.wait(LONG) == 0
        assert process.stderr.read() == ""


def test_a_port_or_a_host_that_cannot_be_had_is_named(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused("serve", "--port", port)
        assert f"127.0.0.1, port {port}, can't be listened on: Address already in use" in message
    for host in ("203.0.113.1", "é" * 400):
        with pytest.raises(EcoError, match="can't be listened on"):
            listen(host, 0)


def test_a_fault_of_a_model_is_a_500_and_the_log_names_it(small, tmp_path):
    """A model whose sums overflow on any image that isn't black."""
    shutil.copytree(small[0], tmp_path, dirs_exist_ok=True)
    path = artifacts.MODEL.path(model=small[1].cascading.active_models[0])
    weights = np.full((3, SIZE), 3e38, np.float32)
    graph = export_softmax(weights, np.zeros(3), ImageFeatures(SHAPE))
    (tmp_path / path).write_bytes(graph.SerializeToString())
    with serving(tmp_path) as (client, process):
        for pixel, status in ((0, 200), (255, 500), (0, 200)):
            raw = client.post(
                "/predict", content=bytes([pixel] * SIZE), headers={"content-type": OCTETS}
            )
            json = client.post(INFER, json=tensor(data=[pixel] * SIZE))
            assert raw.status_code == json.status_code == status
        assert "a fault of the server" in client.post(INFER, json=tensor(data=[255] * SIZE)).text
        process.terminate()
        assert str(path) in process.communicate()[1]


def test_a_model_that_dvc_lock_does_not_record_is_named(small, tmp_path):
    shutil.copytree(small[0], tmp_path, dirs_exist_ok=True)
    path = artifacts.MODEL.path(model=small[1].cascading.active_models[0])
    (tmp_path / "dvc.lock").write_text(f"    - path: {path}\n      md5: {'0' * 32}\n")
    with serving(tmp_path) as (_, process):
        process.terminate()
        assert f"WARNING: {path} is not the file" in process.communicate()[1]


def test_what_cannot_be_served_is_named(settings):  # noqa: F811
    assert "no strategy is called nobody" in refused("serve", "-s", "nobody")
    first = settings.cascading.active_models[0]
    path, healthy = artifacts.MODEL.path(model=first), artifacts.MODEL.load(model=first)
    artifacts.MODEL.save(
        export_softmax(np.full((3, SIZE), np.nan), np.zeros(3), ImageFeatures(SHAPE)), model=first
    )
    assert f"{path} must return probabilities" in refused("serve")
    healthy.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"
    artifacts.MODEL.save(healthy, model=first)
    assert str(path) in refused("serve")
    path.unlink()
    assert f"{path} is missing" in refused("serve")


@pytest.mark.parametrize("package", ["fastapi", "prometheus_client", "uvicorn"])
def test_without_its_extra_the_command_names_it(package, tmp_path):
    code = f"import sys; sys.modules[{package!r}] = None; from eco.cli import main; main(['serve'])"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert f"the package {package} is not installed" in result.stderr
    assert "pip install 'ecoinference[serve]'" in result.stderr
