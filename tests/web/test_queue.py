"""The page of the queues: everybody's jobs of a login, ours among them."""

from datetime import timedelta

import pytest

from scripthut.clock import utcnow
from scripthut.core.jobs import Phase
from scripthut.core.queue import Listed, Queue
from scripthut.core.survey import Surveyed
from scripthut.store.machines import surveys
from scripthut.store.models import Run

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
