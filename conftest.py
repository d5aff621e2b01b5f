"""Which tests were left out, and why; with HUT_ALL_PARTS=1 leaving one out is a failure."""

import os
import shutil
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from _pytest.terminal import TerminalReporter

pytest_plugins = [
    "tests.scratch",
    "tests.chromium",
    "tests.postgres",
    "tests.databases",
    "tests.cluster.fixtures",
    "tests.parallel",
    "tests.systemd",
]
ALL_PARTS = os.environ.get("HUT_ALL_PARTS") == "1"


def pytest_configure() -> None:
    """Have the tests, and what they start, find the surroundings that they count on."""
    _ignore_no_signal()
    _find_python_itself()


def _ignore_no_signal() -> None:
    """Have no signal ignored, as under nohup: Ctrl-C and a lost terminal are tested too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _find_python_itself() -> None:
    """Put Python before a script that looks for it: pyenv's starts a dozen shells each time."""
    found = shutil.which("python3")
    if found and Path(found).read_bytes()[:2] == b"#!":
        os.environ["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"


def _reasons(reporter: TerminalReporter) -> Counter[str]:
    counts: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []):
        why = report.longrepr
        counts[why[2].removeprefix("Skipped: ") if isinstance(why, tuple) else str(why)] += 1
    return counts


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session that must not leave anything out and did."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if ALL_PARTS and exitstatus == pytest.ExitCode.OK and reporter and _reasons(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Say what was left out, by reason."""
    reasons = _reasons(terminalreporter)
    if not reasons:
        return
    verdict = "not allowed here" if ALL_PARTS else "to run them: make test as root on Debian"
    terminalreporter.section(f"left out, {verdict}")
    for why, count in reasons.most_common():
        terminalreporter.line(f"{count} tests: {why}")
