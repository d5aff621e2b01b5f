"""Settings from the environment: `SCRIPTHUT_SETTINGS_` and the key, in capitals.

`SCRIPTHUT_SETTINGS_SERVER_PORT=9000` is `settings.server_port`, `SCRIPTHUT_SETTINGS_OUTPUTS_FILES`
is `settings.outputs.files`. A value is read as YAML, so a list is `[a, b]`.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

import yaml
from pydantic import BaseModel

from scripthut.config.settings import Settings
from scripthut.config.words import Loc
from scripthut.core.errors import Invalid

PREFIX = "SCRIPTHUT_SETTINGS_"
TEXT = frozenset({"data_dir", "database_url", "sources_cache_dir", "server_host", "cli_server"})


def names() -> dict[str, Loc]:
    """Every variable that is read, and the place of its setting.

    >>> names()["SCRIPTHUT_SETTINGS_OUTPUTS_DEPTH"]
    ('settings', 'outputs', 'depth')
    """
    return {PREFIX + "_".join(loc).upper(): ("settings", *loc) for loc in _leaves(Settings, ())}


def overrides(environment: Mapping[str, str]) -> dict[Loc, tuple[str, object]]:
    """Place -> the variable that sets it, and its value. Invalid names a variable nobody knows."""
    known = names()
    found: dict[Loc, tuple[str, object]] = {}
    problems = []
    for name in sorted(environment):
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            problems.append(f"{name}: is not a setting's variable{hint}")
            continue
        try:
            found[known[name]] = (name, _value(known[name], environment[name]))
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError):
            problems.append(f"{name}: {environment[name]!r} is not a value in YAML")
    if problems:
        raise Invalid("the environment", problems)
    return found


def _value(loc: Loc, text: str) -> object:
    return text if loc[-1] in TEXT else yaml.safe_load(text)


def _leaves(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, (*above, name))
        else:
            yield (*above, name)
