"""How samples became numbers: the schema and the content of data/encoding.json."""

from typing import Annotated, Any, Literal

from eco.data import encoding
from eco.data.encoding import Encoding
from eco.errors import extra
from eco.workflow.codecs import Names
from eco.workflow.records import Record

with extra("workflow"):
    from pydantic import AfterValidator, Field

Size = Annotated[int, Field(ge=1)]


def _distinct(texts: list[str]) -> list[str]:
    if len(set(texts)) < len(texts):
        raise ValueError("must hold each text once")
    return texts


Texts = Annotated[list[str], Field(min_length=1), AfterValidator(_distinct)]


class _Images(Record):
    kind: Literal["images"]
    shape: Annotated[list[Size], Field(min_length=2, max_length=3)]


class _Column(Record):
    name: str
    categories: Texts | None
    missing: bool


class _Table(Record):
    kind: Literal["table"]
    columns: Annotated[list[_Column], Field(min_length=1)]


class _Text(Record):
    kind: Literal["text"]
    words: Annotated[list[str], AfterValidator(_distinct)]
    length: Size
    column: str


#: How images, tables and texts become numbers.
EncodingFile = Annotated[_Images | _Table | _Text, Field(discriminator="kind")]


def parse(values: Any, _: Names) -> Encoding:
    """What an `EncodingFile` holds."""
    return encoding.from_json(values)


def values(value: Encoding, _: Names) -> dict[str, Any]:
    """What `parse` reads."""
    return encoding.to_json(value)
