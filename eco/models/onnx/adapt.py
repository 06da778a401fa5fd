"""A model of one's own, an ONNX file, as a graph of the form that the workflow takes."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eco.errors import FileError, ModelError, ParamsError, extra
from eco.models.onnx.export import IR_VERSION, OPSET, canonical, parse
from eco.models.onnx.front import FREE, Interface, element, front
from eco.runtime.checks import check_probabilities
from eco.runtime.session import (
    are_probabilities,
    find_output,
    read_graph,
    reason,
    start_session,
)

with extra("onnx"):
    import onnx
    import onnx.inliner

Array = NDArray[Any]

#: Older versions of the operators are others.
OLDEST = 13
#: Samples that a file is tried on, and those of a call.
TRIED, BATCH_SIZE = 100, 256
WHOLE = (
    "Its section of params.yaml must hold the path, seen from params.yaml, of an ONNX file with "
    "its weights: torch.onnx.export(..., external_data=False)."
)


def read(path: Path, sha256: str) -> onnx.ModelProto:
    """The model of a file, without functions.

    Raises
    ------
    FileError
        If the file is missing, has weights in other files, or isn't a valid model.
    ParamsError
        If its SHA-256 is another.
    """
    content = read_graph(path, WHOLE)
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ParamsError(
            f"params.yaml: sha256 must be that of {path}; got {sha256 or 'none'}",
            f"If this is the file that you mean, write in its section: sha256: {found}",
        )
    model = onnx.load_model_from_string(content)
    try:
        onnx.checker.check_model(model)
        model = onnx.inliner.inline_local_functions(model)
    except Exception as error:  # of several libraries
        raise FileError(f"{path} is not a valid ONNX model ({reason(error)})") from None
    _normalize(model)
    return model


def _normalize(model: onnx.ModelProto) -> None:
    """Take out what only describes, and write in one way what can be written in two."""
    body = model.graph
    versions = {"": OPSET} | {o.domain: o.version for o in model.opset_import}
    versions[""] = versions.pop("ai.onnx", versions[""])
    del model.opset_import[:], model.training_info[:], model.metadata_props[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*pair) for pair in versions.items())
    model.ir_version = IR_VERSION
    constants = {weight.name for weight in body.initializer}
    inputs = [one for one in body.input if one.name not in constants]
    del body.input[:], body.quantization_annotation[:], body.metadata_props[:]
    body.input.extend(inputs)
    for place, node in enumerate(body.node):
        node.domain = "" if node.domain == "ai.onnx" else node.domain
        del node.metadata_props[:]
        while len(node.output) > 1 and not node.output[-1]:
            node.output.pop()
        # Outputs that are left out share the name "", by which no node can be found.
        node.output[:] = [name or f"unused_{place}_{i}" for i, name in enumerate(node.output)]
    for weight in body.initializer:
        weight.doc_string = ""
        del weight.metadata_props[:]


def _check_structure(path: Path, model: onnx.ModelProto) -> None:
    if _opset(model) < OLDEST:
        raise FileError(
            f"{path} must be of opset {OLDEST} or later, but is of {_opset(model)}",
            "Export it anew with a later opset_version, or convert it: "
            "onnx.version_converter.convert_version(model, 17).",
        )
    if model.graph.sparse_initializer:
        raise FileError(f"{path} must hold its weights as dense arrays, but has sparse ones")
    graphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    for node in model.graph.node:
        if any(attribute.type in graphs for attribute in node.attribute):
            name = node.name or node.output[0]
            raise FileError(
                f"{path} must be one graph, but its node {name!r}, {node.op_type}, holds another",
                "Export it without branches and loops.",
            )


def adapt(
    path: Path, model: onnx.ModelProto, X: Array, n_classes: int, interface: Interface
) -> onnx.ModelProto:
    """The graph from ``X``, samples of a study, to ``probabilities``, float32 (n, n_classes).

    Parameters
    ----------
    path : Path
        For messages.
    model : onnx.ModelProto
        As `read` returns it.
    X : array of samples
        It is tried on the first of them.
    n_classes : int
    interface : Interface

    Raises
    ------
    FileError
        If the graph doesn't take such samples, doesn't give such an output, or holds what can't
        be adapted.
    ParamsError
        If a setting doesn't fit it.
    """
    session = _started(path, model)
    naming = "Name one by output in its section of params.yaml."
    output = find_output(path, session.get_outputs(), interface.output or None, naming)
    _check_structure(path, model)
    inputs = session.get_inputs()
    merged = onnx.compose.merge_models(
        front(path, inputs, X, interface, _opset(model)),
        onnx.compose.add_prefix(model, "model_"),
        io_map=[(f"in{place}", f"model_{one.name}") for place, one in enumerate(inputs)],
        outputs=[f"model_{output.name}"],
    )
    scores = _tried(path, merged, X[:TRIED])
    _check_scores(path, scores, n_classes, interface.gives)
    merged = _ended(merged, element(output), scores.shape[1], n_classes, interface.gives)
    return canonical(merged, "probabilities")


def probabilities(path: Path, graph: onnx.ModelProto, X: Array) -> Array:
    """What an adapted graph gives for samples, (n_samples, n_classes), checked."""
    session, parts = _started(path, graph), []
    for start in range(0, len(X), BATCH_SIZE):
        batch = X[start : start + BATCH_SIZE]
        try:
            parts.append(check_probabilities(_run(path, session, batch, ""), len(batch))[0])
        except ModelError as error:
            raise FileError(f"{path} {error.problem}") from None
    return np.concatenate(parts)


def _started(path: Path, model: onnx.ModelProto) -> Any:
    try:
        return start_session(model.SerializeToString(), 0)
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        raise FileError(f"{path} can't be loaded by ONNX Runtime ({reason(error)})") from None


def _opset(model: onnx.ModelProto) -> int:
    return next(opset.version for opset in model.opset_import if not opset.domain)


def _tried(path: Path, merged: onnx.ModelProto, X: Array) -> Array:
    """What a graph from ``X`` to scores gives for a few samples, one and all at a time."""
    session = _started(path, merged)
    _run(path, session, X[:1], "")
    scores = _run(path, session, X, FREE)
    return scores.astype(np.promote_types(scores.dtype, np.float32))


def _run(path: Path, session: Any, X: Array, remedy: str) -> Array:
    try:
        (scores,) = session.run(None, {"X": X})
    except Exception as error:  # ONNX Runtime's errors share no base class of their own
        problem = f"can't be run on {X.dtype} of shape {X.shape} ({reason(error)})"
        raise FileError(f"{path} {problem}", remedy) from None
    if scores.ndim != 2 or len(scores) != len(X):
        problem = f"must give a row for each of {len(X)} samples; got shape {scores.shape}"
        raise FileError(f"{path} {problem}", remedy)
    return np.asarray(scores)


def _check_scores(path: Path, scores: Array, n_classes: int, gives: str) -> None:
    width = scores.shape[1]
    if width != n_classes and (width, n_classes) != (1, 2):
        raise FileError(f"{path} must know {n_classes} classes, as the labels do; it knows {width}")
    if gives == "logits":
        if are_probabilities(scores):
            remedy = "Set gives: probabilities in its section of params.yaml."
            raise FileError(f"{path} must give logits; it gives probabilities", remedy)
        return
    try:
        check_probabilities(np.hstack([1 - scores, scores]) if width == 1 else scores, len(scores))
    except ModelError as error:
        remedy = "If these are logits, set gives: logits in its section of params.yaml."
        raise FileError(f"{path} {error.problem}", remedy) from None


def _ended(
    merged: onnx.ModelProto, its: str, width: int, n_classes: int, gives: str
) -> onnx.ModelProto:
    """A graph that gives scores with what makes them probabilities, float32 (n, n_classes)."""
    steps, last = [], "scores"
    if its != "float":
        steps, last = ["numbers = Cast<to = 1>(scores)"], "numbers"
    if width == 1:  # a single column is that of the second of two classes
        first = f"Sub({last}, {last})" if gives == "logits" else f"Sub(one, {last})"
        steps += [f"first = {first}", f"both = Concat<axis = 1>(first, {last})"]
        last = "both"
    if gives == "logits":
        steps.append(f"probabilities = Softmax<axis = -1>({last})")
        last = "probabilities"
    if steps:
        body = f"""end ({its}[n, {width}] scores, float one) => (float[n, {n_classes}] {last})
            {{ {chr(10).join(steps)} }}"""
        end = onnx.compose.add_prefix(parse(body, {"one": np.float32(1)}, _opset(merged)), "end_")
        names = [(merged.graph.output[0].name, "end_scores")]
        merged = onnx.compose.merge_models(merged, end, io_map=names)
    (output,) = merged.graph.output
    kind = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ["n", n_classes])
    output.type.CopyFrom(kind)
    return merged
