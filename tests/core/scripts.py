"""Job scripts run in a home of their own, as a scheduler would start them."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from scripthut.core import paths
from scripthut.core.jobs import Job, Resources, Value
from scripthut.core.script import script

TOKEN = "abcdefgh.0.1"


@dataclass(frozen=True)
class Ended:
    """What a script left behind."""

    code: int
    out: str
    err: str
    note: Mapping[str, str]


@dataclass(frozen=True)
class Node:
    """A place to run scripts in: a home of its own."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def job(self, command: str = "true", working_dir: str = "~", **env: Value) -> Job:
        logs = paths.log_dir(PurePosixPath(self.home), "study")
        return Job(
            token=TOKEN,
            run_id="abcdefgh",
            run_name="study",
            key="sim.1",
            name="a `name` with $(touch pwned) 'quotes' \" and é",
            attempt=1,
            command=command,
            working_dir=working_dir,
            env=env,
            resources=Resources(),
            paths=paths.for_task(logs, "abcdefgh", "sim.1", 1, TOKEN),
        )

    def start(
        self, job: Job, job_id: str = "7", is_login: bool = False, before: str = ""
    ) -> "subprocess.Popen[str]":
        """`before`: a line of bash that is run in the job's process before its script."""
        file = self.home / f"job{job_id}.sh"
        file.write_text(before + script(job, ["# a line"], is_login), encoding="utf-8")
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "SCRIPTHUT_JOB_ID": job_id}
        # As a scheduler starts it: what started the tests may ignore signals (nohup, a pipeline).
        start = ["env", "--default-signal=HUP,INT,TERM", "bash"]
        return subprocess.Popen(
            [*start, *(["-l"] if is_login else []), str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd="/",
            env={**env, **self.env},
            start_new_session=True,
        )

    def end(self, job: Job, process: "subprocess.Popen[str]") -> Ended:
        out, err = process.communicate(timeout=30)
        return Ended(process.returncode, out, err, self.note(job))

    def run(self, job: Job, job_id: str = "7", is_login: bool = False) -> Ended:
        return self.end(job, self.start(job, job_id, is_login))

    @staticmethod
    def note(job: Job) -> Mapping[str, str]:
        file = Path(job.paths.note)
        if not file.exists():
            return {}
        *lines, last = file.read_text().splitlines()
        assert last == "whole"
        return dict(line.split("=", 1) for line in lines)
