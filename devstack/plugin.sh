# SPDX-License-Identifier: Apache-2.0
#
# devstack/plugin.sh - nova-qos in a cloud that DevStack makes
#
# DevStack sources it with a mode and a phase: stack pre-install, install, post-config,
# extra and test-config, unstack, clean.

NOVA_QOS_DIR=${GITDIR["nova-qos"]}
NOVA_QOS_PANEL=_2145_admin_qos_panel.py
NOVA_QOS_ENABLED=$DEST/horizon/openstack_dashboard/local/enabled

function is_nova_qos_agent_here {
    is_service_enabled n-qos && is_service_enabled n-cpu && [[ "$VIRT_DRIVER" == "libvirt" ]]
}

function install_nova_qos {
    # OpenStack holds pyroute2 at a release that is older than the agent needs
    $REQUIREMENTS_DIR/.venv/bin/edit-constraints \
        $REQUIREMENTS_DIR/upper-constraints.txt -- pyroute2
    if is_nova_qos_agent_here; then
        setup_develop $NOVA_QOS_DIR api,agent
        setup_develop $NOVA_QOS_DIR/hooks
    else
        setup_develop $NOVA_QOS_DIR api
    fi
    if is_service_enabled horizon; then
        setup_develop $NOVA_QOS_DIR/nova_qos_dashboard
    fi
}

# The compute hosts' own file is made from this one later.
function configure_nova_qos {
    if [[ -n "$NOVA_QOS_UPLINKS" ]]; then
        iniset $NOVA_CONF nova_qos uplinks "$NOVA_QOS_UPLINKS"
    fi
    if [[ -n "$NOVA_QOS_HTB_RATE" ]]; then
        iniset $NOVA_CONF tc htb_rate "$NOVA_QOS_HTB_RATE"
    fi
    if [[ -n "$NOVA_QOS_HTB_RATE_IN" ]]; then
        iniset $NOVA_CONF tc htb_rate_in "$NOVA_QOS_HTB_RATE_IN"
    fi
    if [[ -n "$NOVA_QOS_BALLOONING_RAM_RATIO" ]]; then
        iniset $NOVA_CONF libvirt ballooning_ram_ratio "$NOVA_QOS_BALLOONING_RAM_RATIO"
    fi
    if is_service_enabled n-api; then
        $NOVA_BIN_DIR/nova-qos-paste enable $NOVA_API_PASTE_INI
        make_nova_qos_database
    fi
    if is_service_enabled horizon; then
        cp $NOVA_QOS_DIR/nova_qos_dashboard/nova_qos_dashboard/enabled/$NOVA_QOS_PANEL \
            $NOVA_QOS_ENABLED/
    fi
}

# For named policies. Agents ask the API for them, as the user in [service_user] or [placement].
function make_nova_qos_database {
    local url
    url=$(database_connection_url nova_qos)
    recreate_database nova_qos
    # without the options that are for nova, which has a character set with fewer characters
    iniset $NOVA_CONF nova_qos_database connection "${url%%\?*}"
    $NOVA_BIN_DIR/nova-qos-manage --config-file $NOVA_CONF db sync
}

# As root: where cgroup v2 is in use, what it changes belongs to root.
function start_nova_qos {
    if is_nova_qos_agent_here; then
        # as DevStack does with nova's own databases
        inidelete $NOVA_CPU_CONF nova_qos_database connection
        run_process n-qos "$NOVA_BIN_DIR/nova-qos-agent --config-file $NOVA_CPU_CONF" "" root
    elif is_service_enabled n-cpu; then
        warn $LINENO "nova-qos-agent is not started: it needs n-qos and VIRT_DRIVER=libvirt"
    fi
}

# In a subshell, so that nothing of openrc stays in stack.sh.
function verify_nova_qos {
    (source $TOP_DIR/openrc admin admin && $NOVA_QOS_DIR/devstack/exercise.sh)
}

# The agent leaves its work when it stops, since it usually comes back.
function cleanup_nova_qos {
    local device
    for device in $(sudo tc qdisc show | awk '/^qdisc htb 5ca1: / { print $5 }'); do
        sudo tc qdisc del dev $device root
    done
    local table
    for table in nova_qos nova_qos_in; do
        if sudo nft list table netdev $table > /dev/null 2>&1; then
            sudo nft delete table netdev $table
        fi
    done
    # the rules that led to it are gone
    if ip link show nova-qos-in > /dev/null 2>&1; then
        sudo ip link delete nova-qos-in
    fi
    if [[ -f "$NOVA_API_PASTE_INI" ]]; then
        $NOVA_BIN_DIR/nova-qos-paste disable $NOVA_API_PASTE_INI
    fi
    if [[ "$GLOBAL_VENV" == "True" ]]; then
        local PIP_VIRTUAL_ENV=$DEVSTACK_VENV
    fi
    # horizon would look for what is gone
    rm -f $NOVA_QOS_ENABLED/$NOVA_QOS_PANEL
    pip_uninstall nova-qos-dashboard
    pip_uninstall nova-qos-hooks
    pip_uninstall nova-qos
}

case "$1 ${2:-}" in
    "stack pre-install")
        if is_nova_qos_agent_here; then
            install_package nftables
        fi
        ;;
    "stack install")
        echo_summary "Installing nova-qos"
        install_nova_qos
        ;;
    "stack post-config")
        echo_summary "Configuring nova-qos"
        configure_nova_qos
        ;;
    "stack extra")
        echo_summary "Starting nova-qos-agent"
        start_nova_qos
        ;;
    "stack test-config")
        if [[ "$NOVA_QOS_EXERCISE" == "True" ]] && is_service_enabled n-api; then
            echo_summary "Trying nova-qos"
            verify_nova_qos
        fi
        ;;
    "unstack ")
        stop_process n-qos
        ;;
    "clean ")
        cleanup_nova_qos
        ;;
esac
