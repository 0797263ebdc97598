"""How every script of a plan starts its units and asks whether they are ready, in bash.

bash 4.1 or later, with env and sleep of coreutils; curl where something is asked, setsid and grep where they are there.
"""

from __future__ import annotations

STARTING = r"""
say() { printf '%s\n' "$*" >&2 || true; }

fail() {
  say "$*"
  exit 1
}

# --- starting ---

# Without those of this script, and with the signals that it does not heed as they are by default.
close_and_exec() {
  local fd
  trap - INT QUIT
  for fd in "/proc/$BASHPID/fd/"*; do
    fd=${fd##*/}
    [[ $fd != [0-9]* ]] || ((fd <= 2)) || exec {fd}>&-
  done
  exec "$@"
}

# In the background, in a session of its own: Ctrl-C goes to this script alone. Its pid, also the session's, into `new`.
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

make_directory() { # MODE PATH: if it is not there; those above it get the usual mode
  [[ -d $2 ]] || { mkdir -p -- "${2%/*}/" && mkdir -m "$1" -- "$2"; }
}

make() { # PATH PURPOSE HINT COMMAND...: unless PATH is there
  [[ ! -e $1 ]] || return 0
  detach "${@:4}"
  step=$new
  while alive "$step"; do pause 0.1; done
  wait "$step" || fail "$2 could not be made: $3"
  step=
}

# Of what this script inherited, a unit gets its secrets: kept where they are, since all can read a command line.
begin() { # NUMBER, with `settings`, `private`, `kept`, `command`, `nice` and `cpus`
  local name by own=() drop=() before=()
  for name in ${private[@]+"${private[@]}"}; do
    is_among "$name" "${inherited[@]}" || say "${names[$1]} starts without $name: export it before you run this"
  done
  for name in ${kept[@]+"${kept[@]}"}; do # a secret that this unit alone has: NAME=VARIABLE
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
    # where the kernel groups processes by session, a group has a nice value of its own: sched(7)
    # shellcheck disable=SC2016
    [[ ! $setsid ]] || before+=(sh -c '{ echo "$0" >/proc/self/autogroup; } 2>/dev/null; exec "$@"' "$nice")
    if type -P nice >/dev/null; then
      before+=(nice -n "$nice")
    else
      say "${names[$1]} starts without its priority: nice is not there"
    fi
  fi
  if [[ $cpus ]]; then
    if taskset -c "$cpus" true 2>/dev/null; then
      before+=(taskset -c "$cpus")
    else
      say "${names[$1]} is not bound to CPUs $cpus: taskset is not there, or cannot do it"
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

# What was caught is heeded here, so that it comes between no start and its pid.
pause() { # SECONDS
  sleep "$1" || true
  heed
}

heed() { [[ ! $caught ]] || exit "$caught"; }

# Whether all that were started run still, or were jobs that have ended well. What is left of one that does not run is
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
    say "${names[n]} ${signal:-exited with code $code}; what it has logged stands above"
    end_rest "$n"
    all=1
  done
  return "$all"
}

ask() { # TIMEOUT BASE PATH OPTION...: by no proxy, and as no configuration of curl would have it
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

# Whether its program has taken the place of what sets it up; where that cannot be seen, it is given a second.
runs() { # NUMBER
  [[ ! $scratch ]] || ! grep -qsF -- "TMPDIR=$scratch/$1" "/proc/${pid[$1]}/environ" || return 0
  ((rounds[$1] > 5))
}

is_free() { # PORT HOST
  ! (exec 3<>"/dev/tcp/$2/$1") 2>/dev/null
}

# --- the start: a unit waits for others, has begun, has started, is ready; or has completed, if it is a job ---

met() { # NUMBER: whether the units that it needs are as far as it needs them
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

# It is asked every so many rounds, after a delay, and passes so often in a row. After so many tries it has failed for
# good; while others start, those of one that has started itself do not count, since it may need them.
passes() { # NUMBER
  local n=$1 delay=0 every=1 wanted=1 limit=1 within=0 asked=
  rounds[n]=$((rounds[n] + 1))
  if probe "$n"; then
    row[n]=$((row[n] + 1))
    ((row[n] < wanted)) || return 0
  elif [[ $asked ]]; then
    row[n]=0
    [[ ${state[n]} == started && " ${state[*]} " == *' begun '* ]] || tries[n]=$((tries[n] + 1))
    ((tries[n] < limit)) || fail "${names[n]} did not answer $asked within $within s; what it has logged stands above"
  fi
  return 1
}

# Whether it is its turn to be asked, which is noted in `asked`, and passes. Sets how it is asked.
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
