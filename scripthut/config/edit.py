"""One setting written into a configuration, whose comments and order stay as they are."""

from pathlib import Path

import yaml

from scripthut.config.writing import put
from scripthut.core.errors import Refused

SECTION = "settings"


def write_setting(file: Path, key: str, value: str) -> None:
    """Set `settings.<key>` to a word in a file; it is made when it is not there. Refused."""
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        new = with_setting(text, key, value)
        file.parent.mkdir(parents=True, exist_ok=True)
        there = file.resolve()  # through a link, not over it
        put(there, new, there)
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{file} cannot be written: {error}") from error


def with_setting(text: str, key: str, value: str) -> str:
    r"""The text with `settings.<key>: <value>`, and nothing else changed. Refused.

    >>> print(with_setting("# mine\nsettings:\n  a: 1  # one\n", "b", "c"), end="")
    # mine
    settings:
      b: c
      a: 1  # one
    >>> with_setting('{"settings": {"b": "x"}}', "b", "c")
    '{"settings": {"b": "c"}}'
    """
    try:
        new = _with(text, yaml.compose(text, yaml.SafeLoader), key, value)
        wanted = yaml.safe_load(text) or {}
        wanted = {**wanted, SECTION: {**(wanted.get(SECTION) or {}), key: value}}
        if yaml.safe_load(new) == wanted:
            return new
    except yaml.YAMLError:
        pass
    raise Refused(f"set {SECTION}.{key}: {value} by hand: the file is written too unusually")


def _with(text: str, root: yaml.Node | None, key: str, value: str) -> str:
    if not isinstance(root, yaml.MappingNode):
        return f"{_ended(text)}{SECTION}:\n  {key}: {value}\n"
    section = _value(root, SECTION)
    if section is None:
        if root.flow_style:
            words = f'"{SECTION}": {{"{key}": "{value}"}}'
            return _put(text, root.start_mark.index + 1, f"{words}, " if root.value else words)
        return f"{_ended(text)}{SECTION}:\n  {key}: {value}\n"
    if not isinstance(section, yaml.MappingNode):
        return _put(text, section.start_mark.index, f"\n  {key}: {value}")
    old = _value(section, key)
    if old is not None:
        quote = getattr(old, "style", None) or ""
        quote = quote if quote in ("'", '"') else ""
        there = text[: old.start_mark.index], text[old.end_mark.index :]
        return f"{there[0]}{quote}{value}{quote}{there[1]}"
    if section.flow_style:
        words = f'"{key}": "{value}"'
        return _put(text, section.start_mark.index + 1, f"{words}, " if section.value else words)
    first = section.value[0][0].start_mark
    return _put(text, first.index, f"{key}: {value}\n{' ' * first.column}")


def _value(mapping: yaml.MappingNode, key: str) -> yaml.Node | None:
    return next((value for name, value in mapping.value if name.value == key), None)


def _put(text: str, at: int, words: str) -> str:
    return text[:at] + words + text[at:]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
