"""What every place where jobs run must do; run on this machine and on a real cluster."""

import hashlib
from dataclasses import replace

import pytest

from scripthut.core.jobs import (
    Accepted,
    Area,
    Phase,
    Piece,
    Rejected,
    RemoteFile,
    Unreadable,
    Watch,
)
from scripthut.core.survey import Wish
from tests.backends.conftest import LIMITS, Place, note_of

HOSTILE = "new\nline 'q' \"d\" $(touch pwned) `id` | \x1f é ☃ -- \\"


def test_three_jobs_from_submission_to_their_notes(place: Place) -> None:
    jobs = place.submit(
        place.job(0, "echo fine; echo $N >&2"),
        place.job(1, "exit 3"),
        place.job(2, 'printf \'%s\' "$0" > "$SCRIPTHUT_TASK_SUMMARY"', name=HOSTILE),
    )
    seen = place.until_ended(jobs)
    assert [note_of(seen, job).code for job in jobs] == [0, 3, 0]
    assert [note_of(seen, job).job_id for job in jobs] == [job.job_id for job in jobs]
    assert [seen.claims[job.token] for job in jobs] == [job.job_id for job in jobs]
    for job in jobs:
        note = note_of(seen, job)
        assert note.node
        assert note.ended_at >= note.started_at
        assert abs((note.started_at - job.submitted_at).total_seconds()) < 60  # type: ignore[operator]
    assert seen.contents[jobs[2].token, Area.OUTPUT, b"task-summary.md"] == b"t.2"
    assert not seen.unanswered
    assert seen.notice is None


def test_only_news_travels(place: Place) -> None:
    (job,) = place.submit(place.job(0, "echo '# a' > \"$SCRIPTHUT_RUN_SUMMARY\""))
    place.until_ended([job])
    first = place.look([job])
    mark = first.listings[job.token].mark
    assert first.contents == {(job.token, Area.FRAGMENT, b"t.0.md"): b"# a\n"}
    again = place.backend.observe([Watch(job, mark=mark)])
    assert not again.listings
    assert not again.contents
    unlisted = place.backend.observe([Watch(job, list_outputs=False)])
    assert not unlisted.listings


def test_a_dead_watch_asks_for_files_and_nothing_else(place: Place) -> None:
    (job,) = place.submit(place.job(0, 'echo x > "$SCRIPTHUT_OUTPUT_DIR/x"'))
    place.until_ended([job])
    seen = place.backend.observe([Watch(job, live=False)])
    assert not seen.sightings
    assert not seen.notes
    assert [file.path for file in seen.listings[job.token].files] == [b"x"]


def test_logs_come_by_offset_and_as_tails(place: Place) -> None:
    (job,) = place.submit(
        place.job(0, "seq -f '%019.0f' 20000; printf 'caf\\351\\n' >&2")  # 20 bytes a line
    )
    place.until_ended([job])

    def chunk(stream: str, offset: int) -> tuple[int, bytes, int]:
        seen = place.backend.observe([Watch(job, live=False, tails={stream: offset})])
        found = seen.logs[job.token, stream]
        return found.start, found.data, found.size

    start, data, size = chunk("output", -1)
    assert size == start + len(data)
    assert data.endswith(b"0000000000000020000\n")
    assert len(data) == 64 * 1024
    assert chunk("output", size - 20) == (size - 20, b"0000000000000020000\n", size)
    assert chunk("output", size) == (size, b"", size)
    assert chunk("output", size + 9)[0] == 0
    assert len(chunk("output", 0)[1]) == 256 * 1024
    assert chunk("error", 0) == (0, b"caf\xe9\n", 5)


def test_a_log_that_is_no_plain_file_is_not_read(place: Place) -> None:
    (job,) = place.submit(place.job(0, "cd .cache/scripthut/logs/study; ln -s /etc/passwd l$N.log"))
    place.until_ended([job])
    linked = replace(job, paths=replace(job.paths, out=job.paths.logs / "l0.log"))
    nowhere = replace(job, paths=replace(job.paths, out=job.paths.logs / "none.log"))
    for wrong in (linked, nowhere):
        seen = place.backend.observe([Watch(wrong, live=False, tails={"output": 0})])
        assert not seen.logs


def test_a_running_job_is_cancelled(place: Place) -> None:
    (job,) = place.submit(place.job(0, "sleep 300"))
    place.until_running([job])
    place.backend.cancel([job])
    seen = place.until_ended([job])
    sighting = seen.sightings[job.token]
    # Torque does not say who ended it: with the order known, SIGTERM says enough (core/judge.py).
    assert sighting.phase is Phase.CANCELLED or sighting.signal == 15
    assert sighting.reason in ("Cancelled", "Ended by signal 15")
    assert sighting.ended_at is not None
    assert note_of(seen, job).code == 143


def test_a_job_that_ignores_being_told_to_end_is_killed(place: Place) -> None:
    (job,) = place.submit(
        place.job(0, "trap '' TERM; (trap '' TERM; setsid sleep 301) & sleep 300; sleep 300")
    )
    place.until_running([job])
    place.backend.cancel([job])
    sighting = place.until_ended([job]).sightings[job.token]
    assert sighting.phase is Phase.CANCELLED or sighting.signal == 9


def test_what_has_ended_can_be_cancelled_in_vain(place: Place) -> None:
    (job,) = place.submit(place.job(0, "true"))
    place.until_ended([job])
    place.backend.cancel([job])
    seen = place.look([job])
    assert note_of(seen, job).code == 0
    sighting = seen.sightings.get(job.token)
    assert sighting is None or sighting.phase is Phase.DONE


def test_a_job_whose_id_is_not_known_is_found_by_its_token(place: Place) -> None:
    running, ended, never = place.job(0, "sleep 300"), place.job(1, "exit 4"), place.job(2, "true")
    known = place.submit(running, ended)
    place.until_running([known[0]])
    place.until_ended([known[1]])
    seen = place.look([running, ended, never])
    assert seen.sightings[running.token].job_id == known[0].job_id
    assert seen.notes[ended.token].job_id == known[1].job_id
    assert never.token not in {*seen.sightings, *seen.notes, *seen.claims, *seen.unanswered}
    place.backend.cancel([running])
    place.until_ended([running])


def test_a_restarted_server_finds_everything_again(place: Place) -> None:
    jobs = place.submit(place.job(0, "sleep 2; exit 5"), place.job(1, "exit 6"))
    place.until_running(jobs[:1])
    place.reopen()
    seen = place.until_ended(jobs)
    assert [note_of(seen, job).code for job in jobs] == [5, 6]


def test_a_second_job_with_the_same_token_does_not_run(place: Place) -> None:
    job = place.job(0, 'echo ran >> "$SCRIPTHUT_OUTPUT_DIR/ran"; sleep 1; exit 7')
    (first,) = place.submit(job)
    place.until([first], lambda seen: first.token in seen.claims)
    (second,) = place.submit(job)
    assert second.job_id != first.job_id
    for asked in (first, second, job):
        seen = place.until_ended([asked])
        assert note_of(seen, asked).job_id == first.job_id
        assert note_of(seen, asked).code == 7
        sighting = seen.sightings.get(asked.token)
        assert sighting is None or sighting.job_id == first.job_id
    listing = place.look([first]).listings[first.token]
    ((_, data),) = list(place.backend.fetch([(first, listing.files[0])]))
    assert data == b"ran\n"


def test_a_job_whose_token_was_withdrawn_runs_nothing_however_late_it_comes(place: Place) -> None:
    late = place.job(0, 'touch "$SCRIPTHUT_OUTPUT_DIR/ran"')
    place.backend.cancel([late])
    assert late.token in place.look([late]).withdrawn
    (job,) = place.submit(late)
    place.until([job], lambda seen: (s := seen.sightings.get(job.token)) is None or s.ended_at)
    seen = place.look([job])
    assert job.token in seen.withdrawn
    assert job.token not in seen.notes
    assert not place.written(job)


def test_what_a_job_has_claimed_is_not_withdrawn(place: Place) -> None:
    (job,) = place.submit(place.job(0, "sleep 600"))
    place.until([job], lambda seen: job.token in seen.claims)
    place.backend.cancel([job])
    place.until_ended([job])
    seen = place.look([job])
    assert (seen.claims[job.token], seen.withdrawn) == (job.job_id, frozenset())


def test_a_hundred_jobs_are_one_command_and_so_is_a_look_at_them(place: Place) -> None:
    place.backend.home()
    place.backend.observe([Watch(place.job(0, "true"))])
    before = place.backend.commands
    jobs = place.submit(*(place.job(n, "true") for n in range(100)))
    assert place.backend.commands - before <= 1
    assert len({job.job_id for job in jobs}) == 100
    before = place.backend.commands
    place.look(jobs)
    assert place.backend.commands - before <= 2  # a second one for those that have ended by now
    place.until_ended(jobs, seconds=180)


def test_what_cannot_be_a_script_is_refused_and_the_others_go_on(place: Place) -> None:
    good, bad = place.job(0, "true"), place.job(1, "a\0b")
    answers = place.backend.submit([bad, good])
    assert isinstance(answers[good.token], Accepted)
    assert answers[bad.token] == Rejected(
        "task 't.1': its command or environment holds a NUL character"
    )


def test_a_log_directory_that_cannot_be_made_is_refused_in_words(place: Place) -> None:
    job = place.job(0, "true")
    wrong = replace(job, paths=replace(job.paths, out=job.paths.logs.__class__("/proc/no/x.out")))
    answer = place.backend.submit([wrong])[job.token]
    assert isinstance(answer, Rejected)
    assert not answer.wait
    assert "/proc/no" in answer.why


def test_log_files_may_have_any_name(place: Place) -> None:
    job = place.job(0, "echo hello")
    odd = place.backend.home() / "logs of 'mine'" / '100%j \\ "%%x.out'
    (sent,) = place.submit(replace(job, paths=replace(job.paths, out=odd)))
    place.until_ended([sent])
    seen = place.backend.observe([Watch(sent, live=False, tails={"output": 0})])
    assert seen.logs[sent.token, "output"].data.endswith(b"\nhello\n")


# What tasks write

WRITE_ODD = r"""
cd "$SCRIPTHUT_OUTPUT_DIR"
printf x > 'two words'; printf x > $'new\nline'; printf x > "it's \"\$HOME\" \`id\`"
printf x > $'caf\351'; printf x > -rf
ln -s /etc/passwd link; ln -s /etc dirlink; ln -s link chain; ln -s loop loop
mkfifo pipe; mkdir -p a/b/c d; printf x > a/b/deep; printf x > a/b/c/deeper
ln -s ../../../.. a/up; ln link2 x 2>/dev/null
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
mkdir closed; printf x > closed/x; chmod 0 closed
"""


def test_odd_names_are_listed_and_fetched_and_nothing_is_followed(place: Place) -> None:
    place.reopen(replace(LIMITS, files=60))
    (job,) = place.submit(place.job(0, WRITE_ODD))
    place.until_ended([job])
    written = place.written(job)
    link = "is a symbolic link: not followed"
    plain = [b"two words", b"new\nline", b'it\'s "$HOME" `id`', b"caf\xe9", b"-rf", b"a/b/deep"]
    expected: dict[bytes, str | None] = dict.fromkeys(plain)
    expected |= dict.fromkeys([b"link", b"dirlink", b"chain", b"loop", b"a/up"], link)
    expected |= {
        b"pipe": "is a named pipe: never opened",
        b"sock": "is a socket: never opened",
        b"a/b/c/deeper": "is 4 levels deep; the limit is 3",
    }
    if not place.is_open_to_root:
        expected[b"closed"] = "cannot be looked into: Permission denied"
    else:
        expected[b"closed/x"] = None
    assert written == expected
    files = place.listing(job).files
    got = dict(place.backend.fetch([(job, file) for file in files]))
    assert {file.path for file in got} == {path for path, note in expected.items() if note is None}
    assert set(got.values()) == {b"x"}
    forged = [replace(file, note=None, size=1) for file in files if file.note]
    forged += [
        _file(path)
        for path in (b"../x", b"/etc/passwd", b"a/../../x", b"", b"dirlink/passwd", b".", b"a/up/x")
    ]
    assert {f.path for f, _ in place.backend.fetch([(job, f) for f in forged])} <= {b"a/b/c/deeper"}
    place.submit(place.job(9, f"chmod 700 '{job.paths.outputs}/closed'"))


def _file(path: bytes) -> RemoteFile:
    return RemoteFile("x", Area.OUTPUT, path, 1, 0)


def test_over_a_limit_is_listed_with_the_reason_and_the_summary_is_always_there(
    place: Place,
) -> None:
    (job,) = place.submit(
        place.job(
            0,
            'cd "$SCRIPTHUT_OUTPUT_DIR"; for n in $(seq -w 30); do echo x > a$n.png; done\n'
            "truncate -s 200000 A-big.bin; echo '# here' > task-summary.md",
        )
    )
    place.until_ended([job])
    listing = place.listing(job)
    notes = {file.path: file.note for file in listing.files}
    assert len(listing.files) == 32
    assert listing.more == 0
    assert listing.files[0].path == b"task-summary.md"
    assert [path for path, note in notes.items() if note is None] == [
        b"task-summary.md",
        *(b"a%02d.png" % n for n in range(1, LIMITS.files)),
    ]
    assert notes[b"a06.png"] == "is beyond the limit of 6 files a task"
    assert {f.path: f.size for f in listing.files}[b"A-big.bin"] == 200_000
    assert notes[b"A-big.bin"] == "is larger than the limit of 97.7 KiB a file"
    place.reopen(replace(LIMITS, listed=10))
    shorter = place.listing(job)
    assert [file.path for file in shorter.files] == [file.path for file in listing.files[:1]] + [
        b"a%02d.png" % n for n in range(1, 10)
    ]
    assert shorter.more == 22


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("rmdir $O; ln -s /etc $O", "The output directory is a symbolic link: not followed"),
        ("rmdir $O; echo x > $O", "The output directory is not a directory"),
        ("rmdir $O; mkfifo $O", "The output directory is a named pipe: never opened"),
        (
            "mv $R $R.moved; mkdir $R.else $R.else/t.0; ln -s $R.else $R",
            "The output directory is a symbolic link: not followed",
        ),
        ("rmdir $O", None),
    ],
)
def test_an_output_directory_that_was_exchanged_shows_nothing_but_why(
    place: Place, command: str, problem: str | None
) -> None:
    head = 'O=$SCRIPTHUT_OUTPUT_DIR; R=$(dirname "$O"); cd "$R/.."; set -e\n'
    (job,) = place.submit(place.job(0, head + command))
    seen = place.until_ended([job])
    assert note_of(seen, job).code == 0
    listing = place.listing(job)
    assert listing.files == ()
    assert listing.problem == problem


def test_a_summary_that_is_a_link_or_a_pipe_is_never_read(place: Place) -> None:
    (job,) = place.submit(
        place.job(0, 'ln -s /etc/passwd "$SCRIPTHUT_TASK_SUMMARY"; mkfifo "$SCRIPTHUT_RUN_SUMMARY"')
    )
    place.until_ended([job])
    seen = place.look([job])
    assert not seen.contents
    assert {(f.area, f.note) for f in seen.listings[job.token].files} == {
        (Area.OUTPUT, "is a symbolic link: not followed"),
        (Area.FRAGMENT, "is a named pipe: never opened"),
    }


def test_a_file_that_grew_since_it_was_listed_comes_with_its_new_size(place: Place) -> None:
    (job,) = place.submit(place.job(0, 'echo 1 > "$SCRIPTHUT_OUTPUT_DIR/x"'))
    place.until_ended([job])
    (file,) = place.listing(job).files
    (more,) = place.submit(place.job(1, f"echo 2 >> '{job.paths.outputs}/x'"))
    place.until_ended([more])
    ((got, data),) = place.backend.fetch([(job, file)])
    assert data == b"1\n2\n"
    assert got.size == 4
    assert got.mtime_ns > file.mtime_ns
    assert place.listing(job).files == (got,)


def test_binary_contents_arrive_whole(place: Place) -> None:
    make = "python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 300)'"
    (job,) = place.submit(
        place.job(0, f'{make} > "$SCRIPTHUT_OUTPUT_DIR/a"; : > "$SCRIPTHUT_OUTPUT_DIR/empty"')
    )
    place.until_ended([job])
    got = {f.path: d for f, d in place.backend.fetch([(job, f) for f in place.listing(job).files])}
    assert hashlib.sha256(got[b"a"]).digest() == hashlib.sha256(bytes(range(256)) * 300).digest()
    assert got[b"empty"] == b""


def test_progress_comes_with_the_look_when_it_has_changed(place: Place) -> None:
    (job,) = place.submit(
        place.job(0, 'echo 21/50 fold 3 > "$SCRIPTHUT_PROGRESS"; sleep 300'),
    )
    seen = place.until([job], lambda seen: job.token in seen.progress)
    said = seen.progress[job.token]
    assert said.data == b"21/50 fold 3\n"
    again = place.backend.observe([Watch(job, progress_mark=said.mark)])
    assert not again.progress
    place.backend.cancel([job])
    place.until_ended([job])


def test_whole_files_are_read_through_links_and_nothing_else(place: Place) -> None:
    commands = (
        'cd "$SCRIPTHUT_OUTPUT_DIR"; printf "caf\\351" >"a $(b).json"; ln -s "a $(b).json" link; '
        "mkfifo pipe; mkdir dir; head -c 3000000 /dev/zero >large"
    )
    (job,) = place.submit(place.job(0, commands.replace("$(b)", "\\$(b)")))
    place.until_ended([job])
    names = ("a $(b).json", "link", "pipe", "dir", "large", "nothing")
    told = place.backend.read({n: str(job.paths.outputs / n) for n in names}, 2 * 1024 * 1024)
    assert (told["a $(b).json"], told["link"]) == (b"caf\xe9", b"caf\xe9")
    why = {n: one for n, one in told.items() if isinstance(one, Unreadable)}
    assert {n: one.is_missing for n, one in why.items()} == {
        "pipe": False,
        "dir": False,
        "large": False,
        "nothing": True,
    }
    assert why["large"].why == "it is larger than 2 MiB"
    assert "No such file" in why["nothing"].why


def test_pieces_of_a_file_come_with_a_look_and_alone(place: Place) -> None:
    (job,) = place.submit(place.job(0, 'seq -f %019.0f 30000 >"$SCRIPTHUT_OUTPUT_DIR/big.txt"'))
    place.until_ended([job])
    asked = [
        Piece(job, Area.OUTPUT, b"big.txt", start, length)
        for start, length in ((0, 40), (599_980, 40), (700_000, 40), (300_000, 512 * 1024))
    ]
    seen, _ = place.backend.survey([Watch(job, live=False)], Wish(pieces=asked))
    first, last, beyond, rest = (seen.pieces[at] for at in range(4))
    assert first.data == b"0000000000000000001\n0000000000000000002\n"
    assert last.data == b"0000000000000030000\n"
    assert (beyond.data, beyond.why) == (b"", None)
    assert len(rest.data) == 300_000
    assert {piece.size for piece in (first, last, beyond, rest)} == {600_000}
    (listing,) = seen.listings.values()
    assert first.mtime_ns == listing.files[0].mtime_ns
    alone = place.backend.read_pieces(asked)
    assert alone[1].data == last.data
    assert alone[1].is_still
    assert place.backend.survey([], Wish(pieces=asked))[0].pieces[0].data == first.data


def test_pieces_of_what_is_no_file_or_gone_are_refused_in_words(place: Place) -> None:
    command = (
        'cd "$SCRIPTHUT_OUTPUT_DIR"; ln -s /etc/passwd link; mkfifo pipe; mkdir d; echo x >d/f'
    )
    (job,) = place.submit(place.job(0, command))
    place.until_ended([job])
    names = (b"link", b"pipe", b"d", b"nothing", b"../x", b"d/f")
    got = place.backend.read_pieces([Piece(job, Area.OUTPUT, name, 0, 100) for name in names])
    assert [got[at].why for at in range(6)] == [
        "is a symbolic link: not followed",
        "is a named pipe: never opened",
        "is not a file",
        "is not there any more",
        "is not a path that a listing gives",
        None,
    ]
    assert b"root" not in b"".join(piece.data for piece in got.values())


def test_pieces_beyond_what_one_look_brings_are_left_for_another(place: Place) -> None:
    (job,) = place.submit(place.job(0, 'echo x >"$SCRIPTHUT_OUTPUT_DIR/x"'))
    place.until_ended([job])
    much = [Piece(job, Area.OUTPUT, b"x", 0, 8 * 1024**2)] * 3
    assert set(place.backend.read_pieces(much)) == {0, 1, 2}
    assert set(place.backend.read_pieces([Piece(job, Area.OUTPUT, b"x", 0, 17 * 1024**2)])) == set()


BUSY = "python3 -c 'import time; x = bytearray(60 << 20)\nwhile time.process_time() < 1: pass'"


def test_what_a_job_used_of_its_processors_stands_in_its_note(place: Place) -> None:
    (job,) = place.submit(place.job(0, f"{BUSY}; exit 4"))
    note = place.until_ended([job]).notes.get(job.token)
    used = note_of(place.until([job], lambda seen: job.token in seen.notes), job).used
    assert note is None or note.used == used
    assert used.cpu is not None
    assert 0.9 <= used.cpu < 30
