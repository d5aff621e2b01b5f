"""The files of deploy/ at work: a real nginx before the program, at the root and below /hut/."""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripthut.config import load
from tests.pages import walk
from tests.serving import ROOT, Site, ended, free_port, local, serving, until

DEPLOY = ROOT / "deploy"
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
SITES = {"": "nginx.conf", "/hut": "nginx-hut.conf"}
ADA = {"Authorization": "Basic " + base64.b64encode(b"ada:sesame").decode()}
WORK = [
    {
        "id": "plot.a",
        "command": "echo '![p](sub/a%20b.svg) and [the page](notes.md)' > $SCRIPTHUT_RUN_SUMMARY\n"
        "mkdir $SCRIPTHUT_OUTPUT_DIR/sub; cd $SCRIPTHUT_OUTPUT_DIR\n"
        "echo '<svg xmlns=\"http://www.w3.org/2000/svg\"/>' > 'sub/a b.svg'\n"
        "echo '[back](sub/a%20b.svg)' > notes.md; echo odd > $'100% #?\\n\\xff.txt'",
    }
]

NEEDS = [
    pytest.mark.nginx,
    pytest.mark.skipif(NGINX is None, reason="no nginx here (Debian package nginx-light)"),
]
PREFIXES = [
    pytest.param("", marks=NEEDS, id="at the root"),
    pytest.param("/hut", marks=NEEDS, id="below hut"),
]


@contextmanager
def nginx(site: str, directory: Path) -> Iterator[int]:
    """A real nginx with the shipped site; its port. Only places and names are changed."""
    port = free_port()
    (directory / "htpasswd").write_text("ada:{PLAIN}sesame\n")
    text = (DEPLOY / site).read_text()
    changes = {
        "/run/scripthut/web.sock": f"{directory}/web.sock",
        "/etc/nginx/scripthut.htpasswd": f"{directory}/htpasswd",
        "listen 80;": f"listen 127.0.0.1:{port};",
    }
    for old, new in changes.items():
        assert text.count(old) == 1, f"{site} holds {old} {text.count(old)} times"
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {directory}/{kind};\n" for kind in kinds)
    user = "user root;" if os.getuid() == 0 else ""
    conf = directory / "nginx.conf"
    conf.write_text(
        f"{user} daemon off; worker_processes 1; pid {directory}/nginx.pid;\n"
        f"error_log {directory}/nginx.log; events {{ }}\n"
        f"http {{ access_log off; {places} {text} }}\n"
    )
    words = [str(NGINX), "-c", str(conf), "-e", f"{directory}/nginx.log"]
    process = subprocess.Popen(words, cwd=directory)
    try:
        until(lambda: answers(process, Site("127.0.0.1", port)))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def kept(site: Site, outputs: str) -> list[dict[str, str]]:
    return [file for file in site.get(outputs).json["files"] if file["url"]]


def answers(process: "subprocess.Popen[bytes]", site: Site) -> bool:
    assert process.poll() is None, "nginx ended"
    try:
        return site.get("/").status > 0
    except OSError:
        return False


@pytest.fixture(scope="module", params=PREFIXES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("hut")
    settings = {"trusted_proxies": ["unix"], "allowed_hosts": ["hut.example.org"]}
    config = local(directory, **settings)
    bind = f"unix:{directory}/web.sock"
    with (
        serving(directory, "--bind", bind, config=config),
        nginx(SITES[request.param], directory) as port,
    ):
        yield Site("127.0.0.1", port, request.param, ADA)


def test_every_page_file_and_link_works(site: Site) -> None:
    run = site.run(WORK)
    assert ended(site, run)["status"] == "completed"
    until(lambda: "a%20b.svg" in site.get(f"/runs/{run}/summary").text)
    pages = walk(site)
    assert {path: r.status for path, r in pages.items() if r.status not in (200, 204)} == {}
    assert any(path.endswith(".css") or ".css?" in path for path in pages)
    files = [path for path in pages if "/outputs/file/" in path]
    assert any("a%20b.svg" in path for path in files)


def test_pages_and_styles_come_compressed(site: Site) -> None:
    page = site.get("/runs", Accept_Encoding="gzip")
    assert page.headers["content-encoding"] == "gzip"
    plain = site.get("/runs")
    assert "content-encoding" not in plain.headers
    assert len(page.body) < len(plain.body) / 2
    (style,) = set(re.findall(r'href="([^"]*app\.css[^"]*)"', plain.text))
    bare = Site(site.host, site.port, "", site.headers)
    assert bare.get(style, Accept_Encoding="gzip").headers["content-encoding"] == "gzip"


def test_a_file_with_an_odd_name_is_served(site: Site) -> None:
    run = site.run(WORK)
    outputs = f"/api/v1/runs/{run}/tasks/plot.a/outputs"
    ended(site, run)
    (odd,) = until(lambda: [f for f in kept(site, outputs) if f["path"].startswith("100%")])
    bare = Site(site.host, site.port, "", site.headers)
    assert bare.get(odd["url"]).body == b"odd\n"


def test_without_a_password_nothing_is_shown(site: Site) -> None:
    stranger = Site(site.host, site.port, site.prefix)
    assert stranger.get("/").status == 401
    assert stranger.get("/api/v1/runs").status == 401


def test_a_redirect_stays_where_the_browser_asked(site: Site) -> None:
    run = site.run(WORK)
    reply = site.ask("POST", f"/runs/{run}/cancel", b"", Origin=f"http://127.0.0.1:{site.port}")
    assert reply.status == 303
    where = reply.headers["location"].removeprefix(f"http://127.0.0.1:{site.port}")
    assert where.startswith(f"{site.prefix}/runs/")


def test_another_site_cannot_act_though_the_browser_sends_the_password(site: Site) -> None:
    run = site.run(WORK)
    path = f"/runs/{run}/cancel"
    assert site.ask("POST", path, b"", Origin="http://evil.example").status == 403
    assert site.ask("POST", path, b"").status == 403


def test_a_visitors_own_forwarded_headers_are_thrown_away(site: Site) -> None:
    reply = site.get(
        "/",
        X_Forwarded_Prefix="/evil",
        X_Forwarded_Host="evil.example",
        X_Forwarded_Proto="https",
    )
    assert reply.status == 200
    assert "evil" not in reply.text


def test_the_hosts_name_must_be_allowed(site: Site) -> None:
    assert site.get("/", Host="hut.example.org").status == 200
    assert site.get("/", Host="evil.example").status in (400, 421)


def test_forwarded_headers_of_anyone_else_do_not_count(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        reply = site.get("/", X_Forwarded_Prefix="/evil", X_Forwarded_Host="evil.example")
    assert reply.status == 200
    assert "evil" not in reply.text


def test_the_shipped_configuration_is_valid_and_goes_with_nginx() -> None:
    settings = load(DEPLOY / "scripthut.yaml").settings
    assert settings.trusted_proxies == ["unix"]
    for host in settings.allowed_hosts:
        assert f"server_name {host};" in (DEPLOY / "nginx.conf").read_text()


@pytest.mark.parametrize("unit", ["scripthut-web.service", "scripthut-engine.service"])
def test_systemd_accepts_the_units(unit: str, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here (Debian package systemd)")
    text = (DEPLOY / unit).read_text()
    assert text.count("/opt/scripthut/bin/scripthut ") == 1
    (tmp_path / unit).write_text(text.replace("/opt/scripthut/bin/scripthut", "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
