# SPDX-License-Identifier: Apache-2.0
"""Database servers of the tests' own, MariaDB and PostgreSQL: started here and gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from oslo_config import cfg

from nova_qos import conf

#: Whether they are installed, which takes the packages of tools/bed/test.apt.
IS_INSTALLED = shutil.which("mariadbd", path="/usr/sbin:/usr/bin") is not None
#: Before nova's fixtures move it to where only root can go.
_TEMPORARY = tempfile.gettempdir()


@dataclass
class Running:
    """A database server; ``url`` for a database of that name, with another password if told."""

    start: Callable[[], subprocess.Popen[bytes]]
    url: Callable[..., str]
    run: Callable[[str], None]

    def __post_init__(self) -> None:
        self.process = self.start()

    def __enter__(self) -> "Running":
        try:
            self._wait()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()

    def end(self) -> None:
        """Of both servers: at once, without waiting for clients."""
        self.process.send_signal(
            signal.SIGINT if "postgres" in str(self.process.args) else signal.SIGTERM)
        self.process.wait(30)

    @contextmanager
    def ended(self) -> Iterator[None]:
        """Nobody listens, and those who were connected are no more."""
        self.end()
        try:
            yield
        finally:
            self.process = self.start()
            self._wait()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections, as its kernel does, and says nothing."""
        # of PostgreSQL each connection has a process; the first one makes them
        self.process.send_signal(signal.SIGSTOP)
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        stopped = [self.process.pid, *map(int, children.split())]
        for each in stopped:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in stopped:
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGCONT)

    def _wait(self) -> None:
        give_up = time.monotonic() + 60
        while True:
            try:
                return self.run("SELECT 1")
            except sa.exc.OperationalError:
                assert self.process.poll() is None, "the server has ended"
                assert time.monotonic() < give_up, "the server does not answer"
                time.sleep(0.1)


def _user(name: str) -> int | None:
    """The account that a server runs as where root starts it."""
    return pwd.getpwnam(name).pw_uid if os.geteuid() == 0 else None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _execute(url: str) -> Callable[[str], None]:
    def run(statement: str) -> None:
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(statement))
        engine.dispose()

    return run


@contextmanager
def mariadb(place: Path) -> Iterator[Running]:
    """MariaDB with databases in latin1, as Debian's is without options."""
    data, path, port = place / "data", place / "socket", _free_port()
    subprocess.run(["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}",
                    "--auth-root-authentication-method=normal", "--skip-test-db"],
                   check=True, capture_output=True)
    with Running(
            lambda: subprocess.Popen(
                ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
                 f"--socket={path}", f"--port={port}", "--bind-address=127.0.0.1",
                 "--innodb-buffer-pool-size=16M", f"--pid-file={place}/pid",
                 "--character-set-server=latin1",
                 # the default since 11.6, and what an older release does not know is left out
                 "--loose-innodb-snapshot-isolation=ON"], stderr=subprocess.DEVNULL),
            lambda name, password="p%25rd":
            f"mysql+pymysql://qos:{password}@127.0.0.1:{port}/{name}",
            _execute(f"mysql+pymysql://root@localhost/?unix_socket={path}")) as running:
        running.run("CREATE USER 'qos'@'127.0.0.1' IDENTIFIED BY 'p%rd'")
        running.run("GRANT ALL ON *.* TO 'qos'@'127.0.0.1'")
        yield running


@contextmanager
def postgresql(_place: Path) -> Iterator[Running]:
    """PostgreSQL with passwords, whatever its version."""
    account, port = _user("postgres"), _free_port()
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parts[-2]))
    # pytest's directories are root's alone, and each session of pytest sees to that again
    place = Path(tempfile.mkdtemp(prefix="nova-qos-postgresql-", dir=_TEMPORARY))
    data = place / "data"
    if account is not None:
        os.chown(place, account, -1)
    (place / "password").write_text("p%rd")
    (place / "password").chmod(0o644)
    subprocess.run([programs / "initdb", "-D", data, "-U", "qos", "-A", "scram-sha-256", "-E",
                    "UTF8", "--locale=C", f"--pwfile={place}/password", "--no-sync"],
                   check=True, capture_output=True, user=account, cwd=place)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), "-k", place, "-h", "127.0.0.1",
             "-c", "shared_buffers=4MB", "-c", "fsync=off"],
            stderr=subprocess.DEVNULL, user=account, cwd=place)

    def url(name: str, password: str = "p%25rd") -> str:
        return f"postgresql+psycopg2://qos:{password}@127.0.0.1:{port}/{name}"

    try:
        with Running(start, url, _execute(url("postgres"))) as running:
            yield running
    finally:
        shutil.rmtree(place)


KINDS = {"mariadb": mariadb, "postgresql": postgresql}


def options_for(url: str) -> cfg.ConfigOpts:
    """nova.conf with this database."""
    options = cfg.ConfigOpts()
    # of its own: what is overridden in a registered group holds for all that share it
    options.register_group(cfg.OptGroup("nova_qos_database"))
    conf.register(options)
    options([], default_config_files=[])
    options.set_override("connection", url, "nova_qos_database")
    return options
