"""Changes to settings, JSON, arrays, models and bytes, as bad luck or bad will makes them."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Random = np.random.Generator
NAN, INF = float("nan"), float("inf")
#: What takes the place of a value.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 0.5, -0.0, 1e-300, 1e308, -1e308, NAN, INF, -INF, 2**63,
    10**31, -(10**31), "", " ", "1", "nan", "tuned", "x" * 5000, "é\u202e\u0000", "<script>",
    "../x", "FRA\n", [], [[]], [NAN], [True], {}, {"a": 1}, {"": None}, [0.5] * 3000,
)  # fmt: skip
#: What no number of the study can be.
NONSENSE = (None, True, "1", "x" * 5000, NAN, INF, -INF, 1e308, 10**31, -(10**31), [], {"a": 1})
#: Text that goes into YAML.
YAML = (
    "!!bool foo", '!!int ""', "!!python/object:os.system x", "&a [*a]", "*nowhere", "[" * 500,
    "{a: " * 300, "? ", "- ", ": ", "\t", "\x00", "\ud800", "%YAML 9.9\n---\n", "---\n", "...\n",
    "<<: {seed: 1}", "!!timestamp 2001-99-99", "0o9", "1e999", "'", '"', "|", "#", "\x85", "\ufeff",
    "&a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"
    "d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\n"
    "f: [*e,*e,*e,*e,*e,*e,*e,*e]",
    f"{'k' * 300}: 1\n", "!!set {1, 2}", "!!binary x", "!!float x", "0x", "1_000", "~",
)  # fmt: skip
Path = tuple[Any, ...]


@dataclass(frozen=True)
class Change:
    """A changed value: what was done, where, and whether a reader must refuse it."""

    value: Any
    what: str
    path: Path = ()
    refused: bool = False


def short(value: Any, length: int = 40) -> str:
    """A value in one short line of plain characters."""
    text = ascii(value)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def choose(rng: Random, options: Any) -> Any:
    """One of the options, without NumPy turning it into something else."""
    options = list(options)
    return options[int(rng.integers(len(options)))]


def _paths(tree: Any, path: Path = ()) -> list[Path]:
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = []
    for key, value in inside:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += _paths(value, (*path, key))
    return found


def is_nonsense(old: Any, new: Any) -> bool:
    """Whether a number was replaced by what no number of the study can be."""
    if isinstance(old, bool) or not isinstance(old, int | float):
        return False
    if isinstance(new, bool) or not isinstance(new, int | float):
        return True
    return not math.isfinite(new) or abs(new) >= 10**31


def tree(rng: Random, original: Any) -> Change:
    """Settings or JSON values of which one is replaced, removed, renamed, repeated or added."""
    changed = copy.deepcopy(original)
    *outer, key = path = choose(rng, _paths(changed))
    parent = changed
    for part in outer:
        parent = parent[part]
    name, old = ".".join(map(str, path)), parent[key]
    match choose(rng, ["replace"] * 6 + ["remove", "repeat", "rename", "add"]):
        case "remove":
            del parent[key]
            return Change(changed, f"{name} removed", path)
        case "rename" if isinstance(parent, dict):
            parent[choose(rng, ["", "x" * 300, f"{key} ", "\n", "é"])] = parent.pop(key)
            return Change(changed, f"{name} renamed", path)
        case "add" if isinstance(parent, dict):
            added = choose(rng, VALUES)
            parent[choose(rng, ["extra", "", "x" * 300, "a.b"])] = added
            return Change(changed, f"{short(added)} added beside {name}", path)
        case "repeat" if isinstance(parent, list):
            times = choose(rng, [1, 2, 1000])
            parent[key:key] = [copy.deepcopy(old) for _ in range(times)]
            return Change(changed, f"{name} repeated {times} times", path)
        case _:
            is_number = isinstance(old, int | float)
            new = choose(rng, NONSENSE if is_number and rng.random() < 0.5 else VALUES)
            parent[key] = copy.deepcopy(new)
            return Change(changed, f"{name} = {short(new)}", path, is_nonsense(old, new))


def text(rng: Random, original: str) -> Change:
    """YAML with something inserted, lines moved, repeated or left out."""
    lines = original.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    match choose(rng, ["value", "line", "inside", "repeat", "cut", "indent", "swap"]):
        case "value" if ": " in lines[at]:
            new = choose(rng, YAML)
            lines[at] = lines[at].split(": ")[0] + f": {new}\n"
            what = f"line {at + 1}: value {short(new)}"
        case "inside" | "value":
            new, column = choose(rng, YAML), int(rng.integers(len(lines[at])))
            lines[at] = lines[at][:column] + new + lines[at][column:]
            what = f"line {at + 1}, column {column}: {short(new)}"
        case "repeat":
            lines.insert(int(rng.integers(len(lines))), lines[at])
            what = f"line {at + 1} repeated"
        case "cut":
            del lines[at : at + int(rng.integers(1, 9))]
            what = f"line {at + 1} cut"
        case "indent":
            lines[at] = choose(rng, [" ", "   ", "\t"]) + lines[at]
            what = f"line {at + 1} indented"
        case "swap":
            lines[at], lines[at - 1] = lines[at - 1], lines[at]
            what = f"line {at + 1} swapped"
        case _:
            new = choose(rng, YAML)
            lines.insert(at, f"{new}\n")
            what = f"line {at + 1}: {short(new)} in front"
    return Change("".join(lines), what)


def raw(rng: Random, original: bytes, head: int = 0) -> Change:
    """Bytes of which some are flipped, cut, inserted or overwritten, in the `head` if given."""
    content = bytearray(original)
    at = int(rng.integers(min(head, len(content)) or len(content)))
    n = choose(rng, [1, 1, 2, 8, 64, 4096])
    match choose(rng, ["flip", "flip", "cut", "drop", "insert", "fill", "append"]):
        case "flip":
            for i in (at + rng.integers(0, 64, n)) % len(content):
                content[int(i)] ^= 1 << int(rng.integers(8))
            what = f"{n} bits flipped at {at}"
        case "cut":
            del content[at:]
            what = f"cut at {at}"
        case "drop":
            del content[at : at + n]
            what = f"{n} bytes dropped at {at}"
        case "insert":
            content[at:at] = rng.bytes(n)
            what = f"{n} bytes inserted at {at}"
        case "fill":
            content[at : at + n] = bytes([choose(rng, [0, 255, 128, 127])]) * n
            what = f"{n} bytes filled at {at}"
        case _:
            content += rng.bytes(n)
            what = f"{n} bytes appended"
    return Change(bytes(content), what)


def arrays(rng: Random, original: dict[str, Any]) -> Change:
    """Named arrays of which one is of another shape or type, has impossible values or is gone."""
    name = choose(rng, [key for key in original if key != "holds"])
    array, changed = original[name], dict(original)
    floats = array.dtype.kind == "f"

    def with_value(value: Any) -> Any:
        copied = array.copy()
        copied.flat[int(rng.integers(copied.size))] = value
        return copied

    options: dict[str, tuple[Callable[[], Any], bool]] = {
        "object": (lambda: array.astype(object), True),
        "one row less": (lambda: array[1:], False),
        "one row more": (lambda: np.concatenate([array, array[:1]]), False),
        "empty": (lambda: array[:0], True),
        "an axis more": (lambda: array[..., None], True),
        "one number": (lambda: array.ravel()[0], True),
        "text": (lambda: array.astype("U9"), array.dtype.kind != "U"),
        "complex": (lambda: np.zeros(array.shape, complex), array.dtype.kind != "U"),
        "NaN": (lambda: with_value(NAN), True) if floats else (lambda: array[:0], True),
        "1e30": (lambda: with_value(1e30), True) if floats else (lambda: array[:0], True),
        "reversed": (lambda: array[..., ::-1], False),
        "int64": (lambda: np.zeros(array.shape, np.int64), False),
    }
    kind = choose(rng, [*options, "removed"])
    if kind == "removed":
        del changed[name]
        return Change(changed, f"{name} removed")
    make, refused = options[kind]
    changed[name] = make()
    return Change(changed, f"{name}: {kind}", (), refused)


def npy_header(rng: Random, original: bytes) -> Change:
    """A `.npy` whose header says something else than its content."""
    start = int.from_bytes(original[8:10], "little")
    shape = choose(rng, [
        "(-1, 4, 5)", f"({2**40}, 4, 5)", f"(1, {2**31}, {2**31})", "(9**9**9, 4, 5)",
        "('a', 4, 5)", "[9, 4, 5]", "(9.0, 4, 5)", "(True, 4, 5)", "(" * 300, "()", "(9,)", "9",
        "(0, 4, 5)", "(9, 0, 5)", "(9, 4, 5, 3)", "(9, 28, 28)", "None", "print('x')",
        f"({'1' * 5000}, 4, 5)",
    ])  # fmt: skip
    descr = choose(rng, ["'|u1'"] * 6 + [
        "'|O'", "'<f8'", "'<U99999'", "'|V0'", "[('a', '|u1')]", "'|u0'", "'zz'", "5", "'<M8[ns]'",
    ])  # fmt: skip
    text = f"{{'descr': {descr}, 'fortran_order': {choose(rng, ['False', 'True', '7'])}, "
    header = f"{text}'shape': {shape}, }}\n".encode()
    content = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + original[10 + start :]
    return Change(content, f"header: {short(descr)} {short(shape)}", (), True)


#: Operators behind a model's probabilities: type, inputs beside them, attributes, type of output.
TAILS: dict[str, tuple[str, tuple[str, ...], dict[str, Any], int]] = {
    "logits": ("Log", (), {}, TensorProto.FLOAT),
    "text": ("Cast", (), {"to": TensorProto.STRING}, TensorProto.STRING),
    "whole numbers": ("Cast", (), {"to": TensorProto.INT64}, TensorProto.INT64),
    "booleans": ("Cast", (), {"to": TensorProto.BOOL}, TensorProto.BOOL),
    "sums of 2": ("Add", ("answers",), {}, TensorProto.FLOAT),
    "negative": ("Neg", (), {}, TensorProto.FLOAT),
    "3-D": ("Unsqueeze", ("one",), {}, TensorProto.FLOAT),
    "more classes": ("Concat", ("answers",), {"axis": 1}, TensorProto.FLOAT),
    "more rows": ("Concat", ("answers",), {"axis": 0}, TensorProto.FLOAT),
    "one class": ("ReduceMax", (), {"axes": [1]}, TensorProto.FLOAT),
    "one number": ("ReduceMax", (), {"keepdims": 0}, TensorProto.FLOAT),
    "huge": ("Add", ("most",), {}, TensorProto.FLOAT),
}
#: Of these, those that can leave a router a finite score for each model.
SCORES = ("infinity", "logits", "sums of 2", "negative", "whole numbers", "booleans")
GRAPHS = ("NaN", "infinity", "external", "input", *TAILS)


def graph(rng: Random, original: bytes) -> Change:
    """An ONNX model that is valid as a file, and answers what no classifier may answer."""
    model = onnx.load_from_string(original)
    body, kind = model.graph, choose(rng, GRAPHS)
    floats = [w for w in body.initializer if w.data_type == TensorProto.FLOAT]
    if kind in TAILS:
        _add_tail(body, kind)
    elif kind == "input":
        body.input[0].name = "Y"
    elif kind == "external":
        weights = choose(rng, floats)
        where = choose(rng, ["params.yaml", "inside.bin", "../params.yaml", "/etc/hostname"])
        weights.data_location = TensorProto.EXTERNAL
        weights.external_data.add(key="location", value=where)
        weights.ClearField("raw_data")
        kind += f" {where}"
    else:
        value = np.array(NAN if kind == "NaN" else INF, np.float32).tobytes()
        for weights in floats:
            weights.raw_data = value + weights.raw_data[4:]
    return Change(model.SerializeToString(), kind, (), True)


def _add_tail(body: Any, kind: str) -> None:
    operator, others, attributes, element_type = TAILS[kind]
    answers = body.output[0].name
    body.initializer.append(helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    if kind == "huge":
        body.initializer.append(helper.make_tensor("n", TensorProto.INT64, [1], [2**36]))
        body.node.append(helper.make_node("ConstantOfShape", ["n"], ["much"]))
        body.node.append(helper.make_node("ReduceMax", ["much"], ["most"], keepdims=0))
    inputs = [answers, *(answers if other == "answers" else other for other in others)]
    body.node.append(helper.make_node(operator, inputs, ["changed"], **attributes))
    del body.output[:]
    body.output.append(helper.make_tensor_value_info("changed", element_type, None))
