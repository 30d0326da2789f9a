# shellcheck shell=bash
#
# Functions shared by the scripts of this folder. Source it; it runs nothing by itself.
#
# The commands of this project run in one of two ways:
#
#   system  the machine's own Elixir, Erlang/OTP, Rust and Python, when all are recent enough;
#   root    a Debian root file system made once per machine in a cache folder and entered with
#           bubblewrap, when they are not and the machine has apt-get.
#
# Variables a user may set:
#
#   ERLANG_PYTHON         the Python to embed (default: a virtual environment of $default_python)
#   ERLANG_PYTHON_CACHE   the cache folder (default: ~/.cache/erlang_python)
#   ERLANG_PYTHON_SUITE   the Debian suite of the root file system (default: forky, then sid); trixie has the oldest
#                         Elixir and Erlang/OTP that are tested, and none of the optional libraries
#   ERLANG_PYTHON_NO_HEX  1: never ask Hex, take compiled libraries from ERL_LIBS
#   ERLANG_PYTHON_BROWSER the Chromium or Chrome that tests the dashboard (default: the first one found)

minimum_elixir=1.17
minimum_otp=26
minimum_rust=1.91
default_python=3.14
known_pythons=(3.11 3.12 3.13 3.14 3.15)
root_pythons=(3.13 3.14 3.15)
suites=("${ERLANG_PYTHON_SUITE:-forky}")
case ${suites[0]} in
  forky) suites+=(sid) ;;
  trixie) default_python=3.13 known_pythons=(3.13) root_pythons=(3.13) ;;
esac

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${ERLANG_PYTHON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/erlang_python}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
rustup_home=${RUSTUP_HOME:-$HOME/.rustup}
pyenv_versions=${PYENV_ROOT:-$HOME/.pyenv}/versions

# --- Saying what happens ----------------------------------------------------------------------

say() { printf '==> %s\n' "$*" >&2; }

fail() {
  printf '==> %s\n' "$*" >&2
  exit 1
}

# step TEXT COMMAND…: one line with the time taken; the command's output only when it fails.
step() {
  local text=$1 log status=0 started=$SECONDS
  shift
  log=$(mktemp)
  printf '==> %s' "$text" >&2
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if ((status == 0)); then
    printf ' (%d s)\n' "$((SECONDS - started))" >&2
  else
    printf ' FAILED after %d s\n' "$((SECONDS - started))" >&2
    tail -n 30 "$log" | cut -c1-400 >&2
  fi
  rm -f "$log"
  return "$status"
}

# --- Small tools ------------------------------------------------------------------------------

hash_of() { printf '%s\n' "$@" | git hash-object --stdin | cut -c1-12; }

# version_at_least HAVE WANT
version_at_least() {
  [[ -n $1 && $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# locked COMMAND…: one checkout at a time changes the cache folder.
locked() {
  mkdir -p "$cache"
  if command -v flock >/dev/null; then
    (
      flock 9
      "$@" 9>&-
    ) 9>"$cache/lock"
  else
    "$@"
  fi
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# --- The machine's own tools ------------------------------------------------------------------

elixir_is_recent() {
  local text otp elixir
  command -v elixir >/dev/null || return 1
  text=$(elixir --version 2>/dev/null </dev/null) || return 1
  otp=$(sed -n 's/^Erlang\/OTP \([0-9]*\).*/\1/p' <<<"$text")
  elixir=$(sed -n 's/^Elixir \([0-9.]*\).*/\1/p' <<<"$text")
  version_at_least "$otp" "$minimum_otp" && version_at_least "$elixir" "$minimum_elixir"
}

# rust_is_recent [FOLDER/]: of the PATH, or of one folder.
rust_is_recent() {
  local folder=${1:-} version
  command -v "${folder}cargo" >/dev/null || return 1
  version=$("${folder}rustc" --version 2>/dev/null </dev/null | cut -d' ' -f2) || return 1
  version_at_least "$version" "$minimum_rust"
}

# A Python can be embedded when its libpython is a shared library.
python_is_usable() {
  "$1" - >/dev/null 2>&1 <<'PYTHON'
import os, sys, sysconfig
var = sysconfig.get_config_var
names = [var("LDLIBRARY"), var("INSTSONAME")]
paths = [os.path.join(var("LIBDIR") or "", name) for name in names if name]
shared = var("Py_ENABLE_SHARED") and any(map(os.path.exists, paths))
sys.exit(not (sys.version_info >= (3, 11) and (shared or var("PYTHONFRAMEWORK"))))
PYTHON
}

# The newest Python of that version under pyenv that can be embedded, if there is one.
pyenv_python() {
  local folder
  for folder in $(printf '%s\n' "$pyenv_versions/$1".* | sort -rV); do
    if [[ -x $folder/bin/python$1 ]] && python_is_usable "$folder/bin/python$1"; then
      echo "$folder/bin/python$1"
      return 0
    fi
  done
  return 1
}

# The Python of that version that is installed here, which can be embedded.
system_python() {
  local python
  # pyenv's own command of that name finds nothing unless that version is chosen.
  for python in $(type -aP "python$1"); do
    if [[ $python != */shims/* ]] && python_is_usable "$python"; then
      echo "$python"
      return 0
    fi
  done
  pyenv_python "$1"
}

# The versions of the machine's Pythons that can be embedded, one a line.
system_pythons() {
  local version
  for version in "${known_pythons[@]}"; do
    if system_python "$version" >/dev/null; then echo "$version"; fi
  done
}

system_is_ready() {
  elixir_is_recent && rust_is_recent && [[ -n $(system_pythons) ]]
}

report_missing() {
  say "This machine's tools do not build erlang_python, and it has no apt-get to make them from."
  elixir_is_recent || say "missing: Elixir >= $minimum_elixir on Erlang/OTP >= $minimum_otp" \
    "(brew install elixir, dnf install elixir, or mise use -g erlang@29 elixir@1.20)"
  rust_is_recent || say "missing: Rust >= $minimum_rust (rustup update stable; see rustup.rs)"
  [[ -n $(system_pythons) ]] || say "missing: Python >= 3.11 with a shared libpython" \
    "(brew install python@3.14, dnf install python3.14-devel, or" \
    "PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.14)"
  exit 1
}

# --- The root file system ---------------------------------------------------------------------

host_rust_is_usable() { rust_is_recent "$cargo_home/bin/"; }

root_packages() {
  local version
  if [[ ${suites[0]} == trixie ]]; then
    echo elixir erlang-common-test erlang-dev erlang-eunit erlang-inets erlang-parsetools erlang-proper \
      erlang-ssl erlang-tools erlang-xmerl ca-certificates curl g++ gcc git make pkgconf procps
  else
    echo elixir elixir-ex-doc erlang-common-test erlang-dev erlang-dialyzer erlang-eunit \
      erlang-hex erlang-inets erlang-parsetools erlang-proper erlang-ssl erlang-tools \
      erlang-xmerl rebar3 ca-certificates curl g++ gcc git make pkgconf procps \
      libpython3.14-testsuite chromium-headless-shell fonts-liberation shellcheck valgrind
  fi
  for version in "${root_pythons[@]}"; do echo "python$version-dev" "python$version-venv"; done
  host_rust_is_usable || echo cargo rust-clippy rustc rustfmt
}

root_folder() { echo "$cache/root-$(hash_of "$1" "$(uname -m)" "$(root_packages)")"; }

# Sets $root to a complete root file system of the wanted suite or of the one to fall back on.
find_root() {
  local suite
  for suite in "${suites[@]}"; do
    root=$(root_folder "$suite")
    if [[ -d $root ]]; then return 0; fi
  done
  return 1
}

install_root_tools() {
  local missing=()
  command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
  command -v bwrap >/dev/null || missing+=(bubblewrap)
  ((EUID == 0)) || command -v newuidmap >/dev/null || missing+=(uidmap)
  ((${#missing[@]})) || return 0
  step "installing ${missing[*]}" install_packages "${missing[@]}"
}

install_packages() {
  as_root apt-get update &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

# The mirror the machine itself installs from: the first source with its codename and "main".
machine_mirror() {
  local codename mirrors
  codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  mirrors=$(apt_files sources | deb822_mirrors "$codename")
  [[ -n $mirrors ]] || mirrors=$(apt_files list | one_line_mirrors "$codename")
  head -n 1 <<<"$mirrors"
}

# apt_files EXTENSION: what is in them, with an empty line after each.
apt_files() {
  local file
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*."$1"; do
    if [[ $file == *."$1" && -f $file ]]; then cat "$file" && echo; fi
  done
}

deb822_mirrors() {
  awk -v codename="$1" '
    function flush() { if (uri && suite && main) print uri; uri = ""; suite = 0; main = 0 }
    function has(word,  i) { for (i = 2; i <= NF; i++) if ($i == word) return 1; return 0 }
    /^[ \t]*$/ { flush() }
    /^URIs:/ { uri = $2 }
    /^Suites:/ { suite = has(codename) }
    /^Components:/ { main = has("main") }
    END { flush() }'
}

one_line_mirrors() {
  awk -v codename="$1" '
    $1 == "deb" { sub(/\[[^]]*\]/, ""); if ($3 == codename && $4 == "main") print $2 }'
}

# Check-Valid-Until: a mirror's testing suite can carry an expired Release file.
make_root_of() {
  local suite=$1 mirror=$2 final temporary
  final=$(root_folder "$suite")
  temporary=$final.making
  if [[ -e $temporary ]]; then as_root rm -rf "$temporary"; fi
  # shellcheck disable=SC2016 # mmdebstrap expands the hook
  mmdebstrap --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
    --include="$(root_packages | tr -s ' \n' ',,' | sed 's/,$//')" \
    --customize-hook='touch "$1/etc/pip.conf" "$1/etc/resolv.conf"' \
    "$suite" "$temporary" "$mirror" &&
    mv "$temporary" "$final"
}

make_root() {
  local suite mirror
  if find_root; then return 0; fi
  install_root_tools
  mirror=$(machine_mirror)
  [[ -n $mirror ]] || fail "no package mirror found in this machine's apt sources"
  for suite in "${suites[@]}"; do
    if step "making the root file system ($suite)" make_root_of "$suite" "$mirror"; then
      return 0
    fi
  done
  fail "neither suite could be installed from $mirror"
}

# Sets $bwrap: how a command runs inside $root. Nothing of $root can be written, everything else
# that is not bound here is in memory and gone afterwards.
set_bwrap() {
  local entry name link folder=$checkout
  bwrap=(bwrap --die-with-parent)
  for entry in "$root"/*; do
    name=/$(basename "$entry")
    case $name in /dev | /proc | /sys | /tmp | /run | /var | /opt | /srv | /home | /root | /mnt | /media | /boot) continue ;; esac
    if [[ -L $entry ]]; then
      link=$(readlink "$entry")
      bwrap+=(--symlink "$link" "$name")
    else
      bwrap+=(--ro-bind "$entry" "$name")
    fi
  done
  bwrap+=(--dev /dev --proc /proc --ro-bind-try /sys /sys --tmpfs /tmp --dir /run --dir /var/tmp --dir "$HOME")
  bwrap+=(--ro-bind-try /etc/resolv.conf /etc/resolv.conf --ro-bind-try /etc/hosts /etc/hosts)
  bwrap+=(--ro-bind-try /etc/pip.conf /etc/pip.conf)
  bwrap+=(--ro-bind-try "$pyenv_versions" "$pyenv_versions")
  bwrap+=(--bind-try "$cargo_home" "$cargo_home" --bind-try "$rustup_home" "$rustup_home")
  bwrap+=(--bind "$cache" "$cache" --bind "$checkout" "$checkout")
  if [[ -d ${PIP_FIND_LINKS:-} ]]; then bwrap+=(--ro-bind "$PIP_FIND_LINKS" "$PIP_FIND_LINKS"); fi
  bind_certificates
  if [[ $PWD/ == "$checkout"/* ]]; then folder=$PWD; fi
  bwrap+=(--chdir "$folder")
}

# The machine's certificates, a company's own among them, count inside as well.
bind_certificates() {
  local bundle inside=/etc/ssl/certs/ca-certificates.crt name
  for bundle in "${SSL_CERT_FILE:-}" "$inside" /etc/pki/tls/certs/ca-bundle.crt; do
    if [[ -f $bundle ]]; then break; fi
  done
  [[ -f $bundle ]] || return 0
  bwrap+=(--ro-bind "$bundle" "$inside")
  for name in SSL_CERT_FILE NIX_SSL_CERT_FILE PIP_CERT CURL_CA_BUNDLE REQUESTS_CA_BUNDLE \
    GIT_SSL_CAINFO HEX_CACERTS_PATH CARGO_HTTP_CAINFO; do
    bwrap+=(--setenv "$name" "$inside")
  done
}

set_root_environment() {
  local path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  if host_rust_is_usable; then path=$cargo_home/bin:$path; fi
  # Not the machine's Pythons and libraries: they are not there.
  unset VIRTUAL_ENV PYENV_ROOT PYENV_VERSION PYTHONHOME PYTHONPATH ERL_LIBS
  export PATH_INSIDE=$path
  export LANG=C.UTF-8 TMPDIR=/tmp
  export MIX_HOME=$cache/mix HEX_HOME=$cache/hex REBAR_CACHE_DIR=$cache/rebar3
  mkdir -p "$MIX_HOME" "$HEX_HOME" "$REBAR_CACHE_DIR"
}

# --- Running a command ------------------------------------------------------------------------

# inside COMMAND…: run it with the tools that were found.
inside() {
  case $mode in
    system) "$@" ;;
    root) "${bwrap[@]}" --setenv PATH "$PATH_INSIDE" -- "$@" ;;
  esac
}

# exec_inside COMMAND…: as `inside`, in place of this shell. bubblewrap itself must survive
# Ctrl-C, the command gets the default back (the Erlang shell then sets its own handler).
exec_inside() {
  case $mode in
    system) exec "$@" ;;
    root)
      trap '' INT
      exec "${bwrap[@]}" --setenv PATH "$PATH_INSIDE" -- env --default-signal=INT "$@"
      ;;
  esac
}

# --- Hex and the compiled libraries -----------------------------------------------------------

# Succeeds if Hex answers, which is asked once a day. `mix local.hex` knows its hosts.
hex_answers() {
  local answer
  answer=$cache/hex-answers-$(date +%Y%m%d)
  if [[ ! -f $answer ]]; then
    rm -f "$cache"/hex-answers-*
    if probe_hex >/dev/null 2>&1 </dev/null; then echo yes; else echo no; fi >"$answer"
    say "Hex answers: $(<"$answer")"
  fi
  [[ $(<"$answer") == yes ]]
}

probe_hex() {
  local folder status=0
  folder=$(mktemp -d "$cache/probe-XXXXXX")
  # shellcheck disable=SC2016 # expanded by the inner shell
  inside sh -c 'cd "$1" && mix local.hex --force --if-missing && mix hex.package fetch telemetry 1.3.0' \
    sh "$folder" &
  wait_at_most 8 $! || status=1
  rm -rf "$folder"
  return "$status"
}

# wait_at_most SECONDS PID: the process's exit status, or 1 when it had to be ended.
wait_at_most() {
  local deadline=$((SECONDS + $1)) pid=$2
  while kill -0 "$pid" 2>/dev/null; do
    if ((SECONDS >= deadline)); then
      kill "$pid" 2>/dev/null
      return 1
    fi
    sleep 0.1
  done
  wait "$pid"
}

# Debian has no packages of Phoenix, but one that ships it compiled for the same OTP and Elixir.
libraries_package=sonic-pi-server

libraries_folder() { echo "$cache/libraries-$(basename "$root")"; }

make_libraries() {
  local final temporary
  final=$(libraries_folder)
  if [[ -d $final ]]; then return 0; fi
  temporary=$final.making
  rm -rf "$temporary"
  mkdir "$temporary"
  if [[ ${suites[0]} == trixie ]]; then
    step "rewriting telemetry for an older Erlang/OTP" older_telemetry "$temporary"
  else
    step "unpacking compiled Elixir libraries ($libraries_package)" unpack_libraries "$temporary"
  fi && mv "$temporary" "$final"
}

# Debian's stable suite has none of the libraries. telemetry, the only one that must be there, is taken from the default
# root file system, which must have been made, and rewritten for the older Erlang/OTP.
older_telemetry() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  in_default_root bash -euc '
    from=$(echo "$ERL_LIBS"/telemetry-[0-9]*/ebin)
    mkdir -p "$1/telemetry-0/ebin"
    cp "$from/telemetry.app" "$1/telemetry-0/ebin/"
    escript script/older_beam.escript "$from" "$1/telemetry-0/ebin"' bash "$1"
}

# in_default_root COMMAND…: what the scripts use where nobody asks for another suite.
in_default_root() {
  env -u ERLANG_PYTHON_SUITE -u ERLANG_PYTHON_INSIDE -u ERLANG_PYTHON -u ERL_LIBS "$checkout/script/exec" "$@"
}

unpack_libraries() {
  # shellcheck disable=SC2016 # expanded by the inner shell
  inside bash -euc '
    mkdir -p /tmp/apt/{lists,cache,log,unpacked}
    cd /tmp/apt
    options="-o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false
      -o Dir::State=/tmp/apt -o Dir::State::status=$3/var/lib/dpkg/status
      -o Dir::Cache=/tmp/apt/cache -o Dir::Log=/tmp/apt/log"
    apt-get $options update
    apt-get $options download "$2"
    dpkg -x "$2"_*.deb unpacked
    lib=$(dirname "$(find unpacked -type d -name "telemetry-*" -path "*/lib/*" | head -n 1)")
    for folder in "$lib"/*/ebin; do
      library=$(basename "$(dirname "$folder")")
      case ${library%-*} in
        tau | elixir | eex | ex_unit | iex | logger | mix) continue ;;
      esac
      ls /usr/lib/erlang/lib | grep -q "^${library%-*}-" && continue
      cp -r "$lib/$library" "$1/"
    done' bash "$1" "$libraries_package" "$root"
}

# --- Pythons and their virtual environments ---------------------------------------------------

# The versions of Python that the tests run with, one a line.
pythons() {
  local version
  for version in "${known_pythons[@]}"; do
    if base_python "$version" >/dev/null; then echo "$version"; fi
  done
}

# The known versions that are not on this machine, one a line.
missing_pythons() { comm -23 <(printf '%s\n' "${known_pythons[@]}" | sort) <(pythons | sort); }

# The executable that the virtual environment of a version is made from.
base_python() {
  if [[ $mode == system ]]; then
    system_python "$1"
  elif [[ " ${root_pythons[*]} " == *" $1 "* ]]; then
    echo "/usr/bin/python$1"
  else
    pyenv_python "$1"
  fi
}

python_packages() {
  case $1 in
    "$default_python") echo numpy scikit-learn mypy ;;
    *) echo numpy ;;
  esac
}

venv_folder() {
  local of
  of=$(base_python "$1")
  if [[ $mode == root && $of == /usr/bin/* ]]; then of=$root; fi
  # shellcheck disable=SC2046 # one word a package
  echo "$cache/venv-$1-$(hash_of "$of" $(python_packages "$1"))"
}

# The executable to embed for one version: its virtual environment's.
python_of() {
  local folder
  folder=$(venv_folder "$1")
  if [[ -f $folder/.complete ]]; then echo "$folder/bin/python"; else base_python "$1"; fi
}

make_venvs() {
  local version folder package
  for version in $(pythons); do
    folder=$(venv_folder "$version")
    if [[ -f $folder/.complete ]]; then continue; fi
    step "making the virtual environment of Python $version" make_venv "$version" "$folder" ||
      fail "Python $version could not make a virtual environment"
    # One by one, so that a missing one leaves the others.
    for package in $(python_packages "$version"); do
      step "installing $package for Python $version" \
        inside "$folder/bin/python" -m pip install --no-cache-dir --only-binary :all: "$package" ||
        say "note: Python $version goes on without $package, the tests that need it are skipped"
    done
    : >"$folder/.complete"
  done
}

make_venv() {
  rm -rf "$2"
  inside "$(base_python "$1")" -m venv "$2"
}

venvs_are_complete() {
  local version
  for version in $(pythons); do
    [[ -f $(venv_folder "$version")/.complete ]] || return 1
  done
}

# --- All together -----------------------------------------------------------------------------

# Finds or makes everything a command needs, and sets $mode. Takes well under a second once made.
ensure_toolchain() {
  mkdir -p "$cache"
  if [[ -n ${ERLANG_PYTHON_INSIDE:-} ]] || system_is_ready; then
    mode=system
  elif command -v apt-get >/dev/null; then
    mode=root
    find_root || locked make_root
    find_root
    set_root_environment
    set_bwrap
  else
    report_missing
  fi
  if [[ -n ${ERLANG_PYTHON_INSIDE:-} ]]; then return 0; fi
  ensure_libraries
  venvs_are_complete || locked make_venvs
  choose_python
  export ERLANG_PYTHON_INSIDE=$mode
}

ensure_libraries() {
  if [[ -z ${ERLANG_PYTHON_NO_HEX:-} ]] && hex_answers; then
    if [[ ! -d $checkout/deps ]]; then (cd "$checkout" && step "mix deps.get" inside mix deps.get); fi
    return 0
  fi
  export ERLANG_PYTHON_NO_HEX=1
  if [[ $mode == root ]]; then
    if [[ ! -d $(libraries_folder) ]]; then
      # Not under the lock, which making that root takes.
      if [[ ${suites[0]} == trixie ]]; then in_default_root true; fi
      locked make_libraries
    fi
    ERL_LIBS=$(libraries_folder)
    export ERL_LIBS
  fi
}

choose_python() {
  local version
  if [[ -z ${ERLANG_PYTHON:-} ]]; then
    version=$(pythons | grep -Fx "$default_python" || pythons | tail -n 1)
    ERLANG_PYTHON=$(python_of "$version")
  fi
  export ERLANG_PYTHON
}
