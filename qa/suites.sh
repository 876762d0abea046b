# What the runners of suites share: each suite is a program beside its runner, and prints
# lines of `name | target | measured', or counts what it tried in a last line of its own,
# `N passed, M failed'. Sourced by qa/*/run, in its folder, with its words:
#
#   . ../suites.sh
#   choose "storm killpoints" "$@"    these if no word names one; options are passed on
#   run_all                           the last line is `N passed, M failed'
#
# A suite that missed nothing but a time (exit code 3) is run again, twice at most, in its
# short form: CI's machines have neighbours. What went wrong in any other way is not. In
# the full form each counts at once, and its figures go into doc/reliability.md.

TRIES=3
suites=() options=()

choose() {
  local known=$1 word; shift
  for word; do
    case $word in
      -*) options+=("$word") ;;
      *) [ -x "./$word" ] || { echo "no suite $word" >&2; exit 2; }
         suites+=("$word") ;;
    esac
  done
  # shellcheck disable=SC2206
  [ ${#suites[@]} != 0 ] || suites=($known)
}

# Where root can have them: from_apt COMMAND=PACKAGE...
from_apt() {
  local pair packages=()
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 0
  for pair; do command -v "${pair%=*}" >/dev/null || packages+=("${pair#*=}"); done
  [ ${#packages[@]} = 0 ] && return
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq install -y "${packages[@]}"; } >/dev/null
}

is_full() { [[ " ${options[*]} " == *" --full "* ]]; }

# In Python, with the one that was chosen; else as its first line says.
start() {
  local first
  read -r first <"$1"
  case $first in
    *python*) "${PYTHON:-python3}" "$@" ;;
    *) "$@" ;;
  esac
}

run_suite() {
  local status try
  for ((try = 1; try <= TRIES; try++)); do
    start "./$1" "${options[@]}" | tee "$log"
    status=${PIPESTATUS[0]}
    if is_full && grep -q ' | .* | ' "$log"; then
      "${PYTHON:-python3}" ../faults/table ../../doc/reliability.md <"$log" || return 1
      return "$status"
    fi
    [ "$status" = 3 ] || return "$status"
    [ $try = $TRIES ] || echo "(only times were missed: once more)"
  done
  return "$status"
}

run_all() {
  local suite text begin status last passed=0 failed=0 left_out=()
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  for suite in "${suites[@]}"; do
    begin=$SECONDS
    run_suite "$suite"
    status=$? last=$(tail -n 1 "$log")
    if [ $status = 77 ]; then
      left_out+=("$last")
    elif [[ $last =~ ^([0-9]+)" passed, "([0-9]+)" failed"$ ]] &&
         [ $status = $((BASH_REMATCH[2] != 0)) ]; then
      passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
    elif [ $status = 0 ]; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1)); echo "FAILED: $suite (status $status)"
    fi
    echo "($suite took $((SECONDS - begin)) s)"
  done
  for text in "${left_out[@]}"; do echo "left out: ${text/: skipped:/:}"; done
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}
