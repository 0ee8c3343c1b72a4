# SPDX-License-Identifier: Apache-2.0
"""Servers of one host changed together: all of them or none."""

from collections.abc import Sequence
from contextlib import ExitStack

from webob import exc

from nova_qos.api.following import follow
from nova_qos.api.item import Begun, Item
from nova_qos.api.server import keep_all
from nova_qos.bus.many import ManyClient
from nova_qos.bus.wire import SetAnswer
from nova_qos.core import errors

#: What the agent's refusal is to the caller; the first kind that one of the reasons is of decides.
_KINDS = (errors.Unreachable, errors.HostCannot, errors.HostRefused)


def change_together(many: ManyClient, items: Sequence[Item], force: bool) -> None:
    """Change what is requested on all servers, or on none.

    :raises webob.exc.HTTPError: one of them cannot be changed; each is named with its reason
    :raises InvalidSetting: they are not on one host
    :raises Unreachable, HostCannot, HostRefused: the host did not change them; as above
    """
    sets = _all_begun(items)
    host = _host_of_all(sets)
    with ExitStack() as traces:
        for each in sets:
            traces.enter_context(each.trace.left_if_it_fails())
        if host is None:
            raise errors.HostRefused("together: no server is on a host, so nothing was changed")
        results = many.set(
            sets[0].server.context, host, [each.wish for each in sets], force, together=True)
        answers = {uuid: each for uuid, each in results.items() if isinstance(each, SetAnswer)}
        if len(answers) < len(sets):
            raise _refusal({uuid: each for uuid, each in results.items()
                            if isinstance(each, errors.QosError)})
        kept = keep_all([(each.server, each.trace, each.changes,
                          answers[each.trace.server_uuid]) for each in sets])
    for each, readings in zip(sets, kept, strict=True):
        each.result, each.readings = answers[each.trace.server_uuid], readings
    follow(many, host, sets)


def _all_begun(items: Sequence[Item]) -> list[Begun]:
    failed = [item.answer() for item in items if item.begun is None]
    if failed:
        codes = {each["code"] for each in failed}
        words = "; ".join(f"{each['server']}: {each['error']['message']}" for each in failed)
        raise exc.status_map[codes.pop() if len(codes) == 1 else 409](
            explanation=f"together: nothing was changed: {words}")
    return [item.begun for item in items if item.begun is not None]


def _host_of_all(sets: Sequence[Begun]) -> str | None:
    found = {each.trace.server_uuid: each.server.host for each in sets}
    if len(set(found.values())) > 1:
        words = ", ".join(f"{uuid} on {host or 'none'}" for uuid, host in found.items())
        raise errors.InvalidSetting(f"together: the servers are not on one host: {words}")
    return next(iter(found.values()))


def _refusal(reasons: dict[str, errors.QosError]) -> errors.QosError:
    words = "; ".join(f"{uuid}: {error.message}" for uuid, error in reasons.items())
    kind = next((kind for kind in _KINDS
                 if any(isinstance(each, kind) for each in reasons.values())), errors.HostRefused)
    # what stands for a whole family crosses no bus here
    return kind(f"together: nothing was changed: {words}")
