"""What is secret is not shown, in no form that is usual."""

import json
from base64 import b64encode, urlsafe_b64encode
from time import process_time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripthut.core.mask import (
    SIGN,
    is_secret,
    mask,
    mask_argv,
    mask_assignments,
    mask_piece,
    secrets,
    without_secrets,
)

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

    words = ["--token", "abc", "--comment=hunter22", "--qos=high"]
    shown = without_secrets({**spec, "cpus": 2, "extra_args": words}, ["PIN"])

    assert shown == {
        "command": "curl -u me:*** x",
        "env": {"X_PASSWORD": SIGN, "PIN": SIGN},
        "cpus": 2,
        "extra_args": ["--token", SIGN, f"--comment={SIGN}", "--qos=high"],
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


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["sbatch", "--export=ALL,HF_TOKEN=hunter22", "x"], "sbatch --export=ALL,HF_TOKEN=*** x"),
        (["sbatch", "--export=HF_TOKEN=hunter22,B=1"], "sbatch --export=HF_TOKEN=***"),
        (["qsub", "-v", "A=1,HF_TOKEN=hunter 22"], "qsub -v A=1,HF_TOKEN=***"),
        (["qsub", "-vPIN=hunter22"], "qsub -vPIN=***"),
        (["x", "--password", "-hunter22", "y"], "x --password *** y"),
        (["x", "--api-key=hunter 22", "y"], "x --api-key=*** y"),
        (["git", "clone", "https://ada:hunter22@h/x"], "git clone https://***@h/x"),
        (["curl", "-H", "Authorization: Bearer hunter22"], "curl -H Authorization: Bearer ***"),
        (["sh", "-c", "cd x; HF_TOKEN='hunter 22' y"], "sh -c cd x; HF_TOKEN=*** y"),
        (["squeue", "--format=%i,%T", "A=1"], "squeue --format=%i,%T A=1"),
    ],
)
def test_the_words_of_a_command_are_shown_without_secrets(argv: list[str], shown: str) -> None:
    assert " ".join(mask_argv(argv, ["PIN"])) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "sbatch: --export=ALL,HF_TOKEN=hunter22 is bad",
            "sbatch: --export=ALL,HF_TOKEN=*** is bad",
        ),
        ("sbatch '--export=A,HF_TOKEN=hunter22 b' x", "sbatch '--export=A,HF_TOKEN=***' x"),
        ("HF_TOKEN='a'\"'\"'bhunter22' x", "HF_TOKEN=*** x"),
        ("HF_TOKEN='hunter 22", "HF_TOKEN=***"),
        ("HF_TOKEN=a\\ hunter22 x", "HF_TOKEN=*** x"),
        (f"{'A' * 200}_TOKEN=hunter22", f"{'A' * 200}_TOKEN=***"),
        ("fatal: https://ada:hunt@er22@h/x not found", "fatal: https://***@h/x not found"),
        ("fatal: https://hunter22@h/x not found", "fatal: https://***@h/x not found"),
        ("ssh://git@h/x, https://h/x@y", "ssh://git@h/x, https://h/x@y"),
        ("authorization: Basic hunter22", "authorization: Basic ***"),
        ("Authorization: hunter22", "Authorization: ***"),
        ("bearer hunter22, x", "bearer *** x"),
        ("x --token hunter22 y", "x --token *** y"),
        ("x --password 'hunter 22' y", "x --password *** y"),
        ("an invalid key: queue", "an invalid key: queue"),
    ],
)
def test_what_a_machine_says_is_shown_without_secrets(said: str, shown: str) -> None:
    assert mask_assignments(said) == shown


@pytest.mark.parametrize("piece", ["A_KEY=", "a", "--key ", "'", "://", "A_KEY='", "x=,", "-a"])
def test_a_long_text_is_masked_in_no_time(piece: str) -> None:
    began = process_time()
    mask_assignments(piece * 20_000)
    assert process_time() - began < 5
