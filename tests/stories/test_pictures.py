"""What tasks on the real cluster measure and draw: on the pages that look at all of them."""

import json

import pytest

from tests.stories.server import Server, until

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
DRAWS = r"""python3 - <<'END'
import json, os, struct, zlib
out, n = os.environ["SCRIPTHUT_OUTPUT_DIR"], int(os.environ["SCRIPTHUT_TASK_ID"][-1])
json.dump({"loss": 0.5 / n, "by": "adam"}, open(out + "/metrics.json", "w"))
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = b"".join(b"\0" + bytes((x * n + y) % 256 for x in range(1200)) for y in range(800))
with open(out + "/loss.png", "wb") as file:
    head = struct.pack(">IIBBBBB", 1200, 800, 8, 0, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
    file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
END
"""


def test_metrics_and_pictures_of_a_run_are_seen_together(server: Server) -> None:
    tasks = [{"id": f"fit.{n}", "command": DRAWS, "memory": "80M"} for n in (1, 2, 3)]
    run = server.run(tasks)
    assert server.await_end(run) == "completed"
    metrics = f"/runs/{run}/metrics"
    until(lambda: len(server.get(metrics)["tasks"]) == 3, 60, lambda: str(server.get(metrics)))
    table = {task["task_id"]: task["metrics"]["loss"] for task in server.get(metrics)["tasks"]}
    assert table == {"fit.1": 0.5, "fit.2": 0.25, "fit.3": 0.5 / 3}
    assert "0.25" in server.page(metrics)

    def drawn() -> list[dict[str, object]]:
        shots = server.get(f"/runs/{run}/gallery?plot=loss.png")["pictures"]
        return [shot for shot in shots if shot["width"]]

    until(lambda: len(drawn()) == 3, 60, lambda: json.dumps(server.get(f"/runs/{run}/gallery")))
    assert {(shot["width"], shot["height"]) for shot in drawn()} == {(1200, 800)}
    wall = server.page(f"/runs/{run}/gallery?plot=loss.png")
    assert wall.count("/outputs/thumb/") == 3
