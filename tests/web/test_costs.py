"""What computing costs, where prices are configured, and nothing about money where they are not."""

import pytest
from sqlalchemy import update

from scripthut.config import parse
from scripthut.core.errors import Invalid
from scripthut.store.models import Run
from scripthut.web import create_app
from tests.web.conftest import Hut


@pytest.fixture
def priced(config, app):
    """The same site with prices: a client, and the database behind it."""
    prices = {"cpu_hour": 0.5, "gpu_hour": 2, "currency": "CHF"}
    backend = {"type": "local", "name": "cluster", "prices": prices}
    data = {"data_dir": str(config.data_dir), "database_url": config.database_url}
    made = create_app(parse({"backends": [backend], "settings": data}))
    yield made.test_client(), Hut(made.extensions["database"])
    made.extensions["database"].dispose()


def spend(hut, cpu, gpu):
    with hut.database.writing() as session:
        hours = {"cpu_seconds": cpu * 3600, "gpu_seconds": gpu * 3600}
        session.execute(update(Run).values(**hours))


def test_a_run_says_what_it_costs_on_its_page_the_first_page_and_in_json(priced):
    client, hut = priced
    hut.run({"a": "failed", "b": "completed"})
    spend(hut, 3, 1)
    page = client.get("/runs/abcdefgh").text
    assert "3.0 CPU hours and 1.0 GPU hours" in page and ">3.50 CHF<" in page
    assert 'about <span class="num">3.50 CHF</span>' in client.get("/").text
    said = client.get("/api/v1/runs/abcdefgh").json
    assert said["cost"] == {"amount": 3.5, "currency": "CHF"}
    assert (said["cpu_seconds"], said["gpu_seconds"]) == (10800, 3600)


def test_a_run_says_which_part_was_used_of_what_was_held(client, hut):
    hut.run({"a": "completed", "b": "completed"})
    assert "Efficiency" not in client.get("/runs/abcdefgh").text
    hut.change("abcdefgh", "a", cpu_used=290.0, memory_used=2**30, requeues=2)
    page = client.get("/runs/abcdefgh/tasks/a").text
    assert "50 % of CPU time, 25 % of memory" in page
    assert "<dt>Requeued</dt>" in page and "2 times" in page
    assert client.get("/api/v1/runs/abcdefgh").json["efficiency"] == {"cpu": 0.5, "memory": 0.25}


def test_a_question_names_the_price(priced):
    client, hut = priced
    hut.run({"a": "failed"})
    said = client.get("/runs/abcdefgh/ask/retry").text
    assert "at most 2.0 CPU hours, about 1.00 CHF." in said


def test_without_prices_nobody_speaks_of_money(client, hut):
    hut.run({"a": "completed"})
    spend(hut, 3, 0)
    assert "Cost" not in client.get("/runs/abcdefgh").text
    assert "last 30 days" not in client.get("/").text
    assert client.get("/api/v1/runs/abcdefgh").json["cost"] is None


def test_a_price_below_nothing_is_refused():
    with pytest.raises(Invalid) as error:
        parse({"backends": [{"type": "local", "name": "x", "prices": {"cpu_hour": -1}}]})
    assert "prices.cpu_hour" in str(error.value.problems)
