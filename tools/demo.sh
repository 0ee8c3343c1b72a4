#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Shows nova-qos at work: a real small cloud on this machine, three real guests, real reallocation.
#
#   tools/demo.sh           bring the cloud up and show it
#   tools/demo.sh --up      bring the cloud up only
#   tools/demo.sh --is-up   exit status 0 if it is up
#   tools/demo.sh --down    stop everything and take away what it made on this machine
#
# Needs root on Debian 12 and installs what is missing. Everything lies below
# ${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo}; a second run uses what is there.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit
state=${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo}
venv=$state/venv

fail() { echo "demo.sh: $*" >&2; exit 1; }

step() { # WHAT COMMAND...
    local what=$1 began=$SECONDS
    local log=$state/install-${what//[^A-Za-z]/-}.log
    shift
    printf '  %-58s' "$what"
    if ! "$@" >"$log" 2>&1; then
        echo " FAILED"
        tail -n 20 "$log" >&2
        fail "$what failed; its log is $log"
    fi
    printf '%6d   s\n' $((SECONDS - began))
}

python_in() { # PYTHON ARGUMENTS...
    PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 "$@"
}

install_packages() {
    if ! [ -x /usr/bin/python3 ]; then
        apt-get -q update && apt-get -q -y install python3-minimal || return
    fi
    python_in /usr/bin/python3 - "$root/tools/packages/cloud.apt" <<'PYTHON'
import sys
from pathlib import Path

from tools.bed import errors, packages

try:
    packages.ensure(packages.read_list(Path(sys.argv[1])))
except errors.TestbedError as error:
    sys.exit(str(error))
PYTHON
}

requirements_stamp() { /usr/bin/python3 --version && sha256sum <"$root/tools/bed/stack/requirements.txt"; }

package_stamp() { echo "$root" && cat "$root"/{setup.cfg,requirements.txt,hooks/pyproject.toml} | sha256sum; }

install_requirements() {
    "$venv/bin/pip" --version || /usr/bin/python3 -m venv --clear "$venv" || return
    rm -f "$venv/requirements-stamp"
    pip_install -r "$root/tools/bed/stack/requirements.txt" &&
        requirements_stamp >"$venv/requirements-stamp"
}

install_package() {
    # pbr asks git for the version: there may be none, or a tree that belongs to someone else
    git -C "$root" rev-parse --verify -q HEAD >/dev/null || export PBR_VERSION=0.0.1
    rm -f "$venv/package-stamp"
    pip_install -e "$root" -e "$root/hooks" && package_stamp >"$venv/package-stamp"
}

pip_install() { "$venv/bin/pip" install --disable-pip-version-check "$@"; }

is_installed() {
    [ "$(requirements_stamp)" = "$(cat "$venv/requirements-stamp" 2>/dev/null)" ] &&
        [ "$(package_stamp)" = "$(cat "$venv/package-stamp" 2>/dev/null)" ]
}

install() {
    step "Debian packages" install_packages
    [ "$(requirements_stamp)" = "$(cat "$venv/requirements-stamp" 2>/dev/null)" ] ||
        step "OpenStack from PyPI" install_requirements
    [ "$(package_stamp)" = "$(cat "$venv/package-stamp" 2>/dev/null)" ] ||
        step "nova-qos from this tree" install_package
}

stack() { python_in "$venv/bin/python" -m tools.bed.stack "$@"; }

[ "$(id -u)" = 0 ] || fail "needs root"
[ $# -le 1 ] || fail "one option at most: --up, --is-up, --down"
case ${1-} in
    --is-up)
        [ -x "$venv/bin/python" ] && is_installed && stack is-up
        exit ;;
    --down)
        mkdir -p "$state" && exec 9>"$state/demo.lock" && flock 9 || exit
        [ -x "$venv/bin/python" ] || { echo "nothing is there"; exit 0; }
        stack down
        exit ;;
    "" | --up) ;;
    *) fail "no such option: $1" ;;
esac
command -v apt-get >/dev/null || fail "needs Debian: there is no apt-get"
mkdir -p "$state" && exec 9>"$state/demo.lock" || exit
flock -n 9 || { echo "waiting for another run to end"; flock 9; } # two runs at once make one cloud
echo "nova-qos demo: everything lies in $state"
install
stack up || exit
if [ "${1-}" = --up ]; then
    echo "The cloud is up after $SECONDS s. To use it:"
    echo "  . $state/admin-openrc    (others: demo-openrc, reader-openrc, other-openrc)"
    echo "  $venv/bin/nova list"
    exit
fi
python_in "$venv/bin/python" -m tools.demo
outcome=$?
echo "total: $SECONDS s"
exit $outcome
