"""The pages of the backends."""

from scripthut.core.survey import Door, Facts, Node, NodeState, Surveyed, Wish, summarise
from scripthut.store.machines import surveys


def test_every_configured_backend_has_a_card(client, hut):
    page = client.get("/backends").text
    assert ">cluster</a></h2>" in page and 'data-state="answers"' in page


def test_a_silent_backend_says_since_when_and_why(client, hut):
    hut.backend(failing_since=hut.now, message="ssh: no route to host", notice="accounting is off")
    page = client.get("/backends").text
    assert 'data-state="silent"' in page
    assert "ssh: no route to host" in page and "accounting is off" in page


def test_a_backend_that_was_never_asked_says_so(client, app):
    page = client.get("/backends").text
    assert "not asked yet" in page and "No engine is acting" in page


def test_the_cards_are_refreshed_alone(client, hut):
    cards = client.get("/backends", headers={"HX-Request": "true"}).text
    assert ">cluster</a></h2>" in cards and "<html" not in cards


def told(hut, **more):
    """Facts as the engine would have left them."""
    nodes = [Node("n1", NodeState.MIXED, ("fast",), 8, 2, 2**34, 0, 2, 1, ("a100",))]
    facts = summarise([Door("fast", True), Door("old", is_open=False)], nodes, {}, [])
    with hut.database.writing() as session:
        surveys.record(session, "cluster", Surveyed(facts=facts), hut.now)
    return facts


def test_a_card_says_in_one_line_what_is_free(client, hut):
    told(hut)
    assert "6 of 8 CPUs idle · 1 of 2 GPUs idle" in client.get("/backends").text


def test_a_backends_page_shows_the_partition_where_a_job_starts_soonest_first(client, hut):
    told(hut)
    page = client.get("/backends/cluster").text
    assert page.index("<b>fast</b>") < page.index("<b>old</b>")
    assert "A job of up to 6 CPUs, 16.0 GiB, 1 GPU starts now" in page
    assert "a100" in page


def test_to_open_a_page_of_a_backend_is_to_ask_for_its_facts(client, hut):
    with hut.database.reading() as session:
        assert surveys.due(session, hut.now) == set()
    assert "is being asked" in client.get("/backends/cluster").text
    with hut.database.reading() as session:
        assert surveys.due(session, hut.now) == {"cluster"}
        assert surveys.wanted(session, "cluster", False, hut.now) == Wish(facts=True)


def test_the_api_gives_the_facts_and_the_line(client, hut):
    assert client.get("/api/v1/backends").json["backends"][0]["facts"] is None
    told(hut)
    (backend,) = client.get("/api/v1/backends").json["backends"]
    assert backend["facts"]["line"] == "6 of 8 CPUs idle · 1 of 2 GPUs idle"
    assert backend["facts"]["soonest"] == ["fast", "old"]
    assert client.get("/api/v1/backends/cluster").json == backend
    assert client.get("/api/v1/backends/none").status_code == 404


def test_what_a_cluster_says_is_shown_as_text(client, hut):
    facts = Facts(problems=("<script>alert(1)</script>",))
    with hut.database.writing() as session:
        surveys.record(session, "cluster", Surveyed(facts=facts), hut.now)
    assert "<script>alert" not in client.get("/backends/cluster").text
