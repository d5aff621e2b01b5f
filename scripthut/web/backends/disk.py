"""The disks: what scripthut holds on each backend and on the server, and what of it may go."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from scripthut.clock import utcnow
from scripthut.config import AnyBackend
from scripthut.core.disk import ORDERS, Class, Kind, Shown, ordered
from scripthut.core.errors import Conflict, NotFound, Refused
from scripthut.core.survey import Disk, Wish
from scripthut.core.units import size
from scripthut.ids import new_run_id
from scripthut.store.keeping import retention
from scripthut.store.lease import leader
from scripthut.store.machines import backends, disk, disk_own, surveys
from scripthut.store.machines.disk import Chosen, Ordered, State
from scripthut.store.models import BackendRow
from scripthut.store.outputs import shown_path
from scripthut.web.extensions import config, database
from scripthut.web.htmx import htmx
from scripthut.web.questions import Question, asked, done, some

bp = Blueprint("disk", __name__)

MOST = 200  # things that are shown of one kind, and that go at once
LARGEST = 20  # runs of the server's own side
HEADINGS: Mapping[Kind, tuple[str, str]] = {
    Kind.COMMIT: ("Commits", "Directories that hold a commit, in which runs work."),
    Kind.RUN: ("Runs", "Logs, outputs and notes of runs."),
    Kind.LEFTOVER: ("Leftovers", "Archives of commits, and what an interruption left."),
    Kind.OTHER: (
        "Other things",
        "A server's own data, or not of scripthut's making: never deleted.",
    ),
}


@dataclass(frozen=True)
class Look:
    """How the page is looked at, as its address says."""

    by: str
    classes: tuple[Class, ...]
    chosen: str  # a class whose things are marked; "": none

    def address(self, **changed: object) -> dict[str, object]:
        """What an address holds for this look, with something changed."""
        whole: dict[str, object] = {
            "by": self.by if self.by != "-size" else None,
            "class": [one.value for one in self.classes],
        }
        return {name: value for name, value in (whole | changed).items() if value}

    def sorting(self, key: str) -> dict[str, object]:
        """The address that sorts by a column; the other way round when it does so already."""
        first = key if key in ("name", "class") else f"-{key}"
        other = first.removeprefix("-") if first.startswith("-") else f"-{first}"
        return self.address(by=other if self.by == first else first)

    def direction(self, key: str) -> str:
        """How a column is sorted, as aria-sort says it."""
        if self.by.removeprefix("-") != key:
            return "none"
        return "descending" if self.by.startswith("-") else "ascending"

    def toggling(self, one: Class) -> dict[str, object]:
        """The address that shows a class too, or no longer alone."""
        left = [c.value for c in self.classes if c is not one]
        return self.address(**{"class": left if one in self.classes else [*left, one.value]})


@dataclass(frozen=True)
class Table:
    """The things of one kind."""

    kind: Kind
    heading: str
    about: str
    rows: Sequence[Shown]
    more: int  # that are not shown
    bytes: int  # of all of them


@dataclass(frozen=True)
class Card:
    """What is known of one backend's disk. `row` None: it was never asked."""

    backend: AnyBackend
    row: BackendRow | None
    disks: Sequence[Disk]
    state: State
    is_old: bool  # the look that is shown: what it found may be in use by now
    counts: Mapping[Class, tuple[int, int]]  # of all things: how many, how many bytes
    tables: Sequence[Table]
    found: int  # so far, of a look that goes on

    @property
    def mark(self) -> str:
        """Differs when what the tables show does."""
        last, state = self.state.last, self.state
        facts = (last and last.id, last and last.ended_at, [one.id for one in state.ended])
        return f"{crc32(repr(facts).encode()):08x}"

    @property
    def is_restless(self) -> bool:
        """Whether something goes on there."""
        return self.state.going is not None or bool(self.state.leaving)


@bp.get("/disk")
def index() -> str:
    """Show the disks of all backends, or of one, and the server's own."""
    return _page(request.args.get("backend") or None)


@bp.get("/disk/<name>")
def show(name: str) -> ResponseReturnValue:
    """Show one backend's part of the page."""
    if not htmx:
        return _page(name)
    (part,) = parts(name)
    look = _look()
    return render_template("disk/_card.html", card=_card(part, look), look=look)


def _page(just: str | None) -> str:
    look = _look()
    cards = [_card(part, look) for part in parts(just)]
    own = None if just else _own()
    return render_template(
        "disk/index.html", cards=cards, look=look, just=just, own=own, leader=leader(g.session)
    )


@bp.get("/disk/<name>/status")
def status(name: str) -> ResponseReturnValue:
    """Show how far a look and deletions are; `seen`: which tables the page has."""
    (part,) = parts(name)
    look = _look()
    seen = request.args.get("seen")
    return render_template("disk/_status.html", card=_card(part, look), look=look, seen=seen)


@bp.post("/disk/<name>/scan")
def scan(name: str) -> ResponseReturnValue:
    """Ask for a look at a backend's disk; answer with its part of the page."""
    (part,) = parts(name)
    order_scan(name)
    if not htmx:
        return redirect(url_for("disk.index"), 303)
    g.session.rollback()  # see what was written
    look = _look()
    return render_template("disk/_card.html", card=_card(part, look), look=look)


@bp.get("/disk/<name>/ask")
def ask(name: str) -> str:
    """Ask whether what was chosen is deleted: what goes, how much, and what stays."""
    parts(name)
    chosen = _chosen(request.args)
    found = disk.shown(g.session, name, utcnow(), chosen)
    goes = [one for one in found if one.may_go]
    stays = [
        f"{title(one)}: {one.verdict.why or 'It goes already.'}" for one in found if not one.may_go
    ]
    if not goes:
        raise Conflict(f"Nothing of this can be deleted on {name}. {' '.join(stays[:5])}")
    disk.check_fresh(g.session, name, goes, utcnow())
    said = [_of_bytes(goes)]
    if any(one.thing.kind is Kind.RUN and one.verdict.users for one in goes):
        said.append("What the server keeps of these runs can still be looked at; the rest is gone.")
    if any(one.verdict.whose is Class.ORPHANED for one in goes):
        said.append(
            "Orphaned means that this server knows no run of it. Another server that shares the "
            "account may: what was used within a day stays, and a commit's directory for 7 days."
        )
    said.append("This cannot be undone.")
    named = {"What goes": [f"{title(one)}, {_size(one)}" for one in goes]}
    number = some(len(goes), "thing")
    question = Question(
        title=f"Delete {number} on {name}?",
        said=tuple(said),
        yes=f"Delete {number}",
        action=url_for("disk.delete", name=name),
        back=url_for("disk.index"),
        no="Keep it" if len(goes) == 1 else "Keep them",
        ends=True,
        sent={"scan": chosen.scan_id, "things": ",".join(str(one.id) for one in goes)},
        named=named | ({"What stays": stays} if stays else {}),
    )
    return asked(question)


@bp.post("/disk/<name>/delete")
def delete(name: str) -> ResponseReturnValue:
    """Order the deletion of what was chosen, as far as it still may go."""
    found = order_removal(name, _chosen(request.form))
    if not htmx:
        return redirect(url_for("disk.index", backend=name), 303)
    stay = " ".join(f"{title(one)}: {why}" for one, why in found.staying)
    said = f"Deleting {some(len(found.going), 'thing')} on {name}"
    return done(f"{said}. {stay}" if stay else said, "")


def parts(name: str | None) -> list[AnyBackend]:
    """The backends of the configuration, or the one of that name. NotFound."""
    found = [part for part in config().backends if name in (None, part.name)]
    if not found:
        raise NotFound(f"There is no backend {name} in the configuration.")
    return found


def order_scan(name: str) -> bool:
    """Ask for a look; False: one goes on already."""
    with database().writing() as session:
        return disk.ask_scan(session, name, new_run_id(), utcnow())


def order_removal(name: str, chosen: Chosen) -> Ordered:
    """Order deletions; what may not go is judged in the same transaction."""
    parts(name)
    with database().writing() as session:
        return disk.ask_removal(session, name, chosen, new_run_id, utcnow())


def title(one: Shown) -> str:
    """What something is called."""
    thing = one.thing
    if thing.kind is Kind.RUN:
        return f"{thing.run_id} in {shown_path(thing.name)}"
    return shown_path(thing.name)


def _size(one: Shown) -> str:
    if one.thing.size is None:
        return "not measured"
    return size(one.thing.size) if one.thing.is_whole else f"at least {size(one.thing.size)}"


def _of_bytes(goes: Sequence[Shown]) -> str:
    count = sum(one.thing.size or 0 for one in goes)
    files = sum(one.thing.files for one in goes)
    least = "" if all(one.thing.is_whole for one in goes) else "At least "
    return f"{least}{size(count)} in {some(files, 'file')} will be deleted."


def _chosen(given: MultiDict[str, str]) -> Chosen:
    """The rows in a request, each once; Refused when there are none, or too many."""
    words = dict.fromkeys(word for words in given.getlist("things") for word in words.split(","))
    found = [int(word) for word in words if word.isdecimal() and len(word) < 10]
    if not found:
        raise Refused("Nothing is chosen: mark something in the tables.")
    if len(found) > MOST:
        raise Refused(f"{len(found)} things are chosen, and at most {MOST} go at once.")
    return Chosen(given.get("scan", ""), found)


def _look() -> Look:
    by = request.args.get("by", "-size")
    known = {one.value: one for one in Class}
    classes = dict.fromkeys(known[w] for w in request.args.getlist("class") if w in known)
    chosen = request.args.get("choose", "")
    is_known = by.removeprefix("-") in ORDERS
    return Look(by if is_known else "-size", tuple(classes), chosen if chosen in known else "")


def _card(part: AnyBackend, look: Look) -> Card:
    now = utcnow()
    surveys.look(database(), part.name, Wish(facts=True), now)
    rows = {row.name: row for row in backends.every(g.session)}
    found = disk.shown(g.session, part.name, now)
    counts = {
        whose: (len(own), sum(one.thing.size or 0 for one in own))
        for whose in Class
        if (own := [one for one in found if one.verdict.whose is whose])
    }
    wanted = [one for one in found if not look.classes or one.verdict.whose in look.classes]
    state = disk.state(g.session, part.name)
    return Card(
        part,
        rows.get(part.name),
        surveys.known(g.session, part.name).facts.disks,
        state,
        state.last is not None and disk.is_old(state.last, now),
        counts,
        [table for kind in Kind if (table := _table(kind, wanted, look)).rows],
        disk.found(g.session, state.going.id) if state.going else 0,
    )


def _table(kind: Kind, found: Sequence[Shown], look: Look) -> Table:
    own = [one for one in found if one.thing.kind is kind]
    rows = ordered(own, look.by)
    total = sum(one.thing.size or 0 for one in own)
    return Table(kind, *HEADINGS[kind], rows[:MOST], len(rows[MOST:]), total)


def _own() -> dict[str, object]:
    """The server's own side: its disk, its database, and what it keeps by run."""
    # With the database elsewhere, it is made when the first file is kept.
    place = config().data_dir
    whole = shutil.disk_usage(next(p for p in (place, *place.parents) if p.exists()))
    limits = config().settings.outputs
    return {
        "free": whole.free,
        "total": whole.total,
        "path": str(config().data_dir),
        "database": disk_own.database_bytes(g.session),
        "kept": retention.held(g.session).bytes,
        "days": limits.keep_days,
        "bytes": limits.keep_bytes,
        "runs": disk_own.by_run(g.session, LARGEST),
    }
