"""The page of the disks: what is there, whose it is, and what is asked before it goes."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from scripthut.core.disk import Done, Kind, Scanned, Stage, Thing, Way
from scripthut.store.machines import disk, disk_ends
from scripthut.store.models import DiskRemoval, Run

OURS = {"Sec-Fetch-Site": "same-origin"}
JSON = {"Content-Type": "application/json"}
LOGS = "/home/ada/.cache/scripthut/logs"


def logs(run_id, now, name=b"study", **more):
    facts = {"size": 3000, "files": 2, "mark": "1:2", "touched_at": now - timedelta(days=3)} | more
    return Thing(Kind.RUN, LOGS, name, run_id, **facts)


def other(now):
    return Thing(Kind.OTHER, "/home/ada/x", b"thesis\n\xff", size=9, touched_at=now)


@pytest.fixture
def scan(hut):
    """What a scan has found; with `stage` it goes on."""

    def scan(
        *things,
        stage=Stage.ENDED,
        note=None,
        total=None,
        scan_id="scan0001",
        took=None,
        age=timedelta(0),
    ):
        with hut.database.writing() as session:
            disk.ask_scan(session, "cluster", scan_id, hut.now)
        said = Scanned(stage, 9, "/home/ada", total or len(things), tuple(things), note)
        with hut.database.writing() as session:
            if took is not None:
                begun = Scanned(Stage.GOING, 0, "/home/ada")
                disk.scanned(session, scan_id, 0, begun, hut.now - age - took)
            disk.scanned(session, scan_id, 0, said, hut.now - age)

    return scan


def removals(hut):
    with hut.database.reading() as session:
        return list(session.scalars(select(DiskRemoval)))


def ids(hut, *runs):
    with hut.database.reading() as session:
        found = disk.shown(session, "cluster", hut.now)
        return [str(one.id) for one in found if not runs or one.thing.run_id in runs]


def order(client, *things, scan_id="scan0001"):
    data = {"scan": scan_id, "things": ",".join(things)}
    return client.post("/disk/cluster/delete", data=data, headers=OURS)


def test_a_disk_that_was_never_scanned_says_what_to_do(client, hut):
    page = client.get("/disk").text
    assert "has not been scanned yet" in page and "This server" in page
    assert client.get("/disk?backend=nowhere").status_code == 404


def test_every_thing_is_shown_with_whose_it_is(client, hut, scan):
    ended = hut.run(["fit"], run_id="endedrun")
    hut.end(ended)
    live = hut.run({"fit": "running"}, run_id="liverun2")
    scan(logs(ended, hut.now), logs(live, hut.now), logs("nobodys2", hut.now), other(hut.now))
    page = client.get("/disk").text
    assert [page.count(f'class="class" data-class="{w}"') for w in
            ("active", "referenced", "orphaned", "unknown")] == [1, 1, 1, 1]  # fmt: skip
    assert page.count('name="things"') == 2  # what may go alone can be marked
    assert f'href="/runs/{ended}"' in page and "thesis\\x0a\\xff" in page
    only = client.get("/disk?class=orphaned").text
    assert 'data-class="orphaned">orphaned' in only and 'data-class="active">active' not in only
    assert client.get("/disk?choose=orphaned").text.count(" checked") == 1


def test_the_address_says_the_order(client, hut, scan):
    scan(logs("aaaaaaaa", hut.now, b"one", size=5), logs("bbbbbbbb", hut.now, b"two", size=50))
    names = [re.findall(r">(aaaaaaaa|bbbbbbbb)<", client.get(f"/disk?by={by}").text)
             for by in ("-size", "size", "name", "junk")]  # fmt: skip
    assert [found[0][0] for found in names] == ["b", "a", "a", "b"]


def test_a_scan_is_asked_for_once_and_tells_how_far_it_is(client, hut, scan):
    assert client.post("/disk/cluster/scan", headers=OURS).status_code == 303
    client.post("/disk/cluster/scan", headers=OURS)
    with hut.database.reading() as session:
        state = disk.state(session, "cluster")
    assert state.going is not None and "begins in a moment" in client.get("/disk").text
    said = Scanned(Stage.GOING, 9, "/home/ada", 7, (logs("aaaaaaaa", hut.now),))
    with hut.database.writing() as session:
        disk.scanned(session, state.going.id, 0, said, hut.now)
    assert "1 of 7 measured" in client.get("/disk/cluster/status").text
    assert "every 2s" in client.get("/disk/cluster/status").text


def test_what_was_found_before_a_scan_was_cut_is_shown(client, hut, scan):
    note = "Time was up before 5 of 6 could be measured."
    scan(logs("aaaaaaaa", hut.now, is_whole=False), note=note, total=6)
    page = client.get("/disk").text
    assert note in page and "at least 2.9 KiB" in page and "every 2s" not in page


def test_a_question_says_what_goes_how_much_and_what_stays(client, hut, scan):
    live = hut.run({"fit": "running"})
    scan(logs("nobodys2", hut.now), logs(live, hut.now))
    page = client.get(f"/disk/cluster/ask?scan=scan0001&things={','.join(ids(hut))}").text
    assert "Delete 1 thing on cluster?" in page and "2.9 KiB in 2 files will be deleted" in page
    assert "nobodys2 in study" in page and "Another server" in page
    assert f"{live} in study: A run that has not ended uses it." in page
    assert removals(hut) == []
    assert client.get("/disk/cluster/ask").status_code == 422
    active = ids(hut, live)[0]
    assert client.get(f"/disk/cluster/ask?scan=scan0001&things={active}").status_code == 409


def test_what_became_active_after_the_question_stays(client, hut, scan):
    run = hut.run(["fit"])
    hut.end(run)
    scan(logs(run, hut.now), logs("nobodys2", hut.now))
    chosen = ",".join(ids(hut))
    hut.change(run, "fit", state="running")
    with hut.database.writing() as session:
        session.get(Run, run).ended_at = None
    order(client, chosen)
    assert [row.run for row in removals(hut)] == ["nobodys2"]
    page = client.get("/disk").text
    assert "deleting…" in page


def test_a_question_that_was_left_open_deletes_nothing_of_a_later_scan(client, hut, scan):
    scan(logs("nobodys2", hut.now))
    (old,) = ids(hut)
    assert 'name="scan" value="scan0001"' in client.get("/disk").text
    asked = client.get(f"/disk/cluster/ask?scan=scan0001&things={old}").text
    assert 'name="scan" value="scan0001"' in asked
    order(client, old)
    with hut.database.writing() as session:
        disk_ends.went(session, removals(hut)[0].id, Done(Way.GONE, 1), hut.now)
    scan(logs("precious", hut.now), scan_id="scan0002")
    (new,) = ids(hut)
    assert new != old
    for given in (old, new):
        assert order(client, given).status_code == 409
        body = {"backend": "cluster", "scan": "scan0001", "things": [int(given)]}
        assert client.post("/api/v1/disk/clean", json=body).status_code == 409
    assert [row.run for row in removals(hut)] == ["nobodys2"]
    (known,) = client.get("/api/v1/disk").json["backends"].values()
    body = {"backend": "cluster", "scan": known["result"]["scan"], "things": [int(new)]}
    assert client.post("/api/v1/disk/clean", json=body).json["planned"]["delete"] == 1


def test_what_another_server_may_use_goes_only_soon_after_a_scan(client, hut, scan):
    run = hut.run(["fit"])
    hut.end(run)
    scan(logs(run, hut.now), logs("nobodys2", hut.now), age=timedelta(minutes=61))
    assert "Scan again before you delete" in client.get("/disk").text
    (orphan,), (known,) = ids(hut, "nobodys2"), ids(hut, run)
    answer = client.get(f"/disk/cluster/ask?scan=scan0001&things={orphan},{known}")
    assert answer.status_code == 409 and "scan again" in answer.text
    assert order(client, orphan, known).status_code == 409
    for is_dry in (True, False):
        body = {"backend": "cluster", "all_orphaned": True, "dry_run": is_dry}
        assert client.post("/api/v1/disk/clean", json=body).status_code == 409
    assert removals(hut) == []
    order(client, known)  # a run's id is no other server's
    assert [row.run for row in removals(hut)] == [run]


def test_how_long_something_is_untouched_counts_from_the_scans_beginning(client, hut, scan):
    ago = timedelta(hours=23, minutes=50)
    scan(
        logs("nobodys2", hut.now, touched_at=hut.now - ago - timedelta(minutes=30)),
        took=timedelta(minutes=30),
    )
    assert "It was used within a day" in client.get("/disk").text


def test_what_came_of_a_deletion_is_told(client, hut, scan):
    scan(logs("nobodys2", hut.now), logs("nobodys3", hut.now))
    order(client, *ids(hut))
    first, second = sorted(removals(hut), key=lambda row: row.run)
    with hut.database.writing() as session:
        disk_ends.went(session, first.id, Done(Way.GONE, 3000), hut.now)
        disk_ends.went(session, second.id, Done(Way.STAYS, 0, "it was used lately"), hut.now)
    page = client.get("/disk").text
    assert "2.9 KiB freed" in page and "<b>stays</b>: it was used lately" in page


def test_no_page_of_another_site_can_scan_or_delete(client, hut, scan):
    scan(logs("nobodys2", hut.now))
    cross = {"Sec-Fetch-Site": "cross-site"}
    for path in ("scan", "delete"):
        answer = client.post(f"/disk/cluster/{path}", data={"things": "1"}, headers=cross)
        assert answer.status_code == 403
        assert client.get(f"/disk/cluster/{path}").status_code == 405
    assert removals(hut) == []


def test_a_run_says_that_its_files_are_gone_and_keeps_what_is_here(client, hut, scan, keep):
    run = hut.run(["fit"])
    hut.end(run)
    here = keep("kept.txt", b"still here", run_id=run)
    keep("large.bin", note="is too large", run_id=run)
    scan(logs(run, hut.now))
    order(client, ids(hut)[0])
    with hut.database.writing() as session:
        disk_ends.went(session, removals(hut)[0].id, Done(Way.GONE, 1), hut.now)
    assert "deleted there" in client.get(f"/runs/{run}").text
    files = {
        f["path"]: f for f in client.get(f"/api/v1/runs/{run}/tasks/fit/outputs").json["files"]
    }
    assert files["kept.txt"]["url"] and not files["large.bin"]["within_reach"]
    assert files["large.bin"]["note"] == "was deleted on cluster"
    assert "still here" in client.get(f"/runs/{run}/tasks/fit/outputs/view/{here}").text
    assert client.get(f"/api/v1/runs/{run}/holding").json["cleared_at"]


def test_the_servers_own_side_is_told_by_run(client, hut, keep):
    run = hut.run(["fit"])
    hut.end(run)
    keep("plot.bin", b"x" * 5000, run_id=run)
    page = client.get("/disk").text
    assert "The runs that hold most" in page and "4.9 KiB" in page
    assert f"/runs/{run}/ask/delete" in page
    own = client.get("/api/v1/disk").json["server"]
    assert own["runs"] == [{"run_id": run, "name": "study", "bytes": 5000}]
    assert own["database"] > 0 and own["keep_days"] is None


def test_programs_scan_and_clean_like_people(client, hut, scan):
    run = hut.run(["fit"])
    hut.end(run)
    scan(logs(run, hut.now), logs("nobodys2", hut.now), other(hut.now))
    (known,) = client.get("/api/v1/disk?backend=cluster").json["backends"].values()
    assert {t["class"] for t in known["result"]["things"]} == {"referenced", "orphaned", "unknown"}
    body = {"backend": "cluster", "all_orphaned": True, "dry_run": True}
    plan = client.post("/api/v1/disk/clean", json=body).json
    assert [t["run_id"] for t in plan["plan"]["delete"]] == ["nobodys2"]
    assert removals(hut) == []
    path = f"{LOGS}/study:{run}"
    body = {"backend": "cluster", "paths": [path]}
    assert client.post("/api/v1/disk/clean", json=body).json["planned"]["delete"] == 0
    body["allow_referenced"] = [path]
    assert client.post("/api/v1/disk/clean", json=body).json["planned"]["delete"] == 1
    assert [row.run for row in removals(hut)] == [run]
    asked = {"backend": "cluster"}
    assert client.post("/api/v1/disk/scan", json=asked).json["status"] == "started"
    assert client.post("/api/v1/disk/scan", json=asked).json["status"] == "already_running"
    assert client.post("/api/v1/disk/scan", json={}).status_code == 422
    assert client.post("/api/v1/disk/clean", json={"backend": "no"}).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"dryrun": True},
        {"all_orphaned": True, "dryrun": True},
        {"all_orphaned": True, "dry_run": "yes"},
        {"all_orphaned": True, "dry_run": None},
        {"all_orphaned": True, "paths": [f"{LOGS}/study:nobodys2"]},
        {"all_orphaned": 1},
        {"all_orphaned": False},
        {"paths": f"{LOGS}/study:nobodys2"},
        {"path": [f"{LOGS}/study:nobodys2"]},
        {"paths": None},
        {"paths": [7]},
        {"scan": "scan0001", "things": 1},
        {"scan": "scan0001", "things": [True]},
        {"scan": "scan0001", "things": ["1"]},
        {"things": [1]},
        {"scan": 1, "things": [1]},
        {"scan": "scan0001", "all_orphaned": True},
        {"thing_ids": [1]},
        {"all_orphaned": True, "allow_referenced": "yes"},
        {"all_orphaned": True, "allow_referenced": [1]},
    ],
    ids=str,
)
def test_a_request_to_delete_that_is_slightly_wrong_deletes_nothing(client, hut, scan, wrong):
    scan(logs("nobodys2", hut.now), logs("nobodys3", hut.now))
    answer = client.post("/api/v1/disk/clean", json={"backend": "cluster", **wrong})
    assert answer.status_code == 422 and removals(hut) == []


def test_names_are_text(client, hut, scan):
    scan(logs("nobodys2", hut.now, b"<script>alert(1)</script>"))
    assert "<script>alert" not in client.get("/disk").text
    assert (
        "<script>alert"
        not in client.get(f"/disk/cluster/ask?scan=scan0001&things={ids(hut)[0]}").text
    )


def test_a_backend_that_is_silent_is_said_to_be_with_what_waits_for_it(client, hut, scan):
    hut.backend(failing_since=hut.now, message="Connection timed out")
    client.post("/disk/cluster/scan", headers=OURS)
    assert "what was asked waits for it" in client.get("/disk").text
    (known,) = client.get("/api/v1/disk").json["backends"].values()
    assert known["message"] == "Connection timed out" and known["scanning"]
