"""A database of the first version, with a run in flight, under the present one."""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, MetaData, create_engine, insert

from scripthut.store.keeping import migrate
from tests.databases import address
from tests.serving import ended, local, serving, surroundings, until

RUN = "abcdefgh"
SPEC = {
    "working_dir": "~",
    "cpus": 1,
    "memory": 64 * 1024**2,
    "time_limit": 600,
    "deps": [],
}
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRITES = (
    'echo "- $SCRIPTHUT_TASK_ID" >"$SCRIPTHUT_RUN_SUMMARY"; echo ran >>"$HOME/$SCRIPTHUT_TASK_ID"'
)


class Old:
    """The tables of a database as they were, to put rows into."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.tables = connection, MetaData()
        self.tables.reflect(connection)

    def put(self, table: str, **row: object) -> int:
        """A new row; its number."""
        there = self.tables.tables[table]
        added = self.connection.execute(insert(there).values(row))
        return added.inserted_primary_key[0] if "run_id" in there.c else 0


def fill(url: str, logs: Path, kept: Path) -> None:
    """What the first version left when it was stopped in the middle of a run."""
    migrate.upgrade(url, to="0001")
    report = b"# Kept of old\n"
    sha = sha256(report).hexdigest()
    (kept / "files" / sha[:2]).mkdir(parents=True)
    (kept / "files" / sha[:2] / sha[2:]).write_bytes(report)
    state = logs / ".scripthut" / RUN
    state.mkdir(parents=True, mode=0o700)
    engine = create_engine(url)
    with engine.begin() as connection:
        old = Old(connection)
        run = {"id": RUN, "name": "old", "backend": "local", "created_at": AT}
        old.put("runs", **run, log_dir=str(logs), version=9, summary_version=1)
        tasks: dict[str, dict[str, object]] = {  # key -> its state and what else is known
            "done": {"state": "completed", "exit_code": 0, "finished_at": AT, "collected_at": AT},
            "ended": {"state": "running", "job_id": "1-1", "submitted_at": AT, "started_at": AT},
            "unheard": {"state": "submitting", "submitted_at": AT},
            "next": {"state": "pending", "deps": ["done", "ended", "unheard"]},
        }
        ids = {}
        for n, (key, words) in enumerate(tasks.items()):
            token = None if words["state"] == "pending" else f"{RUN}.{n}.1"
            spec = {**SPEC, "id": key, "name": key, "command": WRITES, **words}
            spec = {name: spec[name] for name in ("id", "name", "command", *SPEC)}
            row = {"run_id": RUN, "n": n, "key": key, "name": key, "spec": spec}
            row |= {"deps": [], "version": n + 1, "attempt": 1, "token": token}
            flags = {"outputs_more": False, "has_outputs": False, "has_run_summary": key == "done"}
            ids[key] = old.put("tasks", **{**row, **flags, **words})
        file = {"task_id": ids["done"], "attempt": 1, "area": "fragment", "raw": b"done.md"}
        file |= {"path": "done.md", "size": len(report), "mtime_ns": 1, "kind": "markdown"}
        old.put("outputs", **file, sha256=sha)
    engine.dispose()
    for token, job in {f"{RUN}.1.1": "1-1", f"{RUN}.2.1": "2-2"}.items():
        times = "start=1772366400\nend=1772366460"
        note = f"token={token}\njob={job}\ncode=0\n{times}\nnode=here\nwhole\n"
        (state / f"{token}.exit").write_text(note)
        (state / f"{token}.claim").symlink_to(f"job:{job}")


def test_the_run_of_an_older_version_goes_on(tmp_path: Path) -> None:
    home = Path(surroundings(tmp_path)["HOME"])
    data, logs = tmp_path / "data", home / ".cache/scripthut/logs/old"
    data.mkdir()
    fill(address(data, has_tables=False), logs, data / "kept")
    with serving(tmp_path, config=local(tmp_path)) as site:
        run = ended(site, RUN, 120)
        assert {task["id"]: task["status"] for task in run["tasks"]} == dict.fromkeys(
            ("done", "ended", "unheard", "next"), "completed"
        )
        sections = f"/api/v1/runs/{RUN}/summary"
        until(lambda: len(site.get(sections).json["sections"]) == 2)
        shown = "".join(s["html"] for s in site.get(sections).json["sections"])
        assert "Kept of old" in shown
        assert site.get(f"/runs/{RUN}").status == 200
    ran = {path.name: path.read_text() for path in home.glob("*") if path.is_file()}
    assert ran == {"next": "ran\n"}, "what had ended is not run again"
