#!/bin/bash
# Debian's packages of any suite and architecture, unpacked into a folder. Nothing of the machine's own apt or dpkg state is
# changed: each fetch has a private state, so no `dpkg --add-architecture` is needed. The mirror is the one that the machine's
# own sources name. Sourced by test/guest/setup.sh; run by native/build.mjs and test/install:
#   debian.sh sysroot ARCH OUT                  glibc 2.31 and libstdc++ 10 to build against (Debian 11)
#   debian.sh root SUITE ARCH OUT PACKAGE...    the packages and what they need, as a root to chroot into
# ARCH is Debian's: amd64, arm64. $CACHE of who sources it, or .cache/debian, has the private states.
set -euo pipefail

if [ "${BASH_SOURCE[0]}" = "$0" ]; then CACHE=$(realpath "$(dirname "$0")/..")/.cache/debian; fi
say() { printf '[%3ds] %s\n' "$SECONDS" "$*" >&2; }

apt_base() { apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | awk -v r="$1" '$1==r && !u{u=$2} END{print u}'; }

apt_for() { # SUITE ARCH [nosec]: then $APT holds the options, and $ARCHIVES what `install --download-only` fetched
  local suite=$1 arch=$2 base sec='' st=$CACHE/apt/$1-$2
  mkdir -p "$st/lists/partial" "$st/cache/archives/partial"; : > "$st/status"
  base=$(apt_base bookworm)
  # a machine whose lists were never fetched names no targets
  [ -n "$base" ] || { apt-get -qq update; base=$(apt_base bookworm); }
  [ -n "$base" ] || { echo "debian.sh: this machine's apt sources name no bookworm" >&2; exit 1; }
  local key=/usr/share/keyrings/debian-archive-keyring.gpg
  echo "deb [arch=$arch signed-by=$key] $base $suite main" > "$st/s.list"
  [ "${3:-}" = nosec ] || case $suite in bookworm|bullseye|trixie)
    sec=$(apt_base bookworm-security)
    [ -n "$sec" ] && echo "deb [arch=$arch signed-by=$key] $sec $suite-security main" >> "$st/s.list";;
  esac
  APT=(-qq -o Dir::Etc::sourcelist="$st/s.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$st/lists"
       -o Dir::Cache="$st/cache" -o Dir::State::status="$st/status" -o APT::Architecture="$arch"
       -o APT::Architectures="$arch" -o APT::Install-Recommends=false -o APT::Sandbox::User=root
       -o Acquire::Languages=none -o Acquire::Retries=3)
  ARCHIVES=$st/cache/archives
  apt-get "${APT[@]}" update
}

# Without the security archive: Debian 11 is closed, so these are the same files each time.
sysroot() {
  local arch=$1 out=$2 tmp d l
  tmp=$(mktemp -d "$CACHE/tmp.XXXXXX"); mkdir "$tmp/s"
  apt_for bullseye "$arch" nosec
  ( cd "$tmp" && apt-get "${APT[@]}" download libc6-dev libc6 linux-libc-dev libcrypt-dev libstdc++-10-dev libgcc-10-dev libgcc-s1 libstdc++6 )
  for d in "$tmp"/*.deb; do dpkg -x "$d" "$tmp/s"; done
  # absolute links point out of the sysroot
  find "$tmp/s" -type l | while read -r l; do case $(readlink "$l") in /*) ln -sfr "$tmp/s$(readlink "$l")" "$l";; esac; done
  rm -rf "$out"; mkdir -p "$(dirname "$out")"; mv "$tmp/s" "$out"; rm -rf "$tmp"
  say "$(basename "$out"): $(du -sh "$out" | cut -f1)"
}

root() {
  local suite=$1 arch=$2 out=$3 tmp d; shift 3
  tmp=$(mktemp -d "$CACHE/tmp.XXXXXX")
  apt_for "$suite" "$arch" nosec
  rm -f "$ARCHIVES"/*.deb
  apt-get "${APT[@]}" -y --download-only install "$@" >/dev/null
  mkdir -p "$tmp/r/usr/"{bin,sbin,lib,lib64} "$tmp/r/"{proc,dev,tmp}
  for d in bin sbin lib lib64; do ln -s usr/$d "$tmp/r/$d"; done
  for d in "$ARCHIVES"/*.deb; do dpkg-deb --fsys-tarfile "$d" | tar -x --keep-directory-symlink -C "$tmp/r"; done
  rm -rf "$out"; mkdir -p "$(dirname "$out")"; mv "$tmp/r" "$out"; rm -rf "$tmp"
  say "$(basename "$out"): $(du -sh "$out" | cut -f1)"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  mkdir -p "$CACHE"
  case ${1:-} in
    sysroot|root) "$@";;
    *) echo "usage: debian.sh sysroot ARCH OUT | root SUITE ARCH OUT PACKAGE..." >&2; exit 2;;
  esac
fi
