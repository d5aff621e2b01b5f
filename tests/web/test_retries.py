"""Trying again, from the pages and from programs."""

from flask.testing import FlaskClient

from tests.web.conftest import Hut

PAGE = {"Sec-Fetch-Site": "same-origin"}


def states(client: FlaskClient, run_id: str) -> dict[str, str]:
    tasks = client.get(f"/api/v1/runs/{run_id}").get_json()["tasks"]
    return {task["id"]: task["status"] for task in tasks}


def test_a_failed_task_is_tried_again_from_its_panel(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "failed", "b": "completed"})
    assert f'href="/runs/{run_id}/tasks/a/ask/retry"' in client.get(f"/runs/{run_id}/tasks/a").text
    answer = client.post(f"/runs/{run_id}/tasks/a/retry", headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"/runs/{run_id}/tasks/a")
    assert states(client, run_id) == {"a": "pending", "b": "completed"}


def test_all_that_failed_is_tried_again_from_the_runs_head(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "failed", "b": "cancelled", "c": "completed"})
    assert "Retry failed" in client.get(f"/runs/{run_id}").text
    answer = client.post(f"/runs/{run_id}/retry", headers=PAGE)
    assert (answer.status_code, answer.location) == (303, f"/runs/{run_id}")
    assert states(client, run_id) == {"a": "pending", "b": "pending", "c": "completed"}
    assert "Retry failed" not in client.get(f"/runs/{run_id}").text


def test_programs_try_again_too(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "failed", "b": "lost"})
    answer = client.post(f"/api/v1/runs/{run_id}/tasks/b/retry", json={})
    assert answer.get_json() == {"run_id": run_id, "task_id": "b", "retried": 1}
    assert client.post(f"/api/v1/runs/{run_id}/retry", json={}).get_json()["retried"] == 1


def test_what_has_not_ended_badly_is_a_conflict_in_a_sentence(
    client: FlaskClient, hut: Hut
) -> None:
    run_id = hut.run({"a": "completed"})
    answer = client.post(f"/api/v1/runs/{run_id}/tasks/a/retry", json={})
    assert answer.status_code == 409
    assert "can be tried again" in answer.get_json()["error"]
    assert "Retry failed" not in client.get(f"/runs/{run_id}").text


def test_no_other_site_can_ask_for_it(client: FlaskClient, hut: Hut) -> None:
    run_id = hut.run({"a": "failed"})
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert client.post(f"/runs/{run_id}/retry", headers=elsewhere).status_code == 403
    assert client.get(f"/runs/{run_id}/retry").status_code == 405
    assert states(client, run_id) == {"a": "failed"}
