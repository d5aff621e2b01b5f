"""What is said to Slurm, and how its answers to that are taken."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from scripthut.core import paths
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.jobs import Accepted, Answer, Job, Rejected, Resources
from scripthut.schedulers.slurm import Slurm, job_name

TOKEN = "abcdefgh.7pr.12"
JOB = Job(
    token=TOKEN,
    run_id="abcdefgh",
    run_name="study",
    key="sim.1",
    name="sim 1",
    attempt=1,
    command="true",
    working_dir="~",
    env={},
    resources=Resources(),
    paths=paths.for_task(PurePosixPath("/home/ada/logs"), "abcdefgh", "sim.1", 1, TOKEN),
)


def options(dialect: Slurm, job: Job) -> Mapping[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in dialect.submit(job)[2:])


def test_a_plain_job_asks_for_little() -> None:
    assert Slurm().submit(JOB) == [
        "sbatch",
        "--parsable",
        "--job-name=sim_1 abcdefgh.7pr.12",
        "--comment=abcdefgh.7pr.12",
        "--output=/home/ada/logs/scripthut_abcdefgh_sim.1.out",
        "--error=/home/ada/logs/scripthut_abcdefgh_sim.1.err",
        "--cpus-per-task=1",
        "--open-mode=append",
    ]


def test_all_that_a_job_asks_for_is_passed_on_in_slurms_units() -> None:
    asked = Resources("normal", 8, 3 * 1024**3 + 1, 90061, "gpu:a100:2")
    given = options(Slurm("proj1", {"normal": "compute"}), replace(JOB, resources=asked))
    assert given["partition"] == "compute"
    assert given["account"] == "proj1"
    assert given["cpus-per-task"] == "8"
    assert given["mem"] == "3073M"
    assert given["time"] == "25:01:01"
    assert given["gres"] == "gpu:a100:2"


@pytest.mark.parametrize(
    ("wanted", "default", "got"),
    [("gpu", None, "gpu"), ("normal", None, "n"), ("gpu", "d", "d"), (None, "d", "d")],
)
def test_a_partition_is_mapped_or_else_the_default_or_else_as_it_is(
    wanted: str | None, default: str | None, got: str
) -> None:
    job = replace(JOB, resources=Resources(partition=wanted))
    assert options(Slurm(None, {"normal": "n"}, default), job)["partition"] == got


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x" * 300, "x" * 48),
        ("a|b\nc d; $(rm)", "a_b_c_d_rm"),
        ("é", "task"),
        ("", "task"),
        ("--parsable", "parsable"),
        ("5,6", "5_6"),
    ],
)
def test_a_job_name_is_safe_short_and_ends_with_the_token(name: str, shown: str) -> None:
    found = job_name(replace(JOB, name=name))
    assert found == f"{shown} {TOKEN}"
    assert len(found) <= 64


def test_the_head_of_the_script_shows_the_options_and_sets_none() -> None:
    lines = Slurm().directives(replace(JOB, resources=Resources(gres="gpu:1 #SBATCH -p x")))
    assert all(line.startswith("# ") for line in lines)
    assert "# '--gres=gpu:1 #SBATCH -p x'" in lines


def test_a_value_with_a_line_break_is_refused() -> None:
    with pytest.raises(Refused, match="line break"):
        Slurm().submit(replace(JOB, resources=Resources(partition="a\nb")))


@pytest.mark.parametrize(
    ("out", "job_id"),
    [
        ("12345\n", "12345"),
        ("12345;hutc\n", "12345"),
        ("Welcome!\nLoading gcc/12\n99\nBye 2026\n", "99"),
        ("note: Submitted batch job 1 yesterday\nSubmitted batch job 77\n", "77"),
        ("Submitted batch job 8 on cluster hutc\n", "8"),
    ],
)
def test_an_id_is_found_among_noise(out: str, job_id: str) -> None:
    assert Slurm().parse_submit(Answer(0, out, "sbatch: warning: x")) == Accepted(job_id)


FAILED = "sbatch: error: Batch job submission failed: "


@pytest.mark.parametrize(
    ("code", "out", "err"),
    [
        (1, "", FAILED + "Socket timed out on send/recv operation\n"),
        (1, "", FAILED + "Unable to contact slurm controller (connect failure)\n"),
        (1, "", FAILED + "Zero Bytes were transmitted or received\n"),
        (-1, "", "sbatch: timed out after 60 s"),
        (-15, "", ""),
        (1, "17\n", "sbatch: error: something after it"),
        (0, "", ""),
        (0, "Welcome to the cluster of 2026\n", ""),
    ],
)
def test_when_nobody_knows_whether_a_job_was_taken_nothing_is_said(
    code: int, out: str, err: str
) -> None:
    assert Slurm().parse_submit(Answer(code, out, err)) is None


@pytest.mark.parametrize(
    ("err", "why"),
    [
        (
            "sbatch: error: invalid partition specified: nosuch\n"
            + FAILED
            + "Invalid partition name specified\n",
            "invalid partition specified: nosuch Batch job submission failed: Invalid partition "
            "name specified",
        ),
        (
            "sbatch: error: Memory specification can not be satisfied\n"
            + FAILED
            + "Requested node configuration is not available\n",
            "Memory specification can not be satisfied Batch job submission failed: Requested "
            "node configuration is not available",
        ),
        (
            "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
            + FAILED
            + "Job violates accounting/QOS policy (job submit limit, user's size and/or time "
            "limits)",
            "QOSMaxWallDurationPerJobLimit Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)",
        ),
        (
            "cannot make the directory /no/logs: Permission denied",
            "cannot make the directory /no/logs: Permission denied",
        ),
        ("", "exit code 1 and no word"),
    ],
)
def test_a_refusal_keeps_the_schedulers_own_words(err: str, why: str) -> None:
    assert Slurm().parse_submit(Answer(1, "", err)) == Rejected(why)


@pytest.mark.parametrize(
    "err",
    [
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\n" + FAILED + "Job violates accounting/QOS "
        "policy (job submit limit, user's size and/or time limits)",
        "sbatch: error: AssocMaxSubmitJobLimit\n" + FAILED + "Job violates accounting/QOS policy "
        "(job submit limit, user's size and/or time limits)",
        FAILED + "Job violates accounting/QOS policy (job submit limit, user's size and/or time "
        "limits)",
        FAILED + "Resource temporarily unavailable",
        "cannot make the directory /home/ada/logs: Disk quota exceeded",
        FAILED + "Protocol authentication error",
        FAILED + "Required partition not available (inactive or drain)",
        FAILED + "I/O error writing script/environment to file",
        "sbatch: fatal: Could not establish a configuration source",
        'sbatch: s_p_parse_file: file "/etc/slurm/slurm.conf" is empty\n'
        "sbatch: error: ClusterName needs to be specified\n"
        "sbatch: fatal: Unable to process configuration file",
    ],
)
def test_a_limit_that_will_pass_is_a_refusal_for_now(err: str) -> None:
    answer = Slurm().parse_submit(Answer(1, "", err))
    assert isinstance(answer, Rejected)
    assert answer.wait


def test_a_login_node_without_sbatch_is_said_to_be_one() -> None:
    with pytest.raises(Unreachable, match="sbatch was not found"):
        Slurm().parse_submit(Answer(127, "", "sbatch: No such file or directory"))


def test_accounting_is_asked_in_parts_from_a_day_before() -> None:
    since = datetime(2026, 11, 23, 12, tzinfo=UTC)
    asked = Slurm().accounting("ada", {str(n) for n in range(1200)}, [JOB], since)
    assert len(asked) == 4
    ids = [word for argv in asked for word in argv if word.startswith("--jobs=")]
    assert sorted(i for part in ids for i in part.removeprefix("--jobs=").split(",")) == sorted(
        str(n) for n in range(1200)
    )
    assert all("--starttime=2026-11-22T12:00:00" in argv for argv in asked)
    assert "--user=ada" in asked[-1]
    assert f"--name=sim_1 {TOKEN}" in asked[-1]


def test_a_cancelled_job_that_has_gone_is_no_failure() -> None:
    Slurm().parse_cancel(Answer(0, "", ""))
    Slurm().parse_cancel(
        Answer(1, "", "scancel: error: Kill job error on job id 7: Invalid job id")
    )


@pytest.mark.parametrize(
    ("code", "err"),
    [
        (1, "scancel: error: Kill job error on job id 2: Unable to contact slurm controller"),
        (-1, "scancel: timed out after 25 s"),
        (127, "scancel: No such file or directory"),
    ],
)
def test_a_cancel_that_did_not_arrive_is_no_answer(code: int, err: str) -> None:
    with pytest.raises(Unreachable, match="scancel"):
        Slurm().parse_cancel(Answer(code, "", err))


def test_extra_words_come_before_ours_so_that_ours_count() -> None:
    asked = replace(JOB, resources=replace(JOB.resources, extra=("--qos=high", "--mem=1M")))
    argv = Slurm(extra=("--mail-type=NONE",)).submit(asked)
    assert argv[:5] == ["sbatch", "--parsable", "--mail-type=NONE", "--qos=high", "--mem=1M"]
    assert f"--comment={TOKEN}" in argv[5:]


@pytest.mark.parametrize(
    "word", ["other.sh", "--", "-", "--array=1-9", "-a1-9", "-Mall", "--wait", "--arr=2"]
)
def test_extra_words_that_would_lose_the_job_are_refused(word: str) -> None:
    asked = replace(JOB, resources=replace(JOB.resources, extra=(word,)))
    with pytest.raises(Refused, match=r"extra_args .* (is no option|cannot be passed on)"):
        Slurm().submit(asked)
