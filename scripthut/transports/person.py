"""A login that asks a person: the server's questions go out, and the answers come back.

A question may send a message to somebody's telephone, and wrong answers lock accounts. So nothing
is asked before a person says that they are there, and nothing is asked again by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import paramiko

from scripthut.core.errors import HutError
from scripthut.core.jobs import Question
from scripthut.transports.base import BadLogin
from scripthut.transports.ssh_config import Host

LOG_IN = (
    "A second factor is asked for at the login: press Log in on this backend's page, and answer "
    "there. Nothing is asked before, so that nobody's telephone rings in vain."
)
PATIENCE = 100.0  # seconds for one answer; sshd's own LoginGraceTime is 120 for the whole login
ATTEMPTS = 3  # on one connection, as many as OpenSSH's client makes
NOT_TAKEN = "The answer before was not taken."
METHOD = "keyboard-interactive"


class Person(Protocol):
    """Somebody at a browser, or nobody. Called from any thread."""

    def is_there(self) -> bool:
        """Whether a person wants to log in now; that one is needed is noted."""
        ...

    def begin(self) -> bool:
        """Take up their wish to log in: whether there was one. It is gone then, however it ends."""
        ...

    def end(self, is_in: bool) -> None:
        """Tell them that the login which was begun is over, and whether it led in."""
        ...

    def answer(
        self, question: Question, seconds: float, is_over: Callable[[], bool]
    ) -> Sequence[str] | None:
        """The answers, one for each prompt; None when none came in time, or it `is_over`."""
        ...


@dataclass
class OneLogin:
    """The person for all machines on the way of a connection: one wish opens it to the end.

    They are told when the `with` is over.
    """

    person: Person
    is_begun: bool = False

    def is_there(self) -> bool:
        """See Person."""
        return self.is_begun or self.person.is_there()

    def begin(self) -> bool:
        """See Person; what was begun at an earlier machine goes on."""
        self.is_begun = self.is_begun or self.person.begin()
        return self.is_begun

    def __enter__(self) -> Self:
        """Set out."""
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Have arrived, or not."""
        self.end(error is None)

    def end(self, is_in: bool) -> None:
        """See Person."""
        if self.is_begun:
            self.person.end(is_in)

    def answer(
        self, question: Question, seconds: float, is_over: Callable[[], bool]
    ) -> Sequence[str] | None:
        """See Person."""
        return self.person.answer(question, seconds, is_over)


class NeedsPerson(BadLogin):
    """The login cannot go on without a person, and nobody is there."""


@dataclass
class Dialogue:
    """One login's questions. paramiko asks in a thread of its own, so a failure is noted here."""

    person: Person
    host: Host
    transport: paramiko.Transport
    why: str = ""
    asked: int = 0
    aside: str = ""  # what the person must know before the next question
    broken: list[HutError] = field(default_factory=list)

    def reply(
        self, title: str, instructions: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str]:
        """Answer what the server asks; it may also just tell something, and ask nothing."""
        if not prompts:
            return []
        self.asked += 1
        told = "\n".join(filter(None, (self.aside, instructions)))
        question = Question(title, told, tuple((t, bool(shown)) for t, shown in prompts))
        try:
            answers = self.person.answer(question, PATIENCE, self._is_over)
        except HutError as error:  # raised again in the thread that waits for the login
            self.broken.append(error)
            answers = None
        if answers is None or len(answers) != len(prompts):
            self.why = f"{self.host.where} asked for a second factor, and nobody answered in time"
            self.transport.close()
            return []
        return list(answers)

    def _is_over(self) -> bool:
        return not self.transport.is_active()


def ask(transport: paramiko.Transport, host: Host, person: Person | None) -> None:
    """Let a person finish a login. Unreachable when it cannot be, in one sentence."""
    if person is None:
        raise BadLogin(
            f"{host.where} asks {host.user} for a second factor, which is answered in the browser: "
            "start the server, and press Log in on the backend's page there. Or set `transport: "
            "openssh` for this backend and log in once by hand with a ControlMaster."
        )
    # Before the server may do anything: some push to a telephone at once, and prompt for nothing.
    if not person.begin():
        raise NeedsPerson(f"{host.where} does not let {host.user} in by a key alone. {LOG_IN}")
    dialogue = Dialogue(person, host, transport)
    transport.auth_timeout = PATIENCE * 3  # a server may ask more than once
    further = _ask(dialogue)
    if further:
        raise NeedsPerson(
            f"{host.where} wants {', '.join(further)} as well, which is not known here."
        )


def _ask(dialogue: Dialogue) -> Sequence[str]:
    """What is wanted besides, once the answers were taken."""
    transport, host = dialogue.transport, dialogue.host
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return transport.auth_interactive(host.user, dialogue.reply)
        except (paramiko.SSHException, EOFError, OSError) as error:
            if dialogue.broken:
                raise dialogue.broken[0] from error
            if transport.is_active() and attempt < ATTEMPTS and dialogue.asked >= attempt:
                dialogue.aside = NOT_TAKEN
                continue
            took = "did not take the answer" if dialogue.asked else "then asked nothing"
            why = dialogue.why or f"{host.where} asked for a second factor, and {took}"
            again = "press Log in on the backend's page to be asked anew."
            raise NeedsPerson(f"{why}: {again}") from error
    return ()
