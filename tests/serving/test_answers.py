"""What the server answers is what the engine does, by any route, alone or among others."""

import io
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from eco.cli.answering import Runner
from eco.cli.strategies import find_strategy
from eco.workflow import artifacts
from tests.cli.conftest import eco
from tests.conftest import REPOSITORY
from tests.documents import blocks
from tests.serving.conftest import serving
from tests.small_workflow import CLASSES, SHAPE, build

NPY = "application/x-npy"
OCTETS = {"content-type": "application/octet-stream"}


def images(settings, n):
    return artifacts.SPLITS.load(split="test", dataset=settings.data.name)[0][:n]


def predicted(X, name="chosen"):
    """The answers of `eco predict`."""
    np.save("some.npy", X)
    eco("predict", "some.npy", "-o", "answers.npz", "-s", name)
    with np.load("answers.npz") as file:
        classes, models = file["classes"], file["models"]
        return {
            "label": file["label"].tolist(),
            "class": classes[file["label"]].tolist(),
            "confidence": file["confidence"].tolist(),
            "answered_by": models[file["answered_by"]].tolist(),
            "energy_j": file["energy_j"].tolist(),
        }


def post_raw(client, X, **headers):
    response = client.post("/predict", content=X.tobytes(), headers=OCTETS | headers)
    assert response.status_code == 200, response.text
    return response


def infer(client, X, data, model="eco", **more):
    tensor = {"name": "X", "datatype": "UINT8", "shape": X.shape, "data": data}
    response = client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor]} | more)
    assert response.status_code == 200, response.text
    return response.json()


def by_name(answer):
    return {output["name"]: output for output in answer["outputs"]}


@pytest.mark.parametrize("n", [1, 4, 5, 300])
def test_every_route_answers_what_predict_does(client, small, folder, n):
    X = images(small[1], n)
    expected = predicted(X)
    assert post_raw(client, X).json() == expected
    for data in (X.ravel().tolist(), X.tolist()):
        outputs = by_name(infer(client, X, data))
        assert {name: output["data"] for name, output in outputs.items()} == expected
    rows = np.load(io.BytesIO(post_raw(client, X, accept="application/x-npy").content))
    models = find_strategy(small[1], "chosen").models
    for name in ("label", "confidence", "energy_j"):
        assert rows[name].tolist() == expected[name]
    assert [models[i] for i in rows["answered_by"]] == expected["answered_by"]


def test_images_in_colour_are_answered_alike(tmp_path, monkeypatch):
    settings = build(tmp_path, (*SHAPE, 3))
    monkeypatch.chdir(tmp_path)
    X = images(settings, 40)
    expected = predicted(X)
    lines = "\n".join(json.dumps(x) for x in X.tolist())
    with serving(tmp_path) as (client, _):
        (described,) = client.get("/v2/models/eco").json()["inputs"]
        assert described == {"name": "X", "datatype": "UINT8", "shape": [-1, *SHAPE, 3]}
        assert post_raw(client, X).json() == expected
        outputs = by_name(infer(client, X, X.tolist()))
        assert {name: output["data"] for name, output in outputs.items()} == expected
        jsonl = {"content-type": "application/jsonl; charset=utf-8"}
        assert client.post("/predict", content=lines, headers=jsonl).json() == expected
        grey = client.post("/predict", content=bytes(np.prod(SHAPE)), headers=OCTETS)
        assert (grey.status_code, "images of 4 x 5 x 3 bytes" in grey.text) == (400, True)


@pytest.mark.parametrize(
    ("accept", "is_npy"),
    [
        ([NPY], True),
        ([NPY.upper()], True),
        ([f"{NPY}, */*"], True),
        ([f"application/json;q=0.5,{NPY};q=0.9"], True),
        (["application/json", NPY], True),
        ([NPY, "application/json"], True),
        (["*/*"], False),
        (["application/json"], False),
        ([f"{NPY}z"], False),
    ],
)
def test_an_answer_is_an_array_where_accept_names_it(client, small, folder, accept, is_npy):
    headers = [*OCTETS.items(), *(("accept", media) for media in accept)]
    response = client.post("/predict", content=images(small[1], 1).tobytes(), headers=headers)
    assert response.headers["content-type"] == (NPY if is_npy else "application/json")


def test_outputs_are_those_that_are_asked_for(client, small, folder):
    X = images(small[1], 7)
    asked = [{"name": "probabilities"}, {"name": "label"}]
    answer = infer(client, X, X.tolist(), "chosen", id="mine", outputs=asked)
    assert (answer["model_name"], answer["id"]) == ("chosen", "mine")
    assert [output["name"] for output in answer["outputs"]] == ["probabilities", "label"]
    answers, _ = Runner(small[1], find_strategy(small[1], "chosen"))(X)
    found = by_name(answer)["probabilities"]
    assert (found["datatype"], found["shape"]) == ("FP32", [7, len(CLASSES)])
    assert np.float32(found["data"]).tobytes() == answers.probabilities.tobytes()


def test_any_strategy_is_served_by_its_name(small, folder):
    name = "price_router, certified"
    X = images(small[1], 20)
    with serving(folder, "--strategy", name, "--workers", 2) as (client, _):
        assert post_raw(client, X).json() == predicted(X, name)
        assert infer(client, X, X.tolist(), name)["model_name"] == name
        assert client.get("/v2/models/chosen").status_code == 404


@pytest.mark.parametrize("server", ["client", "batched"])
def test_requests_at_once_get_answers_of_their_own(server, small, folder, request):
    client = request.getfixturevalue(server)
    X = images(small[1], 120)
    cuts = [X[i : i + 1 + i % 6] for i in range(114)]
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda part: post_raw(client, part).json(), cuts))
    expected = predicted(X)
    for i, answer in enumerate(found):
        mine = slice(i, i + 1 + i % 6)
        for name in ("label", "class", "answered_by"):
            assert answer[name] == expected[name][mine]
        assert answer["confidence"] == pytest.approx(expected["confidence"][mine], abs=1e-4)
        assert answer["energy_j"] == pytest.approx(expected["energy_j"][mine])


def counted(client):
    """What /metrics says, by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {(s.name, *sorted(s.labels.values())): s.value for s in samples}


def test_metrics_count_requests_images_exits_and_joules(client, small, folder):
    before, X = counted(client), images(small[1], 50)
    answers = post_raw(client, X).json()
    assert client.post("/predict", content=b"", headers=OCTETS).status_code == 400
    assert client.get("/nowhere/a").status_code == client.get("/nowhere/b").status_code == 404
    after = counted(client)

    def gained(*key):
        return after[key] - before.get(key, 0)

    assert gained("eco_requests_total", "/predict", "200") == 1
    assert gained("eco_requests_total", "/predict", "400") == 1
    assert gained("eco_requests_total", "404", "other") == 2
    assert gained("eco_request_seconds_count", "/predict") == 2
    assert gained("eco_request_seconds_bucket", "+Inf", "/predict") == 2
    buckets = [v for key, v in after.items() if key[0].endswith("bucket") and key[2] == "/predict"]
    assert buckets == sorted(buckets) and after["eco_request_seconds_sum", "/predict"] > 0
    assert gained("eco_samples_total") == 50
    assert gained("eco_modelled_joules_total") == pytest.approx(sum(answers["energy_j"]))
    for model in set(answers["answered_by"]):
        assert gained("eco_answers_total", model) == answers["answered_by"].count(model)
    assert any(key[0] == "eco_build_info" and "chosen" in key for key in after)


def test_the_protocol_describes_server_and_model(client):
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2").json()["extensions"] == []
    for name in ("chosen", "eco"):
        assert client.get(f"/v2/models/{name}/ready").json() == {"name": name, "ready": True}
    model = client.get("/v2/models/eco").json()
    assert model["inputs"] == [{"name": "X", "datatype": "UINT8", "shape": [-1, *SHAPE]}]
    assert {output["name"]: output["datatype"] for output in model["outputs"]} == {
        "label": "INT64", "class": "BYTES", "confidence": "FP64", "answered_by": "BYTES",
        "energy_j": "FP64", "probabilities": "FP32",
    }  # fmt: skip


def test_openapi_names_every_route_and_what_it_takes(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/predict", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}",
        "/v2/models/{name}/ready", "/v2/models/{name}/infer",
    }  # fmt: skip
    for path, methods in paths.items():
        for method, operation in methods.items():
            taken = list(operation.get("requestBody", {}).get("content", {None: None}))
            headers = {"content-type": taken[0]} if taken[0] else {}
            url = path.replace("{name}", "eco")
            found = client.request(method, url, headers=headers).status_code
            assert found == (400 if headers else 200), url
            assert {"200", "4XX", "5XX"} == set(operation["responses"])


def test_the_client_of_the_documents_works(client, folder, capsys):
    (code,) = blocks("py", REPOSITORY / "docs/serving.md")
    address = "http://localhost:8000"
    assert address in code
    exec(code.replace(address, str(client.base_url).rstrip("/")), {})
    assert any(name in capsys.readouterr().out for name in CLASSES)


def test_the_raw_bytes_of_the_documents_are_images(client, folder):
    (code,) = re.findall(r'python -c "(.*)"', (REPOSITORY / "docs/serving.md").read_text())
    exec(code, {})
    raw = (folder / "images.raw").read_bytes()
    assert client.post("/predict", content=raw, headers=OCTETS).json()["label"]


def test_the_files_of_the_container_are_enough(small, tmp_path, folder):
    """What the Dockerfile copies of a study; the image itself isn't built here."""
    for line in (REPOSITORY / "Dockerfile").read_text().splitlines():
        if line.startswith(
            ("COPY params", "COPY data", "COPY metrics", "COPY plots", "COPY models")
        ):
            *patterns, _ = line.split()[1:]
            for path in (path for pattern in patterns for path in folder.glob(pattern)):
                target = tmp_path / path.relative_to(folder)
                copy = shutil.copytree if path.is_dir() else shutil.copy
                target.parent.mkdir(parents=True, exist_ok=True)
                copy(path, target)
    X = images(small[1], 3)
    with serving(tmp_path, "--strategy", "mine") as (client, _):
        assert post_raw(client, X).json() == predicted(X, "mine")
