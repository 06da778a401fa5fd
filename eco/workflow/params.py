"""Reading params.yaml, and the message when a setting isn't what it must be."""

import difflib
import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from eco.commands import command
from eco.errors import LONGEST, ParamsError, extra, shortened
from eco.models.settings import kinds, settings_class
from eco.workflow.problems import describe
from eco.workflow.schema import Params

with extra("workflow"):
    import yaml
    from pydantic import ValidationError

__all__ = ["PATH", "Params", "load"]

PATH = Path("params.yaml")

#: Plain values that YAML 1.2 reads otherwise than PyYAML, which is of YAML 1.1.
_SCALARS = {
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:int": r"[-+]?(?:0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)",
    "tag:yaml.org,2002:float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


#: Values of a file, those that aliases repeat included; how deep they nest; characters of a number.
_VALUES, _LEVELS, _DIGITS = 10_000, 10, 100


class _Yaml12(yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.2, as DVC reads it: 1e-05 is a number, yes a string; no key stands there twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [pair for pair in pairs if pair[0] not in _SCALARS]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        _check(node)
        return node


def _check(root: Any) -> None:
    """Refuse what can't be settings, before any of it is made, and name the key."""
    nodes, n_values = [(root, "")], 0
    while nodes:
        node, key = nodes.pop()
        n_values += 1
        if n_values > _VALUES or key.count(".") >= _LEVELS:
            raise yaml.YAMLError(f"{key} holds too much, or nests too deep")
        if isinstance(node, yaml.ScalarNode):
            if re.search("[\0\ud800-\udfff]", node.value):
                raise yaml.YAMLError(f"{key} holds a character that no text has")
            if len(node.value) > _DIGITS and node.tag in _SCALARS:
                raise yaml.YAMLError(f"{key} must have at most {_DIGITS} digits")
            if not re.fullmatch(_SCALARS.get(node.tag, "(?s).*"), node.value):
                raise yaml.YAMLError(f"{key} is not what its tag says: {node.value!r}")
        elif isinstance(node, yaml.SequenceNode):
            nodes += [(item, f"{key}.{place}") for place, item in enumerate(node.value)]
        elif isinstance(node, yaml.MappingNode):
            known = set()
            for name, value in node.value:
                inner = f"{key}.{name.value}".lstrip(".")
                if inner in known:
                    raise yaml.YAMLError(f"{inner} stands there twice")
                known.add(inner)
                nodes += [(name, inner), (value, inner)]


for _tag, _pattern in _SCALARS.items():
    _Yaml12.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list("tTfF-+.0123456789"))
_Yaml12.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value, 0))


def load(path: Path = PATH) -> Params:
    """The settings, frozen; raises `ParamsError` if the file breaks the schema anywhere."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Yaml12)
    except FileNotFoundError:
        raise ParamsError(
            f"{path} does not exist in {Path.cwd()}",
            "Run this from the top of a study, or get the file back with: git checkout HEAD -- "
            f"{path}; eco init starts a study",
        ) from None
    except RecursionError:
        raise ParamsError(f"{path} is not readable YAML: it nests too deep", _undo(path)) from None
    except Exception as error:  # what PyYAML raises where a tag doesn't fit is not a closed list
        raise ParamsError(f"{path} is not readable YAML: {error}", _undo(path)) from None
    if not isinstance(raw, dict):
        raise ParamsError(f"{path} must hold the settings, but holds {raw!r}", _undo(path))
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(_problems(path, error), _undo(path)) from None


def _undo(path: Path) -> str:
    return (
        "Nothing was run, and the results on disk are those of the last good run. "
        f"Fix the value in {path}, or put the committed settings back with: {command('back')}"
    )


def _problems(path: Path, error: ValidationError) -> str:
    """The first problems, and how many more there are."""
    found = (describe(problem, _suggestion) for problem in error.errors())
    problems = list(dict.fromkeys(shortened(f"{path}: {problem}", LONGEST) for problem in found))
    n_shown = max(1, sum(length <= LONGEST for length in accumulate(map(len, problems))))
    lines = problems[:n_shown]
    if n_more := len(problems) - n_shown:
        lines.append(f"and {n_more} more")
    return ".\n".join(lines)


def _suggestion(keys: Sequence[str]) -> str:
    """The setting that was probably meant, or those that there are."""
    section: Any = Params
    for part in keys[:-1]:
        field = section.model_fields.get(part) if hasattr(section, "model_fields") else None
        section = field.annotation if field else None
    known = set(getattr(section, "model_fields", {}))
    if keys[0] == "models":
        known = {name for kind in kinds() for name in settings_class(kind).model_fields}
    if close := difflib.get_close_matches(keys[-1], known, n=1):
        return f" (did you mean {'.'.join([*keys[:-1], close[0]])}?)"
    return f" (known here: {', '.join(sorted(known))})"
