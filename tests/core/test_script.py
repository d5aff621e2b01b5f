"""The job script, checked by running it."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from scripthut.core.errors import Refused
from scripthut.core.script import script
from tests.core.scripts import TOKEN, Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    home = tmp_path / "the home of é"
    home.mkdir()
    yield Node(home)
    assert not list(tmp_path.rglob("pwned"))


def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not claim():
        assert time.monotonic() < deadline, "waited for 20 s in vain"
        time.sleep(0.001)


def test_a_command_runs_and_leaves_its_note(node: Node) -> None:
    before = int(time.time())
    job = node.job("echo to out; echo to err >&2; exit 3")
    ended = node.run(job)
    assert ended.code == 3
    assert ended.out.endswith("\n\nto out\n")
    assert ended.err == "to err\n"
    assert ended.note["token"] == TOKEN
    assert ended.note["job"] == "7"
    assert ended.note["code"] == "3"
    assert before <= int(ended.note["start"]) <= int(ended.note["end"]) <= time.time()
    assert ended.note["node"] == os.uname().nodename
    assert str(Path(job.paths.claim).readlink()) == "job:7"
    assert stat.S_IMODE(Path(job.paths.state).stat().st_mode) == 0o700
    assert [p.name for p in Path(job.paths.state).iterdir() if "tmp" in p.name] == []


def test_the_banner_shows_the_name_and_runs_nothing_of_it(node: Node) -> None:
    job = node.job()
    ended = node.run(job)
    assert f"Task:    {job.name}\nId:      sim.1\n" in ended.out
    assert f"Dir:     {node.home}\n" in ended.out


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("exit 0", 0),
        ("false | true", 1),
        ("exit 255", 255),
        ("exit 139", 139),
        ('echo "unbalanced', 2),
        ("if true; then", 2),
        (")", 2),
        ("}; exit 0; {", 2),
        ("trap - EXIT; exit 5", 5),
        ("trap 'exit 6' EXIT; exit 5", 6),
        ("exec sh -c 'exit 9'", 9),
        ("kill -9 $$", 137),
        ("kill -TERM $$; sleep 30", 143),
        ("kill -SEGV $$", 139),
        ("no-such-command-anywhere", 127),
        ("cat <<'SCRIPTHUT_EOF'\nSCRIPTHUT_EOF\nexit 4", 4),
        ("cat <<EOF\nnever ended", 0),
        ("hut_finish() { :; }; hut_note=/dev/null; hut_code=0; exit 8", 8),
        ("set -e\r\nfalse\r\ntrue\r\n", 1),
        ("printf '' ; exit 3 # comment", 3),
        ("\nexit 2\n", 2),
        ("", 0),
        ("#" + "x" * 200_000 + "\nexit 11", 11),
        ("cat > /dev/null; exit 12", 12),
    ],
)
def test_no_command_can_escape_its_frame(node: Node, command: str, code: int) -> None:
    ended = node.run(node.job(command))
    assert ended.code == code
    assert ended.note["code"] == str(code)


def test_what_writes_githubs_summary_writes_the_tasks(node: Node) -> None:
    job = node.job('echo "# Hi" >> "$GITHUB_STEP_SUMMARY"')
    assert node.run(job).code == 0
    assert Path(job.paths.summary).read_text() == "# Hi\n"


def test_a_requeued_job_has_made_no_progress(node: Node) -> None:
    job = node.job('cat "$SCRIPTHUT_PROGRESS"; echo 42 > "$SCRIPTHUT_PROGRESS"')
    node.run(job)
    assert Path(job.paths.progress).read_text() == "42\n"
    assert not node.run(job).out.endswith("42\n")


def test_error_messages_count_the_commands_own_lines(node: Node) -> None:
    ended = node.run(node.job("true\nno-such-command-anywhere"))
    assert ended.err == "sim.1: line 2: no-such-command-anywhere: command not found\n"


def test_the_environment_arrives_byte_for_byte(node: Node) -> None:
    values = {
        "A": 'it\'s "$HOME" `id` \\ $(touch pwned)',
        "B": "two\nlines\n",
        "C": "dos\r\nline\rend\r",
        "D": "",
        "E": "é ☃",
        "hut_note": "/nowhere",
        "CDPATH": "/usr",
    }
    ended = node.run(node.job("env -0 | base64 -w0", **values))
    assert ended.code == 0
    text = subprocess.run(
        ["base64", "-d"], input=ended.out.split("\n\n")[-1].encode(), capture_output=True
    ).stdout.decode()
    seen = dict(line.split("=", 1) for line in text.split("\0") if line)
    assert {name: seen[name] for name in values} == values
    assert "SCRIPTHUT_JOB_ID" not in seen


def test_an_environment_cannot_break_the_note_or_the_output_variables(node: Node) -> None:
    env = {"PATH": "/nonexistent", "SCRIPTHUT_OUTPUT_DIR": "/elsewhere", "HOME": "/nonexistent"}
    job = node.job('echo "$SCRIPTHUT_OUTPUT_DIR"; exit 3', "sub", **env)
    (node.home / "sub").mkdir()
    ended = node.run(job)
    assert ended.out.endswith(f"\n{job.paths.outputs}\n")
    assert ended.note["code"] == "3"


def test_a_task_can_write_to_its_three_places_at_once(node: Node) -> None:
    job = node.job(
        'echo 1 >"$SCRIPTHUT_OUTPUT_DIR/x"; echo 2 >"$SCRIPTHUT_TASK_SUMMARY"'
        '; echo 3 >"$SCRIPTHUT_RUN_SUMMARY"'
    )
    assert node.run(job).code == 0
    places = (job.paths.outputs / "x", job.paths.summary, job.paths.fragment)
    assert [Path(place).read_text() for place in places] == ["1\n", "2\n", "3\n"]


@pytest.mark.parametrize("written", ["~", "~/a 'b' $c", "a 'b' $c", "ABSOLUTE", "-dash", "~a", "."])
def test_the_working_directory_is_found(node: Node, written: str) -> None:
    inside = {"~": "", "ABSOLUTE": "abs", ".": ""}.get(written, written.removeprefix("~/"))
    place = node.home / inside
    place.mkdir(exist_ok=True)
    job = node.job("pwd", str(place) if written == "ABSOLUTE" else written)
    assert node.run(job).out.endswith(f"\n{place}\n")


def test_a_missing_working_directory_fails_the_task_and_says_so(node: Node) -> None:
    ended = node.run(node.job("echo ran", "~/nowhere"))
    assert ended.code == 1
    assert ended.note["code"] == "1"
    assert "\nran" not in ended.out
    assert f"cannot enter the working directory {node.home}/nowhere" in ended.err


def test_a_state_directory_that_cannot_be_made_fails_the_task_and_says_so(node: Node) -> None:
    job = node.job("echo ran")
    Path(job.paths.logs).mkdir(parents=True)
    (Path(job.paths.logs) / ".scripthut").write_text("in the way")
    ended = node.run(job)
    assert ended.code == 1
    assert "cannot make the state directory" in ended.err
    assert "ran" not in ended.out


def test_a_second_job_with_the_same_token_runs_nothing(node: Node) -> None:
    job = node.job("echo ran >> ran.txt")
    first = node.run(job, "7")
    second = node.run(replace(job, command="echo twice >> ran.txt"), "8")
    assert (node.home / "ran.txt").read_text() == "ran\n"
    assert second.code == 0
    assert second.note == first.note
    assert "job 8 ran nothing: abcdefgh.0.1 has been claimed by job 7" in second.err
    refused = (Path(job.paths.state) / f"{TOKEN}.refused.8").read_text()
    assert refused == f"token={TOKEN}\njob=8\nrefused=7\nend\n"


def test_of_many_jobs_that_start_at_once_exactly_one_runs(node: Node) -> None:
    job = node.job("echo ran >> ran.txt; sleep 0.2")
    started = [node.start(job, str(n)) for n in range(12)]
    assert [p.wait(30) for p in started] == [0] * 12
    for process in started:
        process.communicate()
    assert (node.home / "ran.txt").read_text() == "ran\n"


def test_a_requeued_job_runs_again_without_its_older_note(node: Node) -> None:
    job = node.job("exit 3")
    node.run(job)
    again = node.start(replace(job, command=": > started; sleep 60"))
    until(lambda: (node.home / "started").exists())
    assert not Path(job.paths.note).exists()
    os.killpg(again.pid, signal.SIGKILL)
    assert node.end(job, again).note == {}
    assert node.run(replace(job, command="exit 0")).note["code"] == "0"


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP"])
def test_a_signal_to_all_leaves_a_note(node: Node, name: str) -> None:
    job = node.job(": > started; sleep 60")
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    number = signal.Signals[f"SIG{name}"]
    os.killpg(process.pid, number)
    ended = node.end(job, process)
    assert ended.code == 128 + number
    assert ended.note["code"] == str(128 + number)


def test_a_command_told_to_end_is_never_taken_for_complete(node: Node) -> None:
    job = node.job("trap 'exit 0' TERM; : > started; while :; do sleep 0.05; done")
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    os.killpg(process.pid, signal.SIGTERM)
    assert node.end(job, process).note["code"] == "143"


def test_a_signal_that_only_the_command_understands_does_not_end_the_job(node: Node) -> None:
    job = node.job(
        "trap 'echo saved; sleep 0.1' USR1; : > started; until [ -e over ]; do sleep 0.05; done"
    )
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    os.kill(process.pid, signal.SIGUSR1)
    for child in psutil.Process(process.pid).children():
        child.send_signal(signal.SIGUSR1)
    (node.home / "over").touch()
    ended = node.end(job, process)
    assert ended.out.splitlines().count("saved") == 1
    assert ended.note["code"] == "0"


def test_a_command_is_told_to_end_once_and_not_twice(node: Node) -> None:
    job = node.job(
        "trap 'echo told; sleep 0.2' TERM; : > started; until [ -e over ]; do sleep 0.05; done"
    )
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    os.killpg(process.pid, signal.SIGTERM)
    time.sleep(0.5)  # a second word would come within this time
    (node.home / "over").touch()
    assert node.end(job, process).out.splitlines().count("told") == 1


@pytest.mark.parametrize("after", range(24))
def test_whenever_the_signal_comes_the_job_ends_at_once(node: Node, after: int) -> None:
    job = node.job("sleep 300")
    process = node.start(job)
    until(lambda: Path(job.paths.claim).is_symlink())
    time.sleep(after * 0.0004)  # from the claim, through the start, to the command
    os.killpg(process.pid, signal.SIGTERM)
    ended = node.end(job, process)
    assert ended.code in (143, -signal.SIGTERM)
    assert ended.note.get("code", "143") == "143"


def test_a_command_that_tidies_up_when_told_to_end_may_say_its_own_code(node: Node) -> None:
    job = node.job("trap 'sleep 0.3; exit 5' TERM; : > started; while :; do sleep 0.05; done")
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    os.killpg(process.pid, signal.SIGTERM)
    assert node.end(job, process).note["code"] == "5"


def test_a_command_meets_signals_as_a_plain_script_would(node: Node) -> None:
    ended = node.run(node.job("grep -E 'Sig(Ign|Cgt)' /proc/self/status"))
    ignored = int(ended.out.split("SigIgn:")[1].split()[0], 16)
    assert not ignored & sum(1 << (n - 1) for n in (1, 2, 15))


def test_a_login_shell_passes_on_the_functions_and_settings_of_the_profile(node: Node) -> None:
    (node.home / ".bash_profile").write_text(
        "set -eu\nmodule() { echo loaded $1; }\nexport FROM_PROFILE=yes\necho noise\n"
    )
    ended = node.run(node.job('module gcc; echo "$FROM_PROFILE"; false; exit 4'), is_login=True)
    assert ended.out.endswith("\nloaded gcc\nyes\n")
    assert ended.note["code"] == "4"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": "a\0b"}, "NUL"),
        ({"env": {"A": "\0"}}, "NUL"),
        ({"env": {"A;touch pwned": "x"}}, "cannot be the name of a variable"),
        ({"env": {"": "x"}}, "cannot be the name of a variable"),
    ],
)
def test_what_no_script_can_hold_is_refused_with_a_sentence(
    node: Node, change: dict[str, object], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        script(replace(node.job(), **change), [], False)  # type: ignore[arg-type]


def test_a_directive_with_a_line_break_is_refused(node: Node) -> None:
    with pytest.raises(Refused, match="line break"):
        script(node.job(), ["# ok", "# bad\nrm -rf /"], False)


def test_a_whole_script_never_holds_a_carriage_return(node: Node) -> None:
    job = node.job("echo a\r\necho b\r\n", A="x\r\ny")
    assert "\r" not in script(job, [], False)


def test_the_note_says_why_a_command_was_not_run(node: Node) -> None:
    job = node.job("touch pwned", working_dir="/nowhere/at 'all'")
    ended = node.run(job)
    assert (ended.code, ended.note["code"]) == (1, "1")
    assert ended.note["why"].startswith("cannot enter the working directory /nowhere/at 'all'")
    assert node.run(node.job("exit 1")).note["why"] == ""


def test_a_command_is_ended_at_its_timeout_and_the_note_says_so(node: Node) -> None:
    job = replace(node.job("echo begun; sleep 60; echo over"), timeout=1)
    began = time.monotonic()
    ended = node.run(job)
    assert time.monotonic() - began < 8
    assert (ended.code, ended.note["code"], ended.note["late"]) == (124, "124", "1")
    assert ended.note["why"] == "It ran longer than its timeout of 0:00:01"
    assert ended.out.endswith("\nbegun\n")


def test_a_command_that_will_not_end_at_its_timeout_is_killed_with_all_it_started(
    node: Node,
) -> None:
    command = "trap '' TERM; (trap '' TERM; sleep 61.25) & echo $! >below; sleep 61.5; sleep 61.5"
    ended = node.run(replace(node.job(command), timeout=1))
    assert ended.note["code"] == "124"
    until(lambda: not is_alive(int((node.home / "below").read_text())))


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_command_within_its_timeout_is_left_alone_and_nothing_stays_behind(node: Node) -> None:
    job = replace(node.job("sleep 0.2; exit 3"), timeout=5051)
    ended = node.run(job)
    assert (ended.code, ended.note["code"], ended.note["late"]) == (3, "3", "0")
    assert ended.note["why"] == ""

    def sleepers() -> list[int]:
        found = psutil.process_iter(["cmdline"])
        return [p.pid for p in found if "5051" in (p.info["cmdline"] or [])]

    until(lambda: not sleepers())


def test_a_cancelled_command_is_no_late_one(node: Node) -> None:
    job = replace(node.job(": > started; sleep 60"), timeout=60)
    process = node.start(job)
    until(lambda: (node.home / "started").exists())
    os.killpg(process.pid, signal.SIGTERM)
    ended = node.end(job, process)
    assert (ended.note["code"], ended.note["late"]) == ("143", "0")


def test_the_note_says_how_much_processor_time_all_that_was_started_used(node: Node) -> None:
    busy = "i=0; while [ $i -lt 60000 ]; do i=$((i + 1)); done"
    ended = node.run(node.job(f"bash -c '{busy}'; ({busy}); exit 0"))
    assert 50 < int(ended.note["cpu_ms"]) < 60_000
    assert ended.note["memory"] == ""  # its cgroup holds others, too


MEMORY = Path("/sys/fs/cgroup/memory")


def test_the_note_says_what_a_job_with_a_cgroup_of_its_own_held(node: Node) -> None:
    mine = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    ours = [path for _, kind, path in mine if kind == "memory"]
    if not ours or os.geteuid() != 0:
        pytest.skip("needs root and the first kind of cgroups")
    group = MEMORY / ours[0].lstrip("/") / "job_4711"
    (group / "step").mkdir(parents=True)
    try:
        enter = f"echo $$ >{group}/step/cgroup.procs\n"
        job = node.job("python3 -c 'bytearray(90 << 20)'")
        process = node.start(job, "4711", before=enter)
        assert process.communicate(timeout=60) and process.returncode == 0
        note = dict(
            line.split("=", 1) for line in Path(job.paths.note).read_text().splitlines()[:-1]
        )
        assert 90 << 20 <= int(note["memory"]) < 300 << 20
        assert int(note["cpu_ms"]) > 0
    finally:
        until(lambda: not (group / "step/cgroup.procs").read_text())
        (group / "step").rmdir()
        group.rmdir()
