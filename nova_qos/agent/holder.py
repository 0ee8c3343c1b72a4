# SPDX-License-Identifier: Apache-2.0
"""Making a domain hold what is saved for its server, as far as guest and host let it now."""

from collections.abc import Iterator, Mapping

from oslo_config import cfg
from oslo_log import log

from nova_qos import errors, store, units
from nova_qos.agent.standing import Standings
from nova_qos.model import Domain, Limits
from nova_qos.resources import TABLE, Resource

LOG = log.getLogger(__name__)
#: The longest pauses between two looks: at what comes soon by itself, such as the end of a task or
#: a guest's boot, and at what the guest or the host refuses at present.
SOON_S, _SELDOM_S = 5.0, 300.0
_DRIFTED = "somebody else has changed it, and [nova_qos] drift says only to report that"


class Holder:
    """Called under the server's lock, or only to read."""

    def __init__(self, options: cfg.ConfigOpts, standings: Standings) -> None:
        self._options = options
        self._standings = standings

    def is_held(self, instance: store.Instance, domain: Domain) -> bool:
        """Whether the domain holds all that is saved, and the defaults that are kept.

        :raises QosError: it could not be read
        """
        for row, target in _targets(instance, store.wanted(instance)):
            if not row.read(domain).holds(target):
                return False
            self._standings.settle(instance.uuid, row.name, target)
        return True

    def converge(self, instance: store.Instance, domain: Domain) -> float | None:
        """Make the domain hold what is saved and which defaults are kept, and take off it what was
        unset.

        :returns: the longest time, in seconds, after which it is to be tried again; None when
            nothing is left to do
        """
        lifted = store.lifted(instance)
        store.mark_defaults(instance)
        pause_s = self._hold_all(
            instance, domain, {**dict.fromkeys(lifted), **store.wanted(instance)})
        if lifted and pause_s is None:
            store.save(instance, dict.fromkeys(lifted))
        return pause_s

    def receive(self, instance: store.Instance, domain: Domain) -> None:
        """Make a domain that migrates here hold what is saved, as far as it can now: mostly before
        its guest runs. Nova's record of it is left alone, since nova is still writing that."""
        self._hold_all(instance, domain, store.wanted(instance))

    def _hold_all(
        self, instance: store.Instance, domain: Domain, settings: Mapping[str, int | None]
    ) -> float | None:
        pauses = [self._hold(instance.uuid, domain, row, target)
                  for row, target in _targets(instance, settings)]
        return min((pause_s for pause_s in pauses if pause_s is not None), default=None)

    def _hold(self, server_uuid: str, domain: Domain, row: Resource, target: int) -> float | None:
        """Make one resource hold its target; the longest pause until the next attempt, if any."""
        of = (server_uuid, row.name)
        try:
            reading = row.read(domain)
            if reading.holds(target):
                self._standings.settle(*of, target)
                return None
            if self._standings.was_settled(*of, target):
                if self._options.nova_qos.drift == "report":
                    self._standings.hinder(*of, target, "drifted", _DRIFTED)
                    return None
                if row.retaken is not None and row.retaken(domain, reading, target):
                    self._standings.retaken(*of, target)
            wait_s = self._standings.must_wait(*of)
            return wait_s if wait_s else self._write(domain, row, target, of)
        except (errors.NoBalloon, errors.ServerNotRunning) as error:
            self._standings.hinder(*of, target, "pending", error.message)
            return SOON_S
        except errors.HostRefused as error:
            self._standings.hinder(*of, target, "refused", error.message)
            return _SELDOM_S
        except errors.HostCannot as error:
            self._standings.hinder(*of, target, "unsupported", error.message)
            return None

    def _write(
        self, domain: Domain, row: Resource, target: int, of: tuple[str, str]
    ) -> float | None:
        if row.guard is not None:
            reserve_kib = self._options.nova_qos.memory_reserve_mib * units.KIB_PER_MIB
            row.guard(domain, target, Limits(reserve_kib))
        asked = self._ask(domain, row, target, of)
        row.write(domain, asked)
        reading = row.read(domain)
        if asked == target and reading.holds(target):
            LOG.info("Applied %s again to server %s", row.name, of[0])
            self._standings.settle(*of, target)
            return None
        if not row.settles:
            raise errors.HostRefused(
                f"{row.key}: the host took {target} but holds {reading.applied}")
        self._standings.hinder(*of, target, "pending", f"{row.key}: the guest is on its way there")
        return SOON_S

    def _ask(self, domain: Domain, row: Resource, target: int, of: tuple[str, str]) -> int:
        """What to write at this look: the target, or what is to be asked for first."""
        if row.nudge is None:
            return target
        # the guard may have waited for the guest: read anew
        applied = row.read(domain).applied
        if applied is None or not self._standings.stands_still(*of, target, applied):
            return target
        return row.nudge(target, applied)


def _targets(
    instance: store.Instance, settings: Mapping[str, int | None]
) -> Iterator[tuple[Resource, int]]:
    """What the host is to hold for each of the settings, in its unit."""
    flavor = store.flavor_of(instance)
    for name, value in settings.items():
        row = TABLE[name]
        yield row, row.to_host(row.within(value, flavor), flavor)
