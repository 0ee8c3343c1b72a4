#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Gives one small server a CPU priority and takes it away again: exercise.sh
#
# Needs the clients and the variables of an administrator (openrc admin admin). Other than
# in DevStack, name what the server is made of: NOVA_QOS_IMAGE, NOVA_QOS_FLAVOR,
# NOVA_QOS_NETWORK.
set -o errexit -o nounset -o pipefail

IMAGE=${NOVA_QOS_IMAGE:-$(openstack image list --status active -f value -c Name | head -n 1)}
FLAVOR=${NOVA_QOS_FLAVOR:-m1.nano}
NETWORK=${NOVA_QOS_NETWORK:-private}
SERVER=nova-qos-exercise-$$
WAIT_SECONDS=${NOVA_QOS_WAIT:-120}

function fail {
    echo "exercise.sh: $*" >&2
    exit 1
}

function agent_is_up {
    openstack compute service list --service nova-qos-agent -f value -c State | grep -qx up
}

function wait_for_agent {
    local give_up
    give_up=$((SECONDS + WAIT_SECONDS))
    until agent_is_up; do
        if ((SECONDS > give_up)); then
            fail "no nova-qos-agent is up after $WAIT_SECONDS s"
        fi
        sleep 2
    done
}

# What the host holds, as it was read back.
function expect_cpu_priority {
    local applied
    applied=$(openstack server qos show "$SERVER" -f value -c Resource -c Applied |
        awk '$1 == "cpu_priority" { print $2 }')
    if [[ "$applied" != "$1" ]]; then
        fail "the server has CPU priority '$applied', not $1"
    fi
}

function remove_server {
    if openstack server show "$SERVER" > /dev/null 2>&1; then
        openstack server delete --wait "$SERVER" || true
    fi
}

wait_for_agent
trap remove_server EXIT
openstack server create --image "$IMAGE" --flavor "$FLAVOR" --network "$NETWORK" --wait "$SERVER" \
    > /dev/null
expect_cpu_priority 1024
openstack server qos set --cpu-priority 2048 --wait "$SERVER"
expect_cpu_priority 2048
openstack server qos unset --cpu-priority --wait "$SERVER"
expect_cpu_priority 1024
echo "exercise.sh: nova-qos works"
