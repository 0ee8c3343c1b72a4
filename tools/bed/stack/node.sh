#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes a virtual test host a compute host of the cloud; run inside it: node.sh STATE ADDRESS BRIDGE PORTS
# STATE is where the cloud's files lie, there as on the machine that makes it.
set -eu
state=$1 address=$2 bridge=$3 ports=$4

# the cloud's services listen on the loopback of the machine below, which is 10.0.2.2 here
sysctl -qw net.ipv4.conf.all.route_localnet=1
nft -f - <<NFT
table ip cloud {
    chain output {
        type nat hook output priority -100;
        ip daddr 127.0.0.1 tcp dport { $ports } dnat to 10.0.2.2
    }
    chain postrouting {
        type nat hook postrouting priority 100;
        oifname "eth0" masquerade
    }
}
NFT

# libvirt asks for the address of its own name again and again
echo "$address $(hostname)" >>/etc/hosts

mkdir -p "$state"/{venv,bin,lib,lock,run,instances,images}
mount --bind /opt/nova-qos/venv "$state/venv"
printf '#!/bin/sh\nexec "$@"\n' >"$state/bin/sudo"
chmod +x "$state/bin/sudo"

modprobe -a bfq openvswitch br_netfilter
echo bfq >/sys/block/vda/queue/scheduler

ovs-vsctl --may-exist add-br "$bridge" -- --may-exist add-port "$bridge" eth1 \
    -- --id=@left-alone create qos type=linux-noop -- set port eth1 qos=@left-alone
ip link set eth1 up
ip link set "$bridge" up
ip address add "$address/24" dev "$bridge"

# a cold migration copies the server's disk to the other host by ssh
chmod 600 /root/.ssh/id_ed25519
printf 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n' >/root/.ssh/config

# the other hosts' libvirt sends servers here
echo 'auth_tcp = "none"' >>/etc/libvirt/libvirtd.conf
systemctl stop libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket
systemctl start libvirtd.socket libvirtd-tcp.socket
