"""Data directories of older versions become runs here, once, with what lies on this machine."""

import json
from pathlib import Path

import pytest

from tests.older import item, put, task
from tests.serving import hut, local, serving


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """What versions 0.3, 0.6, 0.11 and 0.12 left, with some of their oddities."""
    data = tmp_path / "old"
    put(
        data,
        "_adhoc__fit/20240105_101112_03030303",
        {  # 0.3: names of the only scheduler it knew, variables as a mapping, no source
            "id": "03030303",
            "workflow_name": "study/fit",
            "cluster_name": "hpc",
            "created_at": "2024-01-05T10:11:12",
            "max_concurrent": 5,
            "log_dir": "/home/ada/logs",
            "items": [
                {
                    "task": task("a", environment={"N": 3}),
                    "status": "failed",
                    "slurm_job_id": "12",
                    "sbatch_script": "#!/bin/bash",
                    "sacct_state": "TIMEOUT",
                    "started_at": "2024-01-05T10:12:00",
                    "finished_at": "2024-01-05T11:12:00",
                },
                {"task": task("b", dependencies=["a"]), "status": "dep_failed"},
            ],
        },
    )
    again = {
        "version": 2,
        "id": "11111111",
        "workflow_name": "_adhoc/one",
        "backend_name": "local",
        "source_name": None,
        "log_dir": str(tmp_path / "logs"),
        "commit_hash": "abcdef123456",
    }
    put(
        data,
        "_adhoc__one/20250301_100000_11111111",
        {**again, "created_at": "2025-03-01T10:00:00+00:00", "items": [item("x", "failed")]},
    )
    put(  # 0.11: a rerun left two directories of one id
        data,
        "_adhoc__one/20250301_120000_11111111",
        {
            **again,
            "created_at": "2025-03-01T12:00:00+00:00",
            "items": [
                item("x", has_run_summary=True, outputs=[{"path": "a b.txt", "size": 3}]),
                item(
                    "gone",
                    max_rss="1G",
                    cpu_efficiency=50.0,
                    outputs=[{"path": "plot.png", "size": 9, "kind": "image"}],
                ),
            ],
        },
    )
    logs = tmp_path / "logs"
    (logs / "outputs/11111111/x").mkdir(parents=True)
    (logs / "outputs/11111111/_run").mkdir()
    (logs / "outputs/11111111/x/a b.txt").write_text("abc")
    (logs / "outputs/11111111/_run/x.md").write_text("# Old findings")
    (logs / "scripthut_11111111_x.out").write_text("line one\nline two\n")
    put(
        data,
        "study__live/20260101_000000_22222222",
        {
            "version": 2,
            "id": "22222222",
            "workflow_name": "study/live",
            "backend_name": "hpc",
            "source_name": "study",
            "created_at": "2026-01-01T00:00:00+00:00",
            "log_dir": "~/.cache/scripthut/logs",
            "items": [
                item("r", "running", finished_at=None),
                {"task": task("p"), "status": "pending"},
                {"task": task("p"), "status": "pending"},
                {"task": {"id": "odd/id", "command": "x", "cpus": "lots"}, "status": "completed"},
            ],
        },
    )
    for week in ("2025-W09", "2025-W10"):
        put(
            data,
            f"_default_hpc/{week}",
            {
                "id": week,
                "workflow_name": "_default",
                "backend_name": "hpc",
                "created_at": "2025-03-01T00:00:00",
                "items": [item("ext-99")],
            },
        )
    (data / "workflows/x__y").mkdir()
    (data / "workflows/x__y/broken").mkdir()
    (data / "workflows/x__y/broken/run.json").write_text("{")
    (data / "workflows/x__y/broken/run.json.tmp").write_text("{}")
    line = {"run": "99999999", "task": "t", "cpus": 4, "workflow": "study/old", "source": "study"}
    line |= {"started": "2023-05-01T00:00:00+00:00", "finished": "2023-05-01T02:00:00+00:00"}
    line |= {"backend": "hpc", "status": "completed"}
    known = {**line, "run": "11111111"}
    lines = [json.dumps(line), json.dumps(known), "not json", ""]
    (data / "usage.jsonl").write_text("\n".join(lines))
    (tmp_path / "site").mkdir()
    (tmp_path / "site/scripthut.yaml").write_text(local(tmp_path / "site"))
    return data


def test_nothing_is_written_when_one_only_looks(tmp_path: Path, data: Path) -> None:
    done = hut(tmp_path / "site", "import", str(data), "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["runs"], told["imported"]) == (6, [])
    assert not (tmp_path / "site/data").exists()


def test_what_is_no_data_directory_is_a_sentence(tmp_path: Path, data: Path) -> None:
    done = hut(tmp_path, "import", str(tmp_path / "logs"))
    assert done.returncode == 1
    assert "is no data directory" in done.stderr


def test_runs_of_every_version_are_here_once_and_with_their_files(
    tmp_path: Path, data: Path
) -> None:
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}
    done = hut(tmp_path / "site", "import", str(data), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["imported"]) == 6
    assert (told["older_files_of_a_run"], told["with_files_here"]) == (1, 1)
    assert (told["with_files_on"], told["unknown_backends"]) == ({"hpc": 2}, ["hpc"])
    broken = told["problems"].pop("workflows/x__y/broken/run.json")
    assert "is not JSON" in broken[0]
    assert "usage.jsonl:3" in told["problems"]
    (odd,) = [p for place, p in told["problems"].items() if "22222222" in place]
    assert any("stands twice" in problem for problem in odd)
    assert any("odd/id" in problem for problem in odd)
    assert any("cpus" in problem for problem in odd)
    assert before == {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}

    again = json.loads(hut(tmp_path / "site", "import", str(data), "--json").stdout)
    assert (again["imported"], again["known"]) == ([], 6)
    with serving(tmp_path / "site") as site:
        api = "/api/v1/runs"
        runs = {run["id"]: run for run in site.get(f"{api}?limit=50").json["runs"]}
        assert len(runs) == 6
        oldest = site.get(f"{api}/03030303").json
        assert (oldest["status"], oldest["source_name"]) == ("failed", "study")
        assert oldest["created_at"] == "2024-01-05T10:11:12Z"
        assert [t["status"] for t in oldest["tasks"]] == ["failed", "dep_failed"]
        assert oldest["tasks"][0]["reason"] == "TIMEOUT"
        assert oldest["tasks"][0]["job_id"] == "12"

        live = site.get(f"{api}/22222222").json
        assert [t["id"] for t in live["tasks"]] == ["r", "p", "p_", "odd_id"]
        states = [t["status"] for t in live["tasks"]]
        assert states == ["lost", "cancelled", "cancelled", "completed"]
        assert "Was running when it was imported" in live["tasks"][0]["reason"]

        newest = site.get(f"{api}/11111111").json
        assert newest["status"] == "completed"
        assert newest["tasks"][1]["memory_used"] == 1024**3
        assert newest["tasks"][1]["cpu_efficiency"] == 0.5
        files = site.get(f"{api}/11111111/tasks/x/outputs").json["files"]
        (file,) = [one for one in files if one["path"] == "a b.txt"]
        assert site.get(file["url"]).text == "abc"
        (gone,) = site.get(f"{api}/11111111/tasks/gone/outputs").json["files"]
        assert (gone["path"], gone["size"]) == ("plot.png", 9)
        logs = site.get(f"{api}/11111111/tasks/x/logs?type=output").json
        assert logs["content"] == "line one\nline two\n"
        assert "Old findings" in site.get(f"{api}/11111111/summary").text

        why = "there is no backend of that name any more"
        assert why in site.get("/runs/03030303").text
        assert why in site.get("/runs/03030303/tasks/a?tab=output").text
        assert why in site.get("/runs/03030303/tasks/a/detail/outputs").text
        assert 'hx-trigger="every 2s' not in site.get("/runs/03030303").text  # nothing to wait for

        spent = site.get(f"{api}/99999999").json
        assert (spent["name"], spent["status"]) == ("study/old", "completed")
        weeks = [run["name"] for run in runs.values() if run["name"].startswith("_default/")]
        assert sorted(weeks) == ["_default/hpc 2025-W09", "_default/hpc 2025-W10"]
        for run in runs:
            assert site.get(f"/runs/{run}").status == 200
            for one in site.get(f"{api}/{run}").json["tasks"]:
                assert site.get(f"/runs/{run}/tasks/{one['id']}").status == 200


def test_the_report_for_people_is_a_table_on_standard_error(tmp_path: Path, data: Path) -> None:
    done = hut(tmp_path / "site", "import", str(data))
    assert done.returncode == 0, done.stderr
    assert "6 runs: 6 imported, 0 known already, 1 with their files" in done.stdout
    assert "x__y/broken" in done.stderr
