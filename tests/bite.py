"""Take each protection out once, and see that a test notices: `make bite` prints the table.

`python tests/bite.py FENCE SANITISER ...` takes the rows whose names hold one of the words.

Every row patches a copy of the tree, never the tree itself, and runs the tests that should fail.
The same tests must pass without the patch, or a failure would prove nothing.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IGNORED = (".git", ".venv", "demo", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")

IDENTITY = """\
class Cleaner:
    def __init__(self, **_words): self.parser = type("Parser", (), {})()
    def clean(self, text): return text
"""


@dataclass(frozen=True)
class Row:
    """A protection, how it is taken out, and which tests should notice.

    `where` is a pattern; exactly one file that it matches holds `old`, exactly once.
    `histories`: the random histories alone must notice too.
    """

    name: str
    where: str
    old: str
    new: str
    tests: Sequence[str]
    histories: bool = False

    @property
    def proofs(self) -> Sequence[Sequence[str]]:
        """Tests each of which must fail without the protection."""
        return (self.tests, HISTORIES) if self.histories else (self.tests,)


HISTORIES = ("tests/simulation/test_histories.py",)
ROWS = (
    Row(
        "the claim: a second job with one token runs nothing",
        "scripthut/core/script.py",
        'if [ "$hut_first" != "job:$hut_id" ]; then',
        "if false; then",
        ("tests/core/test_script.py", "-k", "same_token or start_at_once"),
    ),
    Row(
        "what a job that waits has left counts from the next look on",
        "scripthut/backends/cluster.py",
        "        self._remains.keep_back(sightings, seen)\n",
        "",
        ("tests/simulation/test_histories.py", "-k", "every_verdict"),
    ),
    Row(
        "who slept while a commit was unpacked leaves what another made",
        "scripthut/backends/sent/place.py",
        "    return says(where.mark, where.own)",
        "    return True",
        ("tests/backends/test_node_place.py", "-k", "slept"),
    ),
    Row(
        "a commit's directory is never called as an older version's clone is",
        "scripthut/core/folders.py",
        'return f"{sha[:12]}-{mark}',
        'return f"{sha[:12]}',
        ("tests/stories/test_sources.py", "-k", "older_version"),
    ),
    Row(
        "a secret is put back only where it stood",
        "scripthut/config/veil.py",
        " and span.there == secret.there",
        "",
        ("tests/config/test_veil.py",),
    ),
    Row(
        "a file that changed since it was opened is not written over",
        "scripthut/config/writing.py",
        "if digest(former) != expected:",
        "if False:",
        ("tests/config/test_writing.py",),
    ),
    Row(
        "what a scheduler says back of a script is masked before it is noted",
        "scripthut/backends/asking.py",
        "text = mask.mask(text[:READ] + text[READ:][-READ:], self._secrets)",
        "pass",
        ("tests/backends/test_asking.py", "-k", "secrets"),
    ),
    Row(
        "the words of a command are masked before they are joined and clipped",
        "scripthut/backends/asking.py",
        'words = mask.mask_argv(asked["argv"], self._ring.secret_names)',
        'words = asked["argv"]',
        ("tests/backends/test_asking.py", "-k", "words"),
    ),
    Row(
        "nothing is submitted on a paused backend",
        "scripthut/engine/cycle.py",
        "cap = 0 if self._is_held(now) else self._cap",
        "cap = self._cap",
        ("tests/engine/test_pauses.py",),
    ),
    Row(
        "an array's element is known by its own token",
        "scripthut/core/tokens.py",
        "{base36(int(match[2], 36) + index)}",
        "{base36(int(match[2], 36))}",
        ("tests/schedulers/test_slurm_text.py", "-k", "array or element"),
        histories=True,
    ),
    Row(
        "an element that its array does not have began never, if all of the array is told",
        "scripthut/schedulers/slurm_text.py",
        "set(known.values()) == {name}",
        "bool(known)",
        ("tests/schedulers/test_slurm_text.py", "-k", "its_array"),
    ),
    Row(
        "of limits the largest counts, where nobody says which one it is",
        "scripthut/schedulers/slurm_limits.py",
        "max(amount, found.get(key, 0))",
        "amount",
        ("tests/schedulers/test_slurm_text.py", "-k", "largest"),
    ),
    Row(
        "a login that was taken up is under way, and nobody is asked to begin it again",
        "scripthut/store/machines/logins.py",
        ".values(wanted_until=0.0, until=database_time() + UNDER_WAY)",
        ".values(wanted_until=0.0)",
        ("tests/store/test_logins.py", "-k", "under_way"),
    ),
    Row(
        "a request does not wait as long for another writer as the engine",
        "scripthut/store/db.py",
        "BUSY if patience is None else patience",
        "BUSY",
        ("tests/store/test_sqlite.py", "-k", "patience or passing"),
    ),
    Row(
        "a backup that is damaged is not restored",
        "scripthut/store/keeping/restore.py",
        "    if wrong:",
        "    if not names:",
        ("tests/store/test_backup.py", "-k", "not_whole"),
    ),
    Row(
        "an answer to a login is read by the one who asked alone",
        "scripthut/store/machines/logins.py",
        "sealed = sealing.seal(key, json.dumps(list(answers)).encode())",
        "sealed = json.dumps(list(answers)).encode()",
        ("tests/store/test_logins.py", "-k", "answered"),
    ),
    Row(
        "the fence: who does not lead writes nothing",
        "scripthut/store/lease.py",
        "if session.connection().execute(statement).rowcount != 1:",
        "if session.connection().execute(statement).rowcount < 0:",
        ("tests/store/test_lease.py", "tests/engine/test_cycle.py", "-k", "stale or slept"),
    ),
    Row(
        "the fence of an earlier leadership",
        "scripthut/engine/lead.py",
        "return partial(self.writing, self._epoch)",
        "return partial(self.writing, None)",
        ("tests/engine/test_cycle.py", "-k", "leads_again"),
    ),
    Row(
        "the look-up by token, before a submission is repeated",
        "scripthut/core/judge.py",
        "job_id = seen.sighting.job_id",
        "job_id = None",
        ("tests/engine/test_cycle.py", "-k", "whose_answer_was_lost"),
    ),
    Row(
        "withdrawing: what comes after a cancellation runs nothing",
        "scripthut/backends/sent/script.py",
        'os.symlink(NO_JOB, token + ".claim", dir_fd=here)',
        "pass",
        ("tests/backends/test_contract.py", "-k", "withdrawn and local"),
    ),
    Row(
        "a note of a job that the queue still has proves nothing",
        "scripthut/core/judge.py",
        "if note is None or (sighting is not None and not is_earlier):",
        "if note is None:",
        ("tests/core/test_judge.py", "-k", "let_go"),
        histories=True,
    ),
    Row(
        "a job of another user is no evidence",
        "scripthut/schedulers/pbs.py",
        "if is_whole or owner(job) == user",
        "if True",
        ("tests/schedulers/test_pbs_text.py", "-k", "somebody_else"),
    ),
    Row(
        "no token is read from the list of everybody's jobs",
        "scripthut/schedulers/slurm_sights.py",
        "count=elements(indices),",
        'count=elements(indices), tokens=tuple(tokens_of(name.rstrip(), "")),',
        ("tests/schedulers/test_sights.py", "-k", "no_token"),
    ),
    Row(
        "a cluster is asked for everybody's jobs only while somebody looks",
        "scripthut/store/machines/surveys.py",
        "crowd=stale.crowd,",
        "crowd=rides or stale.crowd,",
        ("tests/store", "-k", "only_while_somebody_looks"),
    ),
    Row(
        "nobody else's job has a button to cancel it",
        "templates/queue/_row.html",
        "row.is_own and not row.is_cancelling",
        "not row.is_cancelling",
        ("tests/web/test_queue.py", "-k", "only_ones_own"),
    ),
    Row(
        "accounting of an earlier run is no verdict",
        "scripthut/core/judge.py",
        "ended < _second(task.started_at):",
        "False:",
        ("tests/core/test_judge.py", "-k", "earlier_run"),
    ),
    Row(
        "a note of exit 0 is no verdict while the accounting has not heard of the end",
        "scripthut/core/judge.py",
        "_over_limit(task, note) or seen.unaccounted or is_earlier",
        "_over_limit(task, note) or is_earlier",
        ("tests/core/test_judge.py", "-k", "accounting_has_not_heard"),
    ),
    Row(
        "a clock that jumps uses up no patience",
        "scripthut/engine/cycle.py",
        "> JUMP:",
        "> timedelta.max:",
        ("tests/engine/test_cycle.py", "-k", "jumps"),
    ),
    Row(
        "a lease of before the clock was set back is void",
        "scripthut/store/lease.py",
        "or_(Lease.until < now, Lease.until > now + 2 * SECONDS)",
        "or_(Lease.until < now)",
        ("tests/store/test_lease.py", "-k", "set_back"),
    ),
    Row(
        "a writer that fell silent holds no row of PostgreSQL's",
        "scripthut/store/db.py",
        "SET LOCAL idle_in_transaction_session_timeout = {int(STUCK * 1000)}; ",
        "",
        ("tests/store/test_db.py", "-k", "sleeps_in_a_write"),
    ),
    Row(
        "a database that goes away in a cycle voids it and no more",
        "scripthut/engine/cycle.py",
        "except (Fenced, DatabaseDown) as error:",
        "except Fenced as error:",
        ("tests/engine/test_cycle.py", "-k", "database_that_goes"),
    ),
    Row(
        "what follows from a look is dated after it",
        "scripthut/engine/cycle.py",
        "then = now + timedelta(seconds=seconds)",
        "then = now",
        ("tests/engine/test_cycle.py", "-k", "dated_after"),
    ),
    Row(
        "the look-up: only rows with our token are ours",
        "scripthut/backends/match.py",
        "if job.token in row.tokens]",
        "if True]",
        ("tests/backends/test_match.py",),
    ),
    Row(
        "compare and set: of two writers one wins",
        "scripthut/store/tasks.py",
        ".where(Task.id == task.id, Task.state == old, Task.attempt == task.attempt)",
        ".where(Task.id == task.id)",
        ("tests/store/test_tasks.py", "-k", "two_writers"),
    ),
    Row(
        "one request makes one run",
        "scripthut/store/making/create.py",
        "    if found is not None:\n        return found\n    try:",
        "    run.request_key = None\n    try:",
        ("tests/store/test_create.py", "-k", "comes_again and not postgres"),
    ),
    Row(
        "a generator's dependents wait until its document has joined",
        "scripthut/engine/outcome.py",
        'if verdict.event is Event.EXITED_OK and task.spec.get("generates_source"):',
        "if False:",
        ("tests/engine/test_generators.py", "-k", "dependent_waits or joins_its_run"),
    ),
    Row(
        "what a shell would read in a value stays text",
        "scripthut/core/script.py",
        "        return _word(value)\n    return",
        "        return '\"' + value + '\"'\n    return",
        ("tests/core/test_env.py", "-k", "exactly"),
    ),
    Row(
        "the sanitiser",
        "scripthut/core/markdown/*.py",
        "from bleach.sanitizer import Cleaner\n",
        IDENTITY,
        ("tests/core/test_render.py", "-k", "hostile"),
    ),
    Row(
        "the content security policy",
        "scripthut/web/auth.py",
        'response.headers.setdefault("Content-Security-Policy", policy)',
        'response.headers.setdefault("X-Nothing", policy)',
        ("tests/web/test_auth.py", "-k", "protecting_headers"),
    ),
    Row(
        "the content security policy, in a browser without the sanitiser",
        "scripthut/web/auth.py",
        'response.headers.setdefault("Content-Security-Policy", policy)',
        'response.headers.setdefault("X-Nothing", policy)',
        ("tests/web/test_outputs_browser.py", "-k", "without_a_sanitiser"),
    ),
    Row(
        "O_NOFOLLOW: no link is followed",
        "scripthut/backends/sent/files.py",
        "os.O_NOFOLLOW | ",
        "",
        ("tests/backends/test_node.py", "-k", "not_taken_for_absent or swaps"),
    ),
    Row(
        "the end mark: a cut answer is no answer",
        "scripthut/transports/frame.py",
        "if self._out.code is not None and (is_over or self.is_complete):\n"
        "            return Answer(self._out.code,",
        "if True:\n            return Answer(self._out.code or 0,",
        ("tests/transports/test_frame.py", "-k", "cut"),
    ),
    Row(
        "the end mark of the node's script",
        "scripthut/backends/node.py",
        'if not found or found[-1].get("end") != len(found) - 1:',
        "if not found:",
        ("tests/backends/test_node.py", "-k", "cut_answer"),
    ),
    Row(
        "what a job started is found by its control group, whatever it has dropped",
        "scripthut/backends/processes.py",
        " or _is_in(process.pid, scope):",
        ":",
        ("tests/stories/test_systemd.py", "-k", "dies_whole"),
    ),
    Row(
        "who killed a job for want of memory is asked of the kernel",
        "scripthut/backends/local_end.py",
        "if note is not None and note.was_full and note.code != 0:",
        "if False:",
        ("tests/stories/test_systemd.py", "-k", "its_memory"),
    ),
    Row(
        "a picture of too many pixels is not decoded",
        "scripthut/engine/children/pictures.py",
        "if width * height > PIXELS:",
        "if width * height < 0:",
        ("tests/engine/test_thumbnails.py", "-k", "bomb"),
    ),
    Row(
        "an array of objects, a pickle, is refused",
        "scripthut/core/files/arrays.py",
        'if kind == "O":',
        'if kind == "never":',
        ("tests/core/test_arrays.py", "tests/web/test_arrays.py", "-k", "pickle or no_array"),
    ),
    Row(
        "no cell of a CSV is a formula",
        "scripthut/web/runs/metrics.py",
        "value.startswith(FORMULAS)",
        "value.startswith(())",
        ("tests/web/test_metrics.py", "-k", "formula"),
    ),
    Row(
        "a diagram's frame has an origin of its own, and nothing to fetch",
        "scripthut/web/outputs/diagrams.py",
        '"sandbox allow-scripts",',
        '"sandbox allow-scripts allow-same-origin",',
        ("tests/web/test_diagrams.py", "-k", "two_scripts"),
    ),
)


def main(words: Sequence[str]) -> int:
    """Print a line for each row whose name holds one of the words, if any; 0 when all bite."""
    rows = [row for row in ROWS if not words or any(w.lower() in row.name.lower() for w in words)]
    blunt = 0
    with tempfile.TemporaryDirectory(prefix="bite-") as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*IGNORED), symlinks=True)
        for row in rows:
            verdict = _try(tree, row)
            blunt += verdict != "bites"
            print(f"{verdict:<28} {row.name}", flush=True)
    print(f"{len(rows) - blunt} of {len(rows)} protections have a test that bites")
    return 1 if blunt or not rows else 0


def found(tree: Path, row: Row) -> Path | None:
    """The one file that holds what a row takes out; None: mend the row."""
    holding = [f for f in sorted(tree.glob(row.where)) if row.old in f.read_text()]
    is_one = len(holding) == 1 and holding[0].read_text().count(row.old) == 1
    return holding[0] if is_one else None


def _try(tree: Path, row: Row) -> str:
    holding = found(tree, row)
    if holding is None:
        return "NOT FOUND: mend the row"
    whole = holding.read_text()
    for tests in row.proofs:
        if _passing(tree, tests) != 0:
            return "FAILS WITHOUT THE PATCH"
        holding.write_text(whole.replace(row.old, row.new))
        try:
            code = _run(tree, tests)
        finally:
            holding.write_text(whole)
        if code != 1:
            return BLUNT.get(code, "TESTS CANNOT RUN")
    return "bites"


BLUNT = {0: "DOES NOT BITE"}


@cache
def _passing(tree: Path, tests: Sequence[str]) -> int:
    return _run(tree, tests)


def _run(tree: Path, tests: Sequence[str]) -> int:
    """pytest's exit code: 0 passed, 1 some failed, 5 there was none."""
    argv = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(argv, cwd=tree, capture_output=True, timeout=600, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
