"""The simulated cluster's two faces: a machine that answers, and a scheduler's language."""

import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from scripthut.backends.sent.program import PROGRAM
from scripthut.core import tokens
from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Accepted, Answer, Job, Phase, Rejected, Sighting, Used
from scripthut.core.survey import Facts, Queue
from scripthut.schedulers.base import Arrays, Row, Sights
from scripthut.schedulers.slurm_sights import SlurmSights
from scripthut.schedulers.slurm_text import FIELD, never_began
from scripthut.schedulers.slurm_words import NO_ACCOUNTING
from tests.simulation.cluster import EPOCH, MINUTE, Lie, SimCluster

LOST = "the connection was cut"
FULL = 75  # the exit code of a submission that is not taken for now


class Machine:
    """A login node. `moment` is called wherever the server may be killed or may sleep."""

    home = PurePosixPath("/home/ada")
    user = "ada"

    def __init__(
        self,
        cluster: SimCluster,
        moment: Callable[[], None],
        submitted: Callable[[str], None],
    ) -> None:
        self.cluster = cluster
        self.commands = 0
        self._moment = moment
        self._submitted = submitted

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 0
    ) -> Answer:
        cluster = self.cluster
        self.commands += 1
        self._moment()
        cluster.pass_time(cluster.pause(0.1, 2))
        if cluster.now < cluster.down_until or cluster.lies_by(Lie.UNHEARD, 0.15):
            raise Unreachable(LOST)
        told = self._answer(json.loads(stdin[len(PROGRAM) :]))
        if cluster.lies_by(Lie.LOST, 0.15):
            raise Unreachable(LOST)
        self._moment()
        told.append({"end": len(told)})
        said = "\n".join("@scripthut " + json.dumps(one) for one in told)
        if cluster.lies_by(Lie.CUT, 0.15):
            said = said[: cluster.chance.choice([0, cluster.chance.randrange(len(said))])]
        return Answer(0, said, "")

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for group in request.get("withdrawals", []):
            for token in group["tokens"]:
                self.cluster.withdraw(token)
        for job in request.get("submits", []):
            told.append(self._submit(job))
        for command in request.get("commands", []):
            told.append({"ran": command["key"], **self._command(command["argv"])})
            if self.cluster.lies_by(Lie.BETWEEN, 0.5):
                self.cluster.pass_time(self.cluster.pause(0, 60))
        for group in request.get("states", []):
            told += self._files(group["tokens"])
        for group in request.get("outputs", []):
            told += [_listing(job[0]) for job in group["jobs"] if job[3] is None]
        return told

    def _submit(self, job: dict[str, Any]) -> dict[str, Any]:
        cluster, token, argv = self.cluster, job["token"], job["argv"]
        if cluster.lies_by(Lie.BROKEN, 0.2):
            raise Unreachable(LOST)
        self._moment()
        if not cluster.has_room(len(tokens.indices(argv[2])) if len(argv) > 2 else 1):
            return {"submitted": token, **_said("", FULL)}
        if cluster.lies_by(Lie.LATE, 0.4):
            cluster.after(cluster.pause(1, 10 * MINUTE), lambda: self._take(argv))
            return {"submitted": token, **_said("", -1)}
        answer = self._take(argv)
        if cluster.lies_by(Lie.TWICE, 0.3):
            cluster.after(cluster.pause(0, 5 * MINUTE), lambda: self._take(argv))
        self._moment()
        return {"submitted": token, **_said(answer)}

    def _take(self, argv: Sequence[str]) -> str:
        """Take a job, or an array of the name and the indices that it is given."""
        _, token, *given = argv
        indices = tokens.indices(given[0]) if given else None
        for index in [None] if indices is None else indices:
            self._submitted(token if index is None else str(tokens.element(token, index)))
        return self.cluster.take(token, indices)

    def _command(self, argv: Sequence[str]) -> dict[str, Any]:
        match argv:
            case ["queue"]:
                return _said(json.dumps(self.cluster.queue()))
            case ["cancel", *ids]:
                self.cluster.cancel(ids)
                return _said("")
            case ["accounting", asked]:
                return self._accounting(asked)
            case ["roll", *numbers]:
                return self._roll(numbers)
            case ["limit"]:
                return _said(str(self.cluster.array_limit))
        return _said("", 127)

    def _accounting(self, asked: str) -> dict[str, Any]:
        accounting = self.cluster.answers_accounting
        if not accounting["has"]:
            return _said("", 2)
        if not accounting["is"]:
            return _said("", 1)
        ids, tokens = json.loads(asked)
        return _said(json.dumps(self.cluster.accounting(ids, tokens)))

    def _roll(self, numbers: Collection[str]) -> dict[str, Any]:
        accounting = self.cluster.answers_accounting
        if not accounting["is"] or not accounting["has"]:
            return _said("", 1, "" if accounting["has"] else NO_ACCOUNTING[0])
        told = self.cluster.roll(numbers)
        return _said("".join(f"{a}{FIELD}study {name}{FIELD}\n" for a, name in told))

    def _files(self, tokens: Collection[str]) -> list[dict[str, Any]]:
        claims = ((token, self.cluster.claim(token)) for token in tokens)
        notes = ((token, self.cluster.note(token)) for token in tokens)
        told: list[dict[str, Any]] = [{"claim": t, "text": c} for t, c in claims if c]
        return told + [{"note": t, "text": n} for t, n in notes if n]


def _said(out: str, code: int = 0, err: str = "") -> dict[str, Any]:
    told, complained = (base64.b64encode(text.encode()).decode() for text in (out, err))
    return {"code": code, "out": told, "err": complained}


def _listing(token: str) -> dict[str, Any]:
    return {"listing": token, "mark": "m", "files": [], "more": 0, "gone": False, "problem": None}


class Language:
    """What the simulated scheduler is asked, and what its text means."""

    login_shell = False
    has_accounts = True

    def introduction(self) -> list[str]:
        return []

    def roll(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        numbers = sorted({job_id.partition("_")[0] for job_id in ids if "_" in job_id})
        return [["roll", *numbers]] if numbers else []

    def never_began(self, answer: Answer, ids: Collection[str]) -> list[Row]:
        return never_began(answer, ids)

    @property
    def arrays(self) -> Arrays:
        """Of any indices, as Slurm's."""
        return self

    def array_question(self) -> list[str]:
        return ["limit"]

    def array_limit(self, answer: Answer) -> int:
        if not answer.out:
            raise Unreachable("the limit was not told")
        return int(answer.out)

    def array_directives(self, jobs: Mapping[int, Job]) -> list[str]:
        return []

    def element_lines(self) -> list[str]:
        return []

    def submit_array(self, jobs: Mapping[int, Job]) -> list[str]:
        first = next(iter(jobs.values()))
        return ["submit", tokens.place(first.token)[0], tokens.ranges(jobs)]

    def element_id(self, array_id: str, index: int) -> str:
        return f"{array_id}_{index}"

    def introduced(self, answer: Answer) -> "Language":
        return self

    def directives(self, job: Job) -> list[str]:
        return []

    def script_file(self, job: Job) -> PurePosixPath | None:
        return None

    def submit(self, job: Job) -> list[str]:
        return ["submit", job.token]

    def parse_submit(self, answer: Answer) -> Accepted | Rejected | None:
        if answer.code == FULL:
            return Rejected("it takes no more for now", wait=True)
        return Accepted(answer.out) if answer.code == 0 else None

    def queue(self, user: str) -> list[str]:
        return ["queue"]

    def parse_queue(self, answer: Answer, user: str) -> list[Row]:
        return [one for row in json.loads(answer.out) for one in _rows(row)]

    def list_queue(self, answer: Answer, user: str) -> Queue:
        return Queue()

    @property
    def sights(self) -> Sights:
        """Slurm's, of which nothing is asked: nobody looks."""
        return SlurmSights()

    def facts(self, user: str) -> Mapping[str, list[str]]:
        return {}

    def parse_facts(self, answers: Mapping[str, Answer]) -> Facts:
        return Facts()

    def informed(self, answers: Mapping[str, Answer]) -> "Language":
        return self

    def accounting(
        self, user: str, ids: Collection[str], jobs: Sequence[Job], since: datetime
    ) -> list[list[str]]:
        names = [job.token for job in jobs]
        names += [tokens.place(job.token)[0] for job in jobs if job.array]
        return [["accounting", json.dumps([sorted(ids), sorted(set(names))])]]

    def parse_accounting(self, answer: Answer) -> list[Row] | None:
        if answer.code == 1:
            raise Unreachable("accounting does not answer")
        if answer.code != 0:
            return None
        return [one for row in json.loads(answer.out) for one in _rows(row)]

    def measuring(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        return []

    def parse_measured(self, answer: Answer) -> Mapping[str, Used]:
        return {}

    def cancel(self, ids: Collection[str]) -> list[str]:
        return ["cancel", *sorted(ids)]

    def parse_cancel(self, answer: Answer) -> None:
        """It always takes the order."""


def _rows(said: dict[str, Any]) -> list[Row]:
    """A row as told; what of an array waits, as one for each element."""
    number, _, indices = said["id"].partition("_")
    if not indices:
        return [_row(said)]
    found = tokens.indices(indices.strip("[]"))
    elements = [(f"{number}_{index}", tokens.element(said["token"], index)) for index in found]
    return [_row({**said, "id": job_id, "token": token}) for job_id, token in elements]


def _row(said: dict[str, Any]) -> Row:
    sighting = Sighting(
        said["id"],
        Phase(said["phase"]),
        said["word"],
        exit_code=said["code"],
        started_at=_time(said["start"]),
        ended_at=_time(said["end"]),
        node="n1",
    )
    return Row(sighting, frozenset({said["token"]}), _time(said["queued"]))


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(EPOCH + seconds, UTC)
