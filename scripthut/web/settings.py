"""What the configuration says now and where each value comes from; its files in an editor."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from scripthut.config import LATER, Resolved, resolve, shown
from scripthut.config.editing import Checked, Desk, Opened
from scripthut.config.live import FIXED
from scripthut.config.writing import FORMER, why_not
from scripthut.core.errors import Conflict, HutError, Invalid, NotFound, Refused
from scripthut.web.auth import came_directly
from scripthut.web.configuration import tell
from scripthut.web.errors import STATUS
from scripthut.web.extensions import config, live

bp = Blueprint("settings", __name__)

COMMAND_LINE = "the command line"
SECTIONS = ("backends", "sources", "env", "env_groups", "notifications", "settings")
LINE = re.compile(r"\bline (\d+)")
OFF = (
    "The pages of this server write no configuration: a proxy or a socket file leads to them, "
    "other hosts are configured, or settings.edit_in_browser is false. `edit_in_browser: true` "
    "under settings, written by hand, switches the editor on."
)


@dataclass(frozen=True)
class Row:
    """A value as the page shows it. `late`: what holds until the processes have begun anew."""

    place: str
    value: str
    origin: str
    late: str | None = None

    @property
    def is_default(self) -> bool:
        return self.origin == shown.DEFAULT


@dataclass(frozen=True)
class Section:
    """A part of the configuration: what was said of it, and what nobody said."""

    name: str
    said: Sequence[Row]
    defaults: Sequence[Row]


@dataclass(frozen=True)
class File:
    """A file that holds. `why_not`: why it is not edited here, in the end of a sentence."""

    path: Path
    why_not: str | None


@bp.get("/settings")
def index() -> ResponseReturnValue:
    """Show every value as it holds, with its origin, and the files."""
    found, problem = _resolved()
    return render_template(
        "settings/index.html",
        sections=_sections(found),
        is_old=problem is not None,
        files=_files(),
        notes=found.config.notes,
        off=None if _may_edit() else OFF,
        saved=request.args.get("saved"),
        news=live().news,
        former=FORMER,
    )


@bp.get("/api/v1/settings")
def api_index() -> ResponseReturnValue:
    """Give every value as it holds, and where it comes from; secrets are left out."""
    found, problem = _resolved()
    rows = [row for section in _sections(found) for row in (*section.said, *section.defaults)]
    return {
        "generation": live().generation,
        "files": [str(file.path) for file in _files()],
        "values": [
            {"key": row.place, "value": row.value, "from": row.origin, "until_restart": row.late}
            for row in rows
        ],
        "notes": found.config.notes,
        "problems": problem.problems if problem else [],
    }


@bp.get("/settings/file")
def edit() -> ResponseReturnValue:
    """Open a file in the editor, without its secrets; `file` says which, else the first."""
    first = next((str(file.path) for file in _files()), "")
    desk, file = _desk(), _file(request.args.get("file", first))
    try:
        return _editor(desk.open(file.path))
    except Invalid as error:
        return _editor(Opened(file.path, "", "", 0), error)


@bp.post("/settings/file/check")
def check() -> ResponseReturnValue:
    """Say what is wrong with a text, or what would change with it."""
    desk, opened = _desk(), _sent()
    try:
        return _editor(opened, checked=desk.check(opened))
    except HutError as error:
        return _editor(opened, error)


@bp.post("/settings/file/save")
def save() -> ResponseReturnValue:
    """Write a text that can hold, have this process follow it, and show what holds then."""
    desk, opened = _desk(), _sent()
    try:
        desk.save(opened)
    except HutError as error:
        return _editor(opened, error)
    tell(live(), live().look(at_once=True))
    return redirect(url_for("settings.index", saved=opened.file.name), 303)


def _desk() -> Desk:
    here = live()
    if here.where is None or not _may_edit():
        raise Conflict(OFF)
    return Desk(here.where, here.environment, config(), tuple(config().settings.secret_names))


def _may_edit() -> bool:
    """Whether this request may: of itself one that no proxy led here."""
    settings = config().settings
    return settings.may_edit_in_browser and bool(settings.edit_in_browser or came_directly(request))


def _file(name: str) -> File:
    """A file that holds; nothing else is ever opened. NotFound; Refused: not edited here."""
    found = next((file for file in _files() if str(file.path) == name), None)
    if found is None:
        raise NotFound(f"The configuration has no file {name}.")
    if found.why_not is not None:
        raise Refused(f"{name} cannot be edited here: it {found.why_not}.")
    return found


def _sent() -> Opened:
    file = _file(request.form.get("file", ""))
    text, digest = request.form.get("text"), request.form.get("digest", "")
    if text is None:
        raise Refused("Nothing was sent: `text` is missing.")
    return Opened(file.path, text.replace("\r\n", "\n"), digest, 0)


def _editor(
    opened: Opened, error: HutError | None = None, checked: Checked | None = None
) -> ResponseReturnValue:
    """The editor's page; what is wrong stands beside the text, which is not lost."""
    problems = error.problems if isinstance(error, Invalid) else [str(error)] if error else []
    lines = {int(n) for text in problems for n in LINE.findall(text)[:1]}
    page = render_template(
        "settings/file.html",
        opened=opened,
        count=opened.text.count("\n") + 1,
        problems=problems,
        bad=lines,
        checked=checked,
        former=FORMER,
        several=len(_files()) > 1,
        is_shut=error is not None and not opened.digest,
    )
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 200)
    return page, status


def _resolved() -> tuple[Resolved, Invalid | None]:
    """What holds, with its origins; where the files cannot be used, what was read before."""
    here = live()
    if here.where is not None:
        try:
            return resolve(here.where, here.environment), here.problem
        except Invalid as error:
            return Resolved(config(), (), {}, ""), error
    return Resolved(config(), (), {}, ""), None


def _files() -> list[File]:
    here = live()
    paths = here.where.files() if here.where else ()
    return [File(path, why_not(path)) for path in paths]


def _sections(found: Resolved) -> list[Section]:
    here = live()
    held = Resolved(config(), found.files, found.origins, found.digest, found.data)
    now = {one.place: _said(one.value) for one in shown.values(held)}
    by_name: dict[str, list[Row]] = {name: [] for name in (*SECTIONS, *LATER)}
    for one in shown.values(found):
        row = Row(one.place, _said(one.value), one.origin.replace(f"{Path.home()}/", "~/", 1))
        setting = one.place.removeprefix("settings.")
        if setting != one.place and setting in here.overridden:
            row = replace(row, value=now[one.place], origin=COMMAND_LINE)
        elif setting in FIXED and now.get(one.place) != row.value:
            row = replace(row, late=now.get(one.place, ""))
        by_name.setdefault(re.split(r"[.\[]", one.place)[0], []).append(row)
    return list(_filled(by_name))


def _filled(by_name: Mapping[str, Sequence[Row]]) -> Iterator[Section]:
    for name, rows in by_name.items():
        said = [row for row in rows if not row.is_default]
        if rows:
            yield Section(name, said, [row for row in rows if row.is_default])


def _said(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or value in ([], {}) else str(value)
