"""Former attempts keep their pages."""

from flask import Flask
from flask.testing import FlaskClient

from scripthut.store.files.kept import Kept
from tests.web.conftest import Hut, Keep

RUN = "abcdefgh"
TASK = f"/runs/{RUN}/tasks/fit"


def test_a_former_attempt_shows_what_it_wrote_and_said(
    client: FlaskClient, app: Flask, hut: Hut, keep: Keep
) -> None:
    hut.run({"fit": "failed"})
    keep("plot.png", b"first")
    keep("task-summary.md", b"# First\n\n![](plot.png)\n")
    kept: Kept = app.extensions["kept"]
    kept.append_log(f"{RUN}.0.1", "error", 0, b"it broke <here>\n")
    hut.change(RUN, "fit", attempt=2, token=f"{RUN}.0.2")
    keep("plot.png", b"second")

    page = client.get(f"{TASK}/attempts/1").get_data(as_text=True)
    assert "fit, attempt 1 of 2" in page
    assert "it broke &lt;here&gt;" in page
    assert "First" in page
    assert f"{TASK}/attempts/1/outputs/file/plot.png" in page
    assert client.get(f"{TASK}/attempts/1/outputs/file/plot.png").data == b"first"
    assert client.get(f"{TASK}/attempts/2/outputs/file/plot.png").data == b"second"
    assert client.get(f"{TASK}/outputs/file/plot.png").data == b"second"
    assert "attempt 2 of 2" in client.get(f"{TASK}/attempts/2").get_data(as_text=True)
    for none in (0, 3):
        assert client.get(f"{TASK}/attempts/{none}").status_code == 404
    assert f'href="{TASK}/attempts/1"' in client.get(f"{TASK}/detail/details").text


def test_a_former_attempt_is_there_for_programs(
    client: FlaskClient, app: Flask, hut: Hut, keep: Keep
) -> None:
    hut.run({"fit": "failed"})
    keep("a.txt", b"first")
    app.extensions["kept"].append_log(f"{RUN}.0.1", "output", 0, b"said\n")
    hut.change(RUN, "fit", attempt=2, token=f"{RUN}.0.2")
    (file,) = client.get(f"/api/v1{TASK}/attempts/1/outputs").get_json()["files"]
    assert client.get(file["url"]).data == b"first"
    told = client.get(f"/api/v1{TASK}/attempts/1/logs").get_json()
    assert (told["output"], told["error"]) == ("said\n", "")
    assert client.get(f"/api/v1{TASK}/attempts/9/logs").status_code == 404
