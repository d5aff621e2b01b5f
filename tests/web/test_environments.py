"""The Env tab: every variable of a task, where it came from, and no secrets."""

from sqlalchemy import update

from scripthut.core.workflow.env import resolve
from scripthut.core.workflow.rules import EnvRule, Layer
from scripthut.store.models import Run

TAB = "/runs/abcdefgh/tasks/a?tab=env"
API = "/api/v1/runs/abcdefgh/tasks/a/env"


def rules(hut, *some):
    layer = Layer("server", [EnvRule.model_validate(rule) for rule in some]).kept()
    with hut.database.writing() as session:
        session.execute(update(Run).values(env=[layer]))


def test_the_tab_tells_what_each_variable_is_and_who_made_it_so(client, hut):
    hut.run({"a": "pending"})
    rules(hut, {"set": {"PLACE": "<b>1"}}, {"append": {"PLACE": "${HOME}/x"}, "init": "module x"})
    page = client.get(TAB).text
    assert "What the task would be given if it started now." in page
    assert "&lt;b&gt;1:${HOME}/x</pre>" in page
    assert "<b>server</b> appends <code>${HOME}/x</code>" in page
    assert "module x</pre>" in page
    assert page.index("PLACE") < page.index("Given by scripthut") < page.index("SCRIPTHUT_RUN_ID")


def test_a_job_is_shown_what_it_was_given_whatever_the_rules_say_now(client, hut):
    hut.run({"a": "running"})
    kept = resolve({"SCRIPTHUT_RUN_ID": "abcdefgh"}, [Layer("task", [EnvRule(set={"A": "then"})])])
    hut.change("abcdefgh", "a", env=kept.kept())
    rules(hut, {"set": {"A": "now"}})
    assert client.get(API).json == {
        "run_id": "abcdefgh",
        "task_id": "a",
        "vars": {
            "SCRIPTHUT_RUN_ID": {
                "value": "abcdefgh",
                "ops": [{"source": "seed", "op": "seed", "contribution": "abcdefgh"}],
            },
            "A": {
                "value": "then",
                "ops": [{"source": "task", "op": "set", "contribution": "then"}],
            },
        },
        "extra_init": "",
        "init": [],
        "resolved": True,
    }
    assert "What attempt 1 was given." in client.get(TAB).text


def test_secrets_are_masked_wherever_they_went(client, hut):
    hut.run({"a": "pending"})
    rules(
        hut,
        {"set": {"HF_TOKEN": "hunter22"}},
        {"set": {"URL": "https://ada:${HF_TOKEN}@host"}, "init": "login ${HF_TOKEN}"},
    )
    for page in (client.get(TAB), client.get(API), client.get("/runs/abcdefgh/tasks/a?tab=script")):
        assert "hunter22" not in page.text
        assert "https://ada:***@host" in page.text
    assert client.get(API).json["extra_init"] == "login ***"
    assert client.get(API).json["vars"]["HF_TOKEN"]["value"] == "***"


def test_an_unknown_task_has_no_environment(client, hut):
    hut.run({"a": "pending"})
    assert client.get("/api/v1/runs/abcdefgh/tasks/nope/env").status_code == 404
