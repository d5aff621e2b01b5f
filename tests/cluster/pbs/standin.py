"""A small PBS on this machine: qsub, qstat, qselect and qdel that print what the real ones print.

`standin.py COMMAND WORDS...`, its state in the directory $HUT_PBS. Jobs run for real, each under a
process of its own that stands for PBS's daemon on the node. There are three kinds (file `kind`):
`pro` (OpenPBS 23.06: JSON, history), `old` (PBS Pro 14: text, history) and `torque` (6.1: text,
no history). Files that switch a fault on: `down`, `nohistory`, `amnesia` (of endings).
"""

import fcntl
import getopt
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

Job: TypeAlias = dict[str, Any]

HERE = Path(os.environ["HUT_PBS"])
KIND = (HERE / "kind").read_text().strip()
SERVER = "pbs1"
VERSIONS = {
    "pro": ("pbs_version = 23.06.06\n", ""),
    "old": ("pbs_version = PBSPro_14.1.0.153\n", ""),
    "torque": ("", "Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e\n"),
}
IS_TORQUE = KIND == "torque"
OVER = "C" if IS_TORQUE else "F"
LIVE = ("Q", "H", "R", "E")
CPUS = 8
WALLTIME = -29
KILL_DELAY = 1.0  # seconds from TERM to KILL


def main(command: str, words: list[str]) -> int:
    if command == "qstat" and words == ["--version"]:
        out, err = VERSIONS[KIND]
        sys.stdout.write(out)
        sys.stderr.write(err)
        return 0
    if (HERE / "down").exists():
        return refuse_all(command, words)
    return COMMANDS[command](words)


def refuse_all(command: str, words: list[str]) -> int:
    print("Connection refused", file=sys.stderr)
    if command == "qdel":
        print(f"Couldn't connect to cluster: {SERVER}", file=sys.stderr)
        return 162
    print(f"{command}: cannot connect to server {SERVER} (errno=15010)", file=sys.stderr)
    if "json" in words:
        show_json([])
    return 162 if command == "qsub" else 255


# Jobs are files; the process of a running job is the only one that writes its file.


def path(number: int) -> Path:
    return HERE / "jobs" / f"{number}.json"


def save(job: Job) -> None:
    new = HERE / "jobs" / f".{job['number']}"
    new.write_text(json.dumps(job))
    new.rename(path(job["number"]))


def load(job_id: str) -> Job | None:
    number = job_id.partition(".")[0]
    file = path(int(number)) if number.isdecimal() else None
    return json.loads(file.read_text()) if file and file.exists() else None


def all_jobs() -> list[Job]:
    numbers = sorted(int(p.stem) for p in (HERE / "jobs").glob("[0-9]*.json"))
    return [json.loads(path(number).read_text()) for number in numbers]


def is_known(job: Job) -> bool:
    return job["state"] in LIVE or not (HERE / "amnesia").exists()


def name_of(job: Job) -> str:
    return f"{job['number']}.{SERVER}"


def next_number() -> int:
    with (HERE / "next").open("a+") as counter:
        fcntl.flock(counter, fcntl.LOCK_EX)
        counter.seek(0)
        number = int(counter.read() or "0")
        counter.truncate(0)
        counter.write(str(number + 1))
    return number


def qsub(words: list[str]) -> int:
    options, rest = getopt.gnu_getopt(words, "N:q:A:l:o:e:m:S:h")
    given = dict(options)
    asked = dict(resources([value for name, value in options if name == "-l"]))
    text = Path(rest[0]).read_bytes() if rest else sys.stdin.buffer.read()
    number = next_number()
    name, queue = given.get("-N", "STDIN"), given.get("-q", "workq")
    for is_wrong, words_, code in refusals(name, queue, asked, text):
        if is_wrong:
            print(f"qsub: {words_}", file=sys.stderr)
            return code
    now = int(time.time())
    job = {"number": number, "name": name, "queue": queue, "account": given.get("-A")}
    job |= {"asked": asked, "queued": now, "changed": now, "state": "Q", "comment": "", "hold": "n"}
    (HERE / "jobs" / f"{number}.SC").write_bytes(text)
    (HERE / "jobs" / f"{number}.SC").chmod(0o700)
    why = waiting(job, "-h" in given)
    save(job | why)
    print(name_of(job), flush=True)
    if not why:
        run_apart(job)
    return 0


def refusals(
    name: str, queue: str, asked: dict[str, str], text: bytes
) -> Iterator[tuple[bool, str, int]]:
    longest = 15 if IS_TORQUE else 230
    yield " " in name or not name.isprintable() or len(name) > longest, "illegal -N value", 2
    yield IS_TORQUE and not name[0].isalpha(), "illegal -N value", 2
    yield queue not in ("workq", "gpu", "stopped", "closed", "full"), "Unknown queue", 170
    yield queue == "closed", "Queue is not enabled", 173
    yield queue == "full", "Maximum number of jobs already in queue for user", 15046 % 256
    yield b"\r\n" in text, "script contains cr, lf", 1
    unknown = set(asked) - {"select", "nodes", "ncpus", "ngpus", "ppn", "gpus", "mem", "walltime"}
    yield bool(unknown), f"Unknown resource: {min(unknown, default='')}", 187
    wrong = "select" if IS_TORQUE else "nodes"
    yield wrong in asked, "Job violates queue and/or server resource limits", 188


def resources(given: list[str]) -> Iterator[tuple[str, str]]:
    for item in ",".join(given).split(","):
        for part in item.split(":") if item.startswith(("select", "nodes")) else [item]:
            name, _, value = part.partition("=")
            yield name, value


def cpus(job: Job) -> int:
    return int(job["asked"].get("ncpus") or job["asked"].get("ppn") or 1)


def waiting(job: Job, is_held: bool) -> Job:
    """Why a job does not start; nothing when it does."""
    if is_held:
        return {"state": "H", "hold": "u"}
    if cpus(job) > CPUS:
        lacks = f"Insufficient amount of resource: ncpus (R: {cpus(job)} A: {CPUS} T: {CPUS})"
        return {"comment": f"Can Never Run: {lacks}"}
    return {"comment": "Not Running: Queue not started."} if job["queue"] == "stopped" else {}


def run_apart(job: Job) -> None:
    """Be the daemon that runs a job, in a session of one's own."""
    if os.fork():
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    try:
        attend(job)
    finally:
        os._exit(0)


def attend(job: Job) -> None:
    user = pwd.getpwuid(os.geteuid())
    home = os.environ["HOME"]
    environment = {"HOME": home, "USER": user.pw_name, "LOGNAME": user.pw_name}
    environment |= {"PATH": "/usr/local/bin:/usr/bin:/bin", "PBS_JOBID": name_of(job)}
    job |= {"state": "R", "substate": 42, "started": int(time.time()), "comment": ran_at()}
    job["changed"] = job["started"]
    process = subprocess.Popen(
        [str(HERE / "jobs" / f"{job['number']}.SC")],
        env=environment,
        cwd=home,
        start_new_session=True,
    )
    save(job)
    ended_by = watch(job, process)
    now = int(time.time())
    code = process.returncode if process.returncode >= 0 else 256 - process.returncode
    if ended_by == "limit":
        code = 271 if IS_TORQUE else WALLTIME
    ok = "finished" if code == 0 else "failed"
    said = {"qdel": "terminated", "limit": "exceeded resource walltime"}.get(ended_by, ok)
    job |= {"state": "E", "substate": 51}
    save(job)
    substate = 91 if ended_by == "qdel" else 92 if code == 0 else 93
    job |= {"state": OVER, "substate": substate, "exit": code, "ended": now, "changed": now}
    save(job | {"comment": f"{job['comment']} and {said}"})


def watch(job: Job, process: "subprocess.Popen[bytes]") -> str:
    """Wait for a job's end; who brought it: qdel, limit, or nobody."""
    ended_by, told_at = "", 0.0
    walltime = seconds(job["asked"].get("walltime", "01:00:00"))
    until = time.monotonic() + walltime
    while True:
        try:
            process.wait(0.05)
            return ended_by
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if not ended_by and path(job["number"]).with_suffix(".del").exists():
            ended_by = "qdel"
        if not ended_by and now > until:
            ended_by = "limit"
        if ended_by and not told_at:
            told_at = now
            os.killpg(process.pid, signal.SIGTERM)
        elif told_at and now > told_at + KILL_DELAY:
            os.killpg(process.pid, signal.SIGKILL)


def ran_at() -> str:
    return time.strftime("Job run at %a %b %d at %H:%M on (pbs1:ncpus=1)")


def seconds(text: str) -> int:
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total


def qdel(words: list[str]) -> int:
    code = 0
    for job_id in words:
        job = load(job_id)
        if job is None or not is_known(job):
            print(f"qdel: Unknown Job Id {full(job_id)}", file=sys.stderr)
            code = 153
        elif job["state"] == OVER:
            code = 170 if IS_TORQUE else 35
            text = "Request invalid for state of job" if IS_TORQUE else "Job has finished"
            print(f"qdel: {text} {name_of(job)}", file=sys.stderr)
        elif job["state"] in ("Q", "H"):
            now = int(time.time())
            save(job | {"state": OVER, "substate": 91, "ended": now, "changed": now})
        else:
            path(job["number"]).with_suffix(".del").touch()
    return code


def full(job_id: str) -> str:
    return job_id if "." in job_id else f"{job_id}.{SERVER}"


def qselect(words: list[str]) -> int:
    options, _ = getopt.getopt(words, "u:N:" if IS_TORQUE else "u:N:x")
    given = dict(options)
    user = pwd.getpwuid(os.geteuid()).pw_name
    for job in all_jobs():
        is_listed = IS_TORQUE or job["state"] != OVER or "-x" in given
        is_asked = given.get("-u", user) == user and given.get("-N", job["name"]) == job["name"]
        if is_listed and is_asked and is_known(job):
            print(name_of(job))
    return 0


def qstat(words: list[str]) -> int:
    try:
        options, ids = getopt.getopt(
            words, {"pro": "fF:xawB", "old": "fxaB", "torque": "faB"}[KIND]
        )
    except getopt.GetoptError as error:
        print(f"qstat: invalid option -- '{error.opt}'\nusage: ...", file=sys.stderr)
        return 2
    given = dict(options)
    if "-B" in given:
        print(f"Server: {SERVER}\n    server_state = Active\n    query_other_jobs = True")
        return 0
    shown, code = select(ids, "-x" in given)
    if "-a" in given:
        show_table(shown)
        return code
    (show_json if given.get("-F") == "json" else show_text)(shown)
    return code


def select(ids: list[str], is_past: bool) -> tuple[list[Job], int]:
    """The jobs that are asked for, and the exit code."""
    if is_past and (HERE / "nohistory").exists():
        print("qstat: PBS is not configured to maintain job history ", file=sys.stderr)
        return [], 0
    if not ids:
        return [job for job in all_jobs() if IS_TORQUE or is_past or job["state"] != OVER], 0
    shown, code = [], 0
    for job_id in ids:
        job = load(job_id)
        if job is None or not is_known(job):
            print(f"qstat: Unknown Job Id {full(job_id)}", file=sys.stderr)
            code = 153
        elif job["state"] == OVER and not is_past and not IS_TORQUE:
            hint = "Job has finished, use -x or -H to obtain historical job information"
            print(f"qstat: {name_of(job)} {hint}", file=sys.stderr)
            code = 35
        else:
            shown.append(job)
    return shown, code


def when(stamp: int) -> str:
    return time.ctime(stamp)


def attributes(job: Job) -> Iterator[tuple[str, Any]]:
    """What qstat -f shows of a job, in its order."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    yield "Job_Name", job["name"]
    yield "Job_Owner", f"{user}@{SERVER}"
    if "ended" in job and "started" in job:
        elapsed = job["ended"] - job["started"]
        used = f"{elapsed // 3600:02}:{elapsed // 60 % 60:02}:{elapsed % 60:02}"
        yield "resources_used", {"cput": "00:00:00", "mem": "3312kb", "walltime": used}
    yield "job_state", job["state"]
    yield "queue", job["queue"]
    yield "server", SERVER
    yield "ctime", when(job["queued"])
    if "started" in job:
        yield "exec_host", "pbs1/0*2"
    yield "Hold_Types", job["hold"]
    yield "mtime", when(job["changed"])
    yield "qtime", when(job["queued"])
    yield "Resource_List", job["asked"]
    if "started" in job:
        yield "start_time" if IS_TORQUE else "stime", when(job["started"])
    if "ended" in job and not IS_TORQUE:
        yield "obittime", when(job["ended"])
    if "substate" in job and not IS_TORQUE:
        yield "substate", job["substate"]
    yield "Variable_List", variables(job)
    if job["comment"]:
        yield "comment", job["comment"]
    if "exit" in job:
        yield "exit_status" if IS_TORQUE else "Exit_status", job["exit"]
    if "ended" in job:
        yield (
            ("comp_time", when(job["ended"])) if IS_TORQUE else ("history_timestamp", job["ended"])
        )


def variables(job: Job) -> dict[str, str]:
    home = os.environ["HOME"]
    odd = {"PBS_O_ODD": 'a "quote", a \\ and\na line    job_state = F'}
    return {"PBS_O_HOME": home, "PBS_O_PATH": os.environ["PATH"], **odd, "PBS_O_HOST": SERVER}


def show_table(jobs: list[Job]) -> None:
    """The short table, of which only the rows below the line are alike in all kinds."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    print(f"\n{SERVER}:\nJob ID  Username  Queue  Jobname  SessID NDS TSK  Memory Time  S Time")
    print("------- --------- ------ -------- ------ --- ---- ------ ----- - -----")
    for job in jobs:
        asked = job["asked"]
        row = [name_of(job), user, job["queue"], job["name"][:15], "--", "1", str(cpus(job))]
        row += [asked.get("mem", "--"), asked.get("walltime", "--")[:5], job["state"], "--"]
        print("  ".join(row))


def show_json(jobs: list[Job]) -> None:
    told: Job = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": SERVER}
    if jobs:
        told["Jobs"] = {name_of(job): dict(attributes(job)) for job in jobs}
    print(json.dumps(told, indent="\t", separators=(",", ":\t")))


def show_text(jobs: list[Job]) -> None:
    for job in jobs:
        print(f"Job Id: {name_of(job)}")
        for name, value in attributes(job):
            if name == "Variable_List":
                show_line(name, ",".join(f"{k}={v}" for k, v in value.items()))
            elif isinstance(value, dict):
                for inner, v in value.items():
                    show_line(f"{name}.{inner}", v)
            else:
                show_line(name, value)
        print()


def show_line(name: str, value: object) -> None:
    """One attribute, folded as qstat folds: a newline and a tab after 79 columns."""
    line = f"    {name} = {value}"
    while len(line) > 79:
        print(line[:78])
        line = "\t" + line[78:]
    print(line)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "qsub": qsub,
    "qstat": qstat,
    "qselect": qselect,
    "qdel": qdel,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
