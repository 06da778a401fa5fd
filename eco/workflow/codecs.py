"""Reading and writing files: whole or not at all, without pickles, the same bytes each time."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from eco.errors import extra
from eco.workflow.problems import describe

with extra("workflow"):
    from pydantic import TypeAdapter, ValidationError

#: No number of a JSON file is larger.
LARGEST = 1e30

Arrays = dict[str, NDArray[Any]]
#: What a file is for: names in its path, and those that its content must agree with.
Names = Mapping[str, Any]
T = TypeVar("T")


class DamagedError(Exception):
    """A file doesn't hold what it must; the message continues its name."""


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How the content of a file becomes bytes.

    ``decode``: from bytes to the validated content, or a `DamagedError`; ``encode``: back.
    """

    decode: Callable[[bytes, Names], T]
    encode: Callable[[T, Names], bytes]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key stands there twice")
    return values


def _check_numbers(value: Any, key: str = "") -> None:
    """Refuse numbers whose sums and squares are none."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, inner in items:
        if isinstance(inner, dict | list):
            _check_numbers(inner, f"{key}{name}.")
        elif isinstance(inner, int | float) and not abs(inner) <= LARGEST:
            problem = f"must be a number from -{LARGEST:g} to {LARGEST:g}"
            raise DamagedError(f"is not valid: {key}{name} {problem}; got {inner}")


def json_codec(
    schema: Any, parse: Callable[[Any, Names], T], values: Callable[[T, Names], Any]
) -> Codec[T]:
    """JSON that git can diff, without NaN and infinity.

    What is read must be of the `schema`, a type for pydantic; `parse` makes the content of its
    values, `values` is back.
    """
    adapter = TypeAdapter(schema)

    def decode(content: bytes, names: Names) -> T:
        try:
            decoded = json.loads(content, object_pairs_hook=_unique)
            if isinstance(decoded, dict | list):
                _check_numbers(decoded)
            adapter.validate_python(decoded, context=names)
        except ValidationError as error:
            raise DamagedError(f"is not valid: {describe(error.errors()[0])}") from None
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"is not valid JSON ({error})") from None
        return parse(decoded, names)

    def encode(value: T, names: Names) -> bytes:
        text = json.dumps(values(value, names), indent=1, allow_nan=False)
        return text.encode() + b"\n"

    return Codec(decode, encode)


def arrays_codec(
    holds: str,
    parse: Callable[[Arrays, Names], T],
    arrays: Callable[[T], Arrays],
    default: Sequence[str],
) -> Codec[T]:
    """An ``.npz`` of named arrays that says what it holds, so that swapped files are noticed.

    `holds` is what it says, with names in braces; `parse` checks the arrays, `arrays` is back;
    `default` are those that are read where ``splits`` names no fewer.
    """

    def description(names: Names) -> str:
        return holds.format_map({**names, "pool": ", ".join(names.get("pool", ()))})

    def decode(content: bytes, names: Names) -> T:
        expected = description(names)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                if (held := str(archive["holds"])) != expected:
                    raise DamagedError(f"must hold {expected}, but holds {held}")
                loaded = {name: archive[name] for name in names.get("splits", default)}
        except KeyError as error:
            raise DamagedError(f"lacks {error.args[0]}") from None
        except DamagedError:
            raise
        except Exception as error:  # what NumPy raises on damaged bytes is not a closed list
            raise DamagedError(f"is not a complete .npz file ({error})") from None
        return parse(loaded, names)

    def encode(value: T, names: Names) -> bytes:
        """Packed by bzip2: a third less than NumPy's own packing."""
        members = {"holds": np.array(description(names)), **arrays(value)}
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, array in members.items():
                member = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, whenever it is written
                member.compress_type = zipfile.ZIP_BZIP2
                with archive.open(member, "w", force_zip64=True) as part:
                    np.lib.format.write_array(part, array, allow_pickle=False)
        return stream.getvalue()

    return Codec(decode, encode)


def _decode_onnx(content: bytes, _: Names) -> Any:
    with extra("onnx"):
        import onnx
    try:
        return onnx.load_from_string(content)
    except Exception as error:  # protobuf's own exception, of a package that isn't ours
        raise DamagedError(f"is not an ONNX model ({error})") from None


def _encode_trained(model: Any, _: Names) -> bytes:
    """Raises ValueError where weights are not numbers."""
    from onnx.numpy_helper import to_array

    for weights in model.graph.initializer:
        values = to_array(weights)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise ValueError(f"{weights.name} holds NaN")
    return model.SerializeToString()


#: An ``onnx.ModelProto``.
ONNX: Codec[Any] = Codec(_decode_onnx, lambda model, _: model.SerializeToString())
#: The same, whose weights are checked when it is written.
TRAINED_ONNX: Codec[Any] = Codec(_decode_onnx, _encode_trained)
#: A file of any sort.
BYTES: Codec[bytes] = Codec(lambda content, _: content, lambda content, _: content)
