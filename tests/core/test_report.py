"""A document's HTML for a page that stands alone."""

import pytest

from scripthut.core.markdown.policy import ANCHOR, BASE
from scripthut.core.markdown.render import render
from scripthut.core.markdown.report import Place, alone

FILES = {"plot.png": "data:image/png;base64,cG5n", "a b/v.csv": "file-7"}
PLACE = Place("9-", FILES.get, FILES.get)


def test_images_are_put_in_and_links_lead_to_the_files_place() -> None:
    html = alone(render("![p](plot.png) [v](a%20b/v.csv#L2) [x](https://x.org/)", ""), PLACE)
    assert '<img alt="p" src="data:image/png;base64,cG5n">' in html
    assert 'href="#file-7"' in html
    assert 'href="https://x.org/"' in html


def test_what_is_not_in_the_report_is_said() -> None:
    html = alone(render("![a plot](other.png) [v](other.csv)", ""), PLACE)
    assert "[a plot: not in this report]" in html
    assert "<a>v</a>" in html or "<a rel" in html
    assert BASE not in html


def test_two_documents_keep_their_ids_apart() -> None:
    html = alone(render("# Top\n\n[up](#top)", ""), PLACE)
    assert 'id="user-content-9-top"' in html
    assert 'href="#user-content-9-top"' in html
    assert ANCHOR not in html


def test_formulas_stay() -> None:
    html = alone(render("$a^2$", ""), PLACE)
    assert "<msup><mi>a</mi><mn>2</mn></msup>" in html


@pytest.mark.parametrize(
    ("hostile", "left"),
    [
        ("<script>alert(1)</script>x", "x"),
        ("<style>p{}</style><p style='x' onclick='y' hx-get='/'>a</p>", "<p>a</p>"),
        ("<img src='https://evil.example/x.png' alt='a'>", "[a: not in this report]"),
        ("<a href='javascript:alert(1)'>a</a>", "<a>a</a>"),
        ("<a href='#summary'>a</a>", "<a>a</a>"),
        ("<p id='summary' class='notice'>a</p>", "<p>a</p>"),
        ("</section></main><b>a", "<b>a</b>"),
        ("<div><b>a</div>b", "<div><b>a</b></div>b"),
        ("<!-- <b> -->a<meta http-equiv=refresh content='0;url=//x'>", "a"),
        ("<math><mtext><img src=x onerror=y><mglyph><style>", "<math><mtext></mtext></math>"),
        ("<math><mi href='javascript:x' mathcolor='red;'>a</math>", "<math><mi>a</mi></math>"),
        ("<iframe srcdoc='<b>'></iframe><svg><a xlink:href='x'>t</a></svg>a", "a"),
    ],
)
def test_what_no_document_may_hold_is_not_written_anew(hostile: str, left: str) -> None:
    assert alone(hostile, PLACE) == left
