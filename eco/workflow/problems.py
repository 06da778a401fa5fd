"""What pydantic found in settings and files, in our words: key, what must hold, what was found."""

from collections.abc import Callable, Sequence
from typing import Any

from eco.errors import shortened
from eco.models.settings import RuleError

#: Of pydantic's kinds of problems those whose messages can be shorter.
_RULES = {
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "literal_error": "must be {expected}",
    "model_type": "must be a table",
    "string_pattern_mismatch": "must match {pattern}",
    "string_too_long": "must have at most {max_length} letters",
    "string_type": "must be a text",
    "too_long": "must hold at most {max_length}",
    "too_short": "must hold at least {min_length}",
}


def describe(problem: Any, suggestion: Callable[[Sequence[str]], str] = lambda _: "") -> str:
    """One problem of a `pydantic.ValidationError`; a `suggestion` follows a key that is unknown."""
    keys = [shortened(str(part), 60) for part in problem["loc"] if part != "[key]"]
    key, value = ".".join(keys), problem["input"]
    context = problem.get("ctx", {})
    match problem["type"]:
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden":
            return f"{key} is not a setting{suggestion(keys)}"
        case "value_error" if isinstance(context["error"], RuleError):
            return str(context["error"])
        case "value_error" if isinstance(value, dict):
            return f"{key} {context['error']}"  # which shows what it is about
        case "value_error":
            rule = str(context["error"])
        case kind:
            rule = _RULES[kind].format_map(context) if kind in _RULES else problem["msg"]
    return f"{key or 'it'} {rule}; got {shortened(repr(value), 100)}"
