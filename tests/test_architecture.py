"""Who may import whom, and what one place alone may do: a walk over the source, itself tested.

The tables are ARCHITECTURE.md's, "Who may import whom" and "One place for each dangerous thing".
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = "scripthut"
MODULE_LINES, FUNCTION_LINES, LINE_ENDS = 400, 60, "\n"

PURE = {"os", "subprocess", "socket", "threading", "time", "logging", "flask", "sqlalchemy"}
PURE |= {"paramiko", "boto3", "random", "secrets", "multiprocessing", "gunicorn", "psutil"}
NO_WORLD = {"flask", "sqlalchemy", "alembic", "gunicorn"}


@dataclass(frozen=True)
class Rule:
    """What a package may import of ours, and which other modules it must never touch."""

    ours: frozenset[str]
    never: frozenset[str]


def rule(ours: str, never: set[str]) -> Rule:
    return Rule(frozenset(ours.split()), frozenset(never))


RULES = {
    "core": rule("", PURE),
    "schedulers": rule("core", PURE),
    "transports": rule("core clock", NO_WORLD),
    "backends": rule("core schedulers transports config clock", NO_WORLD),
    "sources": rule("core config", {*NO_WORLD, "paramiko", "logging"}),
    "messengers": rule("core config", {*NO_WORLD, "paramiko", "subprocess"}),
    "store": rule("core places", {"flask", "paramiko", "subprocess", "socket", "boto3"}),
    "engine": rule(
        "core store backends sources messengers config clock ids",
        {"flask", "sqlalchemy", "alembic", "paramiko", "boto3", "subprocess", "socket"},
    ),
    "web": rule(
        "core store config clock ids places",
        {"sqlalchemy", "alembic", "paramiko", "boto3", "threading", "subprocess", "socket"},
    ),
    "cli": rule("core config clock ids places", {"sqlalchemy", "alembic", "paramiko", "boto3"}),
    "config": rule("core", {"flask", "sqlalchemy", "paramiko", "logging"}),
    "clock": rule("", {"flask", "sqlalchemy"}),
    "ids": rule("core", {"flask", "sqlalchemy"}),
    "places": rule("", {"flask", "sqlalchemy"}),
}
ROOMS: dict[str, set[str]] = {  # a room -> the other rooms of its package that it may import
    "core/workflow": set(),
    "core/markdown": set(),
    "core/files": set(),
    "core/measures": {"markdown", "files"},
    "backends/sent": set(),
    "store/models": set(),
    "store/files": {"models"},
    "store/machines": {"models"},
    "store/making": {"models", "machines"},
    "store/keeping": {"models", "files"},
    "engine/children": set(),
    "engine/outputs": {"children"},
    "engine/commits": set(),
    "engine/beside": set(),
    "web/outputs": set(),
    "web/runs": {"outputs"},
    "web/tasks": {"outputs", "runs"},
    "web/backends": set(),
    "web/sources": {"tasks"},
    "web/takeaway": {"runs", "tasks"},
}
ALLOWED = {  # module -> what it may import against its package's rule, and why
    "cli/server.py": {"web", "engine", "store.keeping.migrate"},  # it starts the server
    # It is a small site of its own: an engine's hands, a database and the pages.
    "cli/preview.py": {"web", "engine", "store", "backends"},
    "cli/importing.py": {"engine", "store", "backends"},  # runs of older versions, kept as others
    "cli/backup.py": {"store"},  # on the machine of the server, which need not run
    "cli/doctor.py": {"backends"},  # it asks the real machines
    "cli/tell.py": {"messengers"},  # it tries a channel out
    "engine/children/workshop.py": {
        "subprocess"
    },  # the child process that works on what others wrote
}
ONLY_IN = {  # module imported -> the places that may
    "pyarrow": {"engine/children/columns.py"},  # a child process
    "PIL": {"engine/children/pictures.py"},  # a child process
    "markdown": {"core/markdown/render.py", "core/markdown/elements.py", "core/markdown/inline.py"},
    "bleach": {"core/markdown/sanitise.py"},
    "pygments": {"core/markdown/highlight.py"},
    "latex2mathml": {"core/markdown/formula.py"},
    "shlex": {"core/quote.py"},
    "random": set[str](),
    "secrets": {"ids.py", "transports/frame.py"},  # there, a mark that no output can guess
    "uuid": set[str](),
    "yaml": {"config/", "core/workflow/notation.py"},
    "paramiko": {"transports/"},
    "alembic": {"store/keeping/migrate.py"},
    "sqlalchemy": {"store/"},
    "gunicorn": {"cli/server.py"},
    "itsdangerous": {"web/outputs/sandbox.py"},
}
NOW = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}


def modules() -> list[Path]:
    return sorted((ROOT / OURS).rglob("*.py"))


def imports(tree: ast.Module) -> Iterator[str]:
    """Everything a module imports, by dotted name; `from a import b` counts as a and as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    return node.id if isinstance(node, ast.Name) else ""


def import_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    package = where.split("/")[0].removesuffix(".py")
    if package not in RULES:
        return
    rules, allowed = RULES[package], ALLOWED.get(where, set())
    for name in sorted(set(imports(tree))):
        top, _, rest = name.partition(".")
        if top == OURS and rest:
            ours = rest.split(".")[0]
            known = ours in rules.ours | {package} or ours == "__version__"
            if not known and not any(f"{rest}.".startswith(f"{a}.") for a in allowed):
                # `from scripthut import x` also yields plain names that lead to nothing of ours
                yield f"{where} imports {name}"
        elif top in rules.never - allowed:
            yield f"{where} imports {name}"


def room_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    package, room, *_ = [*where.split("/"), ""]
    may = ROOMS.get(f"{package}/{room}")
    for name in sorted(set(imports(tree))) if may is not None else ():
        other = name.removeprefix(f"{OURS}.{package}.").split(".")[0]
        if f"{package}/{other}" in ROOMS and other not in {*may, room}:
            yield f"{where} imports {name}"


def place_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    for name in sorted(set(imports(tree))):
        places = ONLY_IN.get(name)
        if places is not None and not any(where.startswith(place) for place in places):
            yield f"{where} imports {name}: only {', '.join(sorted(places)) or 'nobody'} may"


def inner_import_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield f"{where}:{inner.lineno} imports inside a function"


def call_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        last_two = ".".join(name.split(".")[-2:])
        if last_two in NOW and where not in {"clock.py", "backends/sent/files.py"}:  # sent alone
            yield f"{where}:{node.lineno} asks for the time: take `now`, or clock.utcnow"
        if last_two in SHELLS or any(
            word.arg == "shell" and ast.unparse(word.value) != "False" for word in node.keywords
        ):
            yield f"{where}:{node.lineno} gives a line to a shell: pass words"
        if name.split(".")[-1] == "Markup":
            yield f"{where}:{node.lineno} makes Markup: user HTML travels escaped"


def handler_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and (
            node.type is None or dotted(node.type) in {"Exception", "BaseException"}
        ):
            yield f"{where}:{node.lineno} catches everything"


def size_breaches(where: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{where}:{node.lineno} {node.name} has {lines} lines"


def length_breaches(where: str, text: str) -> Iterator[str]:
    lines = text.count(LINE_ENDS)
    if lines > MODULE_LINES:
        yield f"{where} has {lines} lines"


CHECKS = (
    import_breaches,
    room_breaches,
    place_breaches,
    inner_import_breaches,
    call_breaches,
    handler_breaches,
    size_breaches,
)


def breaches(where: str, text: str) -> list[str]:
    tree = ast.parse(text, where)
    found = [breach for check in CHECKS for breach in check(where, tree)]
    return [*found, *length_breaches(where, text)]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT / OURS)))
def test_a_module_keeps_the_rules(path: Path) -> None:
    where = path.relative_to(ROOT / OURS).as_posix()
    assert breaches(where, path.read_text(encoding="utf-8")) == []


def test_every_package_has_a_rule() -> None:
    found = {path.relative_to(ROOT / OURS).parts[0].removesuffix(".py") for path in modules()}
    assert found - {"__init__"} == set(RULES)


def test_every_room_has_a_rule() -> None:
    found = (path.relative_to(ROOT / OURS).parent.as_posix() for path in modules())
    assert {place for place in found if "/" in place} == set(ROOMS)


def test_the_exceptions_still_exist() -> None:
    assert [name for name in ALLOWED if not (ROOT / OURS / name).exists()] == []


PLANTED = {
    ("core/jobs.py", "import os"): "imports os",
    ("core/jobs.py", "from os.path import join"): "imports os.path",
    ("core/jobs.py", "from scripthut.store import db"): "imports scripthut.store",
    ("core/jobs.py", "from scripthut import clock"): "imports scripthut.clock",
    ("core/files/tables.py", "from scripthut.core.measures import plot"): "core.measures",
    ("store/files/kept.py", "from scripthut.store.making import create"): "store.making",
    ("web/outputs/views.py", "from scripthut.web.runs import page"): "imports scripthut.web.runs",
    ("schedulers/slurm.py", "import scripthut.transports.ssh"): "imports scripthut.transports",
    ("transports/ssh.py", "import scripthut.schedulers"): "imports scripthut.schedulers",
    ("backends/local.py", "from scripthut.store.db import Database"): "imports scripthut.store",
    ("store/db.py", "import flask"): "imports flask",
    ("engine/loop.py", "from sqlalchemy import select"): "imports sqlalchemy",
    ("engine/loop.py", "import subprocess"): "imports subprocess",
    ("engine/loop.py", "import scripthut.web"): "imports scripthut.web",
    ("web/runs/page.py", "from scripthut.backends import build"): "imports scripthut.backends",
    ("web/runs/page.py", "import threading"): "imports threading",
    (
        "cli/submit.py",
        "from scripthut.store.keeping.migrate import upgrade",
    ): "imports scripthut.store",
    ("cli/server.py", "from scripthut.store import runs"): "imports scripthut.store",
    ("engine/loop.py", "import shlex"): "only core/quote.py may",
    ("web/runs/page.py", "import bleach"): "only core/markdown/sanitise.py may",
    ("web/runs/page.py", "def f():\n    import json"): "inside a function",
    ("store/runs.py", "import datetime\nx = datetime.datetime.now()"): "asks for the time",
    ("store/runs.py", "from time import time as t\nimport time\nx = time.time()"): "asks for",
    ("transports/local.py", "import subprocess as s\ns.run('ls', shell=True)"): "line to a shell",
    ("transports/local.py", "import os\nos.system('ls')"): "line to a shell",
    ("web/filters.py", "from markupsafe import Markup\nx = Markup('<b>')"): "makes Markup",
    ("engine/loop.py", "try:\n    pass\nexcept Exception:\n    pass"): "catches everything",
    ("engine/loop.py", "try:\n    pass\nexcept:\n    pass"): "catches everything",
    ("engine/loop.py", "def f():\n" + "    x = 1\n" * 60): "has 61 lines",
    ("engine/loop.py", "x = 1\n" * 401): "has 401 lines",
}


@pytest.mark.parametrize(("plant", "says"), PLANTED.items(), ids=lambda p: str(p)[:60])
def test_a_planted_breach_is_found(plant: tuple[str, str], says: str) -> None:
    assert any(says in breach for breach in breaches(*plant)), breaches(*plant)


FINE = {
    ("core/judge.py", "from scripthut.core.jobs import Phase\nimport re"),
    ("core/measures/grids.py", "from scripthut.core.markdown import inline"),
    (
        "web/tasks/panel.py",
        "from scripthut.web.runs import page\nfrom scripthut.store.files import kept",
    ),
    ("engine/loop.py", "from scripthut import clock, ids\nimport threading\nimport time"),
    ("cli/server.py", "from scripthut.store.keeping.migrate import upgrade\nimport scripthut.web"),
    ("clock.py", "from datetime import UTC, datetime\nx = datetime.now(UTC)"),
    ("transports/local.py", "import subprocess\nsubprocess.run(['ls'], shell=False)"),
    ("cli/__init__.py", "from scripthut import __version__"),
}


@pytest.mark.parametrize(("where", "text"), sorted(FINE))
def test_what_is_allowed_is_not_reported(where: str, text: str) -> None:
    assert breaches(where, text) == []


INLINE = {
    "an inline style": re.compile(r"\sstyle\s*=", re.I),
    "an inline script": re.compile(r"<script(?![^>]*\bsrc=)", re.I),
    "an inline handler": re.compile(r"\son[a-z]+\s*=", re.I),
    "a filter that switches escaping off": re.compile(r"\|\s*safe\b|autoescape\s+false", re.I),
    "something from another site": re.compile(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", re.I),
}


def template_breaches(text: str) -> list[str]:
    return [what for what, pattern in INLINE.items() if pattern.search(text)]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_a_template_holds_nothing_inline(path: Path) -> None:
    assert template_breaches(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        '<p style="color: red">',
        "<script>alert(1)</script>",
        "<p onclick=go()>",
        "{{ html | safe }}",
        "{% autoescape false %}",
        '<script src="https://cdn.example/htmx.js"></script>',
        "<img src=//cdn.example/x.png>",
    ],
)
def test_a_planted_inline_thing_is_found(text: str) -> None:
    assert template_breaches(text) != []


def test_no_test_directory_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
