"""What clusters really do to a run, done to a real Slurm under a real server."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from scripthut.store import models
from scripthut.store.db import Database
from tests.cluster.fixtures import Cluster, start_cluster
from tests.databases import address
from tests.stories.accounts import BACKWARDS, agree, jobs_of
from tests.stories.conftest import serving
from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
Task = dict[str, object]
WEIRD = 'it\'s "so"\nnew `id` $(touch pwned) $HOME \\ é ☃ !#%'


def task(key: str, command: str, **more: object) -> Task:
    return {"id": key, "command": command, "memory": "50M", **more}


def is_queued(cluster: Cluster, run_id: str) -> bool:
    return run_id in cluster.squeue("--states=all", "-o", "%j")


@contextmanager
def forgetful(cluster: Cluster) -> Iterator[None]:
    """The controller forgets a job two seconds after its end."""
    conf = cluster.base / "etc" / "slurm.conf"
    before = conf.read_text()
    try:
        conf.write_text(re.sub(r"MinJobAge=\d+", "MinJobAge=2", before))
        control(cluster, "scontrol", "reconfigure")
        yield
    finally:
        conf.write_text(before)
        control(cluster, "scontrol", "reconfigure")


def control(cluster: Cluster, *argv: str) -> None:
    """A command of the cluster's administrator."""
    env = {"SLURM_CONF": str(cluster.slurm_conf), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
    subprocess.run(argv, env=env, check=True, capture_output=True, timeout=60)


def test_an_answer_lost_with_its_connection_is_found_again(server: Server, slurm: Cluster) -> None:
    slurm.fault("slow-after", "sbatch", "4")
    run_id = server.run([task("a", 'echo ran >>"$SCRIPTHUT_OUTPUT_DIR/ran"; sleep 5')])
    until(lambda: is_queued(slurm, run_id), 30, "sbatch to have been heard")
    assert server.states(run_id) == {"a": "submitting"}
    slurm.fault("ssh-kill-sessions")
    slurm.fault("slow-after", "sbatch", "off")
    assert server.await_end(run_id) == "completed"
    agree(server, slurm, run_id)


def test_a_task_cancelled_while_it_is_submitted_is_cancelled_once_it_is_accepted(
    server: Server, slurm: Cluster
) -> None:
    slurm.fault("slow-after", "sbatch", "4")
    run_id = server.run([task("a", "sleep 600"), task("b", "true", deps=["a"])])
    until(lambda: is_queued(slurm, run_id), 30, "sbatch to have been heard")
    server.post(f"/runs/{run_id}/cancel")
    assert server.states(run_id) == {"a": "submitting", "b": "cancelled"}
    assert server.await_end(run_id) == "cancelled"
    agree(server, slurm, run_id)
    assert len(jobs_of(slurm, run_id)) == 1, "nothing is submitted after the cancel"


def test_short_jobs_are_judged_by_their_notes_when_nobody_remembers_them(
    server: Server, slurm: Cluster
) -> None:
    with forgetful(slurm):
        slurm.fault("dbd-hang")
        run_id = server.run(
            [
                task("good", "true"),
                task("bad", "exit 3"),
                task("far", "exit 255"),
                task("next", "true", deps=["good"]),
            ]
        )
        assert server.await_end(run_id) == "failed"
        tasks = {t["id"]: t for t in server.get(f"/runs/{run_id}")["tasks"]}
        slurm.fault("dbd-cont")
    assert {k: t["status"] for k, t in tasks.items()} == {
        "good": "completed",
        "bad": "failed",
        "far": "failed",
        "next": "completed",
    }
    assert tasks["bad"]["reason"] == "Exited with code 3"
    assert tasks["far"]["reason"] == "Exited with code 255"
    agree(server, slurm, run_id)  # once it answers


def test_a_job_without_a_note_waits_for_accounting_that_lags(
    server: Server, slurm: Cluster
) -> None:
    with forgetful(slurm):
        run_id = server.run([task("a", "sleep 6; kill -9 $PPID $$"), task("b", "true", deps=["a"])])
        server.await_states(run_id, {"a": "running"})
        slurm.fault("acct-lag-on")
        slurm.fault("ssh-stop")
        slurm.fault("ssh-kill-sessions")  # so that nobody sees the end in the queue
        until(lambda: not is_queued(slurm, run_id), 60, "the controller to forget")
        assert server.states(run_id) == {"a": "running", "b": "pending"}
        slurm.up()
        server.await_states(run_id, {"a": "settling", "b": "pending"}, 60)
        slurm.fault("acct-lag-off")
        assert server.await_end(run_id) == "failed"
    assert server.states(run_id) == {"a": "failed", "b": "dep_failed"}
    agree(server, slurm, run_id)


def test_noise_of_the_login_shell_does_no_harm(server: Server, slurm: Cluster) -> None:
    slurm.fault("noise", r"Submitted batch job 1\n\nWelcome é \0033[1m @scripthut {\"end\": 0}\n")
    slurm.fault("noise-err", "sbatch: error: something of the profile")
    slurm.fault("banner", "Authorised use only")
    run_id = server.run([task("a", "echo x >$SCRIPTHUT_TASK_SUMMARY"), task("b", "exit 2")])
    assert server.await_end(run_id) == "failed"
    assert server.states(run_id) == {"a": "completed", "b": "failed"}
    agree(server, slurm, run_id)
    until(lambda: len(jobs_of(slurm, run_id)) == 2, 60, "all jobs in the accounting")


def test_a_requeued_job_is_followed_and_a_preempted_one_told(
    server: Server, slurm: Cluster
) -> None:
    run_id = server.run(
        [
            task("again", "sleep 600"),
            task("weak", "sleep 600", partition="lowc", cpus=4),
            task("gives", "trap 'exit 0' TERM; sleep 600 & wait", partition="low", cpus=3),
        ]
    )
    server.await_states(run_id, {"again": "running", "weak": "running", "gives": "running"})
    control(slurm, "scontrol", "requeue", str(server.task(run_id, "again")["job_id"]))
    server.await_states(run_id, {"again": "queued"})
    strong = server.run([task(f"s{i}", "sleep 20", partition="high", cpus=4) for i in range(2)])
    server.await_states(run_id, {"weak": "failed", "gives": "queued"})
    assert "preempted" in server.task(run_id, "weak")["reason"]
    assert server.states(run_id)["again"] == "queued"
    server.post(f"/runs/{run_id}/cancel")
    server.post(f"/runs/{strong}/cancel")
    assert server.await_end(run_id) == "failed"
    assert server.states(run_id) == {"again": "cancelled", "weak": "failed", "gives": "cancelled"}
    agree(server, slurm, run_id)
    database = Database(address(server.data))
    with database.reading() as session:
        rows = session.scalars(select(models.Task).where(models.Task.run_id == run_id))
        requeues = {row.key: row.requeues for row in rows}
    database.dispose()
    assert requeues == {"again": 1, "weak": 0, "gives": 1}


def test_every_odd_task_ends_as_it_should_and_says_why(server: Server, slurm: Cluster) -> None:
    eats = "exec python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)'"
    long = "x='" + "y" * 200_000 + "'\n[ ${#x} = 200000 ]"
    tell = 'printf %s "$WEIRD" | cmp - <(printf %s ' + shlex.quote(WEIRD) + ")"
    tasks = [
        task("a.b-c+d=e:f,g", "true"),
        task("memory", eats),
        task("far", "exit 255"),
        task("segv", "kill -SEGV $$"),
        task("place", "true", working_dir="/nowhere/at all"),
        task("log", "true", output_file="/proc/none/log.txt"),
        task("own", "pwd; echo own", working_dir="~", output_file="my logs/100%.txt"),
        task("env", tell, env=[{"set": {"WEIRD": WEIRD}}]),
        task("long", long),
        task("open", "echo 'unbalanced"),
        task("leaves", "trap 'echo bye' EXIT; exit 0; false"),
        task("many", "cd $SCRIPTHUT_OUTPUT_DIR && seq 10000 | xargs touch"),
        task("link", "rmdir $SCRIPTHUT_OUTPUT_DIR; ln -s /etc $SCRIPTHUT_OUTPUT_DIR"),
        task("file", "rmdir $SCRIPTHUT_OUTPUT_DIR; echo x >$SCRIPTHUT_OUTPUT_DIR"),
        task("gone", "true", partition="nosuch"),
    ]
    run_id = server.run(tasks, name="a b/../ü ☃/'x'")
    assert server.await_end(run_id) == "failed"
    ended = {t["id"]: t for t in server.get(f"/runs/{run_id}")["tasks"]}
    failed = {key for key, t in ended.items() if t["status"] == "failed"}
    assert failed == {"memory", "far", "segv", "place", "log", "open", "gone"}
    reasons = {key: str(ended[key]["reason"]) for key in failed}
    assert "out of memory" in reasons["memory"]
    assert "255" in reasons["far"]
    assert "SIGSEGV" in reasons["segv"]
    assert "/nowhere/at all" in reasons["place"]
    assert "/proc/none" in reasons["log"]
    assert "nosuch" in reasons["gone"]
    assert all(t["status"] == "completed" for key, t in ended.items() if key not in failed)
    until(lambda: "own" in log_of(server, run_id, "own"), 30, "the log")
    outputs = server.get(f"/runs/{run_id}/tasks/many/outputs")
    assert len(outputs["files"]) <= 1000
    for key in ("link", "file"):
        assert not server.get(f"/runs/{run_id}/tasks/{key}/outputs")["files"]
    assert {key for key, t in ended.items() if t["job_id"] is None} == {"log", "gone"}
    agree(server, slurm, run_id)


def log_of(server: Server, run_id: str, key: str) -> str:
    return str(server.get(f"/runs/{run_id}/tasks/{key}/logs?type=output&tail=100"))


@pytest.mark.usefixtures("slurm")  # which knows whether there can be a cluster
def test_a_limit_on_submitted_jobs_makes_tasks_wait_and_none_fail(tmp_path: Path) -> None:
    enforced = {"HUT_SLURM_EXTRA": "AccountingStorageEnforce=limits", "HUT_NODES": "1"}
    with start_cluster(**enforced) as slurm, serving(slurm, tmp_path) as server:
        control(slurm, *f"sacctmgr -i modify user {slurm.user} set MaxSubmitJobs=3".split())
        run_id = server.run([task(f"t{i}", "sleep 1") for i in range(5)])
        until(lambda: "Waits" in str(server.get(f"/runs/{run_id}")), 30, "a task that waits")
        assert server.await_end(run_id) == "completed"
        agree(server, slurm, run_id)
        until(lambda: len(jobs_of(slurm, run_id)) == 5, 60, "all jobs in the accounting")


def test_what_can_never_start_waits_with_a_warning_until_it_is_cancelled(
    server: Server, slurm: Cluster
) -> None:
    long = task("long", "true", partition="short", time_limit=60)
    run_id = server.run([long, task("wide", "true", cpus=99), task("b", "true", deps=["long"])])
    begins = "Can never start: "

    def are_told() -> bool:
        told = (server.task(run_id, key)["reason"] or "" for key in ("long", "wide"))
        return all(reason.startswith(begins) for reason in told)

    until(are_told, 60, lambda: str(server.get(f"/runs/{run_id}")))
    assert server.states(run_id) == {"long": "queued", "wide": "queued", "b": "pending"}
    assert server.page(f"/runs/{run_id}").count("data-warns") >= 2
    assert set(slurm.squeue("-t", "PD", "-o", "%T|%j").split()) >= {"PENDING|long", "PENDING|wide"}
    server.post(f"/runs/{run_id}/cancel")
    assert server.await_end(run_id) == "cancelled"
    agree(server, slurm, run_id)
    until(lambda: len(jobs_of(slurm, run_id)) == 2, 60, "all jobs in the accounting")


@pytest.mark.soak
def test_a_submission_cut_in_the_middle_submits_the_rest_a_minute_later(
    server: Server, slurm: Cluster
) -> None:
    slurm.fault("slow-after", "sbatch", "3")
    run_id = server.run([task(f"t{i}", "sleep 1") for i in range(4)])
    until(lambda: is_queued(slurm, run_id), 30, "the first job")
    slurm.fault("ssh-kill-sessions")
    slurm.fault("slow-after", "sbatch", "off")
    assert server.await_end(run_id, 240) == "completed"
    agree(server, slurm, run_id)
    until(lambda: len(jobs_of(slurm, run_id)) == 4, 60, "all jobs in the accounting")


@pytest.mark.soak
def test_a_controller_that_hangs_while_it_is_told_takes_each_job_once(
    server: Server, slurm: Cluster
) -> None:
    slurm.fault("slow", "sbatch", "2")
    run_id = server.run([task(f"t{i}", "sleep 1") for i in range(2)])
    server.await_states(run_id, {"t0": "submitting"})
    slurm.fault("ctld-hang")
    until(lambda: server.backend("hpc")["failing_since"] is not None, 90, "the card says so")
    slurm.fault("ctld-cont")
    slurm.fault("slow", "sbatch", "off")
    assert server.await_end(run_id, 300) == "completed"
    agree(server, slurm, run_id)
    assert all("claimed" not in log_of(server, run_id, f"t{i}") for i in range(2))


@pytest.mark.soak
def test_a_node_that_dies_does_not_end_a_task_before_the_scheduler_says_so(
    server: Server, slurm: Cluster
) -> None:
    run_id = server.run([task("a", "sleep 40", cpus=4), task("b", "sleep 5", deps=["a"])])
    server.await_states(run_id, {"a": "running"})
    slurm.fault("node-kill", slurm.squeue("-o", "%N").split()[0])
    doomed = [p for p in psutil.process_iter() if is_of(p, run_id)]
    for process in {p.parent() for p in doomed} | set(doomed):
        process.kill()  # the job's script, then its command: a node takes all with it
    server.await_states(run_id, {"a": "queued", "b": "pending"}, 120)
    slurm.up()
    assert server.await_end(run_id, 400) == "completed"
    agree(server, slurm, run_id)


def is_of(process: psutil.Process, run_id: str) -> bool:
    """Whether a process runs the command of a run's task."""
    try:
        return process.environ().get("SCRIPTHUT_RUN_ID") == run_id
    except psutil.Error:
        return False


# A note of its own making that says all went well; then it kills its frame.
FORGES = r"""
for claim in "$SCRIPTHUT_OUTPUT_DIR"/../../../.scripthut/$SCRIPTHUT_RUN_ID/*.claim; do
  [ "$(readlink "$claim")" = "job:$SLURM_JOB_ID" ] || continue
  token=$(basename "$claim" .claim) now=$(date +%s)
  printf 'token=%s\njob=%s\ncode=0\nstart=%s\nend=%s\nnode=n1\nwhy=\nlate=0\nwhole\n' \
    "$token" "$SLURM_JOB_ID" "$now" "$now" >"${claim%.claim}.exit"
  kill -9 $PPID $$
done
"""
EATS = "exec python3 -c 'x = bytearray(400 << 20); import time; time.sleep(60)'"


def ends_of(cluster: Cluster, run_id: str) -> dict[int, tuple[str, str]]:
    """A task's place in its run -> its job's state and exit code, as the accounting has them."""
    found = {}
    for row in cluster.sacct("-X", "--format=State%30,ExitCode,JobName%80").splitlines():
        state, code, name = row.split("|", 2)
        if token := re.search(rf"\b{run_id}\.(\w+)\.\w$", name):
            found[int(token[1], 36)] = (state.split()[0], code)
    return found


def test_every_ending_is_the_one_that_the_accounting_tells_of(
    server: Server, slurm: Cluster
) -> None:
    waits = ["--begin=now+40", "--deadline=now+70"]
    tasks = [
        task("fine", "true"),
        task("late", "sleep 600", time_limit="1"),
        task("handler", "trap 'exit 0' TERM; sleep 600 & wait; exit 0", time_limit="1"),
        task("eats", EATS),
        task("far", "exit 255"),
        task("code", "exit 139"),
        task("segv", "kill -SEGV $$"),
        task("killed", "kill -9 $PPID $$"),
        task("forges", FORGES),
        task("ended", "sleep 600"),
        task("node", "sleep 600", extra_args=["--no-requeue", "--nodelist=n2"]),
        task("due", "true", time_limit="1", extra_args=waits),
    ]
    run_id = server.run(tasks)
    running = dict.fromkeys(("late", "handler", "ended", "node"), "running")
    server.await_states(run_id, running)
    slurm.fault("job-kill", str(server.task(run_id, "ended")["job_id"]))
    # What is on the node is over before the node dies: nothing else may run there.
    server.await_states(run_id, {"ended": "cancelled"})
    slurm.fault("node-kill", "n2")
    assert server.await_end(run_id, 200) == "failed"
    until(lambda: len(ends_of(slurm, run_id)) == len(tasks), 60, "the accounting")
    told, said = ends_of(slurm, run_id), server.states(run_id)
    words = {str(one["id"]): told[n][0] for n, one in enumerate(tasks)}
    assert {k: BACKWARDS.get(word, "failed") for k, word in words.items()} == said, words
    assert {"TIMEOUT", "DEADLINE", "NODE_FAIL", "CANCELLED"} <= set(words.values())
    assert said["handler"] == "failed"  # whatever it says of itself after the limit
    assert said["forges"] == "failed"  # a note that contradicts the scheduler loses
    for key, code in {"fine": 0, "far": 255, "code": 139, "segv": 139}.items():
        assert server.task(run_id, key)["exit_code"] == code
        n = next(n for n, one in enumerate(tasks) if one["id"] == key)
        assert told[n][1] == f"{code % 128}:0"  # the accounting keeps seven bits
    assert set(jobs_of(slurm, run_id).values()) == {1}


@pytest.mark.usefixtures("slurm")  # which knows whether there can be a cluster
def test_without_any_accounting_the_notes_decide_and_silence_is_no_verdict(
    tmp_path: Path,
) -> None:
    settings = {"HUT_ACCT": "0", "HUT_NODES": "1", "HUT_MIN_JOB_AGE": "2"}
    with start_cluster(**settings) as slurm, serving(slurm, tmp_path) as server:
        run_id = server.run(
            [
                task("good", "sleep 6"),
                task("bad", "sleep 6; exit 3"),
                task("killed", "sleep 6; kill -9 $PPID $$"),
                task("next", "true", deps=["good"]),
                task("held", "true", deps=["killed"]),
            ]
        )
        server.await_states(run_id, dict.fromkeys(("good", "bad", "killed"), "running"))
        slurm.fault("ssh-stop")
        slurm.fault("ssh-kill-sessions")  # so that nobody sees an end in the queue
        until(lambda: not is_queued(slurm, run_id), 60, "the controller to forget")
        slurm.up()
        server.await_states(run_id, {"good": "completed", "bad": "failed", "next": "completed"})
        server.await_states(run_id, {"killed": "settling", "held": "pending"})


def test_a_log_directory_on_a_full_disk_makes_tasks_wait_and_says_so(
    server: Server, slurm: Cluster
) -> None:
    place = Path(slurm.as_user(["sh", "-c", "echo $HOME"]).strip())
    place = place / ".cache/scripthut/logs/full"
    slurm.as_user(["mkdir", "-p", str(place)])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", place], check=True)
    try:
        run_id = server.run([task("a", "true")], name="full")
        until(
            lambda: "No space left on device" in str(server.task(run_id, "a")["reason"]),
            60,
            lambda: str(server.task(run_id, "a")),
        )
        assert server.states(run_id) == {"a": "pending"}
        assert not jobs_of(slurm, run_id)
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    assert server.await_end(run_id) == "completed"
    until(lambda: list(jobs_of(slurm, run_id).values()) == [1], 30, "one job")


def test_a_log_directory_that_is_removed_before_its_job_starts_fails_it_in_words(
    server: Server, slurm: Cluster
) -> None:
    run_id = server.run([task("a", "true", extra_args=["--begin=now+8"])], name="removed")
    server.await_states(run_id, {"a": "queued"})
    slurm.as_user(["sh", "-c", "rm -r ~/.cache/scripthut/logs/removed"])
    assert server.await_end(run_id) == "failed"
    reason = server.task(run_id, "a")["reason"]
    # The queue says that it could not be launched, the accounting that a file could not be opened.
    assert "is its log directory still there?" in reason or "(0:53)" in reason
    until(lambda: ends_of(slurm, run_id) == {0: ("FAILED", "0:53")}, 30, "the accounting")
