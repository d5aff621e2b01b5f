"""The disks as JSON: what was found, looks that are asked for, deletions that are ordered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from scripthut.clock import utcnow
from scripthut.core.disk import Class, Shown
from scripthut.core.errors import Invalid
from scripthut.store.keeping import retention
from scripthut.store.machines import backends, disk, disk_own, surveys
from scripthut.store.machines.disk import Chosen
from scripthut.store.models import DiskRemoval
from scripthut.store.outputs import shown_path
from scripthut.web.backends.disk import order_removal, order_scan, parts
from scripthut.web.extensions import config
from scripthut.web.filters import iso
from scripthut.web.starts import asked_for

bp = Blueprint("disk_api", __name__, url_prefix="/api/v1")
LARGEST = 100  # runs of the server's own side
AT_ONCE = 200  # deletions that one transaction orders
Item = TypeVar("Item", str, int)
CHOICES = ("paths", "things", "all_orphaned")
KNOWN = ("backend", "scan", *CHOICES, "allow_referenced", "dry_run")


@dataclass(frozen=True)
class Choice:
    """What a request means. `paths` and `things` None: not chosen by these."""

    paths: frozenset[str] | None
    things: Chosen | None
    allowed: bool | frozenset[str]  # of what runs refer to: all, or these paths
    is_dry: bool

    def means(self, one: Shown) -> bool:
        """Whether something is chosen; all that is orphaned, where nothing is named."""
        if self.things is not None:
            return one.id in self.things.ids
        if self.paths is not None:
            return _path(one) in self.paths
        return one.verdict.whose is Class.ORPHANED

    def allows(self, one: Shown) -> bool:
        """Whether something may go although runs refer to it."""
        if one.verdict.whose is not Class.REFERENCED:
            return True
        return self.allowed if isinstance(self.allowed, bool) else _path(one) in self.allowed


@bp.get("/disk")
def index() -> ResponseReturnValue:
    """Give what is known of every backend's disk, or of `backend`'s, and of the server's own."""
    just = request.args.get("backend") or None
    return {
        "backends": {part.name: _backend(part.name) for part in parts(just)},
        "server": {
            "database": disk_own.database_bytes(g.session),
            "kept": retention.held(g.session).bytes,
            "keep_days": config().settings.outputs.keep_days,
            "keep_bytes": config().settings.outputs.keep_bytes,
            "runs": [
                {"run_id": run.run_id, "name": run.name, "bytes": run.bytes}
                for run in disk_own.by_run(g.session, LARGEST)
            ],
        },
    }


@bp.post("/disk/scan")
def scan() -> ResponseReturnValue:
    """Ask for a look at the disk of `backend`; `status`: started, or already_running."""
    name = _name(asked_for(is_optional=True) | request.args.to_dict())
    is_new = order_scan(name)
    return {"backend": name, "status": "started" if is_new else "already_running"}, 202


@bp.post("/disk/clean")
def clean() -> ResponseReturnValue:
    """Order deletions on `backend`: of `paths`, of a `scan`'s `things`, or `all_orphaned`.

    What runs of this server refer to goes when `allow_referenced` is true, or names its path.
    `dry_run` orders nothing, and says what would go.
    """
    given = asked_for()
    name, choice = _name(given), _choice(given)
    last = disk.state(g.session, name).last
    scan_id = last.id if last else ""
    found = disk.shown(g.session, name, utcnow(), choice.things)
    chosen = [one for one in found if choice.means(one)]
    goes = [one for one in chosen if one.may_go and choice.allows(one)]
    stays = [{**_thing(one), "why": _why(one)} for one in chosen if one not in goes]
    disk.check_fresh(g.session, name, goes, utcnow())
    if choice.is_dry:
        plan = {"delete": [_thing(one) for one in goes], "skip": stays}
        return {
            "backend": name,
            "dry_run": True,
            "scan": scan_id,
            "plan": plan,
            "bytes": _bytes(goes),
        }
    ordered: list[Shown] = []
    for at in range(0, len(goes), AT_ONCE):
        ids = [one.id for one in goes[at : at + AT_ONCE]]
        some = order_removal(name, Chosen(scan_id, ids))
        ordered += some.going
        stays += [{**_thing(one), "why": why} for one, why in some.staying]
    planned = {"delete": len(ordered), "skip": len(stays), "bytes": _bytes(ordered)}
    return {"backend": name, "status": "started", "planned": planned, "skipped": stays}, 202


def _name(given: Mapping[str, object]) -> str:
    name = given.get("backend")
    if not isinstance(name, str) or not name:
        raise Invalid("The request", ["backend: name one"])
    parts(name)
    return name


def _choice(given: Mapping[str, object]) -> Choice:
    """What a request means to delete. Invalid when any of it is not understood: nothing goes."""
    problems = [f"{key}: is not one of {', '.join(KNOWN)}" for key in given if key not in KNOWN]
    if sum(key in given for key in CHOICES) != 1:
        problems.append(f"name one of {', '.join(CHOICES)}: what is to go")
    paths = _listed(given, "paths", str, problems)
    ids, scan = _listed(given, "things", int, problems), given.get("scan")
    if ("scan" in given) != ("things" in given) or not isinstance(scan, str | None):
        problems.append("scan: is not the id of the scan whose things are named, and only then")
    if given.get("all_orphaned", True) is not True:
        problems.append("all_orphaned: is not true")
    allowed: bool | frozenset[str] | None
    if isinstance(given.get("allow_referenced"), list):
        allowed = _listed(given, "allow_referenced", str, problems)
    else:
        allowed = _flag(given, "allow_referenced", problems)
    is_dry = _flag(given, "dry_run", problems)
    if problems:
        raise Invalid("The request", problems)
    things = None if ids is None else Chosen(str(scan), ids)
    return Choice(paths, things, allowed or False, is_dry)


def _listed(
    given: Mapping[str, object], key: str, kind: type[Item], problems: list[str]
) -> frozenset[Item] | None:
    """A list of a request, all of one type; None: it is not there."""
    if key not in given:
        return None
    found = given[key]
    if isinstance(found, list) and all(type(one) is kind for one in found):
        return frozenset(found)
    problems.append(f"{key}: is not a list of {'texts' if kind is str else 'numbers'}")
    return None


def _flag(given: Mapping[str, object], key: str, problems: list[str]) -> bool:
    found = given.get(key, False)
    if isinstance(found, bool):
        return found
    problems.append(f"{key}: is neither true nor false")
    return False


def _why(one: Shown) -> str:
    if one.is_leaving:
        return "Its deletion is ordered."
    return one.verdict.why or "Runs of this server refer to it: allow_referenced lets it go."


def _bytes(things: list[Shown]) -> int:
    return sum(one.thing.size or 0 for one in things)


def _backend(name: str) -> dict[str, object]:
    state = disk.state(g.session, name)
    going, last = state.going, state.last
    result = None
    if last is not None and last.ended_at is not None:
        result = {
            "scan": last.id,
            "scanned_at": iso(last.ended_at),
            "note": last.note,
            "things": [_thing(one) for one in disk.shown(g.session, name, utcnow())],
        }
    facts = surveys.known(g.session, name).facts
    disks = [
        {"path": d.path, "free": d.free, "total": d.most, "quota": d.is_quota} for d in facts.disks
    ]
    measured = {"done": disk.found(g.session, going.id), "total": going.total} if going else None
    return {
        "message": _silence(name),
        "scanning": going is not None,
        "progress": measured,
        "cleaning": bool(state.leaving),
        "leaving": [_removal(row) for row in state.leaving],
        "disks": disks,
        "result": result,
        "last_cleanup": [_removal(row) for row in state.ended],
    }


def _silence(name: str) -> str | None:
    """Why a backend does not answer, as a sentence; null while it does."""
    rows = [row for row in backends.every(g.session) if row.name == name and row.failing_since]
    return rows[0].message if rows else None


def _path(one: Shown) -> str:
    name = shown_path(one.thing.name)
    return f"{one.thing.root}/{name}" + (f":{one.thing.run_id}" if one.thing.run_id else "")


def _thing(one: Shown) -> dict[str, object]:
    thing, verdict = one.thing, one.verdict
    return {
        "id": one.id,
        "path": _path(one),
        "kind": thing.kind.value,
        "class": verdict.whose.value,
        "run_id": thing.run_id,
        "runs": [user.run_id for user in verdict.users],
        "size": thing.size,
        "whole": thing.is_whole,
        "files": thing.files,
        "modified_at": iso(thing.touched_at) if thing.touched_at else None,
        "may_go": one.may_go,
        "stays": verdict.why,
    }


def _removal(row: DiskRemoval) -> dict[str, object]:
    path = f"{row.root}/{shown_path(row.name)}" + (f":{row.run}" if row.run else "")
    return {
        "path": path,
        "kind": row.kind,
        "asked_at": iso(row.asked_at),
        "ended_at": iso(row.ended_at) if row.ended_at else None,
        "deleted": row.is_gone,
        "freed": row.freed,
        "problem": row.problem,
    }
