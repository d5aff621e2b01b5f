"""The page of a backend's last commands."""

from datetime import timedelta

import pytest

from scripthut.core.commands import Command, Part
from scripthut.store.machines import commands, surveys


def write(hut, *found: Command) -> None:
    with hut.database.writing() as session:
        commands.record(session, "cluster", found)


def command(hut, what="The queue", code=0, error="", parts=()) -> Command:
    return Command(hut.now, what, "the node script", code, 41, 61_234, 812, error, parts)


def test_the_page_shows_what_was_asked_and_how_it_went(client, hut):
    parts = (Part("squeue --me", 1, "slurm_load_jobs error"),)
    write(hut, command(hut, parts=parts))
    page = client.get("/backends/cluster/log").text
    assert "The queue" in page and "squeue --me" in page and "slurm_load_jobs error" in page
    assert "exit 0 · 41 ms · 59.8 KiB out · 812 B in" in page and "exit 1" in page


def test_the_filter_shows_failures_alone(client, hut):
    write(hut, command(hut), command(hut, "Submit 3 scripts", None, "no route to host"))
    page = client.get("/backends/cluster/log?show=failures").text
    assert "Submit 3 scripts" in page and "no route to host" in page and "no answer" in page
    assert "The queue" not in page


def test_to_open_the_page_is_to_look(client, hut):
    with hut.database.reading() as session:
        assert not surveys.looked_at(session, hut.now).logs
    assert "Nothing is written down yet" in client.get("/backends/cluster/log").text
    with hut.database.reading() as session:
        looked_at = surveys.looked_at(session, hut.now)
        assert looked_at.logs == {"cluster"}
        assert not looked_at.due, "the machine itself is asked nothing"
        assert not surveys.looked_at(session, hut.now + timedelta(minutes=2)).logs


def test_what_a_machine_says_is_shown_as_text(client, hut):
    write(hut, command(hut, "<i>x</i>", 1, "<script>alert(1)</script>"))
    page = client.get("/backends/cluster/log").text
    assert "<script>alert" not in page and "<i>x" not in page


def test_the_backends_page_and_its_card_lead_there(client, hut):
    for page in ("/backends", "/backends/cluster"):
        assert 'href="/backends/cluster/log"' in client.get(page).text


@pytest.mark.parametrize("asked", ["/backends/none/log", "/api/v1/backends/none/log"])
def test_a_backend_that_is_not_there_has_none(client, hut, asked):
    assert client.get(asked).status_code == 404


def test_the_api_gives_the_same(client, hut):
    write(hut, command(hut, parts=(Part("squeue", 0),)), command(hut, "Cancel jobs", 1, "denied"))
    found = client.get("/api/v1/backends/cluster/log").json["commands"]
    assert [one["what"] for one in found] == ["Cancel jobs", "The queue"]
    assert found[0]["exit_code"] == 1 and found[0]["error"] == "denied" and found[0]["is_bad"]
    assert found[1]["parts"][0] == {"command": "squeue", "code": 0, "error": "", "is_aside": False}
    only = client.get("/api/v1/backends/cluster/log?failures=1").json["commands"]
    assert [one["what"] for one in only] == ["Cancel jobs"]
