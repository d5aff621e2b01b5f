"""What people see of a cluster beside their queue: asked in the look's one command, and read."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from scripthut.core.jobs import Answer
from scripthut.core.sights import LATELY, Crowd, Ended
from scripthut.core.survey import Wish
from scripthut.schedulers.base import Question, Sights

SECONDS = 15  # for each question: the look waits for it


def commands(sights: Sights, user: str, wish: Wish, now: datetime) -> list[Mapping[str, Any]]:
    """What a look asks for what is wished."""
    asked: dict[str, Question] = {}
    if wish.crowd:
        asked |= {f"crowd {key}": one for key, one in sights.crowd(user).items()}
    if wish.ended:
        since = now - LATELY
        asked |= {f"ended {key}": one for key, one in sights.ended(user, since).items()}
    return [_command(key, one) for key, one in asked.items()]


def read(
    sights: Sights, user: str, wish: Wish, ran: Mapping[str, Answer]
) -> tuple[Crowd | None, Ended | None]:
    """What was told of what was wished for; None: it was not."""
    crowd = sights.parse_crowd(_named(ran, "crowd "), user) if wish.crowd else None
    ended = sights.parse_ended(_named(ran, "ended "), user) if wish.ended else None
    return crowd, ended


def _command(key: str, question: Question) -> Mapping[str, Any]:
    cut = asdict(question.cut) if question.cut else None
    return {"key": key, "argv": list(question.argv), "timeout": SECONDS, "cut": cut}


def _named(ran: Mapping[str, Answer], what: str) -> Mapping[str, Answer]:
    return {key.removeprefix(what): one for key, one in ran.items() if key.startswith(what)}
