"""Telling people what happened: once, to those who follow, with what the run wrote."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from scripthut.core.errors import Refused, Unreachable
from scripthut.core.files.previews import Kind
from scripthut.core.happenings import Interest, Message, What
from scripthut.core.jobs import Area, RemoteFile
from scripthut.core.markdown.render import render
from scripthut.engine.beside.message import Writer
from scripthut.engine.beside.notify import Notifier
from scripthut.store import messages, outputs
from scripthut.store.files.kept import Kept
from scripthut.store.outputs import Found
from tests.engine.world import World

ALL = Interest(frozenset(What))
PLOT = b"\x89PNG\r\n\x1a\nplot"


@dataclass
class Ear:
    """Somebody who is told, or cannot be reached."""

    heard: list[Message] = field(default_factory=list)
    fails: Exception | None = None

    def send(self, message: Message) -> None:
        if self.fails is not None:
            raise self.fails
        self.heard.append(message)


@dataclass
class Square:
    """A world, and what tells of it."""

    world: World
    kept: Kept
    ear: Ear = field(default_factory=Ear)
    interest: Interest = ALL

    def tell(self, seconds: float = 3) -> int:
        """Let what there is to tell be told, a while later, by an engine that was just started."""
        self.world.now += timedelta(seconds=seconds)
        assert self.world.lead.renew()
        lead, writer = self.world.lead, Writer(self.kept, "https://hut.example.org/")
        channels = {"me": (self.interest, self.ear)}
        return Notifier(channels, (lead.reading, lead.fenced()), writer).run(self.world.now)

    @property
    def told(self) -> list[str]:
        return [message.what.value for message in self.ear.heard]


@pytest.fixture
def square(world: World, tmp_path: Path) -> Iterator[Square]:
    made = Square(world, Kept(tmp_path / "kept"))
    made.tell()  # the channel is known from here on
    yield made


def finish(world: World, *keys: str, code: int = 0) -> None:
    """Let tasks run and end, and be collected."""
    world.turn(times=2)
    world.cluster.ends(*keys, code=code)
    world.turn(times=2)
    world.turn(seconds=90, times=2)


def test_an_ended_run_is_told_once_whoever_leads(square: Square) -> None:
    run_id = square.world.run({"a": []})
    square.tell()
    finish(square.world, "a")
    assert [square.tell() for _ in range(3)] == [1, 0, 0]
    assert square.told == ["completed"]
    message = square.ear.heard[0]
    assert message.link == f"https://hut.example.org/runs/{run_id}"
    assert message.title == "✓ study completed (1 task)"


def test_nobody_is_told_again_when_it_is_forgotten_what_was_sent(square: Square) -> None:
    square.world.run({"short": []})
    square.world.run({"fails": [], "long": []})
    finish(square.world, "short")
    finish(square.world, "fails", code=1)
    for _ in range(100):
        square.tell(seconds=86400)
        with square.world.database.writing() as session:
            messages.forget_old(session, square.world.now)
    assert sorted(square.told) == ["completed", "first_failure"]


def test_a_failed_run_names_the_tasks_and_why(square: Square) -> None:
    square.world.run({"a": [], "b": ["a"]})
    finish(square.world, "a", code=3)
    square.tell()
    assert square.told == ["failed"]
    [(key, reason)] = square.ear.heard[0].failures
    assert (key, "3" in reason) == ("a", True)


def test_the_first_failure_is_told_while_the_others_go_on(square: Square) -> None:
    square.world.run({"a": [], "b": [], "c": []})
    finish(square.world, "a", code=1)
    square.tell()
    finish(square.world, "b", code=1)
    square.tell()
    assert square.told == ["first_failure"]


def test_what_ended_before_a_channel_was_known_is_not_told(world: World, tmp_path: Path) -> None:
    world.run({"a": []})
    finish(world, "a")
    square = Square(world, Kept(tmp_path / "kept"))
    assert [square.tell(), square.tell()] == [0, 0]


def test_a_rule_says_which_runs_and_a_follower_adds_one(square: Square) -> None:
    square.interest = Interest(frozenset(What), runs=("climate/*",))
    world = square.world
    world.run({"a": []}, name="other")
    world.run({"b": []}, name="climate/sweep")
    followed = world.run({"c": []}, name="third")
    with world.database.writing() as session:
        messages.follow(session, followed, "me")
        messages.follow(session, followed, "me")
    finish(world, "a", "b", "c")
    square.tell()
    assert [message.run for message in square.ear.heard] == ["climate/sweep", "third"]


def test_who_cannot_be_reached_is_told_later_with_the_same_name(square: Square) -> None:
    square.world.run({"a": []})
    finish(square.world, "a")
    square.ear.fails = Unreachable("the mail server is away")
    assert [square.tell(), square.tell()] == [0, 0]
    square.ear.fails = None
    assert [square.tell(), square.tell(seconds=60)] == [0, 1]
    assert square.told == ["completed"]


def test_who_refuses_is_not_asked_again_and_the_page_knows_why(square: Square) -> None:
    run_id = square.world.run({"a": []})
    finish(square.world, "a")
    square.ear.fails = Refused("no such topic")
    square.tell()
    square.ear.fails = None
    assert square.tell(seconds=86400) == 0
    with square.world.database.reading() as session:
        [told] = messages.of_run(session, run_id)
    assert (told.problem, told.is_given_up) == ("no such topic", True)


def test_who_never_answers_is_given_up_at_last(square: Square) -> None:
    run_id = square.world.run({"a": []})
    finish(square.world, "a")
    square.ear.fails = Unreachable("away")
    for _ in range(20):
        square.tell(seconds=86400)
    with square.world.database.reading() as session:
        [told] = messages.of_run(session, run_id)
    assert told.is_given_up
    assert told.problem == "away"


def test_a_message_carries_the_summary_and_the_plot_that_it_shows(square: Square) -> None:
    world = square.world
    world.run({"a": [], "b": []})
    world.turn(times=2)
    text = b"# Fit\n\nGood.\n\n![fit](plots/fit.png) ![other](gone.png)\n"
    wrote(square, "a", b"plots/fit.png", PLOT)
    wrote(square, "a", b"another.png", b"\x89PNG\r\n\x1a\nanother")
    wrote(square, "a", b"a.md", text, Area.FRAGMENT)
    finish(world, "a", "b")
    square.tell()
    [message] = square.ear.heard
    assert message.summary.startswith("# Fit\n\nGood.")
    assert message.picture is not None
    assert (message.picture.name, message.picture.data) == ("fit.png", PLOT)
    assert '<img alt="fit" src="cid:picture">' in message.html
    assert "gone.png" not in message.html


def wrote(square: Square, key: str, raw: bytes, data: bytes, area: Area = Area.OUTPUT) -> None:
    """Have a task's file kept, as a cycle would."""
    sha, html = square.kept.put(data), None
    if outputs.kind_of(area, raw) is Kind.MARKDOWN:
        html = square.kept.put(render(data.decode(), "").encode())
    world = square.world
    with world.database.writing() as session:
        task = outputs.task_of(session, world.task(key).id, 1)
        assert task is not None
        file = RemoteFile(task.token or "", area, raw, len(data), 1)
        outputs.record(session, task, [Found(file, sha, html)], keep_vanished=True)
