#!/bin/bash
# down.sh BASE [--wipe]: stop exactly what up.sh BASE started, by pid file, and again if need be.
# --wipe removes BASE as well.
set -u
BASE=${1:?usage: down.sh BASE [--wipe]}
[ -d "$BASE" ] || exit 0
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

wake() {
  local f p
  for f in "$BASE"/run/*.pid; do
    p=$(pid "$(basename "$f" .pid)") && kill -CONT "$p"
  done
}

cancel_jobs() {
  local ids
  pid slurmctld >/dev/null || return
  ids=$(timeout 10 squeue -h -o %A 2>/dev/null | sort -un)
  [ -n "$ids" ] || return
  # shellcheck disable=SC2086 -- ids, one a word
  timeout 20 scancel -s KILL -f $ids 2>/dev/null
  await 10 no_jobs
}
no_jobs() { [ -z "$(timeout 5 squeue -h 2>/dev/null)" ]; }

# slurmstepd that were left behind: their environment names our slurm.conf
kill_steps() {
  local p
  for p in $(pgrep -f '^slurmstepd:'); do
    tr '\0' '\n' <"/proc/$p/environ" 2>/dev/null | grep -q "^SLURM_CONF=$BASE/etc/" && kill -KILL "$p"
  done
}

wake
cancel_jobs
OPEN=$(sessions)
stop sshd
for p in $OPEN; do kill -CONT "$p" 2>/dev/null; kill -KILL "$p" 2>/dev/null; done
for f in "$BASE"/run/slurmd.*.pid; do [ -e "$f" ] && stop "$(basename "$f" .pid)"; done
for name in slurmctld relay slurmdbd mariadbd munged; do stop "$name"; done
kill_steps
case ${2:-}:$BASE in
  --wipe:/tmp/?*) rm -rf "$BASE" ;;
  --wipe:*) log "only something under /tmp is removed, not $BASE" ;;
esac
exit 0
