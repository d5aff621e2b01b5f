"""The disk of the showroom's cluster: what a look has found there, what goes, what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from scripthut.core.disk import Done, Kind, Scanned, Stage, Thing, Way
from scripthut.store.db import Database
from scripthut.store.machines import disk, disk_ends
from scripthut.store.machines.disk import Chosen

GIB = 1024**3
HOME = "/home/ada"
LOGS, REPOS = f"{HOME}/.cache/scripthut/logs", f"{HOME}/scripthut-repos"


def fill(database: Database, runs: Sequence[str], now: datetime) -> None:
    """A look that has ended on one backend, and one that goes on on another."""
    large, failed, done, early = runs
    day = timedelta(days=1)

    def logs(name: str, run: str, size: float, age: float, **more: object) -> Thing:
        facts = {"touched_at": now - age * day, "files": 1200} | more
        return Thing(Kind.RUN, LOGS, name.encode(), run, "1:2", int(size * GIB), **facts)  # type: ignore[arg-type]

    def commit(name: str, size: float, age: float) -> Thing:
        at = now - age * day
        return Thing(Kind.COMMIT, REPOS, name.encode(), None, "1:3", int(size * GIB), 800, True, at)

    found = (
        commit("0f4c1d2a9b7e", 3.2, 0.4),
        commit("8a1be03c77d5", 8.4, 61),
        commit("c90d5512aa41-d05aa2", 6.1, 118),
        logs("genomes/qc", "zw4kq8yd", 21.7, 203),
        logs("genomes/assembly", failed, 14.2, 0.1),
        logs("climate/parameter-sweep", large, 96.3, 0.0, is_whole=False),
        logs("percolation", done, 0.02, 0.1),
        logs("nightly/regression", early, 0.4, 0.3),
        Thing(Kind.LEFTOVER, REPOS, b"3f" * 32 + b".tar.gz", None, "1:4", 40 * 2**20, 1,
              touched_at=now - 9 * day),
        Thing(Kind.OTHER, f"{HOME}/.cache/scripthut", b"scripthut.db", size=GIB // 3, files=1,
              touched_at=now - 90 * day),
        Thing(Kind.OTHER, REPOS, b"thesis \xe9", note="It is not of scripthut's making."),
    )  # fmt: skip
    gone = (logs("climate/daily", "qp7mmk3e", 31.0, 300), logs("climate/daily", "nn4tzr8w", 2, 400))
    said = Scanned(Stage.ENDED, 9, HOME, 13, (*found, *gone))
    with database.writing() as session:
        disk.ask_scan(session, "hpc", "scan0001", now)
        disk.ask_scan(session, "local", "scan0002", now)
        session.flush()
        disk.scanned(session, "scan0001", 0, said, now - timedelta(minutes=20))
        going = Scanned(Stage.GOING, 9, "/home/ada", 41, found[1:4])
        disk.scanned(session, "scan0002", 0, going, now)
    numbers = iter(("remove01", "remove02", "remove03"))
    with database.writing() as session:
        disk.ask_removal(
            session, "hpc", Chosen("scan0001", (4, 12, 13)), lambda: next(numbers), now
        )
    with database.writing() as session:
        disk_ends.went(session, "remove01", Done(Way.GOING, 9 * GIB), now)
        disk_ends.went(session, "remove02", Done(Way.GONE, 31 * GIB), now)
        why = "it was used lately, perhaps by another server"
        disk_ends.went(session, "remove03", Done(Way.STAYS, 0, why), now)
