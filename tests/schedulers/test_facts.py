"""What clusters say of themselves: files under tests/captured/*/facts, as they were printed."""

from pathlib import Path

import pytest

from scripthut.core.errors import Unreachable
from scripthut.core.jobs import Answer, Phase
from scripthut.core.queue import MOST
from scripthut.core.survey import Facts, Free, NodeState, Share, facts_as_json, facts_of
from scripthut.schedulers import pbs_facts, slurm_facts
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.pbs_words import OLD_PRO, ON_SLURM, PRO
from scripthut.schedulers.slurm import Slurm
from scripthut.schedulers.slurm_text import FIELD, QUEUE_FIELDS, RECORD

CAPTURED = Path(__file__).parent.parent / "captured"


def answers(kind: str) -> dict[str, Answer]:
    files = (CAPTURED / kind / "facts").glob("*.txt")
    return {file.stem: Answer(0, file.read_text(), "") for file in files}


@pytest.fixture
def told() -> Facts:
    return slurm_facts.read(answers("slurm"))


def test_slurm_tells_nodes_processors_and_gpus(told: Facts) -> None:
    assert told.nodes == {NodeState.MIXED: 2, NodeState.DRAINED: 1}
    assert (told.cpus, told.gpus, told.gpus_idle) == (12, 2, 0)
    gpu = next(p for p in told.partitions if p.name == "gpu")
    assert (gpu.gpu_kinds, gpu.cpus, gpu.time_limit) == (("a100",), 4, 12 * 3600)
    assert gpu.largest == Free("g1", 3, 2500 * 1024**2, 0)


def test_a_drained_node_has_nothing_free(told: Facts) -> None:
    normal = next(p for p in told.partitions if p.name == "normal")
    assert normal.is_default
    assert normal.cpus == 8
    assert normal.largest is not None
    assert normal.cpus_idle == normal.largest.cpus == 1
    assert normal.largest.node == "n1"


def test_waiting_jobs_are_counted_by_reason_with_all_parts_of_their_arrays(told: Facts) -> None:
    assert told.waiting["The array's limit of running tasks is reached"] == 2
    assert told.waiting["Held: release it with `scontrol release`"] == 1
    low, lowc = (next(p for p in told.partitions if p.name == name) for name in ("low", "lowc"))
    assert sum(low.waiting.values()) == sum(lowc.waiting.values()) == 1  # one job, for either


def test_the_partition_where_a_job_starts_soonest_comes_first(told: Facts) -> None:
    names = [p.name for p in told.soonest]
    assert names[0] == "gpu"  # it has the most processors free, and nobody waits for them
    assert names[-1] == "down"
    assert told.soonest[-1].outlook == "Closed: what is submitted waits"
    assert told.soonest[0].outlook == "A job of up to 3 CPUs, 2.4 GiB starts now"


def test_waiting_elements_of_an_array_are_asked_for_whole() -> None:
    """Else squeue writes `1,3,5,7,...` of many, and the rest is not counted."""
    argv = slurm_facts.commands("ada")["waiting"]
    assert argv[: argv.index("squeue")] == ["env", "SLURM_BITSTR_LEN=0"]


def test_limits_and_shares_are_said_in_words(told: Facts) -> None:
    said = {(limit.whose, limit.what): limit.most for limit in told.limits}
    assert said["account proj1", "jobs running at once"] == "50"
    assert said["account proj1", "time of one job"] == "2-00:00:00"
    mine = said["quality of service normal", "resources at once"]
    assert mine == "200 CPUs, 8 GPUs, 1T of memory"
    assert {share.account for share in told.shares} == {"proj1", "proj2"}
    assert all(isinstance(share, Share) and 0 <= share.factor <= 1 for share in told.shares)


def test_what_only_the_accounts_know_may_be_missing() -> None:
    whole = answers("slurm")
    disabled = Answer(1, "", "You are not running a supported accounting_storage plugin\n")
    silent = Answer(-1, "", "sshare: timed out after 8 s")
    facts = slurm_facts.read({**whole, "limits": disabled, "qualities": disabled, "shares": silent})
    assert facts.cpus == 12
    assert not facts.limits
    assert facts.problems == ("fair share: sshare: timed out after 8 s",)


@pytest.mark.parametrize("key", ["nodes", "partitions", "waiting"])
def test_a_controller_that_does_not_answer_is_no_empty_cluster(key: str) -> None:
    refused = Answer(1, "", "slurm_load_node error: Unable to contact slurm controller\n")
    with pytest.raises(Unreachable, match="Unable to contact"):
        slurm_facts.read({**answers("slurm"), key: refused})


def test_facts_survive_being_kept(told: Facts) -> None:
    assert facts_of(facts_as_json(told)) == told
    assert facts_of({"cpus": "many"}) == Facts()  # written by another version


def test_openpbs_tells_nodes_and_queues() -> None:
    facts = pbs_facts.read(answers("openpbs"))
    assert facts.nodes == {NodeState.FULL: 1}
    assert (facts.cpus, facts.cpus_idle, facts.gpus, facts.largest) == (8, 0, 2, None)
    queues = {p.name: p for p in facts.partitions}
    assert queues["workq"].waiting["Waits for free resources"] == 5
    assert queues["short"].time_limit == 120
    assert not queues["stopped"].is_open
    assert queues["workq"].outlook == "Full: a new job waits, with 5 jobs before it"


@pytest.mark.parametrize("word", ["Stale", "offline_by_mom", "wait-provisioning", "free,Stale"])
def test_a_node_of_pbs_that_takes_no_job_is_not_free(word: str) -> None:
    told = answers("openpbs")
    node = f"n9\n     ntype = PBS\n     state = {word}\n     resources_available.ncpus = 4\n\n"
    facts = pbs_facts.read({**told, "nodes": Answer(0, node, "")})
    assert facts.nodes.keys() <= {NodeState.DOWN, NodeState.DRAINED}
    assert facts.cpus_idle == 0


def test_jobs_in_a_queue_that_is_stopped_do_not_wait_for_resources() -> None:
    told = answers("openpbs")
    queue = (
        "Queue: stopped\n    queue_type = Execution\n    enabled = True\n    started = False\n"
        "    state_count = Transit:0 Queued:3 Held:1 Waiting:0 Running:0\n\n"
    )
    (door,) = pbs_facts.read({**told, "queues": Answer(0, queue, "")}).partitions
    assert door.waiting == {"The queue is stopped": 3, "Held, or waits for another job": 1}


LIMITS = {
    "openpbs": "openpbs_limits_of_queues.txt",
    "torque": "torque_limits_of_a_queue.txt",
}


def limits_told(kind: str, user: str, server: str = "") -> dict[tuple[str, str], str]:
    told = answers(kind)
    queues = (CAPTURED / "pbs" / LIMITS[kind]).read_text()
    more = {"queues": queues, "user": user} | ({"server": server} if server else {})
    facts = pbs_facts.read({**told, **{key: Answer(0, text, "") for key, text in more.items()}})
    return {(limit.whose, limit.what): limit.most for limit in facts.limits}


def test_limits_of_pbs_are_the_users_own_or_everybodys() -> None:
    mine, hers = (limits_told("openpbs", user) for user in ("hut", "ada lovelace"))
    assert mine == {
        ("queue workq", "jobs running at once"): "25",
        ("queue workq", "time of one job"): "24:00:00",
        ("queue gpu_long", "jobs in the queue at once"): "2000",
        ("queue gpu_long", "GPUs of one job"): "99",
        ("queue gpu_long", "time of one job"): "336:00:00",
        ("queue gpu_long", "CPUs of running jobs at once"): "400",
        ("queue gpu_long", "CPUs of running jobs at once of all users together"): "5000",
    }
    assert hers["queue gpu_long", "CPUs of running jobs at once"] == "10"
    others = limits_told("openpbs", "bob")
    assert others["queue gpu_long", "CPUs of running jobs at once"] == "200"


def test_limits_of_pbss_server_come_first_and_its_default_queue_is_the_default() -> None:
    server = (CAPTURED / "openpbs" / "facts" / "server.txt").read_text()
    server += (
        "    max_run = [u:PBS_GENERIC=10],[g:PBS_GENERIC=40]\n    max_queued = [o:PBS_ALL=100]\n"
    )
    found = limits_told("openpbs", "hut", server)
    assert list(found.items())[:3] == [
        (("the whole cluster", "jobs running at once"), "10"),
        (("the whole cluster", "jobs running at once of all users of a group together"), "40"),
        (("the whole cluster", "jobs in the queue at once of all users together"), "100"),
    ]
    facts = pbs_facts.read(answers("openpbs"))
    assert [p.name for p in facts.partitions if p.is_default] == ["workq"]
    down = {**answers("openpbs"), "server": Answer(255, "", "Connection refused")}
    assert not any(p.is_default for p in pbs_facts.read(down).partitions)


def test_limits_of_torque_are_told() -> None:
    assert limits_told("torque", "hut") == {
        ("queue batch", "jobs running at once"): "60",
        ("queue batch", "jobs in the queue at once"): "500",
        ("queue batch", "CPUs of one job"): "64",
        ("queue batch", "time of one job"): "72:00:00",
        ("queue batch", "jobs in the queue at once of all users together"): "5000",
        ("queue batch", "jobs running at once of all users together"): "600",
    }


def test_what_the_user_may_have_of_a_pbs_cluster_is_on_its_card() -> None:
    queues = (CAPTURED / "pbs" / LIMITS["torque"]).read_text()
    told = {**answers("torque"), "queues": Answer(0, queues, ""), "user": Answer(0, "hut", "")}
    assert pbs_facts.read(told).yours == "at most 500 jobs in the queue at once"


def test_slurms_commands_for_pbs_know_of_no_server() -> None:
    assert "server" in PBS(kind=PRO).facts("hut")
    assert "server" not in PBS(kind=ON_SLURM).facts("hut")


def test_torques_commands_tell_nodes_and_queues() -> None:
    facts = pbs_facts.read(answers("torque"))
    assert facts.nodes == {NodeState.IDLE: 1, NodeState.MIXED: 1, NodeState.FULL: 1}
    assert (facts.cpus, facts.cpus_idle, facts.gpus) == (12, 4, 2)
    assert facts.largest == Free("n2", 4, 4000 * 1024**2, 0)
    assert {p.name for p in facts.partitions} >= {"normal", "gpu", "short"}


def test_a_pbs_server_that_is_down_has_no_facts() -> None:
    down = Answer(1, "", "Connection refused\npbsnodes: cannot connect to server pbs1\n")
    with pytest.raises(Unreachable, match="cannot connect"):
        pbs_facts.read({**answers("openpbs"), "nodes": down})


def test_a_slurm_queue_lists_arrays_and_heterogeneous_jobs() -> None:
    text = (CAPTURED / "slurm" / "squeue_every_kind_of_job.txt").read_text()
    queue = Slurm().list_queue(Answer(0, text, ""))
    jobs = {job.job_id: job for job in queue.jobs}
    assert {job.phase for job in queue.jobs} == {Phase.RUNNING, Phase.WAITING}
    array = next(job for job in queue.jobs if job.job_id.startswith("28_["))
    assert (array.count, array.key) == (2, "28_[]")
    assert (queue.running, queue.waiting, queue.more) == (4, 11, 0)
    assert jobs["36+1"].gres == "gpu:1"
    assert jobs["36+1"].key == jobs["36+0"].key == "36"
    gpus = jobs["35"]
    assert (gpus.gres, gpus.memory, gpus.account) == ("gpu:a100:2", 1500 * 1024**2, "proj2")
    assert jobs["20"].name == "name|with pipes\nand a newline é ☃ capture2.1.1"
    assert jobs["20"].tokens == ("capture2.1.1",)


def test_a_queue_of_fifty_thousand_jobs_is_cut_and_counted() -> None:
    fields = dict.fromkeys(QUEUE_FIELDS, "1") | {"%T": "PENDING", "%r": "Priority", "%K": "N/A"}
    rows = [FIELD.join((fields | {"%i": str(n)}).values()) for n in range(50_000)]
    rows.append(FIELD.join((fields | {"%i": "77777", "%T": "RUNNING"}).values()))
    queue = Slurm().list_queue(Answer(0, "".join(f"{RECORD}{r}{RECORD}\n" for r in rows), ""))
    assert queue.jobs[0].job_id == "77777"  # what runs is told first
    assert len(queue.jobs) == MOST
    assert (queue.running, queue.waiting, queue.more) == (1, 50_000, 50_001 - MOST)


def test_a_pbs_queue_lists_arrays() -> None:
    text = (CAPTURED / "openpbs" / "qstat_array_with_an_exit_status_while_it_runs.txt").read_text()
    queue = PBS(kind=PRO).list_queue(Answer(0, text, ""), "hut")
    (array,) = [job for job in queue.jobs if job.job_id == "4[].pbs1"]
    assert (array.owner, array.phase, array.partition) == ("hut", Phase.RUNNING, "workq")
    assert (array.cpus, array.memory, array.time_limit) == (2, 100 * 1024**2, 300)
    assert (array.count, queue.running, queue.waiting) == (2, 2, 0)


@pytest.mark.parametrize(
    ("counts", "running", "waiting"),
    [
        ("Queued:5 Running:2 Exiting:0 Expired:1", 2, 5),
        ("Queued:5 Running:1 Exiting:1 Expired:0", 2, 5),
        ("Queued:5 Running:0 Exiting:0 Expired:2", 0, 5),
    ],
)
def test_of_an_array_that_has_begun_some_run_and_some_wait(
    counts: str, running: int, waiting: int
) -> None:
    name = "qstat_array_with_an_exit_status_while_it_runs.txt"
    as_json = (CAPTURED / "openpbs" / name).read_text()
    as_json = as_json.replace("Queued:0 Running:2 Exiting:0 Expired:1", counts)
    as_text = (
        "Job Id: 4[].pbs1\n    Job_Name = arr\n    job_state = B\n"
        f"    array = True\n    array_state_count = {counts}\n\n"
    )
    for dialect, text in ((PBS(kind=PRO), as_json), (PBS(kind=OLD_PRO), as_text)):
        queue = dialect.list_queue(Answer(0, text, ""), "hut")
        (array,) = (job for job in queue.jobs if job.job_id == "4[].pbs1")
        assert (queue.running, queue.waiting) == (running, waiting)
        assert array.count == (running or waiting)


def test_of_slurms_qstat_which_tells_of_everybody_only_the_users_own_jobs_are_listed() -> None:
    text = (CAPTURED / "torque" / "qstat_slurms_commands_fold_nothing.txt").read_text()
    others = "Job Id:\t99\n\tJob_Name = x\n\tjob_state = R\n\teuser = huta(1002)\n\n"
    mixed = Answer(0, text + others, "")
    dialect = PBS(kind=ON_SLURM)
    mine = dialect.list_queue(mixed, "hut")
    assert mine == dialect.list_queue(Answer(0, text, ""), "hut")
    assert mine.running > 0
    assert [job.job_id for job in dialect.list_queue(mixed, "huta").jobs] == ["99"]
