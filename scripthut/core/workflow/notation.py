"""A document's text, JSON or YAML, as plain data; and the line on which a part of it stands."""

import json
import re
from collections.abc import Iterator, Mapping

import yaml

from scripthut.core.errors import Invalid

# libyaml where it is there: a document of 10,000 tasks takes a second instead of ten.
_SAFE: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SAFE):  # type: ignore[misc, valid-type]
    """YAML 1.2's plain words: `on` is a text, and so are `1:00:00`, `007` and a date."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - how PyYAML is told
        sign: [(tag, what) for tag, what in some if tag.rpartition(":")[2] in ("null", "merge")]
        for sign, some in _SAFE.yaml_implicit_resolvers.items()
    }


_NUMBER = "-+.0123456789"
for _tag, _what, _signs in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", _NUMBER),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", _NUMBER),
):
    _pattern = re.compile(f"^(?:{_what})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_signs))

MOST = 5_000_000  # values in a document
LARGEST_YAML = 8 * 1024 * 1024  # characters: reading YAML takes ten times as long as JSON
_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")
_NESTED = "is nested too deeply to be a document"
_HALF = re.compile("[\ud800-\udfff]")  # of a character that takes two in UTF-16: no text alone
_MOST_SAID = 8


def read(text: str, name: str) -> object:
    """Plain data of a text: JSON if it begins like it or is called so, else YAML.

    Invalid names the line of what is wrong with it.
    """
    text = text.removeprefix("\ufeff")
    if not _is_json(text, name) and len(text) > LARGEST_YAML:
        most = f"{LARGEST_YAML // 1024**2} MiB"
        raise Invalid(name, [f"is more than {most} of YAML: write so much as JSON"])
    data = _json(text, name) if _is_json(text, name) else _yaml(text, name)
    if halves := half_characters(data):
        raise Invalid(name, halves)
    return data


def half_characters(data: object) -> list[str]:
    r"""What in plain data is no text, as `\ud800` alone in JSON: no file or database holds it."""
    found: list[str] = []
    waiting: list[tuple[str, object]] = [("", data)]
    while waiting and len(found) < _MOST_SAID:
        place, value = waiting.pop()
        if isinstance(value, str):
            if not value.isascii() and (half := _HALF.search(value)):
                where = f"{place}: " if place else ""
                found.append(f"{where}holds \\u{ord(half[0]):04x}, which is half a character")
        elif isinstance(value, Mapping):
            for key, below in value.items():
                name = str(key)
                is_text = name.isascii() or not _HALF.search(name)
                waiting.append(
                    (f"{place}.{name}".removeprefix("."), below) if is_text else (place, key)
                )
        elif isinstance(value, list):
            waiting += [(f"{place}[{i}]", below) for i, below in enumerate(value)]
    return found


def _is_json(text: str, name: str) -> bool:
    """YAML's own one-line form begins with a brace too, so a name that says so decides."""
    if name.lower().endswith((".yaml", ".yml")):
        return False
    return name.lower().endswith(".json") or text.lstrip()[:1] in ("{", "[", "")


def _json(text: str, name: str) -> object:
    try:
        data: object = json.loads(text)
    except RecursionError:
        raise Invalid(name, [_NESTED]) from None
    except json.JSONDecodeError as error:
        why = error.msg[:1].lower() + error.msg[1:]
        if not text.strip():
            why = "it is empty"
        where = f"line {error.lineno}, column {error.colno}"
        raise Invalid(name, [f"{where}: is not JSON: {why}"]) from None
    except ValueError:  # what Python refuses, since its time grows with the square of the length
        raise Invalid(name, ["holds a whole number of thousands of digits"]) from None
    return data


def _yaml(text: str, name: str) -> object:
    try:
        data: object = yaml.load(text, _Loader)  # noqa: S506 - a safe loader, with or without C
    except RecursionError:
        raise Invalid(name, [_NESTED]) from None
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error.problem):
            raise Invalid(name, [_NESTED]) from None
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Invalid(name, [f"{where}is not YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise Invalid(name, [f"is not YAML: {error}"]) from None
    except ValueError as error:  # 2026-99-99 looks like a date
        raise Invalid(name, [f"is not YAML: {error}"]) from None
    if _is_bomb(data):
        raise Invalid(name, [f"holds more than {MOST} values, counting those it refers to"])
    return data


def with_lines(text: str, problems: list[str]) -> list[str]:
    """Problems that begin with a place (`tasks[3].memory: ...`), each with its line in the text.

    A place that the text does not hold gets the line of what is nearest above it.
    """
    if "\n" not in text.strip():  # a file of one line has no place to look for
        return problems
    try:
        # JSON is YAML, apart from tabs; raw ones stand only between JSON's words.
        root = yaml.compose(text.removeprefix("\ufeff").replace("\t", " "), _Loader)
    except (yaml.YAMLError, RecursionError, ValueError):
        return problems
    if root is None:
        return problems
    return [f"line {_line(root, problem)}: {problem}" for problem in problems]


def _line(root: yaml.Node, problem: str) -> int:
    node, line = root, root.start_mark.line
    for step in _steps(problem.split(": ", 1)[0]):
        if step == "tasks" and isinstance(node, yaml.SequenceNode):
            continue  # a bare list of tasks
        below = _children(node).get(step)
        if below is None:
            break
        line, node = below
    return int(line) + 1


def _steps(place: str) -> Iterator[str]:
    for index, key in _STEP.findall(place):
        yield index or key


def _children(node: yaml.Node) -> Mapping[str, tuple[int, yaml.Node]]:
    """What is in a node, each with the line on which it begins: a key's own line."""
    if isinstance(node, yaml.SequenceNode):
        return {str(i): (item.start_mark.line, item) for i, item in enumerate(node.value)}
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): (key.start_mark.line, value) for key, value in node.value}
    return {}


def _is_bomb(data: object) -> bool:
    """Whether YAML's references make a small text stand for far more than anybody wrote."""
    count, open_ = 0, [data]
    while open_:
        at = open_.pop()
        count += 1
        if count > MOST:
            return True
        if isinstance(at, Mapping):
            open_ += at.values()
        elif isinstance(at, list):
            open_ += at
    return False
