"""The processes that stay: the web server with its engine candidates, or the engine alone."""

import atexit
import errno
import gc
import ipaddress
import logging
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from scripthut import __version__
from scripthut.cli import daemon
from scripthut.config import LOOPBACK, Config, Live, Settings
from scripthut.core.errors import Conflict, HutError, Refused
from scripthut.engine.loop import Engine
from scripthut.store.keeping.migrate import upgrade
from scripthut.web import create_app

SOCKET_MASK = 0o007  # a socket file is for its owner and its group, the proxy's
DRAIN = 10  # seconds a stopping worker has for the requests it is answering
UNIX = "unix:"
SAME = frozenset({"127.0.0.1", "localhost"})  # names of one address

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where to listen: a host and a port, or a socket file."""

    host: str
    port: int
    path: Path | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Flags:
    """What the command line says of where to listen; it goes before the settings."""

    host: str | None = None
    port: int | None = None
    bind: str | None = None

    @property
    def overridden(self) -> frozenset[str]:
        """The settings that do not count then."""
        is_said = {"server_host": self.host, "server_port": self.port}
        return frozenset(k for k, v in is_said.items() if v is not None or self.bind is not None)


def address(settings: Settings, flags: Flags) -> Address:
    """Where to listen, from the command line and the settings. Raises Refused."""
    host, port, bind = flags.host, flags.port, flags.bind
    if bind is not None:
        if not bind.startswith(UNIX) or bind == UNIX:
            raise Refused(f"--bind takes unix:PATH, not {bind!r}: use --host and --port for TCP")
        return Address("", 0, Path(bind.removeprefix(UNIX)).absolute())
    host = settings.server_host if host is None else host
    if host not in LOOPBACK:
        raise Refused(
            f"{host} is open to the network and there is no sign-in: listen on 127.0.0.1 "
            "and put nginx with authentication before it (deploy/README.md)"
        )
    return Address(host, settings.server_port if port is None else port)


def application(live: Live) -> Flask:
    """The WSGI application, with this process's candidate for being the engine running."""
    app = create_app(live)
    if live.config.settings.engine:
        engine = Engine(live)
        # Whoever started this process, gunicorn's master above all, starts another one.
        engine.start(lambda: os.kill(os.getpid(), signal.SIGTERM))
        atexit.register(engine.stop)
        app.extensions["engine"] = engine
    return app


def serve(live: Live, flags: Flags) -> None:
    """Serve until told to stop. Raises Conflict when the address is taken."""
    live.overridden = flags.overridden
    where = address(live.config.settings, flags)
    check_free(where)
    upgrade(live.config.database_url)
    Server(live, flags, where).run()


def act(live: Live) -> None:
    """Be the engine, or wait to become it, until SIGTERM or Ctrl-C; anew after SIGHUP."""
    upgrade(live.config.database_url)
    heard: list[int] = []
    while _act(Engine(live), heard):
        while signal.SIGHUP in heard:  # one by one: another signal may come at any moment
            heard.remove(signal.SIGHUP)
        live.reread(lambda config: _data_refused(live, config))
    log.info("engine stopped")


def _act(engine: Engine, heard: list[int]) -> bool:
    """Be the engine until a signal; whether it is to begin anew.

    `heard` outlasts it: what comes between two engines stops the second.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        heard.append(number)
        engine.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    if heard:
        engine.stop()
    log.info("engine started version=%s", __version__)
    engine.run()
    return set(heard) == {signal.SIGHUP}


def _data_refused(live: Live, config: Config) -> dict[str, str]:
    """Why another place for the data cannot be had; nothing when it can, or is the same."""
    if config.database_url == live.config.database_url:
        return {}
    try:
        upgrade(config.database_url)
    except HutError as error:
        log.error("data stay where they are: %s", error)
        return {"data_dir": str(error), "database_url": str(error)}
    return {}


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn, told by us instead of by its own files and variables."""

    def __init__(self, live: Live, flags: Flags, where: Address) -> None:
        self.live = live
        self.flags = flags
        self.where = where
        self.flask: Flask | None = None
        super().__init__()

    def load_config(self) -> None:
        """Say what gunicorn would otherwise ask its environment; SIGHUP asks again."""
        before = self.live.config
        self.live.reread(self._refused)
        settings = self.live.config.settings
        where = address(settings, self.flags)
        has_moved = where != self.where or before.data_dir != self.live.config.data_dir
        if has_moved and where.path is None:
            daemon.moved(before, self.live.config, where.host, where.port)
        self.where = where
        words = {
            "bind": str(self.where),
            "worker_class": "gthread",
            "workers": settings.workers,
            "threads": settings.threads,
            "graceful_timeout": DRAIN,
            "umask": SOCKET_MASK,
            "forwarded_allow_ips": ",".join(_addresses(settings.trusted_proxies)),
            "limit_request_line": 8190,  # the path of an output file can be long
            "control_socket_disable": True,
            "logger_class": OneLine,
            "loglevel": "warning",
            "when_ready": _say_ready,
            "on_reload": _say_ready,
            "worker_exit": _stop_engine,
        }
        for name, value in words.items():
            self.cfg.set(name, value)

    def _refused(self, config: Config) -> dict[str, str]:
        """What of a new configuration cannot be had, so that the old goes on."""
        refused = _data_refused(self.live, config)
        try:
            where = address(config.settings, self.flags)
            if where.port != self.where.port or {where.host, self.where.host} - SAME:
                check_free(where)
        except HutError as error:
            log.error("the address stays: %s", error)
            refused |= {"server_host": str(error), "server_port": str(error)}
        return refused

    def load(self) -> Flask:
        """Make the application; called in each worker, after the fork."""
        flask = application(self.live)
        master = os.getppid()
        flask.extensions["begin_anew"] = lambda: os.kill(master, signal.SIGHUP)
        self.flask = flask
        gc.collect()
        gc.freeze()  # what lives as long as the worker: walking it took 80 ms of some requests
        return flask


class OneLine(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's events among ours, in the same form."""

    def setup(self, cfg: object) -> None:
        """Leave the writing to the program's own handler."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def _say_ready(arbiter: object) -> None:
    listening = ",".join(str(one) for one in getattr(arbiter, "LISTENERS", ()))
    log.info("serving at=%s version=%s", listening, __version__)


def _stop_engine(_arbiter: object, worker: object) -> None:
    flask: Flask | None = getattr(worker, "app").flask  # noqa: B009 - gunicorn has no types
    if flask is not None and "engine" in flask.extensions:
        flask.extensions["engine"].stop()


def _addresses(proxies: list[str]) -> list[str]:
    """Those of the trusted proxies that are addresses or networks; gunicorn knows no others."""
    return [proxy for proxy in proxies if _is_address(proxy)]


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def check_free(where: Address) -> None:
    """Raise Conflict when nothing can listen there, best before anything else is begun."""
    if where.path is not None:
        _check_socket_file(where.path)
        return
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((where.host, where.port))
        except OSError as error:
            raise _cannot_listen(where, error) from error


def _check_socket_file(path: Path) -> None:
    if not path.parent.is_dir():
        raise Conflict(f"cannot listen on {path}: there is no directory {path.parent}")
    if path.exists() and not path.is_socket():
        raise Conflict(f"cannot listen on {path}: there is a file of that name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return  # nobody listens: a socket file left behind is replaced
    raise Conflict(f"cannot listen on {path}: another server does already")


def _cannot_listen(where: Address, error: OSError) -> HutError:
    if error.errno == errno.EADDRINUSE:
        return Conflict(
            f"port {where.port} of {where.host} is taken by another program: choose another port"
        )
    return Conflict(f"cannot listen on {where}: {error.strerror}")
