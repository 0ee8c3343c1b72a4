# SPDX-License-Identifier: Apache-2.0
"""What Debian's releases have of what nova-qos works with: the page on hosts says the same."""

#: Versions by the first number of ``/etc/debian_version``; later digits change with updates.
RELEASES = {
    "12": {"kernel": "6.1", "systemd": "252", "libvirt": "9.0", "qemu": "7.2",
           "nftables": "1.0", "openvswitch": "3.1", "python": "3.11"},
    "13": {"kernel": "6.12", "systemd": "257", "libvirt": "11.3", "qemu": "10.0",
           "nftables": "1.1", "openvswitch": "3.5", "python": "3.13"},
}
