"""Bash code with which every script of a plan starts its units and probes them.

Needs bash 4.1 or later, with env and sleep of coreutils; curl if anything is probed; setsid and grep if available.
"""

from __future__ import annotations

STARTING = r"""
say() { printf '%s\n' "$*" >&2 || true; }

fail() {
  say "$*"
  exit 1
}

# --- starting ---

# Closes this script's descriptors, and resets signals that it ignores to their defaults.
close_and_exec() {
  local fd
  trap - INT QUIT
  for fd in "/proc/$BASHPID/fd/"*; do
    fd=${fd##*/}
    [[ $fd != [0-9]* ]] || ((fd <= 2)) || exec {fd}>&-
  done
  exec "$@"
}

# In the background, in its own session: Ctrl-C only reaches this script. Sets `new` to its pid, also the session's.
detach() { # COMMAND...
  local last=$!
  if [[ $setsid ]]; then
    (close_and_exec "$setsid" "$@") </dev/null &
  else
    set -m
    (close_and_exec "$@") </dev/null &
    set +m
  fi
  new=$!
  [[ $new && $new != "$last" ]] || fail 'no more processes can be started'
}

make_directory() { # MODE PATH: unless it exists; parents get the usual mode
  [[ -d $2 ]] || { mkdir -p -- "${2%/*}/" && mkdir -m "$1" -- "$2"; }
}

make() { # PATH PURPOSE HINT COMMAND...: unless PATH exists
  [[ ! -e $1 ]] || return 0
  detach "${@:4}"
  step=$new
  while alive "$step"; do pause 0.1; done
  wait "$step" || fail "$2 could not be created: $3"
  step=
}

# Of this script's environment, a unit gets only its secrets: not as arguments, which everyone can read.
begin() { # NUMBER, with `settings`, `private`, `kept`, `command`, `nice` and `cpus`
  local name by own=() drop=() before=()
  for name in ${private[@]+"${private[@]}"}; do
    is_among "$name" "${inherited[@]}" || say "${names[$1]} starts without $name: export it before you run this"
  done
  for name in ${kept[@]+"${kept[@]}"}; do # a secret of this unit alone: NAME=VARIABLE
    by=${name##*=} name=${name%=*}
    if [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && ${!by+x} ]]; then
      local -x "$name=${!by}"
      own+=("$name")
    else
      say "${names[$1]} starts without $name: export it as $by before you run this"
    fi
  done
  for name in "${inherited[@]}"; do
    is_among "$name" '' ${private[@]+"${private[@]}"} ${own[@]+"${own[@]}"} || drop+=(-u "$name")
  done
  [[ ! $scratch ]] || ! mkdir -m 0700 -- "$scratch/$1" || settings+=("TMPDIR=$scratch/$1")
  [[ ${command[0]} != *=* ]] || command=(nice -n 0 "${command[@]}") # env would take it for a variable
  if [[ $nice != 0 ]]; then
    # if the kernel groups processes by session, a group has its own nice value: sched(7)
    # shellcheck disable=SC2016
    [[ ! $setsid ]] || before+=(sh -c '{ echo "$0" >/proc/self/autogroup; } 2>/dev/null; exec "$@"' "$nice")
    if type -P nice >/dev/null; then
      before+=(nice -n "$nice")
    else
      say "${names[$1]} starts without its priority: nice is missing"
    fi
  fi
  if [[ $cpus ]]; then
    if taskset -c "$cpus" true 2>/dev/null; then
      before+=(taskset -c "$cpus")
    else
      say "${names[$1]} is not bound to CPUs $cpus: taskset is missing or fails"
    fi
  fi
  detach ${before[@]+"${before[@]}"} env ${drop[@]+"${drop[@]}"} -- "${settings[@]}" "${command[@]}"
  pid[$1]=$new
  unit_of[new]=$1
}

is_among() { # WORD WORD...
  local word
  for word in "${@:2}"; do
    if [[ $word == "$1" ]]; then return 0; fi
  done
  return 1
}

# --- looking ---

alive() { kill -0 "$1" 2>/dev/null || [[ -d /proc/$1 ]]; }

# Caught signals are handled here, so that none comes between a start and its pid.
pause() { # SECONDS
  sleep "$1" || true
  heed
}

heed() { [[ ! $caught ]] || exit "$caught"; }

# Whether all started units still run, or were jobs that exited with 0. What is left of one that does not run is
# ended.
look() {
  local n code signal all=0
  for n in "${!pid[@]}"; do
    if alive "${pid[n]}"; then continue; fi
    code=0
    wait "${pid[n]}" 2>/dev/null || code=$?
    if [[ ${once[n]-} && $code == 0 ]]; then
      end_rest "$n"
      enter "$n" completed
      continue
    fi
    signal=$( ((code <= 128)) || kill -l "$code" 2>/dev/null) || signal=
    signal=${signal:+was killed by SIG$signal}
    say "${names[n]} ${signal:-exited with code $code}; see its output above"
    end_rest "$n"
    all=1
  done
  return "$all"
}

ask() { # TIMEOUT BASE PATH OPTION...: without a proxy and without curl's configuration
  local path=$3 as_it_is=()
  if [[ $path == *[^A-Za-z0-9/_.~%?=\&:,+-]* || $path == */.* ]]; then
    as_it_is=(--request-target "$path")
    path=/
  fi
  curl -q -g -s --noproxy '*' --max-time "$1" ${as_it_is[@]+"${as_it_is[@]}"} "${@:4}" "$2$path" </dev/null 2>/dev/null
}

answers() { # TIMEOUT BASE PATH [ENTRY]: with 200 to 399, or with 404 while ENTRY is in the list of models
  local code list
  code=$(ask "$1" "$2" "$3" -o /dev/null -w '%{http_code}') || true
  case $code in
    2?? | 3??) return 0 ;;
    404) [[ ${4-} ]] || return 1 ;;
    *) return 1 ;;
  esac
  list=$(ask "$1" "$2" /v1/models) || return 1
  [[ ${list//[[:space:]]/} == *"$4"* ]]
}

# Whether its program has replaced the one that sets it up; if that is invisible, it gets a second.
runs() { # NUMBER
  [[ ! $scratch ]] || ! grep -qsF -- "TMPDIR=$scratch/$1" "/proc/${pid[$1]}/environ" || return 0
  ((rounds[$1] > 5))
}

is_free() { # PORT HOST
  ! (exec 3<>"/dev/tcp/$2/$1") 2>/dev/null
}

# --- the start: a unit waits for others, has begun, has started, is ready; a job has completed ---

met() { # NUMBER: whether the units that it needs have reached the required state
  local need
  for need in ${needs[$1]}; do
    case ${state[${need%:*}]-} in
      ready) [[ $need != *:completed ]] || return 1 ;;
      completed) ;;
      started) [[ $need == *:started ]] || return 1 ;;
      *) return 1 ;;
    esac
  done
}

advance() { # NUMBER
  local n=$1
  if [[ ! ${state[n]-} ]] && met "$n"; then
    say "${names[n]} starts"
    start "$n"
    enter "$n" begun
  fi
  if [[ ${state[n]-} == begun ]] && passes "$n"; then enter "$n" started; fi
  if [[ ${state[n]-} == started ]] && passes "$n"; then enter "$n" ready; fi
}

enter() {
  state[$1]=$2
  rounds[$1]=0
  tries[$1]=0
  row[$1]=0
}

# A probe runs every so many rounds, after a delay, and must pass so often in a row. After so many tries it has failed;
# tries of a unit that has started do not count while others start, since it may need them.
passes() { # NUMBER
  local n=$1 delay=0 every=1 wanted=1 limit=1 within=0 asked=
  rounds[n]=$((rounds[n] + 1))
  if probe "$n"; then
    row[n]=$((row[n] + 1))
    ((row[n] < wanted)) || return 0
  elif [[ $asked ]]; then
    row[n]=0
    [[ ${state[n]} == started && " ${state[*]} " == *' begun '* ]] || tries[n]=$((tries[n] + 1))
    ((tries[n] < limit)) || fail "${names[n]} did not answer $asked within $within s; see its output above"
  fi
  return 1
}

# Whether it is due to be probed, which sets `asked`, and passes.
try() { # NUMBER TIMEOUT BASE PATH [ENTRY]
  asked=$3$4
  ((rounds[$1] > delay && (rounds[$1] - delay - 1) % every == 0)) || asked=
  [[ $asked ]] && answers "${@:2}"
}

start_all() {
  local n
  until ((${#state[@]} == ${#names[@]})) && [[ " ${state[*]} " != *' begun '* && " ${state[*]} " != *' started '* ]]; do
    for n in "${!names[@]}"; do
      heed
      advance "$n"
    done
    look || fail 'not all have become ready: the others end'
    pause "$round_s"
  done
}
"""
