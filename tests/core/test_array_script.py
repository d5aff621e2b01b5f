"""One script for many jobs: each element runs its own, whatever it holds."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from scripthut.core import paths, tokens
from scripthut.core.errors import Refused
from scripthut.core.jobs import Job, Own
from scripthut.core.script import array_script
from scripthut.schedulers.slurm import Slurm
from tests.core.scripts import Node

NASTY = 'it\'s "q" $(touch pwned) `x` \\ ;;\nesac\n*) }\r\né'


def jobs_of(node: Node, *jobs: Job) -> dict[int, Job]:
    """Jobs as elements 0, 1, ... of one array, each with its own token and paths."""
    logs = paths.log_dir(PurePosixPath(node.home), "study")
    made = {}
    for n, job in enumerate(jobs):
        token, key = tokens.token("abcdefgh", n, 1), f"sim.{n}"
        where = paths.for_task(logs, "abcdefgh", key, 1, token)
        made[n] = replace(job, token=token, key=key, paths=where)
        Path(where.out).parent.mkdir(parents=True, exist_ok=True)
    return made


def run(node: Node, jobs: dict[int, Job], index: int) -> "subprocess.CompletedProcess[str]":
    file = node.home / "array.sh"
    file.write_text(array_script(jobs, ["# a line"], False, Slurm().element_lines()))
    ids = {"SLURM_JOB_ID": "99", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": str(index)}
    env = {"HOME": str(node.home), "PATH": os.environ["PATH"], **ids}
    return subprocess.run(
        ["bash", str(file)], env=env, capture_output=True, text=True, check=False, timeout=30
    )


def test_each_element_runs_its_own_command_in_its_own_environment(tmp_path: Path) -> None:
    node = Node(tmp_path)
    says = 'printf "%s|%s|%s|%s" "$A" "$B" "$PATH" "$0"; '
    jobs = jobs_of(
        node,
        node.job(says + "exit 3", A=NASTY, B="same", PATH=(Own("PATH", ":"), "/zero")),
        node.job(says + NASTY.replace("\r\n", "\n") + "\nfi", A="one", B="same"),
        node.job("echo ${A-none} ${B-none}", "/tmp"),
    )
    assert [run(node, jobs, n).returncode for n in jobs] == [3, 2, 0]
    said = [Path(job.paths.out).read_bytes().decode() for job in jobs.values()]
    assert said[0].endswith(f"{NASTY}|same|{os.environ['PATH']}:/zero|sim.0")
    assert said[2].endswith("none none\n")
    assert "unexpected EOF" in Path(jobs[1].paths.err).read_text()
    assert not (tmp_path / "pwned").exists()
    for n, job in jobs.items():
        note = node.note(job)
        assert (note["token"], note["job"]) == (job.token, f"12_{n}")
        assert str(Path(job.paths.claim).readlink()) == f"job:12_{n}"


def test_a_second_array_with_a_token_that_is_claimed_runs_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    jobs = jobs_of(node, node.job("echo ran"), node.job("echo ran"))
    Path(jobs[0].paths.state).mkdir(parents=True)
    Path(jobs[0].paths.claim).symlink_to("job:11_0")
    assert [run(node, jobs, n).returncode for n in jobs] == [0, 0]
    assert "has been claimed by job 11_0" in Path(jobs[0].paths.err).read_text()
    assert not Path(jobs[0].paths.note).exists()
    assert "ran" in Path(jobs[1].paths.out).read_text()


def test_logs_that_cannot_be_opened_are_the_reason_in_the_note(tmp_path: Path) -> None:
    node = Node(tmp_path)
    jobs = jobs_of(node, node.job("echo ran"), node.job("true"))
    nowhere = replace(jobs[0].paths, out=PurePosixPath("/proc/nowhere/out"))
    ended = run(node, jobs | {0: replace(jobs[0], paths=nowhere)}, 0)
    note = node.note(jobs[0])
    assert (ended.returncode, note["code"]) == (1, "1")
    assert "cannot open its log file /proc/nowhere/out" in note["why"]


def test_an_index_that_is_none_of_the_arrays_runs_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    ended = run(node, jobs_of(node, node.job("echo ran"), node.job("true")), 7)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "this array has no task 7" in ended.stderr


def test_what_is_alike_stands_there_once(tmp_path: Path) -> None:
    node = Node(tmp_path)
    job = node.job("./fit --all " + "x" * 200, SAME="y" * 300)
    size = [
        len(array_script(jobs_of(node, *[job] * n), [], False, Slurm().element_lines()))
        for n in (100, 300)
    ]
    assert (size[1] - size[0]) / 200 < 2000  # bytes for each more: its own paths


def test_a_job_that_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with pytest.raises(Refused, match="NUL"):
        array_script(jobs_of(node, node.job("a\0b"), node.job()), [], False, [])
