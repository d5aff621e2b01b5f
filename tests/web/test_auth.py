"""No other site may read or act; no proxy is believed that is not configured."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from scripthut.core.errors import Invalid
from scripthut.web import create_app

pytestmark = pytest.mark.own_database("who asks is judged before any row is read")
CANCEL = "/runs/abcdefgh/cancel"
OURS = {"Sec-Fetch-Site": "same-origin"}


def cancel(client: FlaskClient, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(CANCEL, headers=named)


@pytest.mark.parametrize("path", ["/", "/backends", "/nowhere", "/api/v1/runs", "/runs/nowhere12"])
def test_every_answer_carries_the_protecting_headers(client, hut, path):
    response = client.get(path)
    policy = response.headers["Content-Security-Policy"]
    assert re.search(r"script-src 'nonce-[\w-]{16,}';", policy)
    for rule in (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy and "strict-dynamic" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_scripts_carry_the_nonce_of_their_own_response_and_no_other(client, hut):
    nonces = set()
    for _ in range(2):
        response = client.get("/")
        (said,) = re.findall(r"'nonce-([^']+)'", response.headers["Content-Security-Policy"])
        assert set(re.findall(r'<script nonce="([^"]+)"', response.text)) == {said}
        nonces.add(said)
    assert len(nonces) == 2


@pytest.mark.parametrize("path", ["/", "/runs/abcdefgh", "/runs/abcdefgh/tasks/a", "/backends"])
def test_no_page_holds_inline_script_or_style(client, hut, path):
    hut.run({"a": "running"})
    page = client.get(path).text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|hx-on", page)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "x y"]
)
def test_a_host_that_is_not_ours_is_refused(client, hut, host):
    response = client.get("/", headers={"Host": host})
    assert response.status_code == 421
    assert "allowed_hosts" in response.text


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "hut.example.org", "HUT.example.org:443"]
)
def test_loopback_and_configured_hosts_are_served(client, hut, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": "http://localhost"},
        {"Sec_Fetch_Site": "same-site", "Content_Type": "application/json"},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://evil.example", "Content_Type": "application/json"},
        {"Referer": "http://evil.example/?http://localhost/"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Sec_Fetch_Mode": "no-cors", "Content_Type": "application/json"},
        {},
    ],
)
def test_a_request_that_another_site_could_send_changes_nothing(client, hut, headers):
    hut.run({"a": "pending"})
    response = cancel(client, **headers)
    assert response.status_code == 403
    assert "Content-Type: application/json" in response.text
    assert client.get("/api/v1/runs/abcdefgh").json["counts"] == {"pending": 1}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://localhost"},
        {"Referer": "http://localhost/runs/abcdefgh"},
        {"Content_Type": "application/json"},
        {"Authorization": "Bearer x"},
    ],
)
def test_our_own_pages_and_programs_may_act(client, hut, headers):
    hut.run({"a": "pending"})
    assert cancel(client, **headers).status_code in (202, 303)
    assert client.get("/api/v1/runs/abcdefgh").json["counts"] == {"cancelled": 1}


def test_no_route_that_changes_something_answers_a_get(app: Flask, client, hut):
    hut.run({"a": "pending"})
    for path in (CANCEL, "/runs/abcdefgh/tasks/a/cancel", f"/api/v1{CANCEL}"):
        assert client.get(path, headers=OURS).status_code == 405
    writing = [
        rule for rule in app.url_map.iter_rules() if rule.methods - {"GET", "HEAD", "OPTIONS"}
    ]
    assert all("GET" not in rule.methods for rule in writing if rule.endpoint != "api.create")


PROXY = {"REMOTE_ADDR": "10.0.0.1"}


def test_a_configured_proxy_can_mount_the_site_below_a_path(client, hut):
    hut.run({"a": "running"})
    headers = {
        "X-Forwarded-Prefix": "/hut",
        "X-Forwarded-Host": "hut.example.org",
        "X-Forwarded-Proto": "https",
    }
    for path in ("/", "/runs/abcdefgh", "/runs/abcdefgh/tasks/a", "/backends"):
        page = client.get(path, headers=headers, environ_overrides=PROXY).text
        local = re.findall(r'(?:href|src|action|formaction|hx-get|hx-post)="([^"#]+)', page)
        assert local and all(url.startswith("/hut/") for url in local)
    body = {"document": [{"id": "a", "command": "true"}]}
    made = client.post("/api/v1/runs", json=body, headers=headers, environ_overrides=PROXY)
    assert made.headers["Location"].startswith("/hut/api/v1/runs/")


def test_forwarded_headers_of_anybody_else_are_dropped(client, hut):
    headers = {"X-Forwarded-Prefix": "/hut", "X-Forwarded-Host": "evil.example"}
    page = client.get("/", headers=headers, environ_overrides={"REMOTE_ADDR": "10.0.0.2"})
    assert page.status_code == 200
    assert "/hut/" not in page.text and "evil" not in page.text
    odd = client.get("/", headers={"X-Forwarded-Prefix": "//evil.example"})
    assert odd.status_code == 200 and "evil" not in odd.text


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a//b", "hut", "/a b", "https://evil", "/%2f"]
)
def test_an_odd_prefix_is_refused(client, hut, prefix):
    response = client.get("/", headers={"X-Forwarded-Prefix": prefix}, environ_overrides=PROXY)
    assert response.status_code == 400
    assert "X-Forwarded-Prefix" in response.text
    assert "evil" not in response.text


def test_a_proxy_on_a_unix_socket_is_believed_when_it_is_configured(config):
    settings = config.settings.model_copy(update={"trusted_proxies": ["unix", "10.1.0.0/16"]})
    client = create_app(config.model_copy(update={"settings": settings})).test_client()
    headers = {"X-Forwarded-Prefix": "/hut"}
    for peer, prefix in (("", "/hut/"), ("10.1.2.3", "/hut/"), ("10.2.0.1", "/")):
        page = client.get("/nowhere", headers=headers, environ_overrides={"REMOTE_ADDR": peer})
        assert f'href="{prefix}backends"' in page.text


def test_a_proxy_that_is_no_address_is_a_wrong_configuration(config):
    settings = config.settings.model_copy(update={"trusted_proxies": ["nginx"]})
    with pytest.raises(Invalid, match="'nginx'"):
        create_app(config.model_copy(update={"settings": settings}))


def test_a_forwarded_host_must_be_one_of_ours_too(client, hut):
    headers = {"X-Forwarded-Host": "evil.example"}
    assert client.get("/", headers=headers, environ_overrides=PROXY).status_code == 421
