# SPDX-License-Identifier: Apache-2.0
#
# Debian packages and virtual environments: demo.sh, evaluate.sh and test.sh source this. They set
# $root, the source tree, and $logs, the directory for what other programs print.

python_in() { # PYTHON ARGUMENTS...
    # -P: another tree, in which this may be called, is not imported from
    PYTHONPATH=$root PYTHONDONTWRITEBYTECODE=1 "$1" -P "${@:2}"
}

# with all that the command prints in the log
logged() { # LOG COMMAND...
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null
}

show_end() { # LOG
    echo "the end of $1:" >&2
    tail -n 20 "$1" >&2
}

# those Debian packages of the lists that are missing
install_packages() { # LIST...
    local log=$logs/packages.log
    if ! [ -x /usr/bin/python3 ]; then
        logged "$log" install_python || { show_end "$log"; return 1; }
    fi
    python_in /usr/bin/python3 -m tools.bed.packages "$log" "$@"
}

install_python() {
    local -x DEBIAN_FRONTEND=noninteractive
    apt-get -qq update && apt-get -qq -y -o Dpkg::Use-Pty=0 install python3
}

# what an environment with the requirements in these files is made of
stamp_of() { # FILE...
    cat "$@" | sha256sum
    echo "$root"
    /usr/bin/python3 --version
}

is_made() { # STAMP-FILE STAMP
    [ "$(cat "$1" 2>/dev/null)" = "$2" ]
}

# the panel's messages are compiled in the tree, which may be newer than an environment of its path
has_messages() {
    local each
    for each in "$root"/nova_qos_dashboard/nova_qos_dashboard/locale/*/*/*.po; do
        [ "${each%.po}.mo" -nt "$each" ] || return
    done
}

# the virtual environment is made if there is none; the stamp says for the next time what it has
install_into() { # VENV STAMP-FILE STAMP PIP-ARGUMENT...
    local venv=$1 file=$2 stamp=$3
    shift 3
    "$venv/bin/pip" --version || /usr/bin/python3 -m venv --clear "$venv" || return
    rm -f "$file"
    # pbr asks git for the version: there may be none, or a tree that belongs to someone else
    git -C "$root" rev-parse --verify -q HEAD >/dev/null || export PBR_VERSION=0.0.1
    "$venv/bin/pip" install --disable-pip-version-check "$@" && echo "$stamp" >"$file"
}
