"""The job script: it claims its token, runs the command, and leaves an exit note.

The frame around the command is constant text; all data stand in assignments at its head, quoted by
core.quote. The command runs in a bash of its own, so nothing it holds (an unbalanced quote, `exit`,
a trap, a heredoc mark) can keep the frame from writing the note.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from scripthut.core import units
from scripthut.core.errors import Refused
from scripthut.core.jobs import Job, Own, Value
from scripthut.core.quote import sh

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LARGEST_WORD = 96 * 1024  # bytes; Linux takes no single argument over 128 KiB

# With `bash -l`, what the profile defined (`module`, above all) must reach the command's bash.
_LOGIN = """\
set +eu
hut_functions=$(compgen -A function)
[ -z "$hut_functions" ] || export -f $hut_functions
"""

# A symbolic link is made with its text in one step, so a claim is never seen without its owner;
# -n because the name may exist already and would otherwise be followed.
_CLAIM = r"""
set -o pipefail
hut_die() {
  printf 'scripthut: %s\n' "$1" >&2
  [ ! -d "$hut_state" ] || printf '%s' "$1" >"$hut_note.$hut_id.why"
  exit 1
}
hut_node=${SLURMD_NODENAME:-$(uname -n)}
hut_id=${hut_element:-${SLURM_JOB_ID:-${PBS_JOBID:-${SCRIPTHUT_JOB_ID:-}}}}
[ -n "$hut_id" ] || hut_die "no job id: submit this script to the scheduler"
mkdir -p -m 700 -- "$hut_state" || hut_die "cannot make the state directory $hut_state"
if ! ln -sn -- "job:$hut_id" "$hut_claim" 2>/dev/null; then
  hut_first=$(readlink -- "$hut_claim") || hut_die "cannot write to the state directory $hut_state"
  if [ "$hut_first" != "job:$hut_id" ]; then
    printf 'token=%s\njob=%s\nrefused=%s\nend\n' \
      "$hut_token" "$hut_id" "${hut_first#job:}" >"$hut_state/$hut_token.refused.$hut_id"
    printf 'scripthut: job %s ran nothing: %s has been claimed by job %s\n' \
      "$hut_id" "$hut_token" "${hut_first#job:}" >&2
    exit 0
  fi
fi
rm -f -- "$hut_note" "$hut_note.$hut_id.why" "$hut_note.$hut_id.late"
hut_start=$(date +%s)
hut_bash=$BASH
hut_code=
hut_got=
hut_timer=
# What the job has used. Its own cgroup, where it has one, knows of all that it started; else there
# is the processor time of all that this shell has waited for. A cgroup that it may share with
# others says nothing of it.
hut_used() {
  local at line part path group=${SLURM_JOB_ID:-$hut_id}  # of an array's element, its own number
  local scope=scripthut-${hut_token//./-}.scope  # of a job of this machine
  hut_memory= hut_cpu= hut_killed=
  while IFS=: read -r _ part path; do
    case $path/ in
      */job_"$group"/*) path=${path%%/job_"$group"*}/job_$group ;;
      */"$group"/*) path=${path%%/"$group"*}/$group ;;
      */"$scope"/*) path=${path%%/"$scope"*}/$scope ;;
      *) continue ;;
    esac
    at=/sys/fs/cgroup${part:+/$part}$path
    case ,$part, in
      *,memory,*)
        read -r hut_memory <"$at/memory.max_usage_in_bytes"
        hut_killed=$hut_killed$(sed -n 's/^oom_kill //p' "$at/memory.oom_control")
        ;;
      *,cpuacct,*) read -r line <"$at/cpuacct.usage" && hut_cpu=$((line / 1000000)) ;;
      ,,)
        read -r hut_memory <"$at/memory.peak"
        hut_killed=$hut_killed$(sed -n 's/^oom_kill //p' "$at/memory.events")
        read -r _ line <"$at/cpu.stat" && hut_cpu=$((line / 1000))
        ;;
    esac
  done </proc/self/cgroup
  [ -z "$hut_cpu" ] && read -r line <"/proc/$$/stat" || return 0
  set -- ${line##*) }
  hut_cpu=$(((${12} + ${13} + ${14} + ${15}) * 10))
} 2>/dev/null
hut_finish() {
  trap '' HUP INT TERM USR1 USR2
  [ -n "$hut_code" ] || hut_code=${hut_got:-143}
  [ -z "$hut_timer" ] || kill -TERM "$hut_timer" 2>/dev/null
  hut_is_late=0
  [ ! -e "$hut_note.$hut_id.late" ] || hut_code=124 hut_is_late=1
  hut_why=$(cat -- "$hut_note.$hut_id.why" 2>/dev/null)
  hut_used
  printf 'token=%s\njob=%s\ncode=%s\nstart=%s\nend=%s\nnode=%s\nwhy=%s\nlate=%s\n' \
    "$hut_token" "$hut_id" "$hut_code" "$hut_start" "$(date +%s)" "$hut_node" \
    "${hut_why:0:1000}" "$hut_is_late" >"$hut_note.$hut_id.tmp" &&
    printf 'memory=%s\ncpu_ms=%s\nkilled=%s\nwhole\n' "$hut_memory" "$hut_cpu" "$hut_killed" \
      >>"$hut_note.$hut_id.tmp" &&
    mv -f -- "$hut_note.$hut_id.tmp" "$hut_note"
  exit "$hut_code"
}
"""

# An element of an array opens its logs itself, since the scheduler knows one pattern for all.
_LOGS = r"""
hut_closed=
exec >>"$hut_out" 2>>"$hut_err" || hut_closed=1
"""
_NO_SUCH_ELEMENT = r"""
*) printf 'scripthut: this array has no task %s\n' "$hut_index" >&2; exit 1 ;;
esac
"""
_IF_CLOSED = r"""
if [ -n "$hut_closed" ]; then
  printf 'cannot open its log file %s or %s' "$hut_out" "$hut_err" >"$hut_note.$hut_id.why"
  hut_code=1
  hut_finish
fi
"""

_PLACES = r"""
(
  printf 'Task:    %s\nId:      %s\nDate:    %s\nHost:    %s\nDir:     %s\n\n' \
    "$hut_name" "$hut_key" "$(date)" "$hut_node" "$hut_dir"
  mkdir -p -- "$hut_outputs" "$hut_fragments" || hut_die "cannot make the output directories"
  rm -f -- "$hut_progress"  # a requeued job begins anew
"""

# What the lines define must reach the command, whose bash is another one: hence allexport. They
# are checked first, since half of them may have been run before the shell meets the error. Of the
# options that they set, those that decide what becomes of a command go on to it.
_INIT = r"""
  "$hut_bash" -O extglob -n <<<"$hut_init" ||
    hut_die "the init of its environment rules is not valid bash: see its error log"
  set -a
  eval "$hut_init"
  hut_set=
  case $- in *e*) hut_set=e ;; esac
  case $- in *u*) hut_set=u$hut_set ;; esac
  case $- in *x*) hut_set=x$hut_set ;; esac
  set +aeux
"""

_CHILD = "hut_child=$!\n"

# Ends the command at its timeout: all of the job is told to end, as the scheduler would tell it;
# what has not ended ten seconds later is killed, with all that it started.
_TIMER = r"""
hut_below() {
  ps -A -o pid= -o ppid= | awk -v top="$1" '
    { above[$1] = $2 }
    END { for (pid in above) {
      for (at = pid; at in above && at != top && at > 1; at = above[at]) ;
      if (at == top) print pid
    } }'
}
(
  trap 'kill "$hut_sleep" 2>/dev/null; exit 0' TERM
  trap '' HUP INT USR1 USR2
  sleep "$hut_timeout" &
  hut_sleep=$!
  wait "$hut_sleep"
  trap '' TERM
  printf '%s' "$hut_late" >"$hut_note.$hut_id.why" && : >"$hut_note.$hut_id.late"
  printf 'scripthut: %s\n' "$hut_late" >&2
  kill -TERM 0
  for hut_second in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$hut_child" 2>/dev/null || exit 0
    sleep 1
  done
  kill -KILL $(hut_below "$hut_child") 2>/dev/null
) <&- &
hut_timer=$!
"""

# The traps are set only now: a shell that is forked off one with traps loses the signals that come
# before it has reset them. A signal reaches all processes of the job at once, so it is not passed
# on: many programs take a second TERM for "now, at once".
# `wait` comes back when a signal arrived; the second `wait` answers with the command's own end,
# or not at all. A command that was told to end is never taken for one that completed.
_WAIT = r"""
hut_woken=0
trap 'hut_woken=$((hut_woken + 1)) hut_got=129' HUP
trap 'hut_woken=$((hut_woken + 1)) hut_got=130' INT
trap 'hut_woken=$((hut_woken + 1)) hut_got=143' TERM
trap 'hut_woken=$((hut_woken + 1))' USR1 USR2
trap hut_finish EXIT
hut_before=
while [ "$hut_before" != "$hut_woken" ]; do
  hut_before=$hut_woken
  wait "$hut_child" 2>/dev/null
  hut_code=$?
done
case $hut_code:$hut_got in
  0:?*|127:?*|-*:?*) hut_code=$hut_got ;;
  -*) hut_code=1 ;;
esac
exit "$hut_code"
"""


def script(job: Job, directives: Sequence[str], shell_is_login: bool) -> str:
    """The whole script of one attempt; `directives` are lines for its head.

    Refused, with a sentence, when something in the job cannot stand in a script.
    """
    text = _head(job, directives, shell_is_login) + "hut_element=\n" + _lines(_values(job))
    text += _CLAIM + _PLACES + _body(job, _own(job.env.values()), [_exported(_settings(job))])
    text += _CHILD
    return _whole(job, text)


def array_script(
    jobs: Mapping[int, Job], directives: Sequence[str], shell_is_login: bool, element: Sequence[str]
) -> str:
    """One script for jobs that are alike, by their indices: each element does its own job's work.

    What differs from job to job stands in one `case`, so a large array is still a small script.
    `element`: lines that set `hut_index` and `hut_element`, the id of the element. The jobs have
    the same `init`, the same timeout or none, and commands that are not long. Refused as above.
    """
    first = next(iter(jobs.values()))
    values = {index: _values(job) | _log_files(job) for index, job in jobs.items()}
    settings = {index: _settings(job) for index, job in jobs.items()}
    same, shared = _shared(list(values.values())), _shared(list(settings.values()))
    cases = [
        f"{index})\n{_lines(_without(values[index], same))}"
        f"hut_task() {{\n{_exported(_without(settings[index], shared))}\n:\n}}\n;;"
        for index in jobs
    ]
    text = _head(first, directives, shell_is_login) + "\n".join([*element, ""])
    text += "case $hut_index in\n" + "\n".join(cases)
    text += "\n" + _NO_SUCH_ELEMENT
    text += _lines(same) + _LOGS + _CLAIM + _IF_CLOSED + _PLACES
    own = _own(value for job in jobs.values() for value in job.env.values())
    text += _body(first, own, ["  hut_task", _exported(shared)]) + _CHILD
    return _whole(first, text)


def _shared(some: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *rest = some
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in rest)}


def _without(some: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    return {name: word for name, word in some.items() if name not in known}


def _head(job: Job, directives: Sequence[str], shell_is_login: bool) -> str:
    head = ["#!/bin/bash -l" if shell_is_login else "#!/bin/bash", *directives]
    if any("\n" in line or "\r" in line for line in head):
        raise Refused(f"task {job.key!r}: a value for the scheduler holds a line break")
    return "\n".join(head) + "\n" + (_LOGIN if shell_is_login else "set +eu\n")


def _whole(job: Job, text: str) -> str:
    text += (_TIMER if job.timeout else "") + _WAIT
    if "\0" in text:
        raise Refused(f"task {job.key!r}: its command or environment holds a NUL character")
    return text


def _lines(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={word}\n" for name, word in values.items())


def _log_files(job: Job) -> dict[str, str]:
    return {"hut_out": _word(str(job.paths.out)), "hut_err": _word(str(job.paths.err))}


def _values(job: Job) -> dict[str, str]:
    """What the frame must know of a job, as words for a shell."""
    paths = job.paths
    values = {
        "hut_token": job.token,
        "hut_name": job.name,
        "hut_key": job.key,
        "hut_state": str(paths.state),
        "hut_claim": str(paths.claim),
        "hut_note": str(paths.note),
        "hut_outputs": str(paths.outputs),
        "hut_fragments": str(paths.fragment.parent),
        "hut_progress": str(paths.progress),
        "hut_command": job.command.replace("\r\n", "\n"),
    }
    if job.init:
        values["hut_init"] = job.init.replace("\r\n", "\n")
    if job.timeout:
        values["hut_timeout"] = str(job.timeout)
        values["hut_late"] = f"It ran longer than its timeout of {units.clock(job.timeout)}"
    words = {name: _word(value) for name, value in values.items()}
    return words | {"hut_dir": _directory(job.working_dir)}


def _settings(job: Job) -> dict[str, str]:
    """The variables that a job is given, as words for its own shell. Refused for bad names."""
    exports: dict[str, Value] = {
        **job.env,
        "SCRIPTHUT_OUTPUT_DIR": str(job.paths.outputs),
        "SCRIPTHUT_TASK_SUMMARY": str(job.paths.summary),
        "SCRIPTHUT_RUN_SUMMARY": str(job.paths.fragment),
        "SCRIPTHUT_PROGRESS": str(job.paths.progress),
        "GITHUB_STEP_SUMMARY": str(job.paths.summary),  # tools that write GitHub's write ours
    }
    wrong = [name for name in exports if not _NAME.fullmatch(name)]
    if wrong:
        raise Refused(f"task {job.key!r}: {wrong[0]!r} cannot be the name of a variable")
    return {name: _assigned(value) for name, value in exports.items()}


def _exported(settings: Mapping[str, str]) -> str:
    return "\n".join(f"  export {name}={word}" for name, word in settings.items())


def _body(job: Job, own: Sequence[str], exports: Sequence[str]) -> str:
    """The part that runs in a subshell: the task's environment must not touch the frame's.

    `own`: the job's own variables, taken before `exports` sets any.
    """
    lines = [_INIT.strip("\n")] if job.init else []
    lines += [f"  hut_own_{name}=${{{name}-}}" for name in own]
    lines += exports
    short = len(job.command.encode("utf-8", "replace")) <= _LARGEST_WORD
    run = '-c "$hut_command" "$hut_key"' if short else "<(printf '%s\\n' \"$hut_command\")"
    options = '${hut_set:+"-$hut_set"} ' if job.init else ""
    return "\n".join(
        [
            *lines,
            '  cd -- "$hut_dir" ||',
            '    hut_die "cannot enter the working directory $hut_dir: make it, or correct it"',
            "  unset SCRIPTHUT_JOB_ID",
            f'  exec "$hut_bash" {options}-o pipefail {run}',
            ") <&0 &",
        ]
    )


def _own(values: Iterable[Value]) -> list[str]:
    """The job's own variables that values take something from: taken before any is set."""
    found = {
        piece.name: None
        for value in values
        if not isinstance(value, str)
        for piece in value
        if isinstance(piece, Own)
    }
    return list(found)


def _assigned(value: Value) -> str:
    """A shell word for a value: nothing of it is read by the shell, but the job's own variables.

    >>> print(_assigned((Own("PATH", ":"), "/my bin")))
    "${hut_own_PATH:+$hut_own_PATH:}"'/my bin'
    """
    if isinstance(value, str):
        return _word(value)
    return "".join(_word(p) if isinstance(p, str) else _own_word(p) for p in value)


def _own_word(own: Own) -> str:
    name = f"hut_own_{own.name}"
    return f'"${{{name}:+${name}{own.then}}}"' if own.then else f'"${name}"'


def _directory(text: str) -> str:
    """A shell word for a working directory: `~` and relative ones are in the home.

    >>> [_directory(t) for t in ("~", "~/my sims", "runs", "/x; ls")]
    ['"$HOME"', '"$HOME"/\\'my sims\\'', '"$HOME"/runs', "'/x; ls'"]
    """
    path = PurePosixPath(text.removeprefix("~/") if text != "~" else ".")
    if path.is_absolute() and not text.startswith("~/"):
        return _word(str(path))
    inside = str(path).lstrip("/")
    return '"$HOME"' if inside in (".", "") else '"$HOME"/' + _word(inside)


def _word(text: str) -> str:
    r"""One shell word that is exactly this text; a bare CR is refused by sbatch, so it is spelt.

    >>> print(_word("it's"), _word("a\r\nb"))
    'it'"'"'s' a$'\r''
    b'
    """
    return "$'\\r'".join(sh([part]) if part else "" for part in text.split("\r")) or "''"
