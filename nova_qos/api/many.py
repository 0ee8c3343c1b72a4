# SPDX-License-Identifier: Apache-2.0
"""The settings of many servers, changed by one request."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nova import conf as nova_conf
from nova import exception
from nova.api.openstack import wsgi

from nova_qos.api import schemas
from nova_qos.api.assigning import Assigner
from nova_qos.api.faults import CODES, EXPECTED, translated
from nova_qos.api.following import follow
from nova_qos.api.item import Begun, Item
from nova_qos.api.scope import require_user
from nova_qos.api.server import Server, save_all
from nova_qos.api.together import change_together
from nova_qos.api.validated import require
from nova_qos.bus.client import AgentClient
from nova_qos.bus.many import ManyClient
from nova_qos.bus.wire import SetAnswer
from nova_qos.core import errors
from nova_qos.core.server import POLICY
from nova_qos.instances import hosts, saving
from nova_qos.instances.settings import Instance
from nova_qos.resources import SET_ALL, TABLE

Body = dict[str, Any]
_BODY = schemas.set_many_body()
#: Of HTTP: some of the results have other codes than others.
_MIXED = 207
#: How many hosts are asked at a time.
_HOSTS = 16


class ManyServers(wsgi.Controller):
    """``POST /os-qos``: one message a host; each server is changed on its own, or together with
    all others."""

    def __init__(self) -> None:
        super().__init__()
        self._agent = AgentClient()
        self._many = ManyClient(self._agent)

    @wsgi.response(200)
    @wsgi.expected_errors(CODES)
    @translated
    def create(self, req: Any, body: Body) -> wsgi.ResponseObject:
        context = req.environ["nova.context"]
        require_user(context, next(iter(TABLE.values())).names.set_rule)
        require(_BODY, body, req)
        items = [Item(each["server"], each["settings"]) for each in body["changes"]]
        _require_once(items)
        self._load(context, items)
        force = body.get("force", False)
        if body.get("together", False):
            _require_no_policy(items)
            change_together(self._many, items, force)
        else:
            self._change_each(items, force)
        answers = [item.answer() for item in items]
        codes = {each["code"] for each in answers}
        return wsgi.ResponseObject(
            {"results": answers}, code=200 if len(codes) == 1 else _MIXED)

    def _load(self, context: Any, items: Sequence[Item]) -> None:
        """Find each server, and whether this caller may change that of it now."""
        found, silent = hosts.named(
            context, [item.server_id for item in items], nova_conf.CONF.nova_qos.rpc_timeout)
        assigner = Assigner()
        for item in items:
            try:
                if item.server_id in silent:
                    raise errors.AgentAway("the server's cell does not answer")
                item.begun = self._begin(item, found.get(item.server_id), assigner)
            except EXPECTED as error:
                item.error = error

    def _begin(self, item: Item, instance: Instance | None, assigner: Assigner) -> Begun:
        if instance is None:
            raise exception.InstanceNotFound(instance_id=item.server_id)
        server = Server(
            self._agent, instance._context, instance, schemas.rules_of(item.asked), assigner)
        changes = server.check({name: (name, value) for name, value in item.asked.items()})
        return Begun(server, server.begin_set(SET_ALL, changes), changes)

    def _change_each(self, items: Sequence[Item], force: bool) -> None:
        by_host: dict[str | None, list[Item]] = {}
        for item in items:
            if item.begun is not None:
                by_host.setdefault(item.begun.server.host, []).append(item)
        with ThreadPoolExecutor(_HOSTS, "qos-many") as pool:
            asked = [(mine, pool.submit(self._ask, host, _begun(mine), force))
                     for host, mine in by_host.items()]
            for mine, answered in asked:
                answered.result()
                _keep_all(mine)
            followed = [pool.submit(follow, self._many, host, _begun(mine))
                        for host, mine in by_host.items()]
            for each in followed:
                each.result()

    def _ask(self, host: str | None, sets: Sequence[Begun], force: bool) -> None:
        if host is None:
            return
        results = self._many.set(
            sets[0].server.context, host, [each.wish for each in sets], force)
        for each in sets:
            each.result = results[each.trace.server_uuid]


def _keep_all(items: Sequence[Item]) -> None:
    """Save what became of the sets of one host."""
    done = [each for each in _begun(items) if isinstance(each.result, SetAnswer)]
    kept = done if len(done) > 1 and _keep_at_once(done) else []
    for item in items:
        if item.begun not in kept:
            _keep(item)


def _keep_at_once(sets: Sequence[Begun]) -> bool:
    """Save sets in one transaction, which takes a third of the time of one each; whether that was
    possible. If not, nothing was saved: one of them may be why, and then the others can be."""
    try:
        kept = save_all([(each.server, each.trace, each.changes, each.result) for each in sets
                         if isinstance(each.result, SetAnswer)])
    except saving.FAILURES:
        return False
    for each, readings in zip(sets, kept, strict=True):
        each.readings = readings
    return True


def _keep(item: Item) -> None:
    for each in _begun([item]):
        try:
            with each.trace.left_if_it_fails():
                each.readings = each.server.keep(each.trace, each.changes, each.result)
        except errors.QosError as error:
            item.begun, item.error = None, error


def _begun(items: Sequence[Item]) -> list[Begun]:
    return [item.begun for item in items if item.begun is not None]


def _require_no_policy(items: Sequence[Item]) -> None:
    if any(POLICY in item.asked for item in items):
        raise errors.InvalidSetting(
            "together: a policy cannot be changed together, since a host need not be able to do "
            "all that it says; change it in a request of its own")


def _require_once(items: Sequence[Item]) -> None:
    ids = [item.server_id for item in items]
    twice = sorted({each for each in ids if ids.count(each) > 1})
    if twice:
        raise errors.InvalidSetting(
            f"changes: name each server once, with all of its settings: {', '.join(twice)}")
