"""Whose something on a disk is, and whether it may go."""

from datetime import UTC, datetime, timedelta

import pytest

from scripthut.core.disk import Class, Kind, Shown, Thing, User, judge, ordered

NOW = datetime(2026, 11, 27, tzinfo=UTC)
OLDER, OLD, YOUNG = NOW - timedelta(days=8), NOW - timedelta(days=2), NOW - timedelta(hours=2)
ENDED, LIVE = User("abcdefgh", "study", False), User("zyxwvuts", "study", True)


def thing(kind: Kind = Kind.RUN, touched: datetime | None = OLD, **more: object) -> Thing:
    run = "abcdefgh" if kind is Kind.RUN else None
    return Thing(kind, "/root", b"name", run, touched_at=touched, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "users", "whose", "may_go"),
    [
        pytest.param(thing(), [ENDED], Class.REFERENCED, True, id="of an ended run"),
        pytest.param(
            thing(touched=YOUNG), [ENDED], Class.REFERENCED, True, id="its id is no other's"
        ),
        pytest.param(thing(), [ENDED, LIVE], Class.ACTIVE, False, id="one of two goes on"),
        pytest.param(thing(), [], Class.ORPHANED, True, id="nobody knows it"),
        pytest.param(thing(touched=YOUNG), [], Class.ORPHANED, False, id="somebody writes it"),
        pytest.param(thing(touched=None), [], Class.ORPHANED, False, id="no time is known"),
        pytest.param(thing(touched=None), [ENDED], Class.REFERENCED, True, id="none is needed"),
        pytest.param(thing(is_whole=False), [], Class.ORPHANED, False, id="measuring was cut"),
        pytest.param(
            thing(Kind.COMMIT, OLDER), [], Class.ORPHANED, True, id="a commit nobody uses"
        ),
        pytest.param(
            thing(Kind.COMMIT), [], Class.ORPHANED, False, id="its other server may be down"
        ),
        pytest.param(thing(is_busy=True), [], Class.ORPHANED, False, id="its job may run"),
        pytest.param(
            thing(touched=NOW - timedelta(days=31), is_busy=True),
            [],
            Class.ORPHANED,
            True,
            id="no job is that long",
        ),
        pytest.param(thing(Kind.COMMIT), [ENDED], Class.REFERENCED, True, id="an old commit"),
        pytest.param(
            thing(Kind.COMMIT, YOUNG), [ENDED], Class.REFERENCED, False, id="a commit held there"
        ),
        pytest.param(thing(Kind.LEFTOVER), [], Class.ORPHANED, True, id="an old archive"),
        pytest.param(thing(Kind.LEFTOVER, YOUNG), [], Class.ORPHANED, False, id="one on its way"),
        pytest.param(thing(Kind.OTHER), [], Class.UNKNOWN, False, id="not ours"),
    ],
)
def test_whose_it_is(found: Thing, users: list[User], whose: Class, may_go: bool) -> None:
    verdict = judge(found, users, NOW)
    assert (verdict.whose, verdict.why is None) == (whose, may_go)


def test_those_whose_deletion_is_ordered_cannot_be_chosen() -> None:
    shown = Shown(1, thing(), judge(thing(), [], NOW), is_leaving=True)
    assert not shown.may_go


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("-size", [b"b", b"a", b"c"]),
        ("size", [b"c", b"a", b"b"]),
        ("name", [b"a", b"b", b"c"]),
        ("-modified", [b"a", b"b", b"c"]),
        ("nonsense", [b"b", b"a", b"c"]),
    ],
)
def test_an_address_says_the_order(by: str, names: list[bytes]) -> None:
    things = [
        Thing(Kind.RUN, "/", b"c", size=None),
        Thing(Kind.RUN, "/", b"a", size=10, touched_at=NOW),
        Thing(Kind.RUN, "/", b"b", size=20, touched_at=OLD),
    ]
    shown = [Shown(n, one, judge(one, [], NOW), False) for n, one in enumerate(things)]
    assert [one.thing.name for one in ordered(shown, by)] == names
