"""What a task says of its progress reaches its row, in the look that is taken anyway."""

from dataclasses import replace

import pytest

from scripthut.core.jobs import Observation, Said, Watch
from scripthut.store import tasks
from tests.engine.world import World


@pytest.fixture
def running(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Said]:
    """A world in which task `a` runs; what is put here is what its file holds."""
    said: dict[str, Said] = {}
    observe = world.cluster.observe

    def looks(watches: list[Watch]) -> Observation:
        new = {
            w.job.token: said["a"]
            for w in watches
            if w.job.key == "a" and "a" in said and w.progress_mark != said["a"].mark
        }
        return replace(observe(watches), progress=new)

    monkeypatch.setattr(world.cluster, "observe", looks)
    world.run({"a": [], "b": []})
    world.turn()
    world.cluster.runs("a")
    world.turn()
    return said


def test_a_share_and_words_are_on_the_row(world: World, running: dict[str, Said]) -> None:
    running["a"] = Said("m1", b"0.2\n21/50 fold 3\n")
    world.turn()
    task = world.task("a")
    assert (task.progress, task.progress_text) == (0.42, "21/50 fold 3")


def test_the_page_hears_of_news_and_of_nothing_else(world: World, running: dict[str, Said]) -> None:
    running["a"] = Said("m1", b"42")
    world.turn()
    before = world.task("a").version
    world.turn(times=3)
    assert world.task("a").version == before
    running["a"] = Said("m2", b"42 %")  # other bytes that say the same
    world.turn()
    assert (world.task("a").version, world.task("a").progress_mark) == (before, "m2")
    running["a"] = Said("m3", b"43")
    world.turn()
    assert world.task("a").version > before


def test_a_task_that_ended_keeps_what_it_said_last(world: World, running: dict[str, Said]) -> None:
    running["a"] = Said("m1", b"42 fitting")
    world.turn()
    world.cluster.ends("a", code=1)
    world.turn()
    running["a"] = Said(None, b"")
    world.turn()
    assert world.task("a").progress == 0.42


def test_a_job_that_begins_anew_has_said_nothing(world: World, running: dict[str, Said]) -> None:
    running["a"] = Said("m1", b"42 fitting")
    world.turn()
    running["a"] = Said(None, b"")
    world.turn()
    task = world.task("a")
    assert (task.progress, task.progress_text) == (None, None)


def test_a_secret_is_not_in_what_is_kept(world: World, running: dict[str, Said]) -> None:
    world.change("a", spec={**world.task("a").spec, "env": {"HF_TOKEN": "hunter2222"}}, env=None)
    running["a"] = Said("m1", b"42 logged in with hunter2222")
    world.turn()
    assert world.task("a").progress_text == "logged in with ***"


def test_a_cycle_knows_what_it_wrote_itself(world: World, running: dict[str, Said]) -> None:
    with world.database.reading() as session:
        before = tasks.news(session, world.now)["hpc"]
    running["a"] = Said("m1", b"42")
    report = world.turn()
    with world.database.reading() as session:
        assert tasks.news(session, world.now)["hpc"] - before == report.written == 1
    assert not report.is_stirring
    assert world.turn().written == 0
