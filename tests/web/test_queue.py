"""The page of the queues: everybody's jobs of a login, ours among them."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from scripthut.clock import utcnow
from scripthut.core.jobs import Phase
from scripthut.core.queue import Listed, Queue
from scripthut.core.sights import Before, Crowd, Ended, Holding
from scripthut.core.survey import Surveyed, Wish
from scripthut.store.machines import surveys
from scripthut.store.models import Run, Task

JSON = {"Content-Type": "application/json"}


def job(job_id, name="other", phase=Phase.WAITING, reason="Waits for free resources", **more):
    word = "RUNNING" if phase is Phase.RUNNING else "PENDING"
    return Listed(job_id, name, "ada", phase, word, reason, "normal", 4, **more)


@pytest.fixture
def tell(hut):
    """The queue as the engine last saw it."""

    def tell(*jobs, more=0):
        running = sum(j.phase is Phase.RUNNING for j in jobs)
        queue = Queue(tuple(jobs), running, len(jobs) - running, more)
        with hut.database.writing() as session:
            surveys.record(session, "cluster", Surveyed(queue=queue), hut.now)

    return tell


def ordered(hut):
    with hut.database.reading() as session:
        return surveys.ordered(session, "cluster")


def test_every_job_is_shown_with_its_owner_and_why_it_waits(client, tell):
    tell(job("12", memory=2**30, gres="gpu:2"), job("3_[4-9%2]", count=6), more=40)
    page = client.get("/queue").text
    assert "Waits for free resources" in page and ">ada<" in page and "gpu:2" in page
    assert "6 jobs" in page and "40 further jobs" in page


def test_a_job_of_ours_leads_to_its_task(client, hut, tell):
    run = hut.run({"fit": "running", "next": "pending"})
    tell(job("1000", f"fit {run}.0.1", Phase.RUNNING, None, tokens=(f"{run}.0.1",)))
    assert f'href="/runs/{run}/tasks/fit"' in client.get("/queue").text
    (shown,) = client.get("/api/v1/jobs").json["jobs"]
    assert (shown["run_id"], shown["task_id"], shown["phase"]) == (run, "fit", "running")


def test_a_token_of_another_backends_run_is_another_job(client, hut, tell):
    run = hut.run(["fit"], run_id="otherrun")
    with hut.database.writing() as session:
        session.get(Run, run).backend = "x"
    tell(job("1000", f"fit {run}.0.1", tokens=(f"{run}.0.1",)))
    assert client.get("/api/v1/jobs").json["jobs"][0]["task_id"] is None


def test_another_job_is_cancelled_by_an_order_on_its_own_backend(client, hut, tell):
    tell(job("12"), job("3_[4-9%2]", count=6))
    answer = client.post("/api/v1/backends/cluster/jobs/3_[4-9%2]/cancel", headers=JSON)
    assert answer.status_code == 202 and answer.json["is_cancelling"]
    client.post("/queue/cluster/12/cancel", headers={"Sec-Fetch-Site": "same-origin"})
    assert ordered(hut) == {"12", "3_[]"}
    assert client.get("/queue").text.count("cancelling…") == 2


def test_what_the_queue_does_not_hold_is_not_cancelled(client, hut, tell):
    tell(job("12"))
    answer = client.post("/api/v1/backends/cluster/jobs/99/cancel", headers=JSON)
    assert answer.status_code == 404 and "no job 99" in answer.json["error"]
    assert client.post("/api/v1/backends/none/jobs/12/cancel", headers=JSON).status_code == 404
    assert ordered(hut) == set()


def test_a_job_of_ours_is_cancelled_as_the_task_it_is(client, hut, tell):
    run = hut.run({"fit": "running", "next": "pending"})
    tell(job("1000", f"fit {run}.0.1", Phase.RUNNING, None, tokens=(f"{run}.0.1",)))
    answer = client.post("/api/v1/backends/cluster/jobs/1000/cancel", headers=JSON)
    assert answer.json["task_id"] == "fit"
    assert ordered(hut) == set()
    (fit, _) = client.get(f"/api/v1/runs/{run}").json["tasks"]
    assert fit["cancel_asked_at"] is not None


def test_no_page_of_another_site_can_cancel(client, hut, tell):
    tell(job("12"))
    answer = client.post("/queue/cluster/12/cancel", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert client.get("/queue/cluster/12/cancel").status_code == 405
    assert ordered(hut) == set()


def test_names_of_jobs_are_text(client, tell):
    tell(job("12", "<script>alert(1)</script>"))
    assert "<script>alert" not in client.get("/queue").text


def test_to_open_the_page_is_to_ask_for_the_queue(client, hut):
    assert "is being asked" in client.get("/queue").text
    with hut.database.reading() as session:
        now = utcnow()
        assert surveys.wanted(session, "cluster", False, now).queue
        assert not surveys.wanted(session, "cluster", False, now + timedelta(minutes=1)).queue


@pytest.fixture
def three(hut, tell):
    def at(minutes):
        return hut.now - timedelta(minutes=minutes)

    tell(
        job("9", "alpha", Phase.RUNNING, None, submitted_at=at(90), started_at=at(60)),
        job("10", "beta", submitted_at=at(30)),
        job("11", "gamma", reason="Its account's limit is reached"),
    )


def order(client, query):
    page = client.get(f"/queue?{query}").text
    return sorted(
        (n for n in ("alpha", "beta", "gamma") if f">{n}<" in page),
        key=lambda n: page.index(f">{n}<"),
    )


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("find=LIMIT account", ["gamma"]),
        ("find=ada", ["alpha", "beta", "gamma"]),
        ("phase=queued", ["beta", "gamma"]),
        ("phase=running&find=beta", []),
        ("by=-job", ["gamma", "beta", "alpha"]),
        ("by=job", ["alpha", "beta", "gamma"]),
        ("by=submitted", ["alpha", "beta", "gamma"]),
        ("by=-submitted", ["beta", "alpha", "gamma"]),
        ("by=nonsense&phase=nonsense", ["alpha", "beta", "gamma"]),
    ],
)
def test_the_address_searches_and_sorts(client, three, query, shown):
    assert order(client, query) == shown


def test_a_refresh_and_another_order_keep_what_is_asked(client, three):
    page = client.get("/queue?find=a&by=job&backend=cluster").text
    assert 'hx-get="/queue?backend=cluster&amp;find=a&amp;by=job"' in page
    assert 'href="/queue?backend=cluster&amp;find=a&amp;by=-job"' in page
    assert 'aria-sort="ascending"' in page
    assert "No job here is like this; 3 are not shown" in client.get("/queue?find=zzz").text


def test_it_tells_what_running_jobs_have_held(client, three):
    assert ">4.0</td>" in client.get("/queue?find=alpha").text  # four CPUs for an hour


def other(job_id, owner="mei", name="theirs", **more):
    return replace(job(job_id, name, **more), owner=owner)


@pytest.fixture
def tell_all(hut, tell):
    """Everybody's queue, the user's own jobs told in his queue too."""

    def tell_all(*jobs, own=(), **more):
        tell(*own)
        told = {"users": 2, "holdings": (Holding("mei", "normal", 1, 8, 2),), **more}
        with hut.database.writing() as session:
            crowd = Crowd("ada", jobs, **told)
            surveys.record(session, "cluster", Surveyed(crowd=crowd), hut.now)

    return tell_all


def test_all_users_jobs_are_shown_in_order_and_only_ones_own_can_be_cancelled(client, tell_all):
    tell_all(other("8"), job("9", "alpha"), other("10"), own=[job("9", "alpha")])
    page = client.get("/queue?who=all").text
    assert page.index(">8<") < page.index(">9<") < page.index(">10<")
    assert page.count("Cancel 9") == 1
    assert page.count("data-mine") == 1
    assert 'hx-get="/queue?who=all"' in page  # it stays so while it refreshes
    assert "Cancel 8" not in page
    assert client.get("/queue/cluster/8/ask").status_code == 404
    told = client.get("/api/v1/jobs?who=all").json
    assert [one["may_be_cancelled"] for one in told["jobs"]] == [False, True, False]
    assert told["backends"][0]["everybody"]["holdings"][0]["user"] == "mei"


def test_no_order_reaches_a_job_of_somebody_else(client, hut, tell_all):
    tell_all(other("8"))
    assert client.post("/api/v1/backends/cluster/jobs/8/cancel", headers=JSON).status_code == 404
    assert ordered(hut) == set()


def test_a_job_of_another_with_our_token_is_no_task_of_ours(client, hut, tell_all):
    run = hut.run({"fit": "running", "next": "pending"})
    tell_all(other("8", name=f"fit {run}.0.1", tokens=(f"{run}.0.1",)))
    (shown,) = client.get("/api/v1/jobs?who=all").json["jobs"]
    assert (shown["run_id"], shown["task_id"]) == (None, None)


def test_elements_of_our_arrays_stand_in_the_place_of_their_array(client, tell_all):
    tell_all(
        other("8"),
        job("9_[0-1]", "sweep", count=2),
        other("10"),
        own=[job("9_0", "sweep"), job("9_1", "sweep"), job("7", "seven")],
    )
    told = [one["id"] for one in client.get("/api/v1/jobs?who=all").json["jobs"]]
    assert told == ["8", "9_0", "9_1", "10", "7"]


def test_who_holds_the_machine_and_who_is_before_me_is_said(client, tell_all):
    holdings = (Holding("mei", "normal", 3, 48, 2), Holding("ada", "normal", 0, 0, 1))
    before = (Before("normal", 12, 4),)
    tell_all(other("8"), holdings=holdings, before=before, waiting={"Waits for data": 3})
    page = client.get("/queue?who=all").text
    assert "<b>12</b> jobs of 4 others" in page
    assert "Waits for data" in page
    assert 'href="/queue?who=all&amp;find=mei"' in page


def test_a_cluster_that_hides_others_jobs_says_so(client, tell_all):
    tell_all(note="It shows nobody the jobs of others.", holdings=(), own=[job("9", "a9")])
    page = client.get("/queue?who=all").text
    assert "shows nobody the jobs of others" in page
    assert ">a9<" in page


def asked_of(hut):
    with hut.database.reading() as session:
        return surveys.wanted(session, "cluster", False, utcnow())


def test_each_view_asks_for_no_more_than_it_shows(client, hut):
    client.get("/queue")
    assert asked_of(hut) == Wish(queue=True, facts=True)
    assert "is being asked" in client.get("/queue?who=all").text
    assert asked_of(hut) == Wish(queue=True, facts=True, crowd=True)
    assert "is being asked" in client.get("/queue?phase=ended").text
    assert asked_of(hut) == Wish(queue=True, facts=True, crowd=True, ended=True)


def over(hut, job_id, phase=Phase.DONE, hours=1, **more):
    at = hut.now - timedelta(hours=hours)
    told = {"reason": None, "started_at": at - timedelta(minutes=30), "ended_at": at, **more}
    return replace(job(job_id, f"job{job_id}"), phase=phase, **told)


@pytest.fixture
def tell_ended(hut):
    def tell_ended(*jobs, **more):
        with hut.database.writing() as session:
            surveys.record(session, "cluster", Surveyed(ended=Ended(jobs, **more)), hut.now)

    return tell_ended


def test_ended_jobs_are_shown_with_how_they_ended(client, hut, tell_ended):
    failed = over(hut, "7", Phase.FAILED, reason="Exited with code 3", exit_code=3)
    tell_ended(over(hut, "8", exit_code=0), failed, over(hut, "6", hours=25))
    page = client.get("/queue?phase=ended").text
    assert "Exited with code 3" in page
    assert ">completed<" in page
    assert ">30m 00s<" in page
    assert ">2.0</td>" in page
    assert "job6" not in page  # longer ago than a day
    assert "Cancel 7" not in page
    told = client.get("/api/v1/jobs?phase=ended&by=code").json["jobs"]
    assert [(one["id"], one["exit_code"], one["elapsed"]) for one in told] == [
        ("8", 0, 1800.0),
        ("7", 3, 1800.0),
    ]


def ended_here(hut, run, count):
    with hut.database.writing() as session:
        for task in session.scalars(select(Task).where(Task.run_id == run, Task.n < count)):
            task.job_id, task.ended_seen_at, task.exit_code = f"10{task.n}", hut.now, task.n


def test_without_accounting_our_own_tasks_tell_how_they_ended(client, hut, tell_ended):
    run = hut.run({"fit": "completed", "bad": "failed", "next": "pending"})
    ended_here(hut, run, 2)
    tell_ended(is_told=False, note="This cluster keeps no accounts of jobs that ended.")
    page = client.get("/queue?phase=ended").text
    assert "keeps no accounts" in page
    assert f'href="/runs/{run}/tasks/bad"' in page
    told = client.get("/api/v1/jobs?phase=ended").json
    assert {(one["task_id"], one["exit_code"]) for one in told["jobs"]} == {("fit", 0), ("bad", 1)}
    tell_ended(is_told=True)
    assert client.get("/api/v1/jobs?phase=ended").json["jobs"] == []


def test_where_the_accounting_did_not_tell_it_is_not_said_that_nothing_ended(client, tell_ended):
    tell_ended(is_told=False, note="The scheduler did not tell within 3 s what ended.")
    page = client.get("/queue?phase=ended").text
    assert "within 3 s" in page
    assert "No job of yours is known to have ended in the last day." in page
    assert "<b>0</b> known to have ended" in page
    tell_ended(is_told=True)
    assert "No job of yours ended in the last day." in client.get("/queue?phase=ended").text


def test_a_task_of_ours_that_the_accounting_tells_of_is_told_once(client, hut, tell_ended):
    run = hut.run({"fit": "completed", "next": "pending"})
    ended_here(hut, run, 1)
    tell_ended(over(hut, "100", tokens=(f"{run}.0.1",)), is_told=False, note="It forgets.")
    (told,) = client.get("/api/v1/jobs?phase=ended").json["jobs"]
    assert (told["id"], told["task_id"]) == ("100", "fit")


def test_five_hundred_of_everybody_s_and_of_ones_own_are_a_quick_page(client, tell_all):
    own = [job(str(n), f"own{n}") for n in range(500)]
    tell_all(*(other(str(n)) for n in range(1000, 1500)), own=own)
    client.get("/queue?who=all")
    began = time.process_time()
    page = client.get("/queue?who=all").text
    assert page.count("<tr") >= 1000
    assert time.process_time() - began < 2
