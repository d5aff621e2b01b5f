"""What tasks used of what they asked for, where it is known."""

from datetime import timedelta

from scripthut.clock import utcnow

USED = {"memory_used": int(1.9 * 2**30), "cpu_used": 90.0}
ENDED = utcnow()
LASTED = {"started_at": ENDED - timedelta(minutes=1), "finished_at": ENDED}


def test_a_task_shows_what_it_used_of_what_it_asked_for(client, hut):
    hut.run(["a", "b"])
    hut.change("abcdefgh", "a", state="completed", **USED, **LASTED)
    page = client.get("/runs/abcdefgh/tasks/a").text
    assert "1.9 GiB of 4.0 GiB asked for" in page
    assert "75 % of the time of 2 cpus used" in page
    assert "GiB of" not in client.get("/runs/abcdefgh/tasks/b").text
    known, unknown = client.get("/api/v1/runs/abcdefgh").json["tasks"]
    assert known["memory_used"] == USED["memory_used"]
    assert (known["cpu_used"], known["cpu_efficiency"]) == (90.0, 0.75)
    assert (unknown["memory_used"], unknown["cpu_used"], unknown["cpu_efficiency"]) == (None,) * 3


def test_why_it_ended_says_what_it_used_too(client, hut):
    hut.run(["a"])
    hut.change("abcdefgh", "a", state="failed", reason="Ran out of memory", **USED, **LASTED)
    page = client.get("/runs/abcdefgh/tasks/a").text
    assert page.count("1.9 GiB of 4.0 GiB asked for") == 1  # in the box alone
    assert "Memory asked for" not in page
    assert "1.9 GiB of 4.0 GiB asked for" in client.get("/runs/abcdefgh/report").text
    why = client.get("/api/v1/runs/abcdefgh/tasks/a").json["why"]
    assert (why["memory_used"], why["efficiency"]) == (USED["memory_used"], 0.75)
