"""The settings as they hold, and the editor of their files."""

import re
from pathlib import Path

import pytest
from flask import Flask

from scripthut.config import Live, Where, parse, resolve
from scripthut.store.models import Base
from scripthut.web import create_app

OURS = {"Sec-Fetch-Site": "same-origin"}
TEXT = """\
# the group's
settings:
  data_dir: {data}
  poll_interval: 30   # seconds
  cli_auth: {{cf_access_token: hunter22}}
backends:
  - {{name: here, type: local, env: [{{set: {{HF_TOKEN: hunter44}}}}]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "scripthut.yaml"
    file.write_text(TEXT.format(data=tmp_path / "data"))
    return file


@pytest.fixture
def live(file: Path) -> Live:
    where = Where(file, file.parent, file.parent)
    return Live.begin(resolve(where, {}), where, {})


@pytest.fixture
def app(live: Live):
    app = create_app(live)
    app.testing = True
    database = app.extensions["database"]
    Base.metadata.create_all(database.engine)
    yield app
    database.dispose()


def opened(client, file: Path) -> dict[str, str]:
    """The form as the page gives it."""
    page = client.get("/settings/file", query_string={"file": str(file)}).text
    text = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    digest = re.search(r'name="digest" value="(\w+)"', page)
    assert text and digest
    plain = text[1].replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&")
    return {"file": str(file), "digest": digest[1], "text": plain}


def send(client, what: str, form: dict[str, str], **changes: str):
    return client.post(f"/settings/file/{what}", data={**form, **changes}, headers=OURS)


def test_every_value_has_its_origin_and_no_secret_is_told(client, file):
    page = client.get("/settings").text
    assert "settings.poll_interval" in page and f"{file}:4" in page
    assert "backends[0].env[0].set.HF_TOKEN" in page
    assert "hunter" not in page
    assert f"/settings/file?file={file}" in page.replace("%2F", "/")
    told = {one["key"]: one for one in client.get("/api/v1/settings").json["values"]}
    assert told["settings.poll_interval"]["value"] == "30"
    assert told["settings.workers"]["from"] == "default"
    assert told["backends[0].env[0].set.HF_TOKEN"]["value"] == "***"


def test_what_waits_for_new_processes_is_marked(client, file, live):
    file.write_text(file.read_text().replace("poll_interval: 30", "workers: 7"))
    page = client.get("/settings").text
    assert "once the processes have begun anew; now 2" in page


def test_a_file_that_cannot_be_used_is_said_and_can_still_be_edited(client, file, live):
    file.write_text(file.read_text().replace("poll_interval", "pol_interval"))
    live.look(at_once=True)
    page = client.get("/settings").text
    assert "did you mean poll_interval?" in page and "(line 4)" in page
    assert "what was read before and goes on" in page
    form = opened(client, file)
    answer = send(client, "save", form, text=form["text"].replace("pol_i", "poll_i"))
    assert answer.status_code == 303
    assert live.problem is None


def test_the_editor_shows_no_secret_and_saving_keeps_all(client, file, live):
    before = file.read_text()
    form = opened(client, file)
    assert "hunter" not in form["text"] and form["text"].count("kept-secret-") == 2
    new = form["text"].replace("poll_interval: 30", "poll_interval: 45")
    answer = send(client, "save", form, text=new.replace("\n", "\r\n"))  # as browsers send it
    assert answer.status_code == 303
    assert file.read_text() == before.replace("poll_interval: 30", "poll_interval: 45")
    assert live.config.settings.poll_interval == 45
    assert file.with_name("scripthut.yaml.before").read_text() == before
    page = client.get(answer.headers["Location"]).text
    assert "scripthut.yaml is saved" in page and "settings.poll_interval" in page


def test_check_says_what_would_change_and_writes_nothing(client, file):
    before, form = file.read_text(), opened(client, file)
    new = form["text"].replace("poll_interval: 30", "workers: 7")
    answer = send(client, "check", form, text=new)
    assert answer.status_code == 200 and "It can be used." in answer.text
    assert "settings.poll_interval; settings.workers" in answer.text
    assert "<b>workers</b> waits until" in answer.text
    assert "workers: 7" in answer.text, "the text is not lost"
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "said", "line"),
    [
        ("poll_interval: 30", "pol_interval: 30", "did you mean poll_interval?", 4),
        ("poll_interval: 30", "poll_interval: [", "is not YAML", None),
        ("type: local", "type: lokal", "the type", 7),
        ("cf_access_token: kept-secret-1", "cf_client_id: kept-secret-1", "stand nowhere else", 5),
    ],
)
def test_what_is_wrong_stands_beside_its_line_and_nothing_is_written(
    client, file, old, new, said, line
):
    before, form = file.read_text(), opened(client, file)
    for what in ("check", "save"):
        answer = send(client, what, form, text=form["text"].replace(old, new))
        assert answer.status_code == 422
        assert said in answer.text and "Nothing was written" in answer.text
        assert new.split(":")[0] in answer.text, "the text is not lost"
        if line is not None:
            assert f'<span class="bad">{line}</span>' in answer.text
    assert file.read_text() == before
    assert "hunter" not in answer.text


def test_a_file_that_changed_meanwhile_is_not_written_over(client, file):
    form = opened(client, file)
    by_hand = file.read_text() + "# by hand\n"
    file.write_text(by_hand)
    answer = send(client, "save", form)
    assert answer.status_code == 409 and "changed by somebody else" in answer.text
    assert file.read_text() == by_hand


def test_nothing_but_the_configuration_is_ever_opened(client, tmp_path):
    (tmp_path / "other.yaml").write_text("a: 1")
    for name in (str(tmp_path / "other.yaml"), "/etc/passwd", "", "../scripthut.yaml"):
        assert client.get("/settings/file", query_string={"file": name}).status_code == 404
        form = {"file": name, "text": "", "digest": ""}
        assert send(client, "save", form).status_code == 404


def test_another_site_can_save_nothing(client, file):
    before, form = file.read_text(), opened(client, file)
    text = form["text"].replace("30", "45")
    ways = (
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
        {},
    )
    for headers in ways:
        answer = client.post("/settings/file/save", data={**form, "text": text}, headers=headers)
        assert answer.status_code in (403, 421), headers
    answer = client.post("/settings/file/save", json={**form, "text": text})
    assert answer.status_code == 404, "a program's JSON is no form"
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("said", "is_open"),
    [
        ("", True),
        ("edit_in_browser: false", False),
        ("trusted_proxies: [127.0.0.1]", False),
        ("allowed_hosts: [hut.example.org]", False),
        ("allowed_hosts: [hut.example.org]\n  edit_in_browser: true", True),
    ],
)
def test_whether_it_may_be_edited_is_a_setting_and_said(file, said, is_open):
    file.write_text(file.read_text().replace("settings:\n", f"settings:\n  {said}\n"))
    where = Where(file, file.parent, file.parent)
    app: Flask = create_app(Live.begin(resolve(where, {}), where, {}))
    Base.metadata.create_all(app.extensions["database"].engine)
    client = app.test_client()
    page = client.get("/settings").text
    assert ("/settings/file?" in page) is is_open
    assert ("edit_in_browser: true" in page) is not is_open
    asked = client.get("/settings/file", query_string={"file": str(file)})
    assert asked.status_code == (200 if is_open else 409)
    form = {"file": str(file), "text": "", "digest": ""}
    assert send(client, "save", form).status_code == 409
    app.extensions["database"].dispose()


LED = (
    {"HTTP_X_FORWARDED_FOR": "203.0.113.9"},
    {"HTTP_X_FORWARDED_PROTO": "https"},
    {"HTTP_X_FORWARDED_SERVER": "hut"},
    {"HTTP_FORWARDED": "for=203.0.113.9"},
    {"HTTP_VIA": "1.1 nginx"},
    {"HTTP_X_REAL_IP": "203.0.113.9"},
    {"SERVER_PROTOCOL": "HTTP/1.0"},
    {"REMOTE_ADDR": ""},
)


@pytest.mark.parametrize("led", LED)
@pytest.mark.parametrize("is_said", [False, True])
def test_a_proxy_of_which_nobody_said_anything_leads_to_no_editor(client, file, live, led, is_said):
    if is_said:
        said = file.read_text().replace("settings:\n", "settings:\n  edit_in_browser: true\n")
        file.write_text(said)
        live.look(at_once=True)
    form, before = opened(client, file), file.read_text()
    page = client.get("/settings", environ_overrides=led).text
    assert ("/settings/file?" in page) is is_said
    assert ("switches the editor on" in page) is not is_said
    asked = client.get("/settings/file", query_string={"file": str(file)}, environ_overrides=led)
    assert asked.status_code == (200 if is_said else 409)
    assert ("textarea" in asked.text) is is_said
    new = {**form, "text": form["text"].replace("30", "45")}
    for what, code in (("check", 200), ("save", 303)):
        answer = client.post(
            f"/settings/file/{what}", data=new, headers=OURS, environ_overrides=led
        )
        assert answer.status_code == (code if is_said else 409)
    assert (file.read_text() != before) is is_said


def test_it_does_not_shut_itself_by_accident(client, file):
    form = opened(client, file)
    hosts = form["text"].replace("settings:\n", "settings:\n  allowed_hosts: [hut.example.org]\n")
    answer = send(client, "save", form, text=hosts)
    assert answer.status_code == 422 and "could be edited here any more" in answer.text
    shut = hosts.replace("settings:\n", "settings:\n  edit_in_browser: false\n")
    assert send(client, "save", form, text=shut).status_code == 303
    assert client.get("/settings").status_code == 200


def test_of_two_files_the_one_that_was_chosen_is_edited(tmp_path):
    home, here = tmp_path / "home", tmp_path / "study"
    users = home / ".config" / "scripthut" / "scripthut.yaml"
    users.parent.mkdir(parents=True)
    here.mkdir()
    users.write_text(f"settings: {{data_dir: {tmp_path / 'data'}}}\n")
    project = here / "scripthut.yaml"
    project.write_text("env: []\n")
    where = Where(None, here, home)
    app = create_app(Live.begin(resolve(where, {}), where, {}))
    Base.metadata.create_all(app.extensions["database"].engine)
    client = app.test_client()
    page = client.get("/settings").text
    assert str(users) in page and str(project) in page
    form = opened(client, project)
    assert "settings" not in form["text"]
    wrong = send(client, "save", form, text="settings: {workers: 3}\n")
    assert wrong.status_code == 422 and "belongs in" in wrong.text
    assert send(client, "save", form, text="env: [{set: {A: b}}]\n").status_code == 303
    assert project.read_text() == "env: [{set: {A: b}}]\n"
    assert users.read_text().startswith("settings:")
    app.extensions["database"].dispose()


def test_a_text_that_is_no_yaml_is_not_shown(client, file):
    file.write_text("settings:\n  cli_auth: {cf_access_token: hunter22\n")
    answer = client.get("/settings/file", query_string={"file": str(file)})
    assert answer.status_code == 422
    assert "is not YAML" in answer.text and "hunter22" not in answer.text
    assert "<textarea" not in answer.text


def test_without_files_there_are_values_and_no_editor(tmp_path):
    app = create_app(parse({"settings": {"data_dir": str(tmp_path)}}))
    Base.metadata.create_all(app.extensions["database"].engine)
    page = app.test_client().get("/settings").text
    assert "No file is followed" in page and "settings.poll_interval" in page
    app.extensions["database"].dispose()
