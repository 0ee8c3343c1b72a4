#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Makes the evaluation of the thesis again on the demo's cloud, measures what has come since, limits,
# guarantees, inbound traffic, policies, many clients and balancing, and makes a report of it.
#
#   tools/evaluate.sh [OPTION]... [DIRECTORY]
#
#   --only NAME     of all experiments only this one; may be given several times:
#                   memory, cpu, disk, network, cpu-limits, disk-limits, network-limits, inbound,
#                   guarantees, policy, peers, load, many, balancing, soft-limit
#   --seed N        of the order in which things that are done in turns are done (1)
#   --report-only   measure nothing: make the report of what is in DIRECTORY already
#   --write-doc     write the pages of doc/source/admin on the evaluation and their plots, too
#
# CSV files and report.html go to DIRECTORY (./evaluation). Brings the demo's cloud up first and leaves
# it up; tools/demo.sh --down takes it away. Needs root on Debian 12 and installs what is missing. Takes
# less than an hour; the machine should do nothing else.
set -u
root=$(cd "$(dirname "$0")/.." && pwd) || exit
state=${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo}
logs=$state
report_venv=$state/report-venv
requirements=$root/tools/evaluation/requirements.txt
. "$root/tools/bed/install.sh" || exit

fail() { echo "evaluate.sh: $*" >&2; exit 2; }

prepare_report() {
    local stamp log=$logs/install-report.log
    stamp=$(stamp_of "$requirements")
    is_made "$report_venv/stamp" "$stamp" && return
    echo "installing what draws the report (log: $log)"
    rm -rf "$report_venv"
    logged "$log" install_into "$report_venv" "$report_venv/stamp" "$stamp" -r "$requirements" ||
        { show_end "$log"; return 1; }
}

measure=yes directory= arguments=() document=()
while [ $# -gt 0 ]; do
    case $1 in
        --only | --seed)
            [ $# -gt 1 ] || fail "$1 wants a value"
            arguments+=("$1" "$2")
            shift ;;
        --report-only) measure=no ;;
        --write-doc) document=(--write-doc "$root/doc/source/admin") ;;
        -*) fail "no such option: $1" ;;
        *) [ -z "$directory" ] || fail "one directory at most"
            directory=$1 ;;
    esac
    shift
done
directory=${directory:-evaluation}
[ "$(id -u)" = 0 ] || fail "needs root"
status=0
if [ $measure = yes ]; then
    "$root/tools/demo.sh" --up || exit
fi
mkdir -p "$state" && prepare_report || exit
if [ $measure = yes ]; then
    exec 8>"$state/evaluation.lock"
    flock -n 8 || fail "another evaluation is under way"
    python_in "$state/venv/bin/python" -m tools.evaluation.measure "${arguments[@]}" -- "$directory" ||
        status=1
fi
python_in "$report_venv/bin/python" -m tools.evaluation.report "${document[@]}" -- "$directory" || exit
echo "total: $SECONDS s"
exit $status
