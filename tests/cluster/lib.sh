# What up.sh, down.sh and fault.sh share. Sourced with BASE set.
# shellcheck shell=bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BASE=$(cd "$BASE" && pwd)
export SLURM_CONF=$BASE/etc/login/slurm.conf

log() { echo "[cluster $(date +%T)] $*" >&2; }
die() { log "FATAL: $*"; exit 1; }
cmdline() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null; }
children() { ps -o pid= --ppid "$1" 2>/dev/null; }

# What the command line of each daemon looks like: a pid alone may have been given to another,
# of another cluster even.
pattern() {
  case $1 in
    slurmd.*) echo "slurmd.*-N ${1#slurmd.} " ;;
    relay) echo "tcp_proxy.py" ;;
    *) echo "$1" ;;
  esac
}

# Read to its end: with pipefail, a grep that stops early is a failure of what writes to it.
is_ours() { { cat "/proc/$1/cmdline" "/proc/$1/environ"; } 2>/dev/null | grep -aF "$BASE/" >/dev/null; }

# pid NAME: of a live daemon, or failure
pid() {
  local p
  p=$(cat "$BASE/run/$1.pid" 2>/dev/null) && [ -n "$p" ] && cmdline "$p" | grep -qE -- "$(pattern "$1")" &&
    is_ours "$p" && echo "$p"
}

await() { # await SECONDS COMMAND...
  local i tries=$(($1 * 20))
  shift
  for ((i = 0; i < tries; i++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.05
  done
  return 1
}

is_gone() { [ -z "$(cmdline "$1")" ]; }

# stop NAME: TERM, wait, KILL as a last resort; CONT first, for a stopped daemon must wake to die
stop() {
  local p
  if p=$(pid "$1"); then
    kill -CONT "$p"
    kill -TERM "$p"
    await 15 is_gone "$p" || { log "$1 ($p) ignored TERM"; kill -KILL "$p"; }
  fi
  rm -f "$BASE/run/$1.pid"
}

# sessions: the processes that serve open SSH connections, also when the listener is gone
sessions() {
  local listener p
  if listener=$(pid sshd); then
    for p in $(children "$listener"); do echo "$p" && children "$p"; done >"$BASE/run/sessions"
  fi
  for p in $(cat "$BASE/run/sessions" 2>/dev/null); do
    if cmdline "$p" | grep -q '^sshd:'; then echo "$p"; fi
  done
}
