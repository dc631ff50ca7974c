# Processes of the servers: start, stop, pause, find.
#
# Why not pkill: other people's servers have the same names. Law: only a process that was started here is ever
# signalled; a pid counts only together with its start time, so that a pid used again is not taken for ours.
# shellcheck shell=bash disable=SC2154  # the caller sets dir

# born PID: when it started, in clock ticks since boot; fails if it has ended (a zombie has).
born() {
    local stat fields
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }"
    [[ ${fields[0]} != [ZX] ]] && echo "${fields[19]}"
}

# pid_of NAME: the running server's pid; fails if it does not run.
pid_of() {
    local pid start
    { read -r pid start <"$dir/$1/pid"; } 2>/dev/null || return 1
    [[ $(born "$pid") == "$start" ]] && echo "$pid"
}

# launch NAME COMMAND...: starts it in its own session, with nothing of ours left open, and records it.
launch() {
    local name=$1
    shift
    (
        for fd in "/proc/$BASHPID/fd"/*; do
            fd=${fd##*/}
            if ((fd > 2)); then eval "exec $fd>&-"; fi
        done
        cd "$dir/$name" || exit
        exec setsid "$@"
    ) </dev/null >>"$dir/$name/log" 2>&1 &
    echo "$! $(born $!)" >"$dir/$name/pid"
}

# tree PID: it and its descendants (PostgreSQL's are in sessions of their own).
tree() {
    local child
    echo "$1"
    for child in $(pgrep -P "$1"); do tree "$child"; done
}

# signal_tree SIGNAL PID
signal_tree() {
    local pids
    mapfile -t pids < <(tree "$2")
    kill "-$1" "${pids[@]}" 2>/dev/null || true
}

# gone SECONDS PID...: waits until all have ended.
gone() {
    local deadline=$((SECONDS + $1)) pid
    shift
    for pid; do
        while born "$pid" >/dev/null; do
            ((SECONDS < deadline)) || return 1
            sleep 0.02
        done
    done
}

# end NAME SIGNAL: sends it; after 30 s kills.
end() {
    local name=$1 signal=$2 pid pids
    if pid=$(pid_of "$name"); then
        mapfile -t pids < <(tree "$pid")
        if [[ $signal == KILL ]]; then
            kill -KILL "${pids[@]}" 2>/dev/null || true
        else
            kill "-$signal" "$pid" 2>/dev/null || true
            # A paused process takes no signal but these.
            kill -CONT "${pids[@]}" 2>/dev/null || true
        fi
        if ! gone 30 "${pids[@]}"; then
            echo "$name does not end on SIG$signal: killed" >&2
            kill -KILL "${pids[@]}" 2>/dev/null || true
            gone 5 "${pids[@]}" || true
        fi
    fi
    rm -f "$dir/$name/pid"
}

# left: "PID COMMAND" of each running process that was started with $dir as FLOW_PIPELINE_TEST_RUN or _DIR, or works
# inside $dir, but for this script and those that called it.
left() {
    local proc pid callers=" " p=$BASHPID
    while ((p > 1)); do
        callers+="$p "
        p=$(sed -n 's/^PPid:\t//p' "/proc/$p/status")
    done
    for proc in /proc/[0-9]*; do
        pid=${proc#/proc/}
        [[ $callers == *" $pid "* ]] && continue
        born "$pid" >/dev/null || continue
        if [[ $(readlink "$proc/cwd" 2>/dev/null)/ == "$dir"/* ]] ||
            grep -qzxF -e "FLOW_PIPELINE_TEST_RUN=$dir" -e "FLOW_PIPELINE_TEST_DIR=$dir" "$proc/environ" 2>/dev/null; then
            echo "$pid $(tr '\0' ' ' <"$proc/cmdline" 2>/dev/null | cut -c 1-160)"
        fi
    done
}

# sweep: ends those.
sweep() {
    local pids
    mapfile -t pids < <(left | cut -d ' ' -f 1)
    ((${#pids[@]})) || return 0
    kill -TERM "${pids[@]}" 2>/dev/null || true
    kill -CONT "${pids[@]}" 2>/dev/null || true
    gone 10 "${pids[@]}" || kill -KILL "${pids[@]}" 2>/dev/null || true
}

# free_port: a free port of loopback below those that the kernel gives to outgoing connections: there a client
# of a server that is stopped for a while could be given the server's own port, and connect to itself.
free_port() {
    python3 - <<'PYTHON'
import random, socket
with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
    first_outgoing = int(file.read().split()[0])
top = first_outgoing if first_outgoing > 20000 else 32768
while True:
    port = random.randrange(10000, top)
    with socket.socket() as server:
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            continue
    print(port)
    break
PYTHON
}

# port NAME [KIND]: chosen once, kept for ever.
port() {
    local file=$dir/$1/port${2:+_$2}
    [[ -s $file ]] || free_port >"$file"
    cat "$file"
}
