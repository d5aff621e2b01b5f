"""Logins to a real sshd that ask a person by PAM, and what is said when nobody answers."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Question
from scripthut.transports import person
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target
from tests.cluster.fixtures import Cluster, start_cluster
from tests.cluster.second_factor import PASSWORD, asking_node, connections
from tests.transports.steps import config_of, target_of, why

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="module")
def asking() -> Iterator[Cluster]:
    with asking_node() as cluster:
        yield cluster


@dataclass
class Somebody:
    """A person who says the same each time, if they are there; `presses`: how often they log in."""

    says: Sequence[str] | None = (PASSWORD,)
    here: bool = True
    asked: list[Question] = field(default_factory=list)
    waits: float = 0.0
    presses: int = 100
    ended: list[bool] = field(default_factory=list)

    def is_there(self) -> bool:
        return self.here and self.presses > 0

    def begin(self) -> bool:
        was_there = self.is_there()
        self.presses -= was_there
        return was_there

    def end(self, is_in: bool) -> None:
        self.ended.append(is_in)

    def answer(
        self, question: Question, seconds: float, is_over: Callable[[], bool]
    ) -> Sequence[str] | None:
        self.asked.append(question)
        time.sleep(self.waits)
        return self.says


@pytest.fixture
def opened(asking: Cluster) -> Iterator[Callable[[Somebody | None], SSH]]:
    made: list[SSH] = []

    def make(somebody: Somebody | None) -> SSH:
        made.append(SSH(target_of(asking), person=somebody))
        return made[-1]

    yield make
    for ssh in made:
        ssh.close()


Open = Callable[[Somebody | None], SSH]


def test_a_person_who_answers_opens_the_way_for_all_commands(opened: Open) -> None:
    somebody = Somebody(waits=1.5)
    ssh = opened(somebody)
    assert (
        ssh.run(["echo", "in"], timeout=1).out == "in\n"
    )  # the person's time is not the command's
    assert ssh.run(["id", "-un"]).out == "hut\n"
    (question,) = somebody.asked
    ((text, is_shown),) = question.prompts
    assert "assword" in text
    assert not is_shown
    assert somebody.ended == [True]


def test_without_anybody_the_key_is_shown_once_and_nothing_is_asked(
    opened: Open, asking: Cluster
) -> None:
    somebody = Somebody(here=False)
    ssh = opened(somebody)
    first = why(ssh)
    assert "press Log in on this backend's page" in first
    assert somebody.asked == []
    before = connections(asking)
    assert why(ssh) == first
    assert connections(asking) == before > 0, "it must not knock again and again"
    somebody.here = True
    assert ssh.run(["echo", "in"]).out == "in\n"


def test_a_wrong_answer_is_one_sentence_and_the_next_login_a_new_one(opened: Open) -> None:
    somebody = Somebody(says=["wrong"])
    ssh = opened(somebody)
    sentence = why(ssh)
    assert somebody.ended == [False]
    assert "asked for a second factor, and did not take the answer" in sentence
    told = [question.instructions for question in somebody.asked]
    assert ["not taken" in text for text in told] == [False, True, True]
    assert "press Log in" in sentence
    somebody.says = [PASSWORD]
    assert ssh.run(["echo", "in"]).out == "in\n"


def test_nobody_who_answers_in_time_is_one_sentence(opened: Open) -> None:
    assert "nobody answered in time" in why(opened(Somebody(says=None)))


def test_where_there_is_no_browser_the_other_ways_are_named(opened: Open) -> None:
    sentence = why(opened(None))
    assert "press Log in on the backend's page" in sentence
    assert "ControlMaster" in sentence


def test_a_connection_that_ends_waits_for_a_person_again(opened: Open, asking: Cluster) -> None:
    somebody = Somebody()
    ssh = opened(somebody)
    ssh.run(["true"])
    somebody.here = False
    asking.fault("ssh-kill-sessions")
    with pytest.raises(Unreachable):
        ssh.run(["true"])
    assert "press Log in" in why(ssh)
    assert len(somebody.asked) == 1


def test_a_denial_without_a_prompt_is_not_asked_for_again() -> None:
    """sshd without PAM knows nothing to prompt for: as a push that is denied."""
    extra = (
        "AuthenticationMethods publickey,keyboard-interactive\nKbdInteractiveAuthentication yes\n"
        "LogLevel VERBOSE\n"
    )
    with start_cluster(HUT_SLURM="0", HUT_SSHD_EXTRA=extra) as node:
        somebody = Somebody(presses=1)
        ssh = SSH(target_of(node), person=somebody)
        first = why(ssh)
        assert "and then asked nothing" in first
        seen = connections(node)
        assert [why(ssh), why(ssh)] == [first, first]
        assert connections(node) == seen > 0, "one press, one push"
        ssh.close()
    assert somebody.asked == []


def test_two_machines_on_the_way_may_both_ask(asking: Cluster, tmp_path: Path) -> None:
    config = config_of(tmp_path, asking, f"IdentityFile {asking.key}")
    config.write_text(
        f"{config.read_text()}{config.read_text()}".replace("Host hpc", "Host gate", 1)
    )
    with config.open("a") as more:
        more.write(" ProxyJump gate\n")
    somebody = Somebody(presses=1)
    ssh = SSH(Target("hpc", config=config), person=somebody)
    try:
        assert ssh.run(["echo", "in"]).out == "in\n"
    finally:
        ssh.close()
    assert len(somebody.asked) == 2
    assert somebody.ended == [True], "the way is one, whoever asks on it"


def test_a_person_has_less_time_than_sshd_gives() -> None:
    assert person.PATIENCE < 120  # LoginGraceTime's default
