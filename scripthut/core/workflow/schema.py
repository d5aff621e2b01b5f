"""The workflow document as a JSON Schema, for editors and for other programs.

The fields are those of the models; what the models read before they judge it (sizes, times, short
forms) is said here as it is written.
"""

import json
from collections.abc import Mapping
from typing import Any

from scripthut.core.workflow.params import Param
from scripthut.core.workflow.rules import EnvRule
from scripthut.core.workflow.spec import ID, KEPT, Retry, TaskSpec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SIZE = {"type": ["string", "number"], "examples": ["4G", "512M"]}
_SPAN = {"type": "string", "examples": ["90s", "5m", "1h 30m"]}
_TEXT = {"type": ["string", "integer"]}
_PUT_IN = {"type": "string", "pattern": r"\$\{params\."}  # a parameter in the place of a value
_RULES = {"type": "array", "items": {"$ref": "#/$defs/rule"}}
_VARIABLES = {"type": "object", "additionalProperties": _TEXT}
_SCALAR = {"type": ["string", "number", "boolean"]}

# Fields whose written form is wider than what they become.
_TASK: Mapping[str, Mapping[str, Any]] = {
    "id": {**_TEXT, "pattern": f"^(?:{ID.pattern}|.*\\$\\{{params\\..*)$"},
    "name": _TEXT,
    "deps": {"type": "array", "items": _TEXT},
    "cpus": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]},
    "memory": {"anyOf": [_SIZE, {"type": "null"}], "default": "4G"},
    "time_limit": {
        "type": ["string", "integer", "null"],
        "examples": [90, "2:00:00", "1-12"],
        "default": "1:00:00",
    },
    "timeout": {"anyOf": [_SPAN, {"type": "null"}]},
    "env": {"anyOf": [_RULES, _VARIABLES, {"type": "null"}]},
    "retry": {"anyOf": [{"$ref": "#/$defs/retry"}, {"type": "integer"}, {"type": "null"}]},
}
_CAUSE = {"$ref": "#/$defs/Cause"}
_RETRY: Mapping[str, Mapping[str, Any]] = {
    "on": {"anyOf": [_CAUSE, {"type": "array", "items": _CAUSE}]},
    "wait": {**_SPAN, "default": "1m"},
    "max_memory": {"anyOf": [_SIZE, {"type": "null"}]},
    "max_time": {"anyOf": [_SPAN, {"type": "null"}]},
}
_RULE: Mapping[str, Mapping[str, Any]] = {
    "if": {
        "type": "object",
        "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    },
    "include": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "stacks": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "set": _VARIABLES,
    "append": _VARIABLES,
}


def schema() -> dict[str, Any]:
    """The schema of a workflow document, as plain data."""
    tasks = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/task"}}
    document = {
        "type": "object",
        "required": ["tasks"],
        "properties": {
            "title": {"type": ["string", "null"]},
            "params": {"type": ["object", "null"], "additionalProperties": _param()},
            "env": {"anyOf": [_RULES, {"type": "null"}]},
            "env_groups": {"type": ["object", "null"], "additionalProperties": _RULES},
            "tasks": tasks,
        },
    }
    return {
        "$schema": DIALECT,
        "title": "A scripthut workflow",
        "anyOf": [document, tasks],
        "$defs": {
            "task": _task(),
            "rule": _model(EnvRule.model_json_schema(by_alias=True), _RULE),
            "retry": _model(Retry.model_json_schema(), _RETRY),
            "Cause": Retry.model_json_schema()["$defs"]["Cause"],
        },
    }


def text() -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _task() -> dict[str, Any]:
    made = _model(TaskSpec.model_json_schema(), _TASK)
    made["required"] = ["id", "command"]
    properties = made["properties"]
    properties["dependencies"] = {**properties["deps"], "description": "The older name of `deps`."}
    for name, why in KEPT.items():
        properties[name]["description"] = f"Kept, and not used: {why}."
    made["patternProperties"] = {"^x-": {"description": "Yours: never read."}}
    return made


def _param() -> dict[str, Any]:
    long = _model(Param.model_json_schema(), {})
    long.pop("description", None)
    return {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}, long]}


def _model(made: dict[str, Any], wider: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A model's own schema with its fields as they are written, without titles made of names."""
    properties = {
        name: {**{k: v for k, v in field.items() if k == "default"}, **wider[name]}
        if name in wider
        else _or_param(field)
        for name, field in made["properties"].items()
    }
    for field in properties.values():
        field.pop("title", None)
    return {
        "type": "object",
        "description": str(made.get("description", "")).split("\n")[0],
        "additionalProperties": False,
        "properties": properties,
    }


def _or_param(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field as it is, or a parameter in its place where it is no text anyway."""
    is_text = field.get("type") == "string" or "string" in str(field.get("anyOf"))
    if is_text or field.get("type") == "array":
        return dict(field)
    return {"anyOf": [dict(field), _PUT_IN]}
