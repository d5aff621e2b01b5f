"""Which jobs go together, and what becomes of an array that is too large for a cluster."""

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from scripthut.backends.asking import Node, Ring
from scripthut.backends.submitting import Submissions
from scripthut.core import paths, tokens
from scripthut.core.jobs import Accepted, Job, Rejected, Resources
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.pbs_words import TORQUE
from scripthut.schedulers.slurm import Slurm
from scripthut.transports.local import Local

SBATCH = """#!/bin/bash
indices=$(printf '%s\\n' "$@" | sed -n 's/^--array=//p')
echo "${indices:-alone}" >>"$HOME/submitted"
first=${indices%%-*} last=${indices##*-}
if [ -n "$indices" ] && [ $((last - first)) -ge "$(cat "$HOME/room")" ]; then
  echo "sbatch: error: AssocMaxSubmitJobLimit" >&2
  exit 1
fi
wc -l <"$HOME/submitted"
"""


class Place:
    """A home, and commands that say and take what a small cluster would."""

    def __init__(self, home: Path, largest: str = "1001", room: int = 1000) -> None:
        self.home = home
        (home / "bin").mkdir(exist_ok=True)
        (home / "room").write_text(str(room))
        self._command("sbatch", SBATCH)
        self._command("scontrol", f"#!/bin/sh\necho 'MaxArraySize            = {largest}'\n")
        self.now = 0.0
        self.submissions = Submissions(Node(Local(), Ring()), lambda: self.now)

    def _command(self, name: str, text: str) -> None:
        (self.home / "bin" / name).write_text(text)
        (self.home / "bin" / name).chmod(0o755)

    def job(self, n: int, command: str = "true", **more: object) -> Job:
        token, logs = tokens.token("abcdefgh", n, 1), PurePosixPath(self.home / "logs")
        where = paths.for_task(logs, "abcdefgh", f"t.{n}", 1, token)
        job = Job(
            token, "abcdefgh", "study", f"t.{n}", "t", 1, command, "~", {}, Resources(), where
        )
        return replace(job, array=True, **more)  # type: ignore[arg-type]

    def submit(self, *jobs: Job) -> dict[str, Accepted | Rejected]:
        return self.submissions.submit(Slurm(), jobs)

    def submitted(self) -> list[str]:
        """What each submission was, since the last time this was asked."""
        file = self.home / "submitted"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path


def test_what_is_alike_goes_together_and_what_is_not_goes_alone(home: Path) -> None:
    place = Place(home)
    jobs = [
        *(place.job(n) for n in range(3)),
        place.job(3, resources=Resources(cpus=2)),
        place.job(4, timeout=60),
        place.job(5, "#" + "x" * 20_000),
        replace(place.job(6), array=False),
        place.job(7),
        *(place.job(n) for n in (1998, 1999, 2000, 2001)),
    ]
    answers = place.submit(*jobs)
    assert sorted(place.submitted()) == ["0-1", "0-2,7", "998-999", *["alone"] * 4]
    ids = {token: a.job_id for token, a in answers.items() if isinstance(a, Accepted)}
    assert len(ids) == len(jobs)
    assert ids[jobs[7].token] == ids[jobs[0].token].replace("_0", "_7")
    assert ids[jobs[10].token].endswith("_0")


def test_a_job_that_cannot_be_written_down_harms_no_other(home: Path) -> None:
    place = Place(home)
    jobs = [place.job(0), place.job(1, "a\0b"), place.job(2)]
    answers = place.submit(*jobs)
    assert place.submitted() == ["0,2"]
    assert isinstance(answers[jobs[1].token], Rejected)


@pytest.mark.parametrize(("largest", "sent"), [("0", 5), ("1", 5), ("3", 3), ("1001", 1)])
def test_an_array_has_no_index_that_the_cluster_forbids(
    home: Path, largest: str, sent: int
) -> None:
    place = Place(home, largest)
    place.submit(*(place.job(n) for n in range(5)))
    assert len(place.submitted()) == sent


def test_a_limit_that_has_no_room_for_a_whole_array_gets_smaller_ones(home: Path) -> None:
    place = Place(home, room=3)
    jobs = [place.job(n) for n in range(8)]
    first = place.submit(*jobs)
    assert all(isinstance(a, Rejected) and a.wait for a in first.values())
    again = place.submit(*jobs)
    assert all(isinstance(a, Rejected) and a.wait for a in again.values())
    assert all(isinstance(a, Accepted) for a in place.submit(*jobs).values())
    assert place.submitted() == ["0-7", "0-3", "4-7", "0-1", "2-3", "4-5", "6-7"]
    place.home.joinpath("room").write_text("1000")
    more = [place.job(n) for n in range(8, 72)]
    counts = []
    for _ in range(3):
        place.submit(*more)
        counts.append(len(place.submitted()))
    assert counts == [16, 8, 4]  # what was taken makes room for larger ones again


def test_where_tasks_are_taken_one_by_one_no_array_is_made(home: Path) -> None:
    place = Place(home)
    place._command("qsub", "#!/bin/sh\necho 1 >>$HOME/submitted; echo 7.pbs1\n")
    answers = place.submissions.submit(PBS(kind=TORQUE), [place.job(0), place.job(1)])
    assert list(answers.values()) == [Accepted("7.pbs1")] * 2
    assert place.submitted() == ["1", "1"]
