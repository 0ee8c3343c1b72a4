#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs the tests: tools/test.sh [TIER]...; without arguments, all but tempest and upgrade.
#
#   lint        ruff, mypy, the rooms' imports, bandit, bashate, doc8, codespell
#   unit        our own code alone
#   metrics     alert rules and dashboards, on a real Prometheus
#   evaluation  what judges and draws the evaluation's measurements
#   install     what packagers get, and the package with each of its extras in fresh environments;
#               the strategy for Watcher, in the environment that its extra makes
#   functional  a real nova API and conductor in one process
#   prepare     what the demo's cloud and its Horizon are installed from; needs root
#   net         the real kernel's shares, in network namespaces; needs root
#   host        real libvirt and small real guests; needs root
#   benchmark   ratios and goals, judged when it is the only tier; needs root
#   cloud       the demo's cloud through the real clients; needs root
#   dashboard   Horizon with the panel, also in a browser on that cloud; needs root
#   vmhost      a host with systemd, cgroup v2 and Open vSwitch, as a virtual machine: Debian of the
#               release that NOVA_QOS_VMHOST_RELEASE names, bookworm or trixie; without it, of this
#               machine's, and for what differs one of the other; needs root
#   releases    the pages and release notes, other releases of nova, and the panel on Horizon 25
#   twonode     two virtual machines as further hosts of that cloud; needs root
#   tempest     nova's own tests on that cloud, with and without nova-qos, and those of the plug-in
#               for Tempest; needs root
#   upgrade     that cloud in use, from an earlier release to this one, back, and again; needs root
#
# NOVA_QOS_TEMPEST names the parts of the tier tempest that run, of: plugin with without.
# NOVA_QOS_UPGRADE_FROM names the releases that the tier upgrade begins with, each by what git calls
# a commit; without it, the newest tag before this commit, or as long as there is none, the commit
# before the newest release note.
# With NOVA_QOS_TEST_SIZE=reduced the heavy tiers do less, and say what they leave out. metrics runs
# beside unit, prepare beside functional, vmhost, install and releases beside cloud: what they print
# comes when their turn has come. With NOVA_QOS_RECORD=1, tiers that work on something real tell in
# a line what passed on what, for tools/support_matrix.py.
# A virtual environment is made in ${NOVA_QOS_TEST_DIR:-$HOME/.cache/nova-qos-test}. As root, the
# Debian packages that are missing are installed; what apt prints is in packages.log there. Exit
# status 1 if any tier failed.
set -u +m # +m: where a job has a group of its own, setsid forks, and $! is not the session
root=$(cd "$(dirname "$0")/.." && pwd) || exit
home=${NOVA_QOS_TEST_DIR:-${HOME:-/root}/.cache/nova-qos-test}
logs=$home
venv=$home/venv
. "$root/tools/bed/install.sh" || exit
all="lint unit metrics evaluation functional prepare net host benchmark cloud dashboard vmhost"
all+=" install releases twonode"
by_name_only="tempest upgrade"
whole=(-e "$root[api,agent]" -e "$root/hooks")
cloud_is_ours=no
declare -A beside=()

fail() { echo "test.sh: $*" >&2; exit 2; }

am_root() { [ "$(id -u)" = 0 ]; }

is_reduced() { [ "${NOVA_QOS_TEST_SIZE-}" = reduced ]; }

need_packages() { # LIST...
    ! am_root || install_packages "$@"
}

make_venv() {
    local stamp log=$logs/pip.log
    stamp=$(stamp_of "$root"/{requirements,test-requirements}.txt \
        "$root"/{setup.cfg,hooks/pyproject.toml})
    exec 9>"$home/lock"
    flock 9 # two runs at once make one environment
    if ! is_made "$venv/stamp" "$stamp"; then
        echo "making the virtual environment $venv (a minute or two; log: $log)"
        rm -rf "$venv"
        logged "$log" install_into "$venv" "$venv/stamp" "$stamp" \
            -r "$root/test-requirements.txt" -e "$root[api,agent]" -e "$root/hooks" ||
            { show_end "$log"; return 1; }
    fi
    exec 9>&-
}

run_pytest() { "$venv/bin/python" -m pytest "$@"; } # TEST...

tier_lint() {
    local failed=0
    "$venv/bin/ruff" check . || failed=1
    "$venv/bin/mypy" || failed=1
    "$venv/bin/python" -m tools.rooms || failed=1
    "$venv/bin/bandit" -q -r nova_qos novaclient_qos hooks/nova_qos_hooks \
        nova_qos_dashboard/nova_qos_dashboard || failed=1
    "$venv/bin/bashate" -e 'E*' -i E005 --max-line-length 100 \
        devstack/plugin.sh devstack/settings devstack/exercise.sh || failed=1
    "$venv/bin/doc8" README.rst HACKING.rst devstack/README.rst doc/source releasenotes || failed=1
    "$venv/bin/codespell" || failed=1
    return $failed
}

# the contract suite runs on the in-memory host here, on real libvirt in the tier host
tier_unit() {
    # three on two processors: some tests wait; a file stays with one, unless another has no more
    run_pytest -n 3 --dist worksteal tests/unit tests/contract
}

tier_metrics() { need_packages tools/bed/metrics.apt && run_pytest tests/metrics; }

tier_evaluation() { run_pytest tests/evaluation; }

tier_install() {
    local failed=0
    run_pytest tests/install || failed=1
    test_watcher || failed=1
    return $failed
}

# without nova, which Watcher's hosts need not have
test_watcher() {
    local place=$home/watcher stamp
    mkdir -p "$place" || return
    stamp=$(stamp_of tests/watcher/requirements.txt tools/bed/stack/watcher.txt requirements.txt \
        setup.cfg)
    if ! is_made "$place/stamp" "$stamp"; then
        echo "making the virtual environment $place/venv (log: $place/pip.log)"
        logged "$place/pip.log" install_into "$place/venv" "$place/stamp" "$stamp" -q \
            -r tests/watcher/requirements.txt -r tools/bed/stack/watcher.txt -e "$root[watcher]" ||
            { show_end "$place/pip.log"; return 1; }
    fi
    "$place/venv/bin/python" -m pytest tests/watcher
}

# three processes on two processors, since tests wait, each with a cloud of its own; and one with a
# cloud of two cells
tier_functional() {
    local failed=0
    run_pytest -n 3 --dist loadfile tests/functional || failed=1
    run_pytest tests/cells || failed=1
    return $failed
}

# no tier that measures is to wait for downloads, or to run beside them
tier_prepare() { need_packages tools/bed/dashboard.apt && tools/demo.sh --install; }

tier_net() {
    # each test has network namespaces of its own, and waits more than it computes
    need_packages tools/bed/net.apt && run_pytest -n 4 tests/net
}

tier_host() {
    local failed=0 selection=(tests/host) failures=tests/host/test_balance.py::TestFailures
    if is_reduced; then
        # what fails is tested with the agent in memory, and some of it in the soak
        selection+=(--deselect "$failures")
        echo "reduced: of tests/host without $failures"
    fi
    need_packages tools/bed/host.apt || return
    # each process has a libvirt of its own, and waits more than it computes
    run_pytest -n 2 --dist loadfile -m "not alone" "${selection[@]}" || failed=1
    run_pytest -m alone "${selection[@]}" || failed=1
    return $failed
}

tier_vmhost() {
    local selection=(tests/vmhost) failed=0
    need_packages tools/bed/{host,machine}.apt || return
    if is_reduced; then
        # guests that work would need minutes to boot
        selection=(tests/vmhost/test_contract.py::TestKernelKnobs
            tests/vmhost/test_soft_limit.py::TestProtect
            'tests/vmhost/test_tunnels.py::test_shares_in_a_tunnel[vxlan]'
            tests/vmhost/test_release.py tests/vmhost/test_unit.py)
        echo "reduced: of tests/vmhost only ${selection[*]}"
    fi
    in_vmhost "${selection[@]}" || failed=1
    if [ -z "${NOVA_QOS_VMHOST_RELEASE-}" ]; then
        selection=(tests/vmhost/test_contract.py::TestKernelKnobs
            tests/vmhost/test_release.py tests/vmhost/test_unit.py)
        local -x NOVA_QOS_VMHOST_RELEASE=trixie
        ! grep -q '^VERSION_CODENAME=trixie' /etc/os-release || NOVA_QOS_VMHOST_RELEASE=bookworm
        echo "on $NOVA_QOS_VMHOST_RELEASE only ${selection[*]}"
        in_vmhost "${selection[@]}" || failed=1
    fi
    return $failed
}

in_vmhost() { python_in "$venv/bin/python" -m tools.bed.vmhost "$@"; } # TEST...

tier_cloud() { in_cloud tests/cloud --ignore tests/cloud/upgrade; }

# by name alone: it takes minutes, and what it finds is seldom of one change
tier_upgrade() { in_cloud tests/cloud/upgrade; }

# in the environment of the demo's Horizon, with what the tests need beside it
tier_dashboard() {
    local state=${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo} log=$home/dashboard.log
    local python=$state/dashboard-venv/bin/python
    need_packages tools/bed/dashboard.apt || return
    tools/demo.sh --is-up || cloud_is_ours=yes
    tools/demo.sh --dashboard || return
    boot_node_early "$state"
    logged "$log" "$python" -m pip install --disable-pip-version-check \
        -r tests/dashboard/requirements.txt || { show_end "$log"; return 1; }
    python_in "$python" -m pytest tests/dashboard &&
        python_in "$python" -m tests.benchmark.dashboard
}

# what the tier twonode waits for at first goes on meanwhile; there, it tells of what went wrong
boot_node_early() { # STATE
    is_reduced && [ $by_name = 0 ] && is_asked_for twonode || return 0
    need_packages tools/bed/{host,machine}.apt &&
        logged "$home/boot-node.log" python_in "$1/venv/bin/python" -m tools.bed.stack boot-node
}

tier_twonode() {
    is_reduced && echo "reduced: one virtual machine; tests that need two are skipped, and Watcher"
    need_packages tools/bed/{host,machine}.apt && in_cloud tests/twonode
}

# by name alone: nova's own tests twice, half an hour and more
tier_tempest() {
    local place=$home/tempest parts
    read -ra parts <<<"${NOVA_QOS_TEMPEST-}"
    make_other "$place" -r "$root/tools/bed/tempest.txt" -e "$root[tempest]" &&
        "$place/venv/bin/python" -m pytest tests/tempest || return
    tools/demo.sh --is-up || cloud_is_ours=yes
    tools/demo.sh --up &&
        python_in "$place/venv/bin/python" -m tools.tempest "$place/run" "${parts[@]}"
}

in_cloud() { # TEST...
    tools/demo.sh --is-up || cloud_is_ours=yes
    tools/demo.sh --up && run_pytest "$@"
}

tier_releases() {
    local failed=0 names="nova31 nova32 nova33 lower" tests=(tests/functional)
    if is_reduced; then
        names=nova33 tests=(tests/functional/test_actions.py tests/functional/test_bus.py)
        echo "reduced: of the releases $names alone, and of its tests ${tests[*]}; no Horizon"
    fi
    build_pages || failed=1
    for name in $names; do test_release "$name" "${tests[@]}" || failed=1; done
    is_reduced || test_horizon || failed=1
    return $failed
}

build_pages() {
    local pages=$home/pages bin=$home/pages/venv/bin
    make_other "$pages" -r "$root/doc/requirements.txt" "${whole[@]}" || return
    "$bin/reno" -q lint &&
        build_page "$pages" doc/source && build_page "$pages" releasenotes/source
}

build_page() { # PLACE SOURCE
    # -E: a page kept from the last time warns no more, and a new note would not be read
    logged "$1/sphinx.log" "$1/venv/bin/sphinx-build" -E -W --keep-going -q -b html \
        -d "$1/doctrees/$2" "$2" "$1/html/$2" || { show_end "$1/sphinx.log"; return 1; }
}

test_release() { # NAME TEST...
    local place=$home/releases/$1
    PIP_CONSTRAINT=$root/tools/constraints/$1.txt make_other "$place" \
        -r "$root/test-requirements.txt" "${whole[@]}" || return
    echo "--- $1"
    # to import that nova's API changes the threads of whoever does it, unless told not to
    [ "$1" != lower ] || OS_NOVA_DISABLE_EVENTLET_PATCHING=1 \
        "$place/venv/bin/python" -m pytest -q tests/unit tests/contract \
        tests/install/test_packaging.py || return
    "$place/venv/bin/python" -m pytest -q "${@:2}"
}

# the panel's pages on Horizon 25, without a browser; the tier dashboard has the newer one
test_horizon() {
    local place=$home/releases/horizon25
    has_messages || rm -f "$place/stamp"
    PIP_CONSTRAINT=$root/tools/constraints/nova33.txt make_other "$place" \
        -r "$root/tools/bed/dashboard25.txt" -r "$root/tests/dashboard/requirements.txt" \
        -e "$root" -e "$root/nova_qos_dashboard" || return
    echo "--- horizon25"
    python_in "$place/venv/bin/python" -m pytest -q --disable-warnings \
        --ignore tests/dashboard/browser tests/dashboard
}

# a virtual environment beside the one of all other tiers
make_other() { # PLACE PIP-ARGUMENT...
    local place=$1 stamp
    shift
    mkdir -p "$place" || return
    stamp=$(stamp_of requirements.txt test-requirements.txt doc/requirements.txt setup.cfg \
        {hooks,nova_qos_dashboard}/pyproject.toml nova_qos_dashboard/setup.py \
        nova_qos_dashboard/nova_qos_dashboard/locale/*/*/*.po tests/dashboard/requirements.txt \
        tools/bed/{dashboard25,tempest}.txt ${PIP_CONSTRAINT:+"$PIP_CONSTRAINT"})
    is_made "$place/stamp" "$stamp" && return
    echo "making the virtual environment $place/venv (log: $place/pip.log)"
    logged "$place/pip.log" install_into "$place/venv" "$place/stamp" "$stamp" -q "$@" ||
        { show_end "$place/pip.log"; return 1; }
}

tier_benchmark() {
    local failed=0 rounds=10 idle_s=60 many=1000 listed=500 guests=200 hosts=1000
    local policies=1000 edits=(--servers 1000 --rounds 5)
    local balance=(--variants)
    if is_reduced; then
        rounds=3 idle_s=10 many=200 listed=100 guests=20 hosts=200
        policies=200 edits=(--servers 50 --rounds 1 --no-marks)
        balance=(--traces burster sawtooth)
        echo "reduced: $rounds rounds, an agent of $many servers idle for $idle_s s," \
            "$listed listed, $guests guests, $hosts hosts in plans of moves," \
            "$policies policies, edits ${edits[*]}," \
            "balance ${balance[*]}"
    fi
    need_packages tools/bed/{net,host}.apt || return
    # by name alone, goals are judged; among all others, on any machine, they are printed
    local -x NOVA_QOS_BENCHMARK_JUDGE=${NOVA_QOS_BENCHMARK_JUDGE:-$by_name}
    run_benchmark plan || failed=1
    run_benchmark relief --hosts $hosts || failed=1
    run_benchmark balance "${balance[@]}" || failed=1
    run_benchmark balancing || failed=1
    run_benchmark resolve --servers $many || failed=1
    run_benchmark network --rounds $rounds --servers $listed || failed=1
    run_benchmark uplink --rounds $((rounds / 3)) || failed=1
    run_benchmark forward --rounds $((rounds / 3)) || failed=1
    run_benchmark check --servers $listed || failed=1
    run_quietly metrics --servers $guests --in-memory $many --rounds $rounds || failed=1
    run_quietly agent_start --servers $many --idle-seconds $idle_s || failed=1
    run_quietly clients --servers $listed --policies $policies || failed=1
    run_quietly policies "${edits[@]}" || failed=1
    if [ $by_name = 1 ] || tools/demo.sh --is-up; then
        benchmark_in_cloud || failed=1
    else
        echo "left out, since the demo's cloud is down: tests.benchmark.cloud"
    fi
    return $failed
}

# with the demo's three servers; all rounds take a quarter of an hour
benchmark_in_cloud() {
    local state=${NOVA_QOS_DEMO_DIR:-/var/lib/nova-qos-demo} size=() flood=() failed=0
    if is_reduced; then
        size=(--rounds 20 --runs 1 --requests 100 --idle-seconds 15)
        flood=(--seconds 2 --runs 1)
        echo "reduced, in the cloud: ${size[*]}; floods: ${flood[*]}"
    fi
    tools/demo.sh --is-up || cloud_is_ours=yes
    tools/demo.sh >"$home/demo.log" || { tail -n 20 "$home/demo.log" >&2; return 1; }
    (
        . "$state/admin-openrc"
        PYTHONPATH=$root "$state/venv/bin/python" -m tests.benchmark.cloud "${size[@]}" \
            "qemu+unix:///system?socket=$state/libvirt/run/libvirt-sock" vm1 vm2 vm3
    ) || failed=1
    (
        . "$state/reader-openrc"
        PYTHONPATH=$root "$state/venv/bin/python" -m tests.benchmark.flood "${flood[@]}" vm1
    ) || failed=1
    return $failed
}

# what nova's services log is shown only where the benchmark fails
run_quietly() { # NAME ARGUMENTS...
    local log=$home/benchmark.log
    run_benchmark "$@" 2>"$log" || { tail -n 20 "$log" >&2; return 1; }
}

run_benchmark() { # NAME ARGUMENTS...
    local name=$1
    shift
    PYTHONPATH=$root:$root/hooks "$venv/bin/python" -m "tests.benchmark.$name" "$@"
}

# in a session, which the kernel may weigh as a whole; daemons of its tests have their own
begin_beside() { # NICENESS NAME
    # in the background, a shell has these signals ignored, and so would all below it
    setsid env --default-signal=INT,QUIT "$root/tools/test.sh" --beside "$1" "$2" \
        >"$home/$2.log" 2>&1 &
    beside[$2]=$!
}

run_beside() { # NICENESS NAME
    # never ahead of who has started it
    local niceness=$(($(nice) > $1 ? $(nice) : $1))
    renice -n "$niceness" $$ >/dev/null
    # a kernel that schedules by sessions asks for the niceness of this one
    { echo "$niceness" >/proc/self/autogroup; } 2>/dev/null
    "tier_$2"
}

# what is to run beside a tier begins before it
begin_what_runs_beside() { # NAME
    local name
    is_reduced && [ $by_name = 0 ] && am_root || return 0
    case $1 in
        unit) ! is_asked_for metrics || begin_beside 0 metrics ;;
        functional) ! is_asked_for prepare || begin_beside 19 prepare ;;
        cloud)
            # before, because there is one apt only
            ! is_asked_for vmhost || need_packages tools/bed/{host,machine}.apt || return 0
            ! is_asked_for vmhost || begin_beside 10 vmhost
            for name in install releases; do
                ! is_asked_for $name || begin_beside 19 $name
            done
            ;;
    esac
}

is_asked_for() { [[ " ${asked[*]} " == *" $1 "* ]]; } # NAME

end_beside() {
    for pid in "${beside[@]}"; do
        # it has no group before setsid has made one
        { kill -TERM -- "-$pid" || kill -TERM "$pid"; } 2>/dev/null && wait "$pid"
    done
}

perform() { # NAME
    local failed=0
    [ -n "${beside[$1]-}" ] || { "tier_$1"; return; }
    wait "${beside[$1]}" || failed=1
    unset "beside[$1]"
    cat "$home/$1.log"
    return $failed
}

run_tier() { # NAME
    local began=$SECONDS outcome=passed
    if [[ $1 =~ ^(prepare|net|host|benchmark|vmhost|cloud|dashboard|twonode|tempest|upgrade)$ ]] &&
        ! am_root; then
        echo "SKIPPED tier $1: needs root"
        summary+=("$1 skipped")
        return
    fi
    begin_what_runs_beside "$1"
    echo "=== tier $1"
    perform "$1" || { outcome=FAILED; status=1; }
    echo "=== tier $1 $outcome in $((SECONDS - began)) s"
    summary+=("$1 $outcome ($((SECONDS - began)) s)")
}

cd "$root" && mkdir -p "$home" || exit
# as begin_beside calls it
if [ "${1-}" = --beside ]; then
    by_name=0
    run_beside "${@:2}"
    exit
fi
by_name=$(($# == 1))
[ $# -gt 0 ] || set -- $all
for tier in "$@"; do
    [[ " $all $by_name_only " == *" $tier "* ]] ||
        fail "there is no tier '$tier'; there are: $all $by_name_only"
done
need_packages tools/bed/{python,test}.apt || fail "the Debian packages could not be installed"
make_venv || fail "the virtual environment could not be made"
status=0 summary=()
trap end_beside EXIT
asked=("$@")
for tier in "$@"; do
    asked=("${asked[@]:1}") # those that are still to come
    run_tier "$tier"
done
[ $cloud_is_ours = no ] || tools/demo.sh --down || status=1
printf -v line '%s, ' "${summary[@]}"
echo "tests: ${line%, }"
exit $status
