"""What is wrong with a value, in words, by the kinds of errors that pydantic tells."""

from collections.abc import Mapping

_NUMBER = "{given} is not a number"
_WHOLE = "{given} is not a whole number"
_TRUTH = "{given} is neither true nor false"
_SIZE = "{given} is not a size: write a number and a unit, like 200 GB"
_MAPPING = "must be a mapping, `name: value`"
_EMPTY = "must not be empty"
SENTENCES = {
    "missing": "is required",
    "string_type": "{given} is not text: put it into quotes",
    "string_too_short": _EMPTY,
    "string_too_long": "is longer than {max_length} characters",
    "string_pattern_mismatch": "is not an address that begins with http:// or https://",
    "too_short": _EMPTY,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": "{given} is too large a number",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "byte_size": _SIZE,
    "byte_size_unit": _SIZE,
    "list_type": "must be a list",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "path_type": "{given} is not a path: put it into quotes",
    "greater_than_equal": "{given} is less than {ge}",
    "less_than_equal": "{given} is more than {le}",
    "greater_than": "{given} is not more than {gt}",
    "literal_error": "{given} is not one of {expected}",
    "enum": "{given} is not one of {expected}",
}
_QUOTED = ("string_type", "path_type")


def sentence(error: Mapping[str, object], given: str) -> str | None:
    """What is wrong by one of pydantic's errors; None: it has no words of ours.

    >>> sentence({"type": "less_than_equal", "input": 9, "ctx": {"le": 8.0}}, "9")
    '9 is more than 8'
    >>> sentence({"type": "string_type", "input": None}, "null")
    'has no value: write one, or leave it out'
    """
    kind, value, context = str(error["type"]), error.get("input"), error.get("ctx")
    if kind not in SENTENCES or kind == "missing":
        return SENTENCES.get(kind)
    if value is None:
        return "has no value: write one, or leave it out"
    words = {"given": given}
    if isinstance(context, Mapping):
        words |= {str(name): str(one).removesuffix(".0") for name, one in context.items()}
    said = SENTENCES[kind].format_map(words)
    is_whole = isinstance(value, list | Mapping)  # quotes would make no text of it
    return said.removesuffix(": put it into quotes") if kind in _QUOTED and is_whole else said
