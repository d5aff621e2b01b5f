"""The seam to a scheduler's language: commands out, text in. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol

from scripthut.core.errors import Refused
from scripthut.core.jobs import Accepted, Answer, Job, Rejected, Sighting, Token, Used
from scripthut.core.queue import MOST, Queue
from scripthut.core.sights import Crowd, Ended
from scripthut.core.survey import Facts


@dataclass(frozen=True)
class Row:
    """A job as the queue or the accounting listed it.

    `tokens`: the words in its name and comment by which it may be ours. An ending in a row is
    final: rows that claim an end without a time for it are not handed out.
    """

    sighting: Sighting
    tokens: frozenset[Token]
    submitted_at: datetime | None = None


def check_extra(
    key: str,
    given: Sequence[str],
    refused: Collection[str],
    within: re.Pattern[str] | None = None,
) -> None:
    """Refuse words for a submission that are no options, or would lose the job.

    An option's value stands in the same word, so that no word can be taken for a script.
    `within`: what no word may begin with, for an option whose value has many parts.
    """
    for word in given:
        name = word.partition("=")[0]
        if len(word) < 2 or not word.startswith("-") or word == "--":
            raise Refused(
                f"task {key!r}: extra_args {word!r} is no option: write an option and its value as "
                'one word, like "--qos=high" or "-lplace=scatter"'
            )
        is_long = word.startswith("--")  # which may be written short: --arr
        is_within = within is not None and within.match(word) is not None
        if is_within or any(
            one.startswith(name) if is_long else word.startswith(one) for one in refused
        ):
            raise Refused(
                f"task {key!r}: extra_args {word!r} cannot be passed on: scripthut would not find "
                "the job again"
            )


@dataclass(frozen=True)
class Cut:
    """How a table of jobs is cut on the login node: some rows whole, the rest counted.

    `at`: which field is which: `user`, `partition`, `state`, `cpus`, `reason`, `indices` of an
    array, and `rank`: rows of the highest come first, and of those of the lowest `id`. `name`:
    the one field that blanks may be within.
    """

    fields: int  # of a row; what has others is no row
    at: Mapping[str, int]
    record: str = "\n"  # ends a row
    field: str | None = None  # between fields; None: blanks
    below: str = ""  # rows come after a line that begins so
    skips: tuple[str, ...] = ()  # states of jobs that are not told of
    runs: tuple[str, ...] = ()  # states of jobs that hold something; they are told first
    competes: tuple[str, ...] = ()  # reasons of jobs that wait for a place alone
    user: str = ""  # before whose first waiting job others are counted
    is_short: bool = False  # names of users may be cut to the width of their column
    most: int = MOST


@dataclass(frozen=True)
class Question:
    """A command, and how its output is cut before it travels; None: it is not."""

    argv: Sequence[str]
    cut: Cut | None = None


class Sights(Protocol):
    """What is asked for people alone: everybody's jobs, and the user's that ended lately.

    Nothing of it is ever evidence. What cannot be told is said in the `note`, never raised.
    """

    def crowd(self, user: str) -> Mapping[str, Question]:
        """What to ask about everybody's jobs, by key."""
        ...

    def parse_crowd(self, answers: Mapping[str, Answer], user: str) -> Crowd:
        """What was told of them."""
        ...

    def ended(self, user: str, since: datetime) -> Mapping[str, Question]:
        """What to ask about the user's jobs that ended since then, by key."""
        ...

    def parse_ended(self, answers: Mapping[str, Answer], user: str) -> Ended:
        """What was told of them."""
        ...


class Arrays(Protocol):
    """How a scheduler takes many jobs that are alike at once, as the elements of one array."""

    def array_question(self) -> list[str]:
        """A command that tells how large an array may be."""
        ...

    def array_limit(self, answer: Answer) -> int:
        """The first index that no array may have. Unreachable when nobody says."""
        ...

    def array_directives(self, jobs: Mapping[int, Job]) -> list[str]:
        """Lines for the head of an array's script."""
        ...

    def element_lines(self) -> list[str]:
        """Lines of the script that set `hut_index` and `hut_element`, the element's id."""
        ...

    def submit_array(self, jobs: Mapping[int, Job]) -> list[str]:
        """The command that takes the script of jobs by their indices; they are alike."""
        ...

    def element_id(self, array_id: str, index: int) -> str:
        """What the scheduler calls an element of an array that it accepted."""
        ...

    def roll(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        """Commands that tell which elements the arrays of these ids have records of."""
        ...

    def never_began(self, answer: Answer, ids: Collection[str]) -> list[Row]:
        """Those of these ids that were taken out of their array before they began, as endings.

        Unreachable when it was no answer. Nothing is said of an array that is not wholly told.
        """
        ...


class Dialect(Protocol):
    """How to speak to one scheduler. Commands are words, never a line for a shell."""

    @property
    def login_shell(self) -> bool: ...  # job scripts run in a login shell

    @property
    def arrays(self) -> Arrays | None: ...  # None: tasks are submitted one by one

    @property
    def sights(self) -> Sights: ...  # for people alone

    @property
    def has_accounts(self) -> bool: ...  # who has left the queue is remembered, unless switched off

    def introduction(self) -> list[str]:
        """A command that tells which kind of the scheduler this is; none when it is known."""
        ...

    def introduced(self, answer: Answer) -> "Dialect":
        """The dialect of the kind that answered. Unreachable when none did."""
        ...

    def directives(self, job: Job) -> list[str]:
        """Lines for the head of the job script."""
        ...

    def script_file(self, job: Job) -> PurePosixPath | None:
        """Where the submission looks for the script; None: on its standard input."""
        ...

    def submit(self, job: Job) -> list[str]:
        """The command that takes the job script."""
        ...

    def parse_submit(self, answer: Answer) -> Accepted | Rejected | None:
        """What became of a submission; None: nobody knows, it may have been taken."""
        ...

    def queue(self, user: str) -> list[str]:
        """The command that lists all of a user's jobs."""
        ...

    def parse_queue(self, answer: Answer, user: str) -> list[Row]:
        """The jobs of `user` in the queue. Unreachable when the scheduler did not answer.

        Rows are evidence, so a job of somebody else is none, whatever tokens it carries.
        """
        ...

    def list_queue(self, answer: Answer, user: str) -> Queue:
        """The same answer for people: all of `user`'s jobs, arrays and all. Unreachable alike."""
        ...

    def facts(self, user: str) -> Mapping[str, list[str]]:
        """Commands that tell what the cluster has and what the user may use, by key."""
        ...

    def parse_facts(self, answers: Mapping[str, Answer]) -> Facts:
        """What they told. Unreachable when the nodes were not told."""
        ...

    def informed(self, answers: Mapping[str, Answer]) -> "Dialect":
        """The dialect of a cluster that told this of itself: it may say more of waiting jobs."""
        ...

    def accounting(
        self, user: str, ids: Collection[str], jobs: Sequence[Job], since: datetime
    ) -> list[list[str]]:
        """Commands that look for jobs by id, and for `jobs`, whose id is not known, by name."""
        ...

    def parse_accounting(self, answer: Answer) -> list[Row] | None:
        """The jobs that ended; None: this cluster keeps no accounts. Unreachable: no answer."""
        ...

    def measuring(self, ids: Collection[str], since: datetime) -> list[list[str]]:
        """Commands that tell what ended jobs have used; none where that is not told."""
        ...

    def parse_measured(self, answer: Answer) -> Mapping[str, Used]:
        """What they told, by job id. Unreachable when it was no answer."""
        ...

    def cancel(self, ids: Collection[str]) -> list[str]:
        """The command that ends jobs."""
        ...

    def parse_cancel(self, answer: Answer) -> None:
        """Unreachable when the scheduler did not take the order."""
        ...
