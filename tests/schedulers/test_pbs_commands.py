"""How PBS is asked, and what its refusals mean."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

import pytest

from scripthut.core import paths
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.jobs import Accepted, Answer, Job, Rejected, Resources
from scripthut.core.script import script
from scripthut.schedulers.pbs import PBS, job_name
from scripthut.schedulers.pbs_words import OLD_PRO, ON_SLURM, PRO, TORQUE, Kind

LOGS = PurePosixPath("/home/ada/.cache/scripthut/logs/study")
TOKEN = "abcdefgh.7pr.1"
SINCE = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = [PRO, OLD_PRO, TORQUE, ON_SLURM]


def job(name: str = "a task", **asked: object) -> Job:
    return Job(
        token=TOKEN,
        run_id="abcdefgh",
        run_name="study",
        key="t",
        name=name,
        attempt=1,
        command="true",
        working_dir="~",
        env={},
        resources=Resources(**asked),  # type: ignore[arg-type]
        paths=paths.for_task(LOGS, "abcdefgh", "t", 1, TOKEN),
    )


def options(argv: list[str]) -> dict[str, str]:
    """The words of qsub by option; of several `-l` all, with blanks between."""
    found: dict[str, str] = {}
    for name, value in zip(argv[1::2], argv[2::2], strict=False):
        found[name] = f"{found[name]} {value}" if name in found else value
    return found


@pytest.mark.parametrize(
    ("out", "err", "code", "kind"),
    [
        ("pbs_version = 23.06.06\n", "", 0, PRO),
        ("pbs_version = 2021.1.3\n", "", 0, PRO),
        ("pbs_version = 19.2.8.20200925072630\n", "", 0, OLD_PRO),
        ("pbs_version = PBSPro_12.2.4.142262\n", "", 0, OLD_PRO),
        ("", "Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e\n", 0, TORQUE),
        ("", "version: 2.5.13\n", 0, TORQUE),
        ("", "Unknown option: version\nUsage:\n    qstat [-f] [-a|-i|-r]\n", 2, ON_SLURM),
    ],
)
def test_the_kind_of_pbs_is_what_it_says_of_itself(
    out: str, err: str, code: int, kind: Kind
) -> None:
    unmet = PBS(account="a")
    assert unmet.introduction() == ["qstat", "--version"]
    met = unmet.introduced(Answer(code, out, err))
    assert met == PBS(account="a", kind=kind)
    assert met.introduction() == []


def test_a_login_node_without_pbs_is_told_of_with_the_remedy() -> None:
    absent = Answer(127, "", "qstat: No such file or directory")
    queue = partial(PBS().parse_queue, user="hut")
    asks = (PBS().introduced, PBS().parse_submit, queue, PBS().parse_cancel)
    for ask in asks:
        with pytest.raises(Unreachable, match="put PBS's commands into the PATH"):
            ask(absent)


def test_a_version_that_does_not_come_is_no_version() -> None:
    with pytest.raises(Unreachable, match="did not say its version"):
        PBS().introduced(Answer(-1, "", "qstat: timed out after 25 s"))


def test_pbs_pro_is_asked_by_select() -> None:
    asked = job(cpus=4, memory=1536 * 1024**2, time_limit=90061, gres="gpu:v100:2", partition="q")
    argv = PBS(account="mine", kind=PRO).submit(asked)
    assert options(argv) == {
        "-N": f"a_task+{TOKEN}",
        "-q": "q",
        "-A": "mine",
        "-l": "select=1:ncpus=4:mem=1536mb:ngpus=2 walltime=25:01:01",
        "-o": "/dev/null",
        "-e": "/dev/null",
        "-m": "n",
        "-S": "/bin/bash",
    }


def test_torque_is_asked_by_nodes() -> None:
    argv = PBS(kind=TORQUE).submit(job(cpus=4, memory=1, time_limit=60, gres="gpu"))
    assert options(argv)["-l"] == "nodes=1:ppn=4:gpus=1,mem=1mb,walltime=0:01:00"


def test_what_a_task_leaves_open_is_the_servers_to_say() -> None:
    assert "-q" not in PBS(kind=PRO).submit(job())
    assert options(PBS(kind=PRO).submit(job()))["-l"] == "select=1:ncpus=1"


def test_a_backends_queue_overrides_what_a_task_names() -> None:
    dialect = PBS(queue_name="short", kind=PRO)
    assert options(dialect.submit(job(partition="normal")))["-q"] == "short"


@pytest.mark.parametrize("gres", ["lustre:1", "gpu:2,gpu:1", "gpus", "gpu:-1"])
def test_a_resource_that_pbs_does_not_know_is_refused_with_the_remedy(gres: str) -> None:
    with pytest.raises(Refused, match='write "gpu:2" for two GPUs'):
        PBS(kind=PRO).submit(job(gres=gres))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sim 7 | x\ny", f"sim_7_x_y+{TOKEN}"),
        ("7", TOKEN),
        ("☃", TOKEN),
        ("a" * 300, "a" * 200 + f"+{TOKEN}"),
    ],
)
def test_a_name_carries_the_token_and_nothing_that_pbs_refuses(name: str, expected: str) -> None:
    assert job_name(job(name), PRO) == expected
    assert job_name(job(name), OLD_PRO) == job_name(job(name), TORQUE) == TOKEN
    assert len(TOKEN) <= 15


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_opens_its_own_logs_whatever_their_names(kind: Kind) -> None:
    odd = replace(job(), paths=replace(job().paths, out=LOGS / "it's:100%, $HOME"))
    lines = PBS(kind=kind).directives(odd)
    where = "'/home/ada/.cache/scripthut/logs/study/it'\"'\"'s:100%, $HOME'"
    assert lines[-1] == f"exec >>{where} 2>>{LOGS}/scripthut_abcdefgh_t.err || exit 73"
    assert all(line.startswith("# ") for line in lines[:-1])
    script(odd, lines, shell_is_login=False)


def test_only_slurms_commands_want_a_file() -> None:
    files = {kind.name: PBS(kind=kind).script_file(job()) for kind in KINDS}
    file = LOGS / ".scripthut/abcdefgh" / f"{TOKEN}.sh"
    assert [path for path in files.values() if path] == [file]
    assert files[ON_SLURM.name] == file
    assert PBS(kind=ON_SLURM).submit(job())[-1] == str(file)


def test_slurms_commands_build_a_line_for_a_shell_so_their_words_are_quoted() -> None:
    argv = PBS(kind=ON_SLURM).submit(job(partition="short; touch x"))
    assert options(argv)["-q"] == "'short; touch x'"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(0, "0.pbs1\n", ""), Accepted("0.pbs1")),
        (
            Answer(0, "welcome\n17.server.example.org\n", "a warning"),
            Accepted("17.server.example.org"),
        ),
        (Answer(0, "23\n", ""), Accepted("23")),
        (Answer(0, "", ""), None),
        (Answer(170, "", "qsub: Unknown queue\n"), Rejected("Unknown queue")),
        (
            Answer(188, "", "qsub: Job violates queue and/or server resource limits\n"),
            Rejected("Job violates queue and/or server resource limits"),
        ),
        (
            Answer(173, "", "qsub: Queue is not enabled\n"),
            Rejected("Queue is not enabled", wait=True),
        ),
        (
            Answer(55, "", "qsub: Maximum number of jobs already in queue for user\n"),
            Rejected("Maximum number of jobs already in queue for user", wait=True),
        ),
        (
            Answer(
                162, "", "Connection refused\nqsub: cannot connect to server pbs1 (errno=15010)"
            ),
            None,
        ),
        (Answer(-1, "", "qsub: timed out after 60 s"), None),
        (
            Answer(
                1,
                "There was an error running the Slurm sbatch command.\nThe command was:\n"
                "'/usr/bin/sbatch -p nosuch sel.pbs 2>&1'\nand the output was:\n"
                "'sbatch: error: invalid partition specified: nosuch\n"
                " sbatch: error: Batch job submission failed: Invalid partition name\n'\n",
                "",
            ),
            Rejected(
                "invalid partition specified: nosuch "
                "Batch job submission failed: Invalid partition name"
            ),
        ),
    ],
)
def test_an_answer_to_a_submission(answer: Answer, expected: object) -> None:
    assert PBS(kind=PRO).parse_submit(answer) == expected


def test_history_is_asked_for_where_there_is_one() -> None:
    for kind, flags in (
        (PRO, "-x -f -F json"),
        (OLD_PRO, "-x -f"),
        (TORQUE, "-f"),
        (ON_SLURM, "-f"),
    ):
        (argv,) = PBS(kind=kind).accounting("ada", ["2.pbs1", "10.pbs1"], [], SINCE)
        assert argv[4:] == [flags, "10.pbs1", "2.pbs1"]
    by_name = PBS(kind=PRO).accounting("ada", [], [job("sim")], SINCE)
    assert by_name[0][4:] == ["-x -f -F json", "-x -u ada", f"sim+{TOKEN}"]
    assert PBS(kind=ON_SLURM).accounting("ada", [], [job("sim")], SINCE) == []


def test_a_thousand_ids_are_two_commands() -> None:
    ids = [f"{n}.pbs1" for n in range(1000)]
    assert [len(a) - 5 for a in PBS(kind=PRO).accounting("ada", ids, [], SINCE)] == [500, 500]


def test_many_jobs_are_cancelled_at_once() -> None:
    assert PBS(kind=PRO).cancel({"2.pbs1", "1.pbs1"}) == ["qdel", "1.pbs1", "2.pbs1"]


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (0, ""),
        (153, "qdel: Unknown Job Id 999999.pbs1"),
        (35, "qdel: Job has finished 16.pbs1"),
        (170, "qdel: Request invalid for state of job MSG=invalid state for job - COMPLETE 3"),
        (1, ""),
        (222, "qdel: Server could not connect to MOM 47.pbs1"),
    ],
)
def test_an_order_about_what_has_ended_or_cannot_be_reached_holds_nothing_up(
    code: int, err: str
) -> None:
    PBS(kind=PRO).parse_cancel(Answer(code, "", err))


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (162, "Connection refused\nCouldn't connect to cluster: pbs1"),
        (127, "qdel: No such file or directory"),
        (-1, "qdel: timed out after 25 s"),
    ],
)
def test_an_order_that_did_not_arrive_is_known(code: int, err: str) -> None:
    with pytest.raises(Unreachable, match="qdel"):
        PBS(kind=PRO).parse_cancel(Answer(code, "", err))


@pytest.mark.parametrize(
    "word", ["-Wblock=true", "-W block=true", "-Wumask=022,block=true", "-W umask=022, block=true"]
)
def test_a_submission_that_would_wait_for_the_jobs_end_is_refused(word: str) -> None:
    with pytest.raises(Refused, match="cannot be passed on"):
        PBS(kind=PRO).submit(job(extra=(word,)))


@pytest.mark.parametrize("word", ["-Wumask=022", "-W sandbox=PRIVATE", "-W group_list=blocks"])
def test_other_attributes_of_a_job_are_passed_on(word: str) -> None:
    assert word in PBS(kind=PRO).submit(job(extra=(word,)))
