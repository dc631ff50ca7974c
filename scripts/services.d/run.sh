# A run: a folder, a mark in the environment of all that it starts, and nothing of it left at the end.
#
# Why: servers live in sessions of their own and would outlive the script that wanted them. Law: whether the script
# ends well, fails, or is interrupted, all that it started has ended and its folder is gone; when it is killed,
# the watcher that `services up --with-parent` starts does it.
# shellcheck shell=bash disable=SC2317  # called by traps

# begin_run LOGS: sets $run, and ends it when the script ends; the servers' logs are kept in the folder LOGS.
begin_run() {
    run_logs=$1
    run=$(realpath "$(mktemp -d)")
    export FLOW_PIPELINE_TEST_DIR=$run FLOW_PIPELINE_TEST_RUN=${FLOW_PIPELINE_TEST_RUN:-$run}
    trap end_run EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

end_run() {
    trap - EXIT INT TERM HUP
    local jobs log
    mapfile -t jobs < <(jobs -p)
    ((${#jobs[@]} == 0)) || kill "${jobs[@]}" 2>/dev/null || true
    scripts/services down "$run" || true
    scripts/services sweep "$run" || true
    mkdir -p "$run_logs"
    for log in "$run"/*/log; do
        [[ ! -e $log ]] || cp "$log" "$run_logs/server-$(basename "$(dirname "$log")").txt"
    done
    rm -rf "$run"
}
