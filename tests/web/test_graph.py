"""The graph of a run: folded, with the states as they are now, and only what changed as news."""

import re

from scripthut.core.states import State

RUN = "/runs/abcdefgh"


def nodes(html: str) -> dict[str, tuple[str, str]]:
    """Title -> state and address of each node."""
    groups = re.findall(r'<g class="graph-node".*?</a></g>', html, re.DOTALL)
    found = {}
    for group in groups:
        (title,) = re.findall(r"<title>([^<]+)</title>", group)
        (state,) = re.findall(r'class="graph-node" id="node-\d+" data-state="(\w+)"', group)
        (address,) = re.findall(r'href="([^"]+)"', group)
        found[title] = state, address.replace("&amp;", "&")
    return found


def live(page: str) -> str:
    (url,) = re.findall(r'<div id="live" hx-get="([^"]+)"', page)
    return url.replace("&amp;", "&")


def study(hut) -> None:
    hut.run({"prep": "completed", "sim.a": "failed", "sim.b": "completed", "end": "dep_failed"})
    hut.change("abcdefgh", "sim.a", deps=["prep"])
    hut.change("abcdefgh", "sim.b", deps=["prep"])
    hut.change("abcdefgh", "end", deps=["sim.a", "sim.b"])


def test_a_graph_shows_groups_with_what_a_person_should_know_of(client, hut):
    study(hut)
    found = nodes(client.get(f"{RUN}?view=graph").text)
    assert found["prep: completed"] == ("completed", f"{RUN}/tasks/prep?view=graph")
    assert found["sim: 1 completed, 1 failed"] == ("failed", f"{RUN}?view=graph&unfold=1")
    drawn = client.get(f"{RUN}?view=graph").text.partition('id="live"')[2]
    assert drawn.count("<path d=") == 2


def test_a_group_unfolds_and_folds_again(client, hut):
    study(hut)
    page = client.get(f"{RUN}?view=graph&unfold=1").text
    assert nodes(page)["sim.a: failed"] == ("failed", f"{RUN}/tasks/sim.a?view=graph&unfold=1")
    assert f'href="{RUN}?view=graph" hx-boost="true" aria-label="Fold sim"' in page


def test_news_are_the_nodes_that_hold_what_changed(client, hut):
    study(hut)
    hut.change("abcdefgh", "sim.b", state=State.RUNNING)
    asks = live(client.get(f"{RUN}?view=graph").text)
    assert client.get(asks).status_code == 204
    hut.change("abcdefgh", "sim.a", state=State.PENDING)
    news = client.get(asks).text
    assert list(nodes(news)) == ["sim: 1 running, 1 pending"]
    assert "<tr id=" not in news and 'hx-target="#node-1" hx-swap="outerHTML strip:true"' in news


def test_ten_thousand_tasks_are_a_small_drawing(client, hut):
    hut.run({f"sim.{i % 40}.{i}": "pending" for i in range(10_000)})
    page = client.get(f"{RUN}?view=graph")
    assert len(nodes(page.text)) == 40 and len(page.data) < 100_000
    assert nodes(page.text)["sim.7: 250 pending"][1] == f"{RUN}?find=sim.7"


def test_a_task_s_name_cannot_break_out(client, hut):
    hut.run({"<script>x</script>": "running"})
    assert "<script>x" not in client.get(f"{RUN}?view=graph").text
