"""What people see of a cluster beside their queue: asked in the look's one command, and read."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from scripthut.core.jobs import Answer
from scripthut.core.sights import LATELY, Crowd, Ended
from scripthut.core.survey import Wish
from scripthut.schedulers.base import Question, Sights

SECONDS = 3  # for each question: the look, and with it everybody's tasks, waits for it
PAUSE = 600.0  # a question that was not answered in time is not asked again for so long
_CROWD, _ENDED = "crowd ", "ended "  # begin the keys of their questions
_MAIN = "jobs"  # without the answer to this question a listing says nothing
_ASKED = (0.0, "")  # of a question that is not left alone
_LATE = {
    _CROWD: "Others' jobs could not be listed within {} s; they are asked for again after {} UTC.",
    _ENDED: "The scheduler did not tell within {} s what ended; it is asked again after {} UTC.",
}


class Asking:
    """The questions of one backend, and which of them are left alone for being slow."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now`: seconds that only ever grow."""
        self._now = now
        self._pauses: dict[str, tuple[float, str]] = {}  # until when, and what is said of it

    def commands(
        self, sights: Sights, user: str, wish: Wish, clock: datetime
    ) -> list[Mapping[str, Any]]:
        """What a look asks for what is wished."""
        asked: dict[str, Question] = {}
        if wish.crowd and self._is_due(_CROWD + _MAIN):
            asked |= {_CROWD + key: one for key, one in sights.crowd(user).items()}
        if wish.ended and self._is_due(_ENDED + _MAIN):
            since = clock - LATELY
            asked |= {_ENDED + key: one for key, one in sights.ended(user, since).items()}
        return [_command(key, one) for key, one in asked.items() if self._is_due(key)]

    def read(
        self, sights: Sights, user: str, wish: Wish, ran: Mapping[str, Answer], clock: datetime
    ) -> tuple[Crowd | None, Ended | None]:
        """What was told of what was wished for; None: it was not."""
        for key, answer in ran.items():
            if _is_late(answer):
                self._leave(key, clock)
            else:
                self._pauses.pop(key, None)
        crowd = self._crowd(sights, user, ran) if wish.crowd else None
        ended = self._ended(sights, user, ran) if wish.ended else None
        return crowd, ended

    def _crowd(self, sights: Sights, user: str, ran: Mapping[str, Answer]) -> Crowd:
        _, late = self._pauses.get(_CROWD + _MAIN, _ASKED)
        return Crowd(user, note=late) if late else sights.parse_crowd(_of(ran, _CROWD), user)

    def _ended(self, sights: Sights, user: str, ran: Mapping[str, Answer]) -> Ended:
        _, late = self._pauses.get(_ENDED + _MAIN, _ASKED)
        if late:
            return Ended(is_told=False, note=late)
        return sights.parse_ended(_of(ran, _ENDED), user)

    def _leave(self, key: str, clock: datetime) -> None:
        words = next((words for what, words in _LATE.items() if key.startswith(what)), None)
        if words is not None:
            again = clock + timedelta(seconds=PAUSE)
            self._pauses[key] = (self._now() + PAUSE, words.format(SECONDS, f"{again:%H:%M}"))

    def _is_due(self, key: str) -> bool:
        return self._now() >= self._pauses.get(key, _ASKED)[0]


def _is_late(answer: Answer) -> bool:
    """Whether a command was ended for its time, see sent/script.execute."""
    return answer.code == -1 and "timed out after" in answer.err


def _command(key: str, question: Question) -> Mapping[str, Any]:
    cut = asdict(question.cut) if question.cut else None
    return {"key": key, "argv": list(question.argv), "timeout": SECONDS, "cut": cut}


def _of(ran: Mapping[str, Answer], what: str) -> Mapping[str, Answer]:
    return {key.removeprefix(what): one for key, one in ran.items() if key.startswith(what)}
