"""A configuration as it is shown: every value, where it comes from, and no secret."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripthut.config import later
from scripthut.config.hiding import hidden
from scripthut.config.layers import Resolved
from scripthut.config.words import Loc, place
from scripthut.core.mask import SIGN, is_secret, mask_argv

DEFAULT = "default"


@dataclass(frozen=True)
class Value:
    """One value as it holds. `origin`: a file and its line, a variable, or `default`."""

    place: str
    value: object
    origin: str


def values(found: Resolved) -> list[Value]:
    """Every value of a configuration, in its order; secrets are `***`."""
    config = found.config
    names = frozenset(config.settings.secret_names)
    data = config.model_dump(mode="json", by_alias=True, exclude={"later", "later_backends"})
    entries = found.data.get("backends")
    entries = entries if isinstance(entries, list) else []
    usable = [n for n, entry in enumerate(entries) if not later.is_later(entry)]
    shown = []
    for loc, value, before in _leaves(data, ()):
        there = loc
        if loc[0] == "backends" and isinstance(loc[1], int) and loc[1] < len(usable):
            there = ("backends", usable[loc[1]], *loc[2:])
        said = masked(loc, value, names, before)
        shown.append(Value(place(loc), said, _origin(found, there)))
    for loc, value, before in _leaves(config.later, ()) if config.later else ():
        shown.append(Value(place(loc), masked(loc, value, names, before), _origin(found, loc)))
    return shown


def masked(loc: Loc, value: object, names: frozenset[str], before: str = "") -> object:
    """A value as it may be shown. `before`: the word that stands before it in a list.

    >>> masked(("extra_args", 1), "abc", frozenset(), "--token")
    '***'
    """
    if value is None or isinstance(value, bool | list | Mapping):
        return value  # lists and mappings: with nothing in them
    is_named = any(is_secret(str(word), names) for word in loc if isinstance(word, str))
    is_path = str(loc[-1]).endswith(("_path", "deploy_key", "_keys_file"))
    if is_named and not is_path and loc[-1] != "secret_names":
        return SIGN
    if not isinstance(value, str):
        return value
    said = hidden(value, names)
    return mask_argv([before, said], names)[-1] if isinstance(loc[-1], int) else said


def _origin(found: Resolved, loc: Loc) -> str:
    if loc in found.origins:
        return str(found.origins[loc])
    above = (found.origins.get(loc[:n]) for n in range(len(loc) - 1, 0, -1))
    variable = next((one for one in above if one is not None and one.line is None), None)
    return str(variable) if variable else DEFAULT


def _leaves(data: object, loc: Loc, before: str = "") -> Iterator[tuple[Loc, object, str]]:
    """Every value with its place, and the word before it in a list."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _leaves(value, (*loc, str(key)))
    elif isinstance(data, list) and data:
        before = ""
        for n, value in enumerate(data):
            yield from _leaves(value, (*loc, n), before)
            before = value if isinstance(value, str) else ""
    else:
        yield loc, data, before
