# SPDX-License-Identifier: Apache-2.0
#
# The functions of DevStack that the plugin calls, as far as it depends on them: each writes down
# how it was called. What the plugin calls beside them is not there, and fails.
set -o errexit -o nounset -o pipefail
declare -A GITDIR=(["nova-qos"]="$HERE")

function note { printf '%s\n' "$*" >> "$CALLS"; }

function define_plugin { note define_plugin "$@"; }

function enable_service { ENABLED_SERVICES+=",$1"; }

function is_service_enabled { [[ ",$ENABLED_SERVICES," == *",$1,"* ]]; }

function echo_summary { echo "$*"; }

function warn { note warn "${@:2}"; }

function install_package { note install_package "$@"; }

function setup_develop { [[ -e "$1/setup.cfg" || -e "$1/pyproject.toml" ]] && note setup_develop "$@"; }

function pip_uninstall { note pip_uninstall "$@" from "${PIP_VIRTUAL_ENV:-the system}"; }

# FILE SECTION OPTION VALUE
function iniset { note iniset "$@"; }

# FILE SECTION OPTION
function inidelete { note inidelete "$@"; }

function recreate_database { note recreate_database "$@"; }

function database_connection_url { echo "mysql+pymysql://root:secret@127.0.0.1/$1?charset=utf8&plugin=dbcounter"; }

# NAME COMMAND GROUP USER
function run_process {
    [[ "$2" == /* ]] && is_service_enabled "$1" && note run_process "$1" "$2" "group=${3:-}" "user=${4:-stack}"
}

function stop_process { note stop_process "$@"; }

function sudo { note sudo "$@"; "$@"; }

function tc {
    if [[ "$*" == "qdisc show" ]]; then
        printf 'qdisc noqueue 0: dev lo root refcnt 2\n'
        printf 'qdisc htb 5ca1: dev eth1 root refcnt 2 r2q 10 default 0xfffe\n'
        printf 'qdisc htb 1: dev eth2 root refcnt 2 r2q 10 default 0\n'
    fi
}

function nft { :; }

# the real one would take a device from this machine
function ip { :; }
