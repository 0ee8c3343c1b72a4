# SPDX-License-Identifier: Apache-2.0
"""A Horizon of one's own on loopback, with our panel; nothing of the installed packages changes."""

import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import TestbedError
from .processes import Daemon

#: What Horizon is to read, of the panel.
_ENABLED = Path(__file__).parents[2] / "nova_qos_dashboard/nova_qos_dashboard/enabled"
_SETTINGS = '''\
# of a Horizon for demonstration and tests
# the settings have a name "enabled" of their own
from openstack_dashboard.local import enabled as _enabled

_enabled.__path__.append({enabled!r})
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = {key!r}
OPENSTACK_KEYSTONE_URL = {keystone!r}
OPENSTACK_KEYSTONE_DEFAULT_ROLE = "member"
TIME_ZONE = "UTC"
LANGUAGES = (("en", "English"),)
COMPRESS_OFFLINE = True
STATIC_ROOT, STATIC_URL, WEBROOT = {static!r}, "/static/", "/"
# processes share their sessions
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
                       "LOCATION": {cache!r}}}}}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
LOGGING = {{"version": 1, "disable_existing_loggers": False,
           "handlers": {{"console": {{"class": "logging.StreamHandler"}}}},
           "root": {{"handlers": ["console"], "level": "WARNING"}}}}
'''


@dataclass(frozen=True)
class Horizon:
    """A Horizon: all of it lies in ``place``.

    ``venv`` has Horizon and our panel, ``uwsgi`` is the program that serves it. ``more`` are
    further settings, as Python's literals.
    """

    place: Path
    venv: Path
    uwsgi: str
    keystone: str
    listen: str
    more: Mapping[str, object]

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{self.listen}"

    def prepare(self) -> None:
        """Write its settings, and collect and compress what browsers load.

        :raises TestbedError: Horizon does not take it
        """
        local = self.place / "local"
        local.mkdir(parents=True, exist_ok=True)
        (local / "__init__.py").touch()
        settings = _SETTINGS.format(
            enabled=str(_ENABLED),
            key=secrets.token_hex(32), keystone=self.keystone, static=str(self.place / "static"),
            cache=str(self.place / "cache"))
        more = [f"{name} = {value!r}\n" for name, value in self.more.items()]
        path = local / "local_settings.py"
        path.touch(0o600)
        path.write_text("".join([settings, *more]))
        self._admin("collectstatic", "--no-input", "--clear")
        self._admin("compress", "--force")

    def daemon(self) -> Daemon:
        """The processes that serve it."""
        return Daemon(
            "horizon",
            [self.uwsgi, "--http-socket", self.listen, "--module", "openstack_dashboard.wsgi",
             "--virtualenv", str(self.venv), "--master", "--die-on-term", "--processes", "2",
             "--threads", "4", "--enable-threads", "--lazy-apps", "--need-app",
             "--static-map", f"/static={self.place}/static", "--buffer-size", "65535",
             "--add-header", "Connection: close", "--disable-logging"],
            self.place, ready=self._serves, ready_timeout_s=60, environment=self._environment())

    def _serves(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/auth/login/", timeout=30):
                return True
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.place), "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": "openstack_dashboard.settings"}

    def _admin(self, *words: str) -> None:
        done = subprocess.run(
            [self.venv / "bin/django-admin", *words], cwd=self.place, capture_output=True,
            text=True, env={"PATH": "/usr/bin:/bin", **self._environment()})
        if done.returncode:
            raise TestbedError(f"django-admin {words[0]}: {(done.stdout + done.stderr)[-2000:]}")
