"""Which files hold, what each says, and what they make together."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

from scripthut.config import variables
from scripthut.config.file import Config, parse
from scripthut.config.reading import Layer, read
from scripthut.config.words import Loc, place
from scripthut.core.errors import Invalid, Missing

NAMES = ("scripthut.yaml", "scripthut.yml")
GLOBAL_ALONE = ("backends", "cache", "pricing", "settings", "sources")
FROM_PROJECT = ("env", "env_groups", "stacks")  # what a project's file adds to the global one


@dataclass(frozen=True)
class Where:
    """Where a configuration is looked for. `named`: that file, exactly, and no other."""

    named: Path | None = None
    here: Path = field(default_factory=Path.cwd)
    home: Path = field(default_factory=Path.home)

    def files(self) -> tuple[Path, ...]:
        """The files that hold: the named one, or the global one and the project's."""
        if self.named is not None:
            return (self.here / self.named.expanduser(),)
        users = next((path for path in self._global() if path.is_file()), None)
        project = next((path for path in self._project() if path.is_file()), None)
        if users and project and users.resolve() == project.resolve():
            project = None
        return tuple(path for path in (users, project) if path is not None)

    def _global(self) -> Iterator[Path]:
        yield from (self.home / ".config" / "scripthut" / name for name in NAMES)
        yield self.home / ".scripthut.yaml"

    def _project(self) -> Iterator[Path]:
        for directory in (self.here, *self.here.parents):
            yield from (directory / name for name in NAMES)


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: a file and a line of it, or a variable. `loc`: its place there."""

    name: str
    line: int | None
    loc: Loc

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


@dataclass(frozen=True)
class Resolved:
    """A configuration as it holds. `digest` tells one from another, by content."""

    config: Config
    files: tuple[Path, ...]
    origins: Mapping[Loc, Origin]
    digest: str
    data: Mapping[str, object] = field(default_factory=dict)  # as plain data, before it was checked


def load(path: Path) -> Config:
    """Read one file alone. Invalid names every problem by its place and line."""
    return _resolve((path,), [_text(path)], {}).config


def resolve(where: Where, environment: Mapping[str, str]) -> Resolved:
    """Read all that holds. Invalid names every problem by its place and line."""
    files = where.files()
    return _resolve(files, [_text(path) for path in files], environment)


def resolve_with(
    where: Where, environment: Mapping[str, str], file: Path, text: str, shown: str
) -> Resolved:
    """What would hold if one of the files had another text. Invalid.

    `shown` is that text as a person sees it, of which problems name the lines.
    """
    files = where.files()
    texts = [text if path == file else _text(path) for path in files]
    return _resolve(files, texts, environment, {file: shown})


def fingerprint(where: Where, environment: Mapping[str, str]) -> str:
    """The digest of what would be read now, without reading a meaning into it. Invalid."""
    files = where.files()
    return _digest(files, [_text(path) for path in files], environment)


def _resolve(
    files: tuple[Path, ...],
    texts: list[str],
    environment: Mapping[str, str],
    shown: Mapping[Path, str] | None = None,
) -> Resolved:
    layers = [read(text, str(path)) for path, text in zip(files, texts, strict=True)]
    for n, path in enumerate(files):
        if shown and path in shown:
            layers[n] = replace(layers[n], lines=read(shown[path], str(path)).lines)
    data, origins = _merge(layers)
    for loc, (name, value) in variables.overrides(environment).items():
        _put(data, loc, value)
        origins[loc] = Origin(name, None, ())
    what = layers[0].name if len(layers) == 1 else "the configuration"
    single = what if len(layers) == 1 else None

    def where(loc: Loc) -> tuple[str, str]:
        return _said(loc, origins, single)

    config = parse(data, what, where)
    return Resolved(config, files, origins, _digest(files, texts, environment), data)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise Missing(str(path)) from error
    except OSError as error:
        raise Invalid(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Invalid(str(path), [f"is not UTF-8 text: {error.reason}"]) from error


def _digest(files: tuple[Path, ...], texts: list[str], environment: Mapping[str, str]) -> str:
    ours = sorted(f"{k}={v}" for k, v in environment.items() if k.startswith(variables.PREFIX))
    parts = [*(f"{path}\0{text}" for path, text in zip(files, texts, strict=True)), *ours]
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


def _merge(layers: list[Layer]) -> tuple[dict[str, object], dict[Loc, Origin]]:
    if not layers:
        return {}, {}
    users = layers[0]
    data = dict(users.data)
    origins = _origins(users, {})
    if len(layers) == 1:
        return data, origins
    project = layers[1]
    _check_project(users, project)
    shifts: dict[Loc, Loc] = {}
    for key in FROM_PROJECT:
        data[key], moved = _joined(key, users.data.get(key), project.data.get(key))
        shifts |= moved
        if data[key] is None:
            del data[key]
    for loc in [loc for loc in origins if loc[:2] in shifts.values()]:
        del origins[loc]  # the project's own stands there
    return data, origins | _origins(project, shifts)


def _check_project(users: Layer, project: Layer) -> None:
    wrong = [key for key in GLOBAL_ALONE if key in project.data]
    if wrong:
        raise Invalid(
            project.name,
            [
                f"{key}: belongs in {users.name} (line {project.lines.get((key,), 1)}); "
                f"--config {project.name} would take this file alone"
                for key in wrong
            ],
        )


def _joined(key: str, users: object, project: object) -> tuple[object, dict[Loc, Loc]]:
    """What two files say of one section together, and where the project's entries stand in it."""
    if project is None:
        return users, {}
    if isinstance(project, list) and key == "env" and isinstance(users, list | None):
        first = users or []
        return [*first, *project], {(key, n): (key, n + len(first)) for n in range(len(project))}
    if isinstance(project, dict) and isinstance(users, dict | None):
        return {**(users or {}), **project}, {(key, name): (key, name) for name in project}
    if isinstance(project, list) and isinstance(users, list | None):
        return _by_name(users or [], project), {}
    return project, {(key,): (key,)}


def _by_name(users: list[object], project: list[object]) -> list[object]:
    """Both lists' entries; one of the project's takes the place of one of the same name."""
    found: dict[object, object] = {}
    for n, entry in enumerate([*users, *project]):
        found[entry.get("name", n) if isinstance(entry, dict) else n] = entry
    return list(found.values())


def _origins(layer: Layer, shifts: Mapping[Loc, Loc]) -> dict[Loc, Origin]:
    found: dict[Loc, Origin] = {}
    for loc, line in layer.lines.items():
        there = (*shifts[loc[:2]], *loc[2:]) if loc[:2] in shifts else loc
        found[there] = Origin(layer.name, line, loc)
    return found


def _said(loc: Loc, origins: Mapping[Loc, Origin], single: str | None) -> tuple[str, str]:
    """What a place is called where it stands, and where that is."""
    known = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in origins), None)
    if known is None:
        return place(loc), ""
    origin = origins[known]
    if origin.line is None:
        return origin.name, ""
    name = place((*origin.loc, *loc[len(known) :]))
    there = f"line {origin.line}" if single == origin.name else f"{origin.name}, line {origin.line}"
    return name, f" ({there})"


def _put(data: dict[str, object], loc: Loc, value: object) -> None:
    """Set a value deep in plain data, whose mappings on the way are copied."""
    inner = data
    for word in loc[:-1]:
        below = inner.get(str(word))
        fresh = dict(below) if isinstance(below, dict) else {}
        inner[str(word)] = fresh
        inner = fresh
    inner[str(loc[-1])] = value


def environment() -> Mapping[str, str]:
    """The process's own variables."""
    return os.environ
