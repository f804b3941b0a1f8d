"""A PostgreSQL server of a test's own: a fresh cluster in a temporary folder, on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

PASSWORD = "geheimnis"
_STARTED_SECONDS = 30


def _program(name: str) -> str:
    """The path of a program, which may be one of the server's."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or next(map(str, debian), None)
    if found is None:
        pytest.skip(f"{name} is not installed; Debian's package postgresql brings the server")
    return found


def _run_as() -> list[str]:
    """Before a command: it ends with the test, and does not run as root, which servers refuse."""
    end = [_program("setpriv"), "--pdeathsig", "INT"]
    return [*end, "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if _is_root() else end


def _is_root() -> bool:
    return os.geteuid() == 0


class Server:
    """A server with a superuser `me`, who has a password; started and stopped at will."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self._folder, self._log = folder / "data", folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if _is_root():
            for place in (folder, secret):
                shutil.chown(place, "nobody", "nogroup")
        subprocess.run(
            [
                *(*_run_as(), _program("initdb"), "-D", self._folder, "-U", "me", "-N"),
                *("-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )

    def start(self) -> None:
        """Start it, and wait until it lets someone in."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 20,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_run_as(), _program("postgres"), "-D", self._folder, *options],
                stdout=log,
                stderr=log,
                cwd=self._folder,
            )
        for _ in range(10 * _STARTED_SECONDS):
            try:
                self.ask("select 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                subprocess.run(["sleep", "0.1"], check=True)
        pytest.fail(f"the server did not start: {self._log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it at once: connections are cut off."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_STARTED_SECONDS)
            self._process = None

    def address(self, database: str, user: str = f"me:{PASSWORD}") -> str:
        """Of a database, for `--storage`."""
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def ask(self, query: str, database: str = "postgres") -> list[Any]:
        """What the server answers the superuser."""
        place = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        with psycopg.connect(user="me", password=PASSWORD, autocommit=True, **place) as connection:
            answer = connection.execute(query)
            return answer.fetchall() if answer.description else []


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def served() -> Iterator[Server]:
    """A server that runs, and is gone with its data at the end."""
    # Not below pytest's own folder, which other users may not enter.
    folder = Path(tempfile.mkdtemp(prefix="archscout-postgresql-"))
    folder.chmod(0o755)
    server = None
    try:
        server = Server(folder)
        server.start()
        yield server
    finally:
        if server is not None:
            server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
