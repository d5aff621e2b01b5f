"""Pages of files that hold arrays and columns."""

import io
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from scripthut.core.files import heads
from scripthut.core.files.heads import Head
from scripthut.store.files.kept import Kept
from tests.web.conftest import Hut, Keep

numpy: Any = pytest.importorskip("numpy")
RUN = "abcdefgh"


@pytest.fixture(autouse=True)
def run(hut: Hut) -> None:
    hut.run({"fit": "completed"}, RUN)


def shown(client: FlaskClient, row: int, query: str = "") -> str:
    answer = client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}{query}")
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def saved(array: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    numpy.save(out, array, **how)
    return out.getvalue()


def test_an_array_shows_its_type_its_shape_and_its_first_rows(
    client: FlaskClient, keep: Keep
) -> None:
    page = shown(client, keep("a.npy", saved(numpy.arange(1.0, 7).reshape(2, 3))))
    assert "<f8 · 2 × 3 · 6 values" in page.replace("&lt;", "<")
    assert "1.0 2.0 3.0" in page


def test_a_pickle_is_refused_in_a_sentence(client: FlaskClient, keep: Keep) -> None:
    data = saved(numpy.array([{}], dtype=object), allow_pickle=True)
    assert "a pickle, which is never read here." in shown(client, keep("a.npy", data))


def test_an_archive_leads_to_each_of_its_arrays(client: FlaskClient, keep: Keep) -> None:
    out = io.BytesIO()
    numpy.savez(out, first=numpy.arange(3), **{"<b> & c": numpy.ones((2, 2))})
    row = keep("a.npz", out.getvalue())
    page = client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}").text
    assert "&lt;b&gt; &amp; c" in page
    assert "2 × 2" in page
    assert "0 1 2" in re.sub(r"\b(\d) \1\b", r"\1", shown(client, row, "?array=first"))
    assert client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}?array=x").status_code == 404


def test_columns_that_were_not_read_name_the_extra(client: FlaskClient, keep: Keep) -> None:
    assert "install scripthut[science]" in shown(client, keep("t.parquet", b"PAR1"))


def test_columns_show_their_schema_and_rows(client: FlaskClient, app: Flask, keep: Keep) -> None:
    kept: Kept = app.extensions["kept"]
    row = keep("t.parquet", b"PAR1")
    found = Head([("n", "int64"), ("<i>s", "string")], [["1", "<b>x"]], 5000)
    kept.put_as(heads.key(kept.put(b"PAR1")), heads.kept(found))
    page = client.get(f"/runs/{RUN}/tasks/fit/outputs/view/{row}").text
    assert "5000 rows, 2 columns; the first 1 are shown" in page
    assert "&lt;b&gt;x" in page
    assert "<i>s" not in page
