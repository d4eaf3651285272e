# shellcheck shell=bash disable=SC2034 # much here is for the scripts that source it
# What the scripts share: how they speak, what they need from the machine, and hugepages that go back to what they were.
# Sourced, never run. A script that sources it has done `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT
# Where cargo puts what it builds: with which of its profiles, scripts/test says.
BINARIES=$(realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}")/${MILLRACE_PROFILE:=release}
export BINARIES MILLRACE_PROFILE

# What it takes to build and run the switch, and what the demo and the tests use besides. No versions: the PMD packages
# carry DPDK's ABI in their names and come with libdpdk-dev on Debian 12 and 13 and on Ubuntu 24.04 alike.
PACKAGES_BUILD=(gcc clang libclang-dev pkg-config libdpdk-dev)
PACKAGES_RUN=(iproute2 iputils-ping iperf3 ethtool jq tcpdump)
PACKAGES_TEST=(dpdk-dev openvswitch-common openvswitch-switch python3-scapy shellcheck traceroute valgrind)
# What the logical half answers like; other releases of OVN have other flows and print other traces.
OVN_RELEASE=23.03

# ---- speaking -------------------------------------------------------------------------------------------------------

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' YELLOW=$'\e[33m' BLUE=$'\e[34m' PLAIN=$'\e[0m'
else
    BOLD='' DIM='' RED='' GREEN='' YELLOW='' BLUE='' PLAIN=''
fi

step() { printf '%s==>%s %s%s%s\n' "$BLUE" "$PLAIN" "$BOLD" "$*" "$PLAIN"; }
ok() { printf '  %s✓%s %s\n' "$GREEN" "$PLAIN" "$*"; }
note() { printf '  %s·%s %s\n' "$YELLOW" "$PLAIN" "$*"; }
bad() { printf '  %s✗%s %s\n' "$RED" "$PLAIN" "$*"; }

# die STATUS SENTENCE: 2 for what the machine lacks, 1 for the rest.
die() {
    local status=$1
    shift
    printf '%s%s:%s %s\n' "$RED" "$(basename "$0")" "$PLAIN" "$*" >&2
    exit "$status"
}

# ---- what is built --------------------------------------------------------------------------------------------------

# Builds the two binaries.
build() {
    step "Building the $MILLRACE_PROFILE binaries (the first time takes minutes)"
    (cd "$ROOT" && cargo build --profile "$MILLRACE_PROFILE" --locked --bins)
    ok "$BINARIES/millraced"
}

# ---- what the machine must have -------------------------------------------------------------------------------------

# The one prerequisite. sudo and cron forget where rustup put it, so its usual place is looked at too.
need_rust() {
    if ! command -v cargo >/dev/null && [[ -x ${HOME:-/root}/.cargo/bin/cargo ]]; then
        PATH="${HOME:-/root}/.cargo/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null || ! command -v rustup >/dev/null; then
        die 2 "a Rust toolchain by rustup is needed and none was found; install it from https://rustup.rs and run this again."
    fi
}

# Sets AS_ROOT to what goes in front of a command that needs root: nothing, or sudo.
need_root() {
    AS_ROOT=()
    if ((EUID == 0)); then return; fi
    command -v sudo >/dev/null ||
        die 2 "this needs root for packages, namespaces and DPDK; run it as root or install sudo."
    sudo -v || die 2 "sudo did not let you become root; run this as root."
    AS_ROOT=(sudo)
}

as_root() { "${AS_ROOT[@]}" "$@"; }

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Installs those of the named packages that are missing.
need_packages() {
    command -v apt-get >/dev/null ||
        die 2 "this knows Debian and Ubuntu only (no apt-get here); README.md lists what to install by hand."
    local package missing=()
    for package in "$@"; do installed "$package" || missing+=("$package"); done
    if ((${#missing[@]} == 0)); then
        ok "distribution packages: all there"
        return
    fi
    note "installing ${missing[*]}"
    for package in "${missing[@]}"; do
        if [[ $package =~ ^(openvswitch-switch|ovn-(central|host)) ]]; then forbid_services; fi
    done
    local log apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=180 -q -y)
    log=$(mktemp)
    if ! { as_root "${apt[@]}" update && as_root "${apt[@]}" install --no-install-recommends "${missing[@]}"; } \
        >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        allow_services
        die 2 "apt-get could not install ${missing[*]}; its last lines are above."
    fi
    rm -f "$log"
    allow_services
    ok "installed ${#missing[@]} package(s)"
}

# Installing a daemon starts it as a service, which has no place here; where nobody has said otherwise yet, the package
# tools are told not to start anything meanwhile. Scripts that install daemons allow it again when they end before time.
POLICY=/usr/sbin/policy-rc.d POLICY_MADE=0

forbid_services() {
    if [[ -e $POLICY ]]; then return; fi
    POLICY_MADE=1
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
    as_root chmod 755 "$POLICY"
}

allow_services() {
    if ((POLICY_MADE)); then as_root rm -f "$POLICY"; fi
    POLICY_MADE=0
}

# The packages by name are not enough: a DPDK that is too old compiles to nonsense.
need_dpdk() {
    local version
    version=$(pkg-config --modversion libdpdk 2>/dev/null) ||
        die 2 "pkg-config does not find libdpdk although libdpdk-dev is installed; is PKG_CONFIG_PATH set oddly?"
    [[ $(printf '%s\n' 22.11 "$version" | sort -V | head -n 1) == 22.11 ]] ||
        die 2 "DPDK $version is too old; millrace needs 22.11 or later."
    ok "DPDK $version"
}

# ---- hugepages ------------------------------------------------------------------------------------------------------

HUGE_DIR=/sys/kernel/mm/hugepages/hugepages-2048kB
HUGE_BEFORE='' HUGE_RAISED='' # the number to go back to and the one it was raised to, if it was raised here

# reserve_hugepages PAGES: sees to it that so many 2 MiB pages are free. Fails, with a line that says why, where it cannot.
reserve_hugepages() {
    local want=$1 total free available_kb target now
    if [[ ! -r $HUGE_DIR/nr_hugepages ]]; then
        note "no 2 MiB hugepages in this kernel: going on with ordinary pages (--no-huge)"
        return 1
    fi
    total=$(<"$HUGE_DIR/nr_hugepages")
    free=$(<"$HUGE_DIR/free_hugepages")
    if ((free >= want)); then
        ok "hugepages: $free of 2 MiB are free"
        return
    fi
    target=$((total + want - free))
    available_kb=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
    # A gigabyte stays for the build and the rest of the machine.
    if ((available_kb < (want - free) * 2048 + 1048576)); then
        note "not enough memory for $want hugepages: going on with ordinary pages (--no-huge)"
        return 1
    fi
    HUGE_BEFORE=$total HUGE_RAISED=$target
    if ! as_root sh -c "echo $target > $HUGE_DIR/nr_hugepages" 2>/dev/null; then
        HUGE_BEFORE=''
        note "may not reserve hugepages here: going on with ordinary pages (--no-huge)"
        return 1
    fi
    now=$(<"$HUGE_DIR/free_hugepages")
    if ((now < want)); then
        # Memory in pieces: the kernel gave fewer than asked for, and those are its own number now.
        HUGE_RAISED=$(<"$HUGE_DIR/nr_hugepages")
        restore_hugepages
        note "the kernel gave $now of $want hugepages: going on with ordinary pages (--no-huge)"
        return 1
    fi
    ok "hugepages: raised from $total to $target of 2 MiB, put back at the end"
}

# Goes back to the number from before, unless somebody has set another since.
restore_hugepages() {
    [[ -n $HUGE_BEFORE ]] || return 0
    if [[ $(<"$HUGE_DIR/nr_hugepages") == "$HUGE_RAISED" ]]; then
        as_root sh -c "echo $HUGE_BEFORE > $HUGE_DIR/nr_hugepages" 2>/dev/null || true
    fi
    HUGE_BEFORE='' HUGE_RAISED=''
}

# ---- processes ------------------------------------------------------------------------------------------------------

# is_running PID NAME: whether that process lives and is what it was when its pid was written down.
is_running() {
    [[ $1 =~ ^[0-9]+$ && -r /proc/$1/comm && $(<"/proc/$1/comm") == "$2" ]] &&
        ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# stop_process PID NAME: SIGTERM, three seconds, SIGKILL. Fails if it took the last.
stop_process() {
    local tries
    is_running "$1" "$2" || return 0
    as_root kill -TERM "$1" 2>/dev/null || true
    for ((tries = 0; tries < 60; tries++)); do
        is_running "$1" "$2" || return 0
        sleep 0.05
    done
    as_root kill -KILL "$1" 2>/dev/null || true
    return 1
}

# wait_for SECONDS COMMAND…: tries it ten times a second.
wait_for() {
    local tries=$(($1 * 10))
    shift
    for (( ; tries > 0; tries--)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    return 1
}
