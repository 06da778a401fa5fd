"""The routes."""

import json
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from eco import __version__
from eco.serving.gate import (
    FAULT,
    JSON,
    NPY,
    RAW,
    Gate,
    Limits,
    check_encoding,
    check_media,
    failure,
)
from eco.serving.protocol import (
    DATATYPES,
    DEFAULT,
    Failure,
    InferAnswer,
    InferRequest,
    Predictions,
    describe_output,
    to_tensors,
)
from eco.serving.service import Served, Service
from eco.workflow.problems import describe

#: What a model is called beside the name of its strategy, which may hold spaces.
ALIAS = "eco"
MODEL = "/v2/models/{name}"
FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failure, "description": "The request is not answered"},
    "5XX": {"model": Failure, "description": "A fault of the server, or too much at once"},
}


def make_app(service: Service, limits: Limits) -> Gate:
    """The ASGI application that serves a strategy."""
    served = service.served
    handlers: dict[Any, Any] = dict.fromkeys((HTTPException, 400, 404, 405), _refuse)
    handlers |= {RequestValidationError: _refuse_invalid, Exception: _fail}
    app = FastAPI(
        title=f"EcoInference: {served.name}", description=served.description, version=__version__,
        exception_handlers=handlers, responses=FAILURES, redirect_slashes=False,
    )  # fmt: skip
    _add_information(app, service)
    _add_inference(app, service, limits)
    schema = app.openapi()
    failures = schema["paths"]["/v2"]["get"]["responses"]
    schema["paths"][RAW] = {"post": _raw_schema(served, failures)}
    schema["components"]["schemas"]["Predictions"] = Predictions.model_json_schema()
    return Gate(app, service, limits)


def _add_information(app: FastAPI, service: Service) -> None:
    served = service.served

    @app.get("/v2/health/live", summary="Whether the server runs")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready", summary="Whether the models are in memory")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.get("/v2", summary="The server")
    async def server() -> dict[str, Any]:
        return {"name": "ecoinference", "version": __version__, "extensions": []}

    @app.get(f"{MODEL}/ready", summary="Whether a model is in memory")
    async def model_ready(name: str) -> dict[str, Any]:
        _check_name(name, served)
        return {"name": name, "ready": True}

    @app.get(MODEL, summary="Inputs and outputs of a model")
    async def model(name: str) -> dict[str, Any]:
        _check_name(name, served)
        outputs = [describe_output(output, served) for output in DATATYPES]
        properties = {"models": [*served.models]} | service.policy.state()
        return {
            "name": name, "platform": "ecoinference_onnx", "inputs": served.inputs.describe(),
            "outputs": outputs, "properties": properties,
        }  # fmt: skip

    @app.get("/metrics", summary="What Prometheus reads", response_class=Response)
    async def metrics() -> Response:
        content = generate_latest(service.metrics.registry)
        return Response(content, media_type=CONTENT_TYPE_LATEST)


def _add_inference(app: FastAPI, service: Service, limits: Limits) -> None:
    served = service.served

    def check(name: str, request: Request) -> None:
        _check_name(name, served)
        check_media(request.headers.get("content-type", "").encode(), JSON)
        check_encoding(request.headers.get("content-encoding", "").encode())

    @app.post(
        f"{MODEL}/infer", summary=f"Answer {served.inputs.samples}", response_model=InferAnswer,
        dependencies=[Depends(check)],
    )  # fmt: skip
    async def infer(name: str, request: InferRequest) -> Response:
        tensors = request.inputs
        limits.check_samples(max(max(tensor.shape[:1], default=0) for tensor in tensors))
        answered = await service.answer(served.inputs.from_tensors(tensors))
        outputs = [output.name for output in request.outputs or ()] or DEFAULT
        content = {"model_name": name, "outputs": to_tensors(answered, served, outputs)}
        if request.id is not None:
            content["id"] = request.id
        return Response(json.dumps(content), media_type=JSON.decode())


def _check_name(name: str, served: Served) -> None:
    if name not in (served.name, ALIAS):
        raise HTTPException(404, f"no model is called {name[:60]}; there is: {served.name}")


async def _refuse(_: Request, error: HTTPException) -> Response:
    # FastAPI names no reason where a body can't be decoded, or nests too deep.
    reason = error.__cause__
    problem = f"the body is not valid JSON: {reason}" if reason else error.detail
    return _failed(error.status_code, problem, error.headers)


async def _refuse_invalid(_: Request, error: RequestValidationError) -> Response:
    problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        return _failed(400, f"the body is not valid JSON: {problem['ctx']['error']}")
    if problem["type"] == "model_attributes_type":
        problem |= {"type": "no_object", "msg": "must be a JSON object"}
    return _failed(400, describe(problem | {"loc": problem["loc"][1:] or ("the body",)}))


async def _fail(_: Request, __: Exception) -> Response:
    return _failed(500, FAULT)


def _failed(status: int, problem: str, headers: Any = None) -> Response:
    return Response(failure(problem), status, headers, JSON.decode())


def _raw_schema(served: Served, failures: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of the route that the framework doesn't see."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    answers = {"schema": {"$ref": "#/components/schemas/Predictions"}}
    content = {JSON.decode(): answers, NPY.decode(): binary}
    inputs = served.inputs
    return {
        "summary": f"Answer {inputs.samples} of {' x '.join(map(str, inputs.shape))} numbers",
        "operationId": "predict",
        "requestBody": {
            "required": True,
            "content": {media.decode(): binary for media in inputs.media},
        },
        "responses": failures | {"200": {"description": "Answers", "content": content}},
    }
