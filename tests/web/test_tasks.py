"""A task's panel and its subtabs."""

import re
from html import unescape

import pytest

from scripthut.config import PBS, SSH, Local, Slurm
from scripthut.core.states import State
from scripthut.store.models import WatchRow
from scripthut.web.filters import plain, whole
from scripthut.web.tasks.shell import shell

PANEL = {"HX-Request": "true", "HX-Target": "section#panel"}
ACT = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
TASK = "/runs/abcdefgh/tasks/a"
AS_JSON = {"Accept": "application/json"}


def words(html: str) -> str:
    """The text of a log's lines, without markup."""
    _, _, rest = html.partition('id="log')
    return unescape(re.sub(r"<[^>]*>", "", rest))


def polls(fragment: str) -> str:
    (url,) = re.findall(r'<div id="log-poll" hx-get="([^"]+)"', fragment)
    return url.replace("&amp;", "&")


@pytest.fixture
def log(app, hut):
    """Append to the kept log of a running task `a`."""
    hut.run({"a": "running", "b": "pending"})

    def append(data: bytes, stream: str = "output", at: int | None = None) -> None:
        kept = app.extensions["kept"]
        start = kept.read_log("abcdefgh.0.1", stream).size if at is None else at
        kept.append_log("abcdefgh.0.1", stream, start, data)

    return append


def test_a_link_to_a_task_shows_the_run_with_the_panel_open(client, hut):
    hut.run({"a": "failed"})
    page = client.get(TASK).text
    assert 'id="run-head"' in page and '<div class="panel">' in page
    assert "<dt>Exit code</dt><dd>3</dd>" in page


def test_htmx_gets_the_panel_alone(client, hut):
    hut.run({"a": "failed"})
    panel = client.get(TASK, headers=PANEL).text
    assert '<div class="panel">' in panel and "<html" not in panel


def test_closing_the_panel_empties_it(client, hut):
    hut.run({"a": "failed"})
    closed = client.get("/runs/abcdefgh", headers=PANEL)
    assert (closed.status_code, closed.data) == (200, b"")


def test_details_say_how_it_came_to_be_so(client, hut):
    hut.run({"a": "failed", "b": "dep_failed"})
    hut.change("abcdefgh", "a", reason="Ended by signal 9 (killed)", signal=9, node="n042")
    hut.change("abcdefgh", "b", deps=["a"])
    hut.event("abcdefgh", "a", "accepted", "submitted")
    hut.event("abcdefgh", "a", "exited_bad", "failed")
    details = client.get(TASK).text
    for words in (
        "Ended by signal 9 (killed)",
        "<dt>Ended by</dt><dd>SIGKILL (signal 9): it was killed",
        "n042",
    ):
        assert words in details
    assert details.index('data-state="submitted"') < details.rindex('data-state="failed"')
    assert f'href="{TASK}">a</a>' in client.get("/runs/abcdefgh/tasks/b").text


def test_the_script_shows_command_environment_and_resources(client, hut):
    hut.run({"a": "pending"})
    script = client.get(f"{TASK}?tab=script").text
    assert '<span class="line">echo hello' in script.replace('<i class="n" data-n="1"></i>', "")
    assert "GREETING" in script and "&lt;b&gt;hi&lt;/b&gt;" in script
    assert "4.0 GiB" in script and "1h 00m" in script


def test_the_script_shows_no_secrets(client, hut):
    hut.run({"a": "pending"})
    spec = {"cpus": 1, "memory": None, "time_limit": 60, "working_dir": "~"}
    env = {"HF_TOKEN": "hunter22", "MY_PIN": "1234", "PLACE": "at home"}
    hut.change("abcdefgh", "a", spec={**spec, "command": "login hunter22", "env": env})

    for page in (
        client.get(f"{TASK}?tab=script"),
        client.get(f"{TASK}/detail/script", headers=AS_JSON),
    ):
        assert "hunter22" not in page.text
        assert "HF_TOKEN" in page.text
        assert "login ***" in page.text
        assert "at home" in page.text


def test_outputs_have_a_tab_only_when_there_are_any(client, hut):
    hut.run({"a": "running"})
    assert "tab=outputs" not in client.get(TASK, headers=PANEL).text
    assert client.get(f"{TASK}?tab=outputs", headers=PANEL).status_code == 200
    hut.change("abcdefgh", "a", has_outputs=True)
    panel = client.get(f"{TASK}?tab=outputs", headers=PANEL).text
    assert f'hx-get="{TASK}/detail/outputs" hx-trigger="load"' in panel


def test_the_outputs_tab_appears_in_an_open_panel(client, hut):
    hut.run({"a": "running"})
    hut.change("abcdefgh", "a", has_outputs=True)
    task_id = hut.task_id("abcdefgh", "a")
    news = client.get(f"/runs/abcdefgh/changes?since=1&task={task_id}&tab=details").text
    assert f'hx-target="#task-tabs-{task_id}"' in news and "?tab=outputs" in news
    assert f'hx-target="#task-head-{task_id}"' in news
    assert f'{TASK}/detail/details" hx-trigger="load"' in news


def test_a_log_begins_with_its_tail_and_goes_on_from_there(client, log):
    log(b"one\ntwo\n")
    page = client.get(f"{TASK}?tab=output").text
    assert "one\ntwo\n" in words(page)
    assert client.get(polls(page)).status_code == 204
    log(b"three\n")
    more = client.get(polls(page)).text
    assert "three\n" in words(more) and "two" not in more and 'hx-swap="beforeend"' in more
    assert 'data-n="3"' in more
    assert client.get(polls(more)).status_code == 204


def test_a_long_log_says_that_its_beginning_is_not_shown(client, log):
    log(b"".join(b"line %d\n" % i for i in range(20_000)))
    page = client.get(f"{TASK}?tab=output").text
    assert "line 19999\n" in words(page) and "line 1\n" not in words(page)
    assert 'data-n="20000"' in page
    assert "The last part of" in page
    start = client.get(f"{TASK}?tab=output&line=1").text
    assert 'href="?tab=output&amp;line=1#L1">From the start' in page
    assert "line 1\n" in words(start)


def test_a_log_that_was_begun_anew_replaces_what_is_shown(client, log):
    log(b"old\n" * 10)
    asks = polls(client.get(f"{TASK}?tab=output").text)
    log(b"new\n", at=0)
    more = client.get(asks).text
    assert 'hx-target="#log-lines" hx-swap="innerHTML"' in more and "new\n" in words(more)


def test_a_line_that_is_being_written_is_shown_and_becomes_whole(client, log):
    log(b"done\n10 %\r20 %")
    page = client.get(f"{TASK}?tab=output").text
    assert "20 %" in page[page.index('id="log-rest"') :] and "10 %" not in page
    log(b"\r30 %\nnext\n")
    more = client.get(polls(page)).text
    assert words(more).count("30 %") == 1 and "next" in more and "20 %" not in more
    assert 'id="log-rest"' not in more and 'data-n="2"' in more and 'data-n="3"' in more


def test_colours_become_classes_and_markup_stays_text(client, log):
    log(b"\x1b[31mred\x1b[0m <script>alert(1)</script> \xff\n", "error")
    page = client.get(f"{TASK}?tab=error").text
    assert '<span class="fg1">red</span> &lt;script&gt;alert(1)&lt;/script&gt; \ufffd' in page


def test_a_line_has_a_link_and_the_link_shows_it(client, log):
    log(b"".join(b"line %d\n" % i for i in range(1, 20_001)))
    page = client.get(f"{TASK}?tab=output&line=7000").text
    assert 'class="line is-marked"><a class="n" id="L7000"' in page
    assert 'href="?tab=output&amp;line=7000#L7000"' in page
    assert "line 6960\n" in words(page) and "line 6959\n" not in words(page)
    assert "hx-get" not in page[page.index('id="log-poll"') :].partition(">")[0]
    assert "line 20000\n" in words(client.get(f"{TASK}?tab=output&line=999999").text)


def test_a_log_is_searched_and_each_line_found_has_its_number(client, log):
    log(b"".join(b"epoch %d\x1b[2m loss %d\x1b[0m\n" % (i, i * 7) for i in range(1, 900)))
    page = client.get(f"{TASK}?tab=output&search=LOSS+77").text
    assert re.findall(r'data-n="(\d+)"', page) == ["11", "110", "111"] and "3 lines with" in page
    assert "No line of the log" in client.get(f"{TASK}?tab=output&search=nowhere").text


def test_the_first_error_is_one_step_away(client, log):
    log(b"reading\n0 errors so far\n" + b"fine\n" * 3000 + b"ValueError: x\n" + b"more\n" * 9)
    page = client.get(f"{TASK}?tab=output").text
    assert 'data-key="e" href="?tab=output&amp;line=3003#L3003"' in page
    assert "ValueError: x" in words(client.get(f"{TASK}?tab=output&line=3003").text)
    assert "First error" not in client.get(f"{TASK}?tab=error").text


def test_a_whole_log_is_downloaded_as_it_was_written(client, log):
    log(b"\x1b[31mred\x1b[0m\r\n")
    answer = client.get(f"{TASK}/logs/output")
    assert answer.data == b"\x1b[31mred\x1b[0m\r\n"
    assert "attachment" in answer.headers["Content-Disposition"]


def test_two_logs_are_read_as_one_by_their_times(client, log):
    log(b"2026-01-02 10:00:01 start\n2026-01-02 10:00:05 end\n")
    log(b"2026-01-02T10:00:03 warning\n  with more\n", "error")
    page = client.get(f"{TASK}?tab=both").text
    found = [words('id="log' + line) for line in page.split('class="from"')[1:]]
    order = ["start", "warning", "with more", "end"]
    assert all(word in line for word, line in zip(order, found, strict=True))
    assert client.get(polls(page)).status_code == 204
    log(b"2026-01-02 10:00:09 late\n")
    assert "late" in client.get(polls(page)).text


def test_logs_without_times_follow_each_other_and_it_is_said(client, log):
    log(b"one\n")
    log(b"two\n", "error")
    page = client.get(f"{TASK}?tab=both").text
    assert "tell no times" in page and words(page).index("one") < words(page).index("two")


def test_a_task_as_json_is_on_its_panel(client, hut):
    hut.run({"a": "failed"})
    assert "&#34;exit&#34;: &#34;3&#34;" in re.sub(
        "<[^>]*>", "", client.get(f"{TASK}?tab=json").text
    )


def test_a_log_of_an_ended_task_is_not_asked_for_again(client, log, hut):
    log(b"all\n")
    asks = polls(client.get(f"{TASK}?tab=output").text)
    hut.end("abcdefgh")
    assert "hx-get" not in client.get(asks).text
    assert 'id="log-poll"></div>' in client.get(f"{TASK}?tab=output").text


def test_a_task_that_said_nothing_says_why(client, hut):
    hut.run({"a": "pending", "b": "completed"})
    assert "has not been submitted yet" in client.get(f"{TASK}?tab=output").text
    assert "wrote nothing here" in client.get("/runs/abcdefgh/tasks/b?tab=output").text


@pytest.mark.parametrize("stream", ["output", "error"])
def test_whoever_reads_a_log_is_noted_for_the_engine(client, hut, stream):
    hut.run({"a": "running"})
    client.get(f"{TASK}?tab={stream}")
    with hut.database.reading() as session:
        key = ("abcdefgh", hut.task_id("abcdefgh", "a"), stream)
        assert session.get(WatchRow, key) is not None


@pytest.mark.parametrize("tab", ["details", "script", "output", "error", "json"])
def test_a_subtab_is_a_fragment_or_json(client, log, tab):
    log(b"hello\n")
    fragment = client.get(f"{TASK}/detail/{tab}")
    assert fragment.status_code == 200 and "<html" not in fragment.text
    asked = client.get(f"{TASK}/detail/{tab}", headers={"Accept": "application/json"})
    assert asked.json["task_id"] == "a"


def test_cancelling_a_task_tells_the_open_page_to_ask(client, hut):
    hut.run({"a": "running", "b": "pending"})
    response = client.post(f"{TASK}/cancel", headers=ACT)
    assert response.headers["HX-Trigger"] == "ordered" and "<html" not in response.text
    assert "Cancelling a<" in response.text
    assert "cancelling…" in client.get(TASK).text
    client.post("/runs/abcdefgh/tasks/b/cancel", headers=ACT)
    assert client.get("/api/v1/runs/abcdefgh").json["counts"] == {"cancelled": 1, "running": 1}


def test_cancelling_a_task_by_a_plain_form_leads_to_its_page(client, hut):
    hut.run({"a": "running"})
    response = client.post(f"{TASK}/cancel", headers={"Sec-Fetch-Site": "same-origin"})
    assert (response.status_code, response.location) == (303, TASK)


def test_a_task_that_has_ended_keeps_its_state_when_it_is_cancelled(client, hut):
    hut.run({"a": "completed"})
    client.post(f"{TASK}/cancel", headers=ACT)
    assert client.get("/api/v1/runs/abcdefgh").json["tasks"][0]["status"] == State.COMPLETED


def test_a_task_that_does_not_exist_is_named(client, hut):
    hut.run(["a"])
    response = client.get("/runs/abcdefgh/tasks/nope")
    assert response.status_code == 404
    assert "has no task nope" in response.text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("10%\r50%\r100%\n", "100%\n"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[1;32mok\x1b[0m\x1b[K", "ok"),
        ("bell\x07 tab\t", "bell tab\t"),
    ],
)
def test_terminal_text_becomes_plain(raw, shown):
    assert plain(raw) == shown


def test_a_cut_escape_is_kept_back():
    assert whole(b"abc\x1b[31") == 3
    assert whole(b"abc\x1b[31m") == 8
    assert whole("€".encode()[:2]) == 0


def test_a_failed_task_opens_with_why(client, hut, app):
    hut.run({"a": "failed", "b": "completed"})
    hut.change("abcdefgh", "a", progress=0.42, progress_text="fold 3", has_outputs=True)
    lines = "".join(f"line {n}\n" for n in range(1, 61)) + "\x1b[31mKeyError: <x>\x1b[0m\n"
    app.extensions["kept"].append_log("abcdefgh.0.1", "error", 0, lines.encode())
    page = client.get(TASK).text
    why = page[page.index('class="why"') : page.index("<h3>History</h3>")]
    for words in (
        "Why it failed",
        "<dt>Exit code</dt><dd>3</dd>",
        "4m 50s of 1h 00m",
        "<dt>Memory asked for</dt><dd>4.0 GiB</dd>",
        "42 % fold 3",
        "line 22\n",
        "KeyError: &lt;x&gt;</pre>",
        'hx-get="/runs/abcdefgh/tasks/a/detail/outputs"',
    ):
        assert words in why, words
    assert "line 21\n" not in why
    assert 'class="why"' not in client.get("/runs/abcdefgh/tasks/b").text


def test_an_empty_error_log_gives_way_to_the_output(client, hut, app):
    hut.run({"a": "failed"})
    app.extensions["kept"].append_log("abcdefgh.0.1", "output", 0, b"error: no licence\n")
    page = client.get(TASK).text
    assert "error: no licence</pre>" in page
    assert "tab=output" in page[page.index('class="why"') :].partition("<pre")[0]


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("cancelled", "Why it was cancelled"),
        ("lost", "Why it is lost"),
        ("dep_failed", "Why it did not run"),
    ],
)
def test_every_ending_but_the_good_one_says_why(client, hut, state, title):
    hut.run({"a": state})
    assert title in client.get(TASK).text


def test_programs_are_told_why_too(client, hut, app):
    hut.run({"a": "failed"})
    app.extensions["kept"].append_log("abcdefgh.0.1", "error", 0, b"no licence\n")
    said = client.get(TASK + "/detail/details", headers={"Accept": "application/json"}).json
    assert said["why"]["exit"] == "3"
    assert said["why"]["last_lines"] == "no licence"


def test_a_task_says_what_it_waits_for_and_what_waits_for_it(client, hut):
    hut.run({"a": "running", "b.1": "pending", "b.10": "pending", "c": "queued"})
    hut.change("abcdefgh", "b.1", deps=["a"])
    hut.change("abcdefgh", "b.10", deps=["b.1", "a"])
    hut.change("abcdefgh", "c", reason="Waits for resources (Priority)")
    details = client.get(TASK).text
    waits = details[details.index("What waits for it") :].partition("</ul>")[0]
    assert re.findall(r">([^<]+)</a>", waits) == ["b.1", "b.10"]
    assert "waits for 2 of the 2 tasks" in client.get("/runs/abcdefgh/tasks/b.10").text
    assert ">b.10</a>" in client.get("/runs/abcdefgh/tasks/b.1").text
    said = client.get("/runs/abcdefgh/tasks/c").text
    assert "the scheduler, which says: Waits for resources (Priority)" in said


SLURM = Slurm(type="slurm", name="hpc", ssh=SSH(host="login", user="ada", port=2222))
OLD = PBS(type="pbs", name="old", ssh=SSH(host="pbs"))
HERE = Local(type="local", name="here")


@pytest.mark.parametrize(
    ("backend", "node", "folder", "command"),
    [
        (SLURM, None, "~", "ssh -t -p 2222 ada@login 'srun --overlap --jobid 17 --pty bash -l'"),
        (OLD, "n042", "~", "ssh -t pbs 'ssh -t n042'"),
        (OLD, None, "~", None),
        (HERE, None, "~/my study", "cd ~/'my study'"),
        (HERE, None, "/a b; rm", "cd '/a b; rm'"),
    ],
)
def test_a_command_opens_a_shell_where_a_task_runs(backend, node, folder, command):
    assert shell(backend, "17", node, folder) == command


def test_a_running_task_has_that_command_to_copy(client, hut):
    hut.run({"a": "running", "b": "completed"})
    assert 'data-copy="#shell"' in client.get(TASK).text
    assert 'data-copy="#shell"' not in client.get("/runs/abcdefgh/tasks/b").text


def test_a_reason_shows_names_of_settings_as_code(client, hut):
    hut.run({"a": "failed"})
    hut.change("abcdefgh", "a", reason="Ran out: ask for more with `memory` <b>")
    for page in (TASK, "/runs/abcdefgh", "/runs/abcdefgh/report"):
        text = client.get(page).text
        assert "with <code>memory</code> &lt;b&gt;" in text, page
        assert "`memory`" not in text, page
