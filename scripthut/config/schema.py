"""The configuration as a JSON Schema, for editors: docs/schema/config.json."""

import json
from typing import Any

from scripthut.config import later
from scripthut.config.file import Config

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = ".scripthut.schema.json"
MODELINE = f"# yaml-language-server: $schema={FILE}"  # beside the file that it stands in


def schema() -> dict[str, Any]:
    """The schema of a scripthut.yaml, as plain data."""
    made = Config.model_json_schema()
    properties = made["properties"]
    for name in ("later", "later_backends"):
        del properties[name]
    for name, sentence in later.SECTIONS.items():
        properties[name] = {"description": f"Read and kept; {sentence}."}
    made["$defs"]["LaterBackend"] = _later_backend()
    entries = properties["backends"]["items"]
    entries.pop("discriminator", None)
    entries["oneOf"].append({"$ref": "#/$defs/LaterBackend"})
    properties["sources"]["items"].pop("discriminator", None)
    made["patternProperties"] = {"^x-": {"description": "Yours: for anchors, never read."}}
    return {"$schema": DIALECT, **made, "title": "scripthut.yaml"}


def text() -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _later_backend() -> dict[str, Any]:
    kinds = {"enum": list(later.BACKENDS)}
    return {
        "description": "Read and kept; backends of these kinds are not used by this version.",
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1}, "type": kinds},
        "required": ["type", "name"],
    }
