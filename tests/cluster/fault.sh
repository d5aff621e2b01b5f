#!/bin/bash
# fault.sh BASE FAULT [ARGS]: break one thing in a cluster that up.sh started, or mend it.
#
#  slurmctld   ctld-stop | ctld-kill | ctld-hang | ctld-cont   (stopped and killed: up.sh brings back)
#  slurmdbd    dbd-stop | dbd-kill | dbd-hang | dbd-cont       (the same)
#  database    db-stop | db-hang | db-cont
#  accounting  acct-lag-on | acct-lag-off          sacct answers, and knows nothing new
#  nodes       node-kill N | node-hang N | node-cont N | node-drain N | node-down N | node-up N
#  jobs        job-requeue ID | job-requeuehold ID | job-suspend ID | job-resume ID | job-kill ID
#              stepd-kill ID                       as when the node dies under one job
#              prolog-fail on|off | prolog-slow SECONDS|off | ctldprolog-slow SECONDS|off
#  privacy     private-data WORDS|off              what users see of each other, PrivateData
#  sshd        ssh-stop (refused) | ssh-hang (no greeting) | ssh-cont | ssh-reload
#              ssh-hang-sessions | ssh-cont-sessions | ssh-kill-sessions
#  login       banner TEXT|off    before the login
#              noise TEXT|off     printed by .bashrc; noise-err TEXT|off on standard error
#              login-slow SECONDS|off
#  commands    slow CMD SECONDS|off | slow-after CMD SECONDS|off | trunc CMD BYTES|off
#              fail CMD CODE TEXT | fail CMD off | hide CMD | hide CMD off
#  all-off     undo all switches and wake what sleeps; does not start what was stopped
set -u
BASE=${1:?usage: fault.sh BASE FAULT [ARGS]} FAULT=${2:?which fault?}
shift 2
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

live() { pid "$1" || die "$1 does not run"; }
send() { # send SIGNAL NAME...
  local signal=$1 name p
  shift
  for name; do p=$(live "$name") && kill "-$signal" "$p"; done
}
kill_daemon() { send KILL "$1" && rm -f "$BASE/run/$1.pid"; }

# Switches are files, read by the prologs, by .bashrc and by the shims.
switch() {
  if [ "${2:-off}" = off ]; then rm -f "$BASE/fault/$1"; else printf '%s\n' "$2" >"$BASE/fault/$1"; fi
}

# .bashrc of the login users reads ssh/rc
listen_to_switches() {
  cat >"$BASE/ssh/rc" <<END
[ -e $BASE/fault/noise ] && cat $BASE/fault/noise
[ -e $BASE/fault/noise-err ] && cat $BASE/fault/noise-err >&2
[ -e $BASE/fault/login-slow ] && sleep \$(cat $BASE/fault/login-slow)
END
}

# A wrapper for the real command, first in the login node's PATH.
shim() {
  cat >"$BASE/shim/$1" <<END
#!/bin/bash
F=$BASE/fault C=$1
[ -e "\$F/hide.\$C" ] && { echo "bash: line 1: \$C: command not found" >&2; exit 127; }
[ -e "\$F/slow.\$C" ] && sleep "\$(cat "\$F/slow.\$C")"
[ -e "\$F/fail.\$C" ] && { cat "\$F/fail.\$C" >&2; exit "\$(cat "\$F/failcode.\$C")"; }
REAL=\$(PATH=\${PATH//$BASE\/shim:/} command -v "\$C") || { echo "\$C: command not found" >&2; exit 127; }
if [ -e "\$F/trunc.\$C" ]; then "\$REAL" "\$@" | head -c "\$(cat "\$F/trunc.\$C")"; exit "\${PIPESTATUS[0]}"; fi
if [ -e "\$F/slow-after.\$C" ]; then "\$REAL" "\$@"; code=\$?; sleep "\$(cat "\$F/slow-after.\$C")"; exit \$code; fi
exec "\$REAL" "\$@"
END
  chmod 755 "$BASE/shim/$1"
}

# kill_steps PATTERN DIRECTORY: the slurmstepd that are called so and work there
kill_steps() {
  local p
  for p in $(pgrep -f '^slurmstepd:'); do
    # shellcheck disable=SC2053 -- patterns are meant
    [[ $(cmdline "$p") == $1 && $(readlink "/proc/$p/cwd") == $2 ]] && kill -KILL "$p"
  done
  return 0
}

private() { # private WORDS|off
  sed -i '/^PrivateData=/d' "$BASE/etc/slurm.conf"
  [ "$1" = off ] || echo "PrivateData=$1" >>"$BASE/etc/slurm.conf"
  scontrol reconfigure
}

all_off() {
  local f p node
  rm -f "$BASE"/fault/* "$BASE"/shim/*
  : >"$BASE/ssh/banner"
  for f in "$BASE"/run/*.pid; do p=$(pid "$(basename "$f" .pid)") && kill -CONT "$p"; done
  for p in $(sessions); do kill -CONT "$p"; done
  pid slurmctld >/dev/null || return 0
  ! grep -q '^PrivateData=' "$BASE/etc/slurm.conf" || private off
  for node in $(timeout 5 sinfo -h -N -t drain,down -o %N 2>/dev/null | sort -u); do
    scontrol update NodeName="$node" State=RESUME 2>/dev/null
  done
  return 0
}

case $FAULT in
  ctld-stop) stop slurmctld ;;
  ctld-kill) kill_daemon slurmctld ;;
  ctld-hang) send STOP slurmctld ;;
  ctld-cont) send CONT slurmctld ;;
  dbd-stop) stop slurmdbd ;;
  dbd-kill) kill_daemon slurmdbd ;;
  dbd-hang) send STOP slurmdbd ;;
  dbd-cont) send CONT slurmdbd ;;
  db-stop) stop mariadbd ;;
  db-hang) send STOP mariadbd ;;
  db-cont) send CONT mariadbd ;;
  acct-lag-on) send STOP relay ;;
  acct-lag-off) send CONT relay ;;
  node-kill) kill_daemon "slurmd.$1" && kill_steps 'slurmstepd:*' "$BASE/spool/$1" ;;
  node-hang) send STOP "slurmd.$1" ;;
  node-cont) send CONT "slurmd.$1" ;;
  node-drain) scontrol update NodeName="$1" State=DRAIN Reason="${2:-fault}" ;;
  node-down) scontrol update NodeName="$1" State=DOWN Reason="${2:-fault}" ;;
  node-up) scontrol update NodeName="$1" State=RESUME ;;
  job-requeue | job-requeuehold | job-suspend | job-resume) scontrol "${FAULT#job-}" "$1" ;;
  job-kill) scancel "$1" ;;
  stepd-kill) kill_steps "slurmstepd: [[]$1.*" "$BASE/spool/*" ;;
  prolog-fail | prolog-slow | ctldprolog-slow) switch "$FAULT" "$1" ;;
  private-data) private "$1" ;;
  ssh-stop) sessions >/dev/null && stop sshd ;;
  ssh-hang) send STOP sshd ;;
  ssh-cont) send CONT sshd ;;
  ssh-reload) send HUP sshd ;;
  ssh-hang-sessions) for p in $(sessions); do kill -STOP "$p"; done ;;
  ssh-cont-sessions) for p in $(sessions); do kill -CONT "$p"; done ;;
  ssh-kill-sessions) for p in $(sessions); do kill -KILL "$p" 2>/dev/null; done; true ;;
  banner) if [ "$1" = off ]; then : >"$BASE/ssh/banner"; else printf '%b\n' "$1" >"$BASE/ssh/banner"; fi ;;
  noise | noise-err)
    listen_to_switches
    switch "$FAULT" "$([ "$1" = off ] && echo off || printf '%b' "$1")"
    ;;
  login-slow) listen_to_switches && switch "$FAULT" "$1" ;;
  slow | slow-after | trunc) shim "$1" && switch "$FAULT.$1" "$2" ;;
  hide) shim "$1" && switch "hide.$1" "${2:-on}" ;;
  fail) shim "$1" && switch "failcode.$1" "$2" && switch "fail.$1" "${3:-off}" ;;
  all-off) all_off ;;
  *) die "no fault is called $FAULT" ;;
esac
