"""The page of the backends."""


def test_every_configured_backend_has_a_card(client, hut):
    page = client.get("/backends").text
    assert ">cluster</h2>" in page and 'data-state="answers"' in page


def test_a_silent_backend_says_since_when_and_why(client, hut):
    hut.backend(failing_since=hut.now, message="ssh: no route to host", notice="accounting is off")
    page = client.get("/backends").text
    assert 'data-state="silent"' in page
    assert "ssh: no route to host" in page and "accounting is off" in page


def test_a_backend_that_was_never_asked_says_so(client, app):
    page = client.get("/backends").text
    assert "never asked" in page and "No engine is acting" in page


def test_the_cards_are_refreshed_alone(client, hut):
    cards = client.get("/backends", headers={"HX-Request": "true"}).text
    assert ">cluster</h2>" in cards and "<html" not in cards
