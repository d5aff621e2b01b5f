"""What a server behind Cloudflare Access wants to see of a command."""

import os
import subprocess
from collections.abc import Mapping

from scripthut.config import Access
from scripthut.core.errors import Unreachable

PATIENCE = 30  # seconds
VARIABLES = {
    "cf_client_id": "SCRIPTHUT_CF_CLIENT_ID",
    "cf_client_secret": "SCRIPTHUT_CF_CLIENT_SECRET",
    "cf_access_token": "SCRIPTHUT_CF_ACCESS_TOKEN",
    "cloudflared_app": "SCRIPTHUT_CLOUDFLARED_APP",
}


def headers(configured: Access | None, given: Mapping[str, str]) -> Mapping[str, str]:
    """The headers that go with every question; none when nothing is configured. Unreachable.

    `given`: by key, on the command line; it goes before the variables, and these before the rest.
    """
    told = configured or Access()
    words = {
        key: given.get(key) or os.environ.get(name) or getattr(told, key)
        for key, name in VARIABLES.items()
    }
    if words["cf_client_id"] and words["cf_client_secret"]:
        return {
            "CF-Access-Client-Id": words["cf_client_id"],
            "CF-Access-Client-Secret": words["cf_client_secret"],
        }
    token = words["cf_access_token"] or _token(words["cloudflared_app"])
    return {"cf-access-token": token} if token else {}


def _token(app: str | None) -> str | None:
    if app is None:
        return None
    try:
        done = subprocess.run(
            ["cloudflared", "access", "token", f"--app={app}"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"cloudflared gives no token for {app}: {error}") from error
    if done.returncode != 0:
        raise Unreachable(f"cloudflared gives no token for {app}: {done.stderr.strip()}")
    return done.stdout.strip() or None
