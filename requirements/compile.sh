#!/usr/bin/env bash
# Compiles requirements/*.txt from pyproject.toml: `make requirements`, or `make requirements UPGRADE=1` for new versions.
#
# The lists are for Linux on x86_64 with glibc 2.31 or later, from wheels only, and name versions only. They are compiled
# for Python 3.11; what 3.12 or 3.13 need beyond that is added with a marker. cpu.txt decides: core, dev, docs and mocker
# take its versions, and gpu takes them wherever vllm's CUDA build allows it. core is dynkv with the extra top. The wheel
# brings cpu, gpu, mocker and uv.txt along, for `dynkv stack install`. [tool.uv] override-dependencies of
# pyproject.toml apply to all.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=${UV:-uv}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

declare -A source=(
  [cpu]="pyproject.toml --extra cpu"
  [gpu]="pyproject.toml --extra gpu"
  [mocker]="pyproject.toml --extra mocker --constraint requirements/cpu.txt"
  [core]="pyproject.toml --extra top --constraint requirements/cpu.txt"
  [dev]="--group dev --constraint requirements/cpu.txt"
  [docs]="pyproject.toml --extra docs --constraint requirements/cpu.txt"
)

compile() { # compile PYTHON OUTPUT ARGUMENT...; the versions that OUTPUT already names are preferred
  local python=$1 output=$2
  shift 2
  "$uv" pip compile --quiet --no-header --no-annotate --only-binary :all: --python-version "$python" \
    --python-platform x86_64-manylinux_2_31 --output-file "$output" "$@" >/dev/null
}

pins() { # the lines `name==version` of FILE, without comments and markers
  sed -E '/^#/d; s/ *;.*//' "$1" | sort
}

for list in cpu gpu mocker core dev docs; do
  file=requirements/$list.txt
  own="$scratch/own"
  if [ -z "${UPGRADE:-}" ] && [ -f "$file" ]; then pins "$file" >"$own"; else : >"$own"; fi
  if [ "$list" = gpu ]; then
    awk -F== 'NR == FNR { cpu[$1]; print; next } !($1 in cpu)' <(pins requirements/cpu.txt) "$own" >"$scratch/preferred"
  else
    cp "$own" "$scratch/preferred"
  fi

  read -ra arguments <<<"${source[$list]}"
  cp "$scratch/preferred" "$scratch/all"
  compile 3.11 "$scratch/all" "${arguments[@]}"
  cp "$scratch/all" "$scratch/base"
  for python in 3.12 3.13; do
    cp "$scratch/preferred" "$scratch/newer"
    compile "$python" "$scratch/newer" "${arguments[@]}" --constraint "$scratch/base"
    comm -13 <(pins "$scratch/all") <(pins "$scratch/newer") | sed "s/\$/ ; python_version >= '$python'/" >"$scratch/more"
    cat "$scratch/more" >>"$scratch/all"
  done
  { echo "# Made by \`make requirements\` from pyproject.toml."; sort -t= -k1,1 "$scratch/all"; } >"$file"
  echo "$file: $(pins "$file" | wc -l) packages"
done
