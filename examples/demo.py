"""`make demo`: serve, start the example once, say where to look, and stay until Ctrl-C."""

import argparse
import signal
import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from urllib.error import HTTPError
from urllib.request import urlopen

from scripthut.cli.server import Address, check_free
from scripthut.core.errors import HutError

HERE = Path(__file__).resolve().parent
HUT = [sys.executable, "-m", "scripthut.cli"]
PATIENCE = 60.0  # seconds for the server to answer its first request


def main() -> int:
    """Run the demonstration; the exit code of what went wrong, or 0."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--port", type=int, default=8000)
    port = words.parse_args().port
    try:
        check_free(Address("127.0.0.1", port))
    except HutError as error:
        print(f"{error}, `make demo PORT=8001`", file=sys.stderr)
        return 1
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # the latter too: a shell may start us deaf to it
        signal.signal(number, _as_ctrl_c)
    serve = [*HUT, "serve", "--config", str(HERE / "demo.yaml"), "--port", str(port)]
    server = subprocess.Popen(serve, cwd=HERE.parent)
    try:
        return _show(server, f"http://127.0.0.1:{port}")
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def _show(server: "subprocess.Popen[bytes]", base: str) -> int:
    if not _answers(server, base):
        return server.wait() or 1
    document = str(HERE / "montecarlo.json")
    submit = [*HUT, "submit", document, "--backend", "local", "--server", base]
    link = subprocess.run(submit, stdout=subprocess.PIPE, text=True, check=False)
    if link.returncode != 0:
        return link.returncode
    print(f"\n  The example is running: {link.stdout.strip()}\n  Stop with Ctrl-C.\n", flush=True)
    return server.wait()


def _answers(server: "subprocess.Popen[bytes]", base: str) -> bool:
    """Wait until our own server answers; False when it ended or never did."""
    end = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(f"{base}/api/v1/health", timeout=5):  # noqa: S310 - http, see above
                return True
        except HTTPError:
            return True
        except (OSError, HTTPException):
            time.sleep(0.1)
    return False


def _as_ctrl_c(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
