"""A server on the small workflow, in a process of its own."""

import re
import shutil
import socket
from contextlib import contextmanager

import httpx
import pytest

from tests.cli.conftest import command
from tests.small_workflow import build

#: Seconds after which a busy machine is taken for a server that hangs.
LONG = 60


@contextmanager
def serving(folder, *arguments):
    """A client of a server that runs in a folder, and its process."""
    process = command("serve", "--port", 0, *arguments, cwd=folder)
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        url = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        with httpx.Client(base_url=url, timeout=LONG) as client:
            assert client.get("/v2/health/ready").json() == {"ready": True}
            yield client, process
    finally:
        process.kill()
        process.communicate()


def connect(client):
    """A bare connection to the server of a client."""
    return socket.create_connection((client.base_url.host, client.base_url.port), LONG)


def received(connection):
    """All that a server sends until it closes the connection."""
    return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    return folder, build(folder)


@pytest.fixture
def folder(small, monkeypatch):
    """The folder of the small workflow, in which the test runs; no file of the study changes."""
    monkeypatch.chdir(small[0])
    return small[0]


@pytest.fixture(scope="session")
def client(small):
    """A client of a server that takes no more images than test has, nor more than 50 kB."""
    with serving(small[0], "--max-samples", 300, "--max-body-mb", 0.05) as (client, _):
        yield client


@pytest.fixture(scope="session")
def batched(small, tmp_path_factory):
    """The same of a server that batches requests, and whose models are gone from the disk."""
    folder = tmp_path_factory.mktemp("vanishing")
    shutil.copytree(small[0], folder, dirs_exist_ok=True)
    with serving(folder, "--batch-wait-ms", 5) as (client, _):
        shutil.rmtree(folder / "models")
        yield client
