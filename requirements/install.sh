#!/usr/bin/env bash
# Installs one thing into a virtual environment, which is made first if it does not exist:
#
#   requirements/install.sh VENV uv | dynkv | dev | docs | cpu | gpu | mocker
#
# `make` calls it and leaves VENV/.installed-WHAT behind. Packages come as wheels only, in the versions of the lists and
# without their own ideas of dependencies. PYTHON names the interpreter to make the environment with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv_version=$(sed -n 's/^uv==//p' requirements/uv.txt)
venv=$1
what=$2

say() { echo "$*" >&2; }

find_python() { # the first interpreter that works and for which the stack has wheels
  local candidates=(python3 python3.13 python3.12 python3.11) candidate
  if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  say "make: Python 3.11, 3.12 or 3.13 is needed (the stack has no wheels for others), and none of these is:" \
    "${candidates[*]}; name one: make PYTHON=/path/to/python3 …"
  return 1
}

make_venv() {
  local python
  python=$(find_python)
  if [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
    say "make: $venv is there, and is no virtual environment: it is left alone"
    return 1
  fi
  say "Making $venv with $("$python" --version)"
  if "$python" -m venv --clear "$venv" >/dev/null 2>&1; then return; fi
  # Debian without python3-venv: no ensurepip, but its pip, if it is there, can install from outside
  if "$python" -m venv --clear --without-pip "$venv" >/dev/null 2>&1 &&
    "$python" -m pip --python "$venv/bin/python" --version >/dev/null 2>&1; then
    "$python" -m pip --python "$venv/bin/python" install --quiet --disable-pip-version-check pip
    return
  fi
  rm -rf "$venv"
  say "make: '$python -m venv' does not work here; on Debian or Ubuntu: apt-get install python3-venv"
  return 1
}

get_uv() { # fails where uv has no wheel; pip does the work then
  if [ -e "$venv/.without-uv" ] && [ "$what" != uv ]; then return; fi
  if [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ]; then return; fi
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: "uv==$uv_version" \
    >/dev/null 2>&1
}

# Compiled at once: where PYTHONDONTWRITEBYTECODE is set, as in many images, every start would compile all it imports.
install() {
  if [ -x "$venv/bin/uv" ]; then
    "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --compile-bytecode "$@"
  else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$@"
  fi
}

install_list() {
  say "Installing $(grep -vc '^#' "requirements/$1.txt") packages of requirements/$1.txt into $venv"
  install --only-binary :all: --requirement "requirements/$1.txt"
}

case $what in
cpu | gpu | mocker)
  if [[ $what != mocker && $(realpath -m "$venv") == *[[:space:]]* ]]; then
    say "make: torch compiles code at run time, and cannot from a path with a space in it: $(realpath -m "$venv");" \
      "name another place: make VENV=/some/other/path …"
    exit 1
  fi
  for other in cpu gpu mocker; do
    if [ "$other" != "$what" ] && [ -e "$venv/.installed-$other" ]; then
      say "$venv has the $other stack, and two stacks never share an environment: making it anew"
      rm -rf "$venv"
    fi
  done
  ;;
esac

if ! "$venv/bin/python" -c '' 2>/dev/null; then make_venv; fi
if ! get_uv; then
  say "uv $uv_version cannot be had here$([ "$what" = uv ] || echo ": pip takes its place, and takes longer")"
  if [ "$what" = uv ]; then exit 1; fi
  touch "$venv/.without-uv"
fi

case $what in
uv) ;;
dynkv)
  install_list core
  install --editable .
  "$venv/bin/python" -m compileall -q dynkv
  ;;
*) install_list "$what" ;;
esac
