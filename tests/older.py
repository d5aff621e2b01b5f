"""What older versions left in their data directories."""

import json
from pathlib import Path
from typing import Any


def put(data: Path, folder: str, run: dict[str, Any]) -> Path:
    file = data / "workflows" / folder / "run.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(run, indent=2))
    return file


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "command": f"echo {name}", "dependencies": [], **more}


def item(name: str, status: str = "completed", **more: Any) -> dict[str, Any]:
    times = {
        "submitted_at": "2025-03-01T12:00:00",
        "started_at": "2025-03-01T12:01:00",
        "finished_at": "2025-03-01T13:01:00",
    }
    return {"task": task(name), "status": status, "job_id": "77", **times, **more}
