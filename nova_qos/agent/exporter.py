# SPDX-License-Identifier: Apache-2.0
"""Serves the metrics over HTTP, for Prometheus."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log
from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server

from nova_qos.agent.balance.account import Account
from nova_qos.agent.look import Looker
from nova_qos.agent.metrics import HostCollector
from nova_qos.agent.readings import Readings
from nova_qos.core import errors
from nova_qos.host import Ability

LOG = log.getLogger(__name__)
#: Pause (s) before a host is surveyed again that could not be.
_AGAIN_S = 60.0
#: How long a client may take to send its request.
_CLIENT_S = 10.0
Survey = Callable[[], Mapping[str, Ability]]


class Exporter:
    """Serves the metrics of a host on ``[nova_qos] metrics_listen``, on threads of its own."""

    def __init__(
        self, looker: Looker, readings: Readings, options: cfg.ConfigOpts,
        build: tuple[str, str, str], survey: Survey, account: Callable[[], Account],
    ) -> None:
        """
        :param build: the versions of nova-qos, nova and libvirt
        :param survey: what the host can do, by resource; it may take seconds
        :param account: tells what balancing does now
        """
        self._options, self._survey = options.nova_qos, survey
        self._usable: Mapping[str, bool] = {}
        self._stopped = threading.Event()
        self._server: Any = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(HostCollector(
            looker, readings, self._options.metrics_groups, build, lambda: self._usable,
            account))
        ProcessCollector(registry=self._registry)

    def start(self) -> None:
        """Begin to serve. Where that cannot be, the log says why, and the agent works without."""
        host, port = self._options.metrics_listen.rsplit(":", 1)
        try:
            self._server, _thread = start_http_server(
                int(port), host.strip("[]"), self._registry, **self._tls())
        except (OSError, ValueError) as error:
            LOG.error("There are no metrics at [nova_qos] metrics_listen = %s: %s",
                      self._options.metrics_listen, error)
            return
        # one client that says nothing must not keep the others waiting, nor a thread for ever
        self._server.RequestHandlerClass.timeout = _CLIENT_S
        self._server.handle_error = _tell_client_error
        if self._options.metrics_cert_file:
            self._server.socket.do_handshake_on_connect = False
        LOG.info("Metrics are served at %s", self._options.metrics_listen)
        threading.Thread(target=self._look_around, name="qos-survey", daemon=True).start()

    def stop(self) -> None:
        """Serve no more; doing so twice is harmless."""
        self._stopped.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _tls(self) -> dict[str, Any]:
        """:raises ValueError: what is configured is not enough for TLS"""
        certificate, key = self._options.metrics_cert_file, self._options.metrics_key_file
        authorities = self._options.metrics_client_ca_file
        if not certificate and not key and not authorities:
            return {}
        if not certificate or not key:
            # the library would serve without TLS
            raise ValueError(
                "TLS needs [nova_qos] metrics_cert_file and metrics_key_file, both")
        return {"certfile": certificate, "keyfile": key, "client_cafile": authorities or None,
                "client_auth_required": bool(authorities)}

    def _look_around(self) -> None:
        while not self._stopped.is_set():
            try:
                self._usable = {name: each.works for name, each in self._survey().items()}
                return
            except errors.QosError as error:
                LOG.debug("The host could not be surveyed: %s", error)
            self._stopped.wait(_AGAIN_S)


def _tell_client_error(request: object, client: object) -> None:
    """What a client does wrong, such as HTTP where TLS is spoken, must not fill the log."""
    LOG.debug("A request for metrics from %s failed", client, exc_info=True)
