"""What is secret is not shown, in no form that is usual."""

import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.mask import SIGN, is_secret, mask, mask_piece, secrets, without_secrets

VALUE = 'p&ss wörd/"+x'


@pytest.mark.parametrize(
    "name",
    ["HF_TOKEN", "AWS_SECRET", "DB_PASSWORD", "OPENAI_API_KEY", "GCP_CREDENTIALS_JSON", "api_key"],
)
def test_a_name_tells_a_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["HOME", "KEYBOARD", "TOKENIZER", "SECRETARY_NAME", "SEED"])
def test_other_names_tell_none(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    "written",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        json.dumps({"a": VALUE}),
        json.dumps(VALUE, ensure_ascii=False),
        b64encode(VALUE.encode()).decode(),
        b64encode(f"x:{VALUE}".encode()).decode(),
        b64encode(f"me:{VALUE}!".encode()).decode(),
        urlsafe_b64encode(f"abc{VALUE}".encode()).decode(),
    ],
)
def test_a_secret_is_masked_as_it_is_usually_written(written: str) -> None:
    masked = mask(f"before {written} after", secrets({"A_TOKEN": VALUE}))

    assert SIGN in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert not any(written[n : n + 8] in masked for n in range(4, len(written) - 12))


def test_every_line_of_a_key_is_a_secret() -> None:
    key = "-----BEGIN KEY-----\nAAAAB3Nza\nQyNTUxOQAA\n-----END KEY-----\n"

    masked = mask("it holds QyNTUxOQAA", secrets({"DEPLOY_KEY": key}))

    assert masked == "it holds ***"


def test_short_values_stay_where_they_would_be_words() -> None:
    assert mask("a true story", secrets({"USE_TOKEN": "true"})) == "a true story"


def test_a_longer_secret_goes_before_one_that_is_in_it() -> None:
    known = secrets({"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"})

    assert mask("abcdefghij abcdef", known) == "*** ***"


def test_a_specification_is_shown_without_secrets() -> None:
    spec = {"command": "curl -u me:hunter22 x", "env": {"X_PASSWORD": "hunter22", "PIN": "1"}}

    shown = without_secrets({**spec, "cpus": 2}, ["PIN"])

    assert shown == {
        "command": "curl -u me:*** x",
        "env": {"X_PASSWORD": SIGN, "PIN": SIGN},
        "cpus": 2,
    }


@given(st.text(max_size=40), st.text(min_size=6, max_size=20), st.text(max_size=40))
def test_no_secret_is_left_in_a_text(before: str, value: str, after: str) -> None:
    masked = mask(before + value + after, secrets({"A_TOKEN": value}))

    assert value not in masked.replace(SIGN, "\0") or value.strip() in SIGN


@given(st.binary(max_size=60), st.integers(0, 80))
def test_a_piece_of_a_log_keeps_its_length(noise: bytes, cut: int) -> None:
    data = noise + b"hunter22-and-more" + noise

    for piece in (data[:cut], data[cut:]):
        masked = mask_piece(piece, ["hunter22-and-more"])
        assert len(masked) == len(piece)
        assert b"hunter" not in masked.replace(noise, b"")
