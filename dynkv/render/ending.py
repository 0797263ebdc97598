"""Bash code with which every script of a plan ends what it has started, and all descendants."""

from __future__ import annotations

ENDING = r"""
# --- the end ---

# Sets `owner` of each process: by session and process group, by TMPDIR, by descent, and as seen before.
census() {
  local file p stat state parent group session n grew=1
  local -A parents=()
  owner=()
  for file in /proc/[0-9]*/stat; do
    p=${file//[^0-9]/} stat=
    { IFS= read -r -d '' stat <"$file"; } 2>/dev/null || true
    stat=${stat##*) }
    state=${stat%% *} stat=${stat#* }
    parent=${stat%% *} stat=${stat#* }
    group=${stat%% *} stat=${stat#* }
    session=${stat%% *}
    [[ $session && $state != [ZX] ]] || continue
    parents[$p]=$parent
    sessions[p]=$session
    n=${unit_of[p]-${unit_of[group]-${unit_of[session]-${seen["$p:$session"]-}}}}
    [[ ! $n ]] || owner[p]=$n
  done
  while [[ $scratch ]] && IFS= read -r -d '' file; do
    p=${file#/proc/} p=${p%%/*} n=${file##*/}
    [[ $file != "/proc/$p/environ:TMPDIR=$scratch/$n" || ! ${pid[n]-} || ! ${parents[$p]-} ]] || owner[p]=$n
  done < <(grep -azsHF -- "TMPDIR=$scratch/" /proc/[0-9]*/environ)
  while [[ $grew ]]; do
    grew=
    for p in "${!parents[@]}"; do
      n=${owner[${parents[$p]}]-}
      [[ ! $n || ${owner[p]-} ]] || owner[p]=$n grew=1
    done
  done
}

# SIGTERM for the first process of each; when it is gone, or after its deadline, SIGKILL for the rest.
end() { # NUMBER...: one stage
  local n p tick waiting=1
  [[ ${pid[*]-} ]] || return 0
  census
  for p in "${!owner[@]}"; do seen["$p:${sessions[p]}"]=${owner[p]}; done
  for n in "$@"; do [[ ! ${pid[n]-} ]] || kill -TERM "${pid[n]}" 2>/dev/null; done
  for ((tick = 0; waiting; tick++)); do
    waiting=0
    for n in "$@"; do
      if [[ ! ${pid[n]-} ]] || ! alive "${pid[n]}" || ((tick > patience[n] + 100)); then continue; fi
      waiting=1
      ((tick != patience[n])) || kill -KILL "${pid[n]}" 2>/dev/null
    done
    ((!waiting)) || sleep 0.1
  done
  end_rest "$@"
}

# multiprocessing's resource tracker removes shared memory of dead processes and then ends by itself: it has 5 s.
end_rest() { # NUMBER...
  local n p turn left
  for ((turn = 0; turn < 100; turn++)); do
    census
    left=()
    for p in "${!owner[@]}"; do
      [[ " $* " == *" ${owner[p]} "* ]] || continue
      left+=("$p")
      ((turn >= 50)) || ! grep -qs multiprocessing.resource_tracker "/proc/$p/cmdline" || continue
      kill -KILL "$p" 2>/dev/null
    done
    ((${#left[@]})) || break
    sleep 0.1
  done
  ((!${#left[@]})) || say "these could not be ended: ${left[*]}"
  for n in "$@"; do
    [[ ! ${pid[n]-} ]] || unset "unit_of[${pid[n]}]" "pid[n]"
  done
}

# Nothing interrupts it, and a second Ctrl-C does not end what it runs either.
finish() { # CODE
  trap '' INT TERM HUP QUIT PIPE
  trap - EXIT
  set +e
  [[ ! $step ]] || kill -KILL -- "-$step" "$step" 2>/dev/null
  end_all
  [[ ! $scratch ]] || rm -rf -- "$scratch"
  exit "$1"
}
"""
