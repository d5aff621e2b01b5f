"""A cluster: a scheduler's dialect and a transport to its login node, together a backend."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import PurePosixPath

from scripthut.backends import disk, facts, node, node_work
from scripthut.backends.accounts import Asked, Open, unanswered
from scripthut.backends.asking import Node, Ring
from scripthut.backends.match import choose
from scripthut.backends.measuring import Measuring, submitted_since
from scripthut.backends.remains import Remains
from scripthut.backends.sights import Asking
from scripthut.backends.submitting import BATCH_SECONDS, Submissions, preview
from scripthut.backends.turns import Turns
from scripthut.clock import utcnow
from scripthut.core.disk import Told, Wanted
from scripthut.core.errors import Unreachable
from scripthut.core.folders import Folder, Placed
from scripthut.core.jobs import (
    Accepted,
    Got,
    Job,
    Observation,
    OutputLimits,
    Phase,
    Piece,
    Rejected,
    RemoteFile,
    Sighting,
    Token,
    Unreadable,
    Watch,
)
from scripthut.core.survey import Facts, Surveyed, Wish
from scripthut.schedulers.base import Dialect, Row
from scripthut.transports.base import Transport

QUEUE_SECONDS = 25  # Slurm's own limit for a controller that hangs is 10
ACCOUNTING_SECONDS = 20  # sacct has none of its own
GLANCE_SECONDS = 3  # for the accounting, when no ending depends on it
GLANCE_PAUSE = 600.0  # accounting that did not answer is not asked so for so long
OBSERVE_SECONDS = 90  # for all of a look, listings included
LATE = 120.0  # a job in an array, absent for so long and unclaimed, may have been taken out of it
UNHEARD = 30.0  # a job without an id, absent for so long, is looked for in the accounting
PAUSE = 30.0  # accounting that did not answer is left alone for so long
NO_ACCOUNTING = 600.0  # "there is none" is believed for so long


class ClusterBackend:
    """Jobs of one scheduler behind one login node. One thread at a time."""

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        transport: Transport,
        limits: OutputLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now`: seconds that only ever grow."""
        self._name = name
        self._dialect = dialect
        self.ring = Ring()
        self._node = Node(transport, self.ring)
        self._limits = limits or OutputLimits()
        self._now = now
        self._submissions = Submissions(self._node, now)
        self.clones: str | None = None  # where directories of commits are, or will be
        self._turns = Turns()
        self._queued: dict[Token, frozenset[str]] = {}  # ids in the queue, when last looked
        self._absent_since: dict[Token, float] = {}  # jobs without an id
        self._unclaimed_since: dict[Token, float] = {}  # of which nothing says what became
        self._remains = Remains()
        self._accounting_pause: tuple[float, str | None] = (0.0, None)
        self._glance_from = 0.0
        self._measuring = Measuring(now)
        self._asking = Asking(now)

    @property
    def name(self) -> str:
        """The backend's name in the configuration."""
        return self._name

    @property
    def commands(self) -> int:
        """Commands run on the login node since the start."""
        return self._node.commands

    @property
    def makes_arrays(self) -> bool:
        """See backends/base.py."""
        return self._dialect.arrays is not None and self._submissions.may_make_arrays

    def home(self) -> PurePosixPath:
        """The home directory on the cluster."""
        return self._node.home

    def close(self) -> None:
        """Give the connection up."""
        self._node.close()

    def _meet(self) -> None:
        """Let the scheduler say of what kind it is, once."""
        argv = self._dialect.introduction()
        if argv:
            command = {"key": "kind", "argv": argv, "timeout": QUEUE_SECONDS}
            told = self._node.ask({"commands": [command]}, OBSERVE_SECONDS)
            self._dialect = self._dialect.introduced(node.understand(told).ran["kind"])

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        """See backends/base.py. One command for up to 200 submissions; an array is one."""
        self._meet()
        answers = self._submissions.submit(self._dialect, jobs)
        for token, answer in answers.items():
            if isinstance(answer, Accepted):
                self._queued[token] = frozenset({answer.job_id})
        return answers

    def observe(self, watches: Sequence[Watch]) -> Observation:
        """See backends/base.py. One command; a second when jobs are in neither queue nor notes."""
        return self.survey(watches, Wish())[0]

    def survey(self, watches: Sequence[Watch], wish: Wish) -> tuple[Observation, Surveyed]:
        """See backends/base.py."""
        if not watches and not wish:
            return Observation(), Surveyed()
        self._meet()
        live = [watch.job for watch in watches if watch.live]
        told = self._node.ask(self._look(watches, live, wish), OBSERVE_SECONDS)
        seen = node.understand(told)
        for job in live:
            if job.token in seen.notes and seen.notes[job.token].ended_at == job.void_note:
                del seen.notes[job.token]
        rows = self._dialect.parse_queue(seen.ran["queue"], self._node.user) if live else []
        sightings = self._match(live, rows, seen.claims)
        self._remains.keep_back(sightings, seen)
        self._remember(live, rows, sightings, seen)
        asked = self._account(live, sightings, seen)
        found = {**asked.sightings, **sightings}
        unread = {token for token in seen.unread if token not in found}
        why = next((f"The state of jobs cannot be read: {w}" for w in seen.unread.values()), None)
        observation = Observation(
            sightings=found,
            notes=seen.notes,
            claims=seen.claims,
            withdrawn=frozenset(seen.withdrawn),
            listings=seen.listings,
            contents=seen.contents,
            logs=seen.logs,
            progress=seen.progress,
            later=frozenset(seen.later),
            pieces=seen.pieces,
            used=self._measuring.read(self._dialect, watches, seen.ran),
            unanswered=asked.unanswered | frozenset(unread),
            unaccounted=asked.unaccounted,
            notice=why or asked.notice,
        )
        return observation, self._surveyed(seen, wish)

    def read_pieces(self, pieces: Sequence[Piece]) -> Mapping[int, Got]:
        """See backends/base.py."""
        if not pieces:
            return {}
        told = self._node.ask({"pieces": node.pieces(pieces)}, BATCH_SECONDS)
        return node.understand(told).pieces

    def _look(self, watches: Sequence[Watch], live: Sequence[Job], wish: Wish) -> node.Record:
        turned = self._turns.next(watches)
        commands: list[node.Record] = []
        if live or wish.queue:
            queue = self._dialect.queue(self._node.user)
            commands = [{"key": "queue", "argv": queue, "timeout": QUEUE_SECONDS, "needed": True}]
        if wish.facts:
            asked = {
                **self._dialect.facts(self._node.user),
                **facts.commands(self._node.home, self.clones),
            }
            commands += [
                {"key": f"facts {key}", "argv": argv, "timeout": facts.SECONDS}
                for key, argv in asked.items()
            ]
        commands += self._asking.commands(self._dialect.sights, self._node.user, wish, utcnow())
        commands += self._measuring.commands(self._dialect, watches)
        return {
            "commands": commands,
            "states": node.states(live),
            "outputs": node.outputs(turned),
            "limits": node.limits(self._limits),
            "logs": node.logs(turned),
            "pieces": node.pieces(wish.pieces),
        }

    def _surveyed(self, seen: node.Seen, wish: Wish) -> Surveyed:
        queue = None
        if wish.queue:
            queue = self._dialect.list_queue(seen.ran["queue"], self._node.user)
        sights, user = self._dialect.sights, self._node.user
        crowd, ended = self._asking.read(sights, user, wish, seen.ran, utcnow())
        if not wish.facts:
            return Surveyed(queue, None, crowd, ended)
        answers = {
            key.removeprefix("facts "): answer
            for key, answer in seen.ran.items()
            if key.startswith("facts ")
        }
        self._dialect = self._dialect.informed(answers)
        try:
            told = self._dialect.parse_facts(answers)
        except Unreachable as error:
            told = Facts(problems=(str(error),))
        return Surveyed(queue, replace(told, disks=facts.disks(answers)), crowd, ended)

    @staticmethod
    def _match(
        jobs: Sequence[Job], rows: Sequence[Row], claims: Mapping[Token, str]
    ) -> dict[Token, Sighting]:
        by_token: dict[Token, list[Row]] = {}
        for row in rows:
            for token in row.tokens:
                by_token.setdefault(token, []).append(row)
        chosen = {
            job.token: choose(job, by_token.get(job.token, []), claims.get(job.token))
            for job in jobs
        }
        return {token: row.sighting for token, row in chosen.items() if row is not None}

    def _remember(
        self,
        live: Sequence[Job],
        rows: Sequence[Row],
        sightings: Mapping[Token, Sighting],
        seen: node.Seen,
    ) -> None:
        """Which ids may be cancelled, and since when jobs without an id have been absent."""
        ids: dict[Token, set[str]] = {job.token: set() for job in live}
        for row in rows:
            if row.sighting.phase in (Phase.WAITING, Phase.RUNNING):
                for token in row.tokens & ids.keys():
                    ids[token].add(row.sighting.job_id)
        self._queued = {token: frozenset(some) for token, some in ids.items()}
        now = self._now()
        unheard = {j.token for j in live if j.job_id is None and j.token not in seen.claims}
        self._absent_since = {
            token: self._absent_since.get(token, now) for token in unheard - sightings.keys()
        }

    def _account(
        self, live: Sequence[Job], sightings: Mapping[Token, Sighting], seen: node.Seen
    ) -> Asked:
        """Ask the accounting about what queue and notes leave open."""
        now = self._now()
        absent = {t for t, since in self._absent_since.items() if now - since >= UNHEARD}
        open_ = Open.of([job for job in live if job.token not in sightings], seen, absent)
        if not self._dialect.has_accounts or now < self._glance_from:
            open_.noted.clear()
        self._unclaimed_since = {t: self._unclaimed_since.get(t, now) for t in open_.unclaimed}
        until, why = self._accounting_pause
        if now < until:
            return unanswered(open_.needed, why) if why and open_.needed else Asked()
        return self._ask_accounting(open_, seen.claims) if open_ else Asked()

    def _ask_accounting(self, open_: Open, claims: Mapping[Token, str]) -> Asked:
        jobs = open_.jobs
        ids = {token: job_id for token, (_, job_id) in (open_.named | open_.noted).items()}
        user = self._node.user
        argvs = self._dialect.accounting(
            user, set(ids.values()), open_.unnamed, submitted_since(jobs)
        )
        if not argvs:
            return Asked()  # this scheduler has nobody to ask
        seconds = ACCOUNTING_SECONDS if open_.needed else GLANCE_SECONDS
        gone = self._gone(ids)
        arrays = self._dialect.arrays
        rolls = arrays.roll(gone, submitted_since(jobs)) if arrays and gone else []
        commands = [
            {"key": f"{what} {n}", "argv": argv, "timeout": seconds}
            for what, asked in (("accounting", argvs), ("roll", rolls))
            for n, argv in enumerate(asked)
        ]
        told = self._node.ask({"commands": commands}, OBSERVE_SECONDS)
        rows: list[Row] = []
        why: str | None = None
        has_accounts = True
        for key, answer in node.understand(told).ran.items():
            try:
                if arrays and key.startswith("roll"):
                    rows += arrays.never_began(answer, gone)
                    continue
                found = self._dialect.parse_accounting(answer)
            except Unreachable as error:
                why = f"{error} (endings that only it knows of wait)"
                self._accounting_pause = (self._now() + PAUSE, why)
                self._glance_from = self._now() + GLANCE_PAUSE
                continue
            if found is None:
                self._accounting_pause = (self._now() + NO_ACCOUNTING, None)
                has_accounts = False
            rows += found or []
        sightings = self._match(jobs, rows, {**ids, **claims})
        if why is None:
            unheard = open_.noted.keys() - sightings.keys() if has_accounts else ()
            return Asked(sightings, unaccounted=frozenset(unheard))
        rest = unanswered([job for job in open_.needed if job.token not in sightings], why)
        return Asked(sightings, rest.unanswered, notice=why if open_.needed else None)

    def _gone(self, ids: Mapping[Token, str]) -> set[str]:
        """The ids of jobs of which for long nothing was seen, not even that they began."""
        now = self._now()
        return {ids[t] for t, since in self._unclaimed_since.items() if now - since >= LATE}

    def cancel(self, jobs: Collection[Job]) -> None:
        """See backends/base.py. Only ids that the queue showed with our token are named.

        The tokens are withdrawn first: what the scheduler takes later, or what it could not be
        told to end, runs nothing.
        """
        self._meet()
        withdrawals: node.Record = {"withdrawals": node.states(jobs)}
        if any(job.token not in self._queued for job in jobs):
            watches = [Watch(job, list_outputs=False) for job in jobs]
            look = self._look(watches, [w.job for w in watches], Wish())
            told = self._node.ask({**look, **withdrawals}, OBSERVE_SECONDS)
            queue = node.understand(told).ran["queue"]
            rows = self._dialect.parse_queue(queue, self._node.user)
            ours = {job.token for job in jobs}
            ids = {row.sighting.job_id for row in rows if row.tokens & ours and _is_live(row)}
        else:
            ids = {job_id for job in jobs for job_id in self._queued[job.token]}
        self._cancel(ids, withdrawals)

    def cancel_listed(self, ids: Collection[str]) -> None:
        """See backends/base.py. One command for all of them."""
        if ids:
            self._meet()
            self._cancel(ids, {})

    def _cancel(self, ids: Collection[str], withdrawals: node.Record) -> None:
        command = {"key": "cancel", "argv": self._dialect.cancel(ids), "timeout": QUEUE_SECONDS}
        request = {**withdrawals, "commands": [command] if ids else []}
        told = self._node.ask(request, OBSERVE_SECONDS)
        if ids:
            self._dialect.parse_cancel(node.understand(told).ran["cancel"])

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        """See backends/base.py. One command for every 32 MiB."""
        most = self._limits.file_bytes
        for part in node.wanted(files, most):
            told = self._node.ask(node.fetching(part, most), BATCH_SECONDS)
            yield from node.fetched(part, told)

    def preview(self, job: Job) -> str:
        """See backends/base.py."""
        return preview(self._dialect, job)

    def read(self, paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        """See backends/base.py."""
        told = self._node.ask(node_work.reading(paths, most), node_work.READ_SECONDS)
        return node_work.texts(told)

    def find(self, root: str, glob: str, besides: Sequence[str] = ()) -> node_work.Found:
        """See backends/base.py."""
        request = node_work.finding(root, glob, besides)
        return node_work.found(self._node.ask(request, node_work.FIND_SECONDS))

    def place(self, folder: Folder, offset: int = 0, data: bytes = b"") -> Placed:
        """See backends/base.py."""
        request = node_work.placing(folder, offset, data)
        return node_work.placed(self._node.ask(request, node_work.PLACE_SECONDS))

    def drop(self, folders: Sequence[Folder], idle: timedelta) -> list[str | None]:
        """See backends/base.py."""
        request = node_work.dropping(folders, idle)
        return node_work.dropped(folders, self._node.ask(request, node_work.PLACE_SECONDS))

    def hold(self, folders: Sequence[Folder], notes: Sequence[PurePosixPath] = ()) -> None:
        """See backends/base.py."""
        self._node.ask(node_work.holding(folders, notes), node_work.PLACE_SECONDS)

    def disk(self, wanted: Wanted) -> Told:
        """See backends/base.py."""
        request = disk.asking(wanted, self.home())
        return disk.told(wanted, self._node.ask(request, disk.SECONDS))


def _is_live(row: Row) -> bool:
    return row.sighting.phase in (Phase.WAITING, Phase.RUNNING)
