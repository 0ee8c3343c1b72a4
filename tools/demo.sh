#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows nova-qos at work: a real small cloud on this machine, three real guests, real reallocation.
#
#   tools/demo.sh                bring the cloud up and show it
#   tools/demo.sh --up           bring the cloud up only
#   tools/demo.sh --prometheus   bring it up, with a Prometheus that scrapes its agent
#   tools/demo.sh --dashboard    bring it up, with a Horizon that has the panel
#   tools/demo.sh --watcher      bring it up, with a Watcher that has the strategy
#   tools/demo.sh --install      install what cloud and Horizon need, and start nothing
#   tools/demo.sh --is-up        exit status 0 if it is up
#   tools/demo.sh --down         stop everything and take away what it made on this machine
#   tools/demo.sh --help         show this
#
# Needs root on Debian 12 or 13 and installs what is missing. Everything lies below
# ${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo}; a second run uses what is there.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit
state=${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo}
logs=$state
venv=$state/venv
requirements=$root/tools/bed/stack/requirements.txt
. "$root/tools/bed/install.sh" || exit

fail() { echo "demo.sh: $*" >&2; exit 1; }

usage() { sed -n '4,/^set /s/^# \{0,1\}//p' "$0"; }

how_to_use() {
    echo "  . $state/admin-openrc    (others: demo-openrc, reader-openrc, other-openrc)"
    echo "  $venv/bin/openstack server qos list"
}

step() { # WHAT COMMAND...
    local what=$1 began=$SECONDS
    local log=$state/install-${what//[^A-Za-z]/-}.log
    shift
    printf '  %-58s' "$what"
    if ! logged "$log" "$@"; then
        echo " FAILED"
        show_end "$log"
        fail "$what failed"
    fi
    printf '%6d   s\n' $((SECONDS - began))
}

requirements_stamp() { stamp_of "$requirements"; }

package_stamp() { stamp_of "$root"/{setup.cfg,requirements.txt,hooks/pyproject.toml}; }

has_requirements() { is_made "$venv/requirements-stamp" "$(requirements_stamp)"; }

has_package() { is_made "$venv/package-stamp" "$(package_stamp)"; }

install_requirements() {
    install_into "$venv" "$venv/requirements-stamp" "$(requirements_stamp)" -r "$requirements"
}

install_package() {
    install_into "$venv" "$venv/package-stamp" "$(package_stamp)" -e "$root[api,agent]" -e "$root/hooks"
}

dashboard_stamp() {
    stamp_of "$root"/tools/bed/dashboard.txt "$root"/{setup.cfg,requirements.txt} \
        "$root"/nova_qos_dashboard/{pyproject.toml,setup.py,nova_qos_dashboard/locale/*/*/*.po}
}

install_dashboard() {
    local place=$state/dashboard-venv stamp
    stamp=$(dashboard_stamp)
    { has_messages && is_made "$place/stamp" "$stamp"; } ||
        step "Horizon from PyPI, the panel from this tree" install_into "$place" "$place/stamp" \
            "$stamp" -r "$root/tools/bed/dashboard.txt" -e "$root" -e "$root/nova_qos_dashboard"
}

watcher_stamp() { stamp_of "$root"/tools/bed/stack/watcher.txt "$root"/{setup.cfg,requirements.txt}; }

install_watcher() {
    local place=$state/watcher-venv stamp
    stamp=$(watcher_stamp)
    is_made "$place/stamp" "$stamp" ||
        step "Watcher from PyPI, the strategy from this tree" install_into "$place" \
            "$place/stamp" "$stamp" -r "$root/tools/bed/stack/watcher.txt" -e "$root[watcher]"
}

install() {
    step "Debian packages" install_packages "$root"/tools/bed/{cloud,metrics}.apt
    has_requirements || step "OpenStack from PyPI" install_requirements
    has_package || step "nova-qos from this tree" install_package
}

stack() { python_in "$venv/bin/python" -m tools.bed.stack "$@"; }

[ $# -le 1 ] || fail "one option at most; tools/demo.sh --help lists them"
case ${1-} in
    -h | --help) usage; exit ;;
esac
[ "$(id -u)" = 0 ] || fail "needs root"
case ${1-} in
    --is-up)
        [ -x "$venv/bin/python" ] && has_requirements && has_package && stack is-up
        exit ;;
    --down)
        mkdir -p "$state" && exec 9>"$state/demo.lock" && flock 9 || exit
        [ -x "$venv/bin/python" ] || { echo "nothing is there"; exit 0; }
        stack down
        exit ;;
    "" | --up | --prometheus | --dashboard | --watcher | --install) ;;
    *) fail "no such option: $1; tools/demo.sh --help lists them" ;;
esac
command -v apt-get >/dev/null || fail "needs Debian: there is no apt-get"
mkdir -p "$state" && exec 9>"$state/demo.lock" || exit
flock -n 9 || { echo "waiting for another run to end"; flock 9; } # two runs at once make one cloud
echo "nova-qos demo: everything lies in $state"
install
if [ "${1-}" = --install ]; then
    install_dashboard
    exit
fi
stack up || exit
[ "${1-}" != --prometheus ] || stack prometheus || exit
if [ "${1-}" = --dashboard ]; then
    install_dashboard && stack dashboard || exit
fi
if [ "${1-}" = --watcher ]; then
    install_watcher && stack watcher || exit
fi
if [ $# = 1 ]; then
    echo "The cloud is up after $SECONDS s. To use it:"
    how_to_use
    exit
fi
python_in "$venv/bin/python" -m tools.demo
outcome=$?
echo "total: $SECONDS s. The cloud stays up. To use it:"
how_to_use
exit $outcome
