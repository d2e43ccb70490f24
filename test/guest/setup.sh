#!/bin/bash
# setup.sh - fetch and build everything boot.sh needs to boot a Debian
# kernel of a chosen architecture and age under qemu. Sources: apt-get and npm only.
#
#   ./setup.sh --host                        install the host tools (needs root)
#   ./setup.sh [--arch arm64|amd64] --kernel NAME     fetch one kernel
#   ./setup.sh [--arch arm64|amd64] --root [--node VERSION]   build the root image
#   ./setup.sh [--arch arm64|amd64] --root --tools            another, with a compiler and what else the whole suite runs
#
# NAME is SUITE[:FLAVOUR][@RELEASE]:
#   SUITE    bullseye (5.10)  bookworm (6.1)  bookworm-backports (6.12)  trixie-backports (newest)
#   FLAVOUR  generic (default; has 9p)  cloud (smaller download; no 9p, so only --image)
#   RELEASE  one that the suite still lists, as in trixie-backports@6.18.15+deb13
#
# Nothing of the host's own apt or dpkg state is changed, except by --host (.config/debian.sh).
# Cache: $HOLDFAST_GUEST_CACHE (default .cache/guest in the project); safe to keep or delete.
set -euo pipefail

CACHE=${HOLDFAST_GUEST_CACHE:-$(realpath "$(dirname "$0")/../..")/.cache/guest}
ARCH=arm64 NODE=20.20.2 KERNELS=() ROOT=0 HOST=0 IMAGE=root
# What the guest's root holds, beyond what these pull in by themselves.
ROOT_PACKAGES=${HOLDFAST_GUEST_PACKAGES:-"base-files bash dash coreutils findutils grep sed procps util-linux mount libc-bin libstdc++6 libgcc-s1 libseccomp2 iproute2 strace python3 git tar gzip xz-utils gawk patch diffutils cpio systemd"}
TOOL_PACKAGES="libpam-modules g++ gcc make libc6-dev binutils fakeroot tmux ncurses-base bsdutils bsdextrautils lsof gosu bubblewrap firejail lld"

while [ $# -gt 0 ]; do case $1 in
  --arch) ARCH=$2; shift 2;;
  --kernel) KERNELS+=("$2"); shift 2;;
  --node) NODE=$2; shift 2;;
  --root) ROOT=1; shift;;
  --tools) IMAGE=tools ROOT_PACKAGES="$ROOT_PACKAGES $TOOL_PACKAGES"; shift;;
  --host) HOST=1; shift;;
  *) echo "setup.sh: unknown argument $1" >&2; exit 2;;
esac; done
mkdir -p "$CACHE"

# shellcheck source=../../.config/debian.sh
. "$(dirname "$0")/../../.config/debian.sh"

host_tools() {
  local p=(qemu-system-arm qemu-system-x86 g++-aarch64-linux-gnu libc6-dev-arm64-cross cpio kmod e2fsprogs xz-utils zstd)
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -y -qq install --no-install-recommends "${p[@]}" >/dev/null
}

# --- one kernel: $CACHE/kernel/ARCH-NAME/{vmlinuz,config,release,modules/*.ko,order} --
kernel() {
  local name=$1 suite=${1%%[:@]*} flavour='' want='' deb tmp out more m
  case $name in *@*) want=${name#*@};; esac
  case ${name%%@*} in *:*) flavour=${name#*:}; flavour=${flavour%%@*}-;; esac
  [ "$flavour" != generic- ] || flavour=''
  out=$CACHE/kernel/$ARCH-$(printf %s "$name" | tr :@ --)
  local real how
  tmp=$(mktemp -d "$CACHE/tmp.XXXXXX")
  # A suite's security archive may list a kernel that the mirror no longer holds (seen
  # with bullseye): then the suite alone.
  for how in sec nosec; do
    if ! apt_for "$suite" "$ARCH" $how; then
      [ -s "$out/package" ] || exit 1
      say "kernel $(cat "$out/package") is cached, and nobody can be asked for a newer one"
      rm -rf "$tmp"; return
    fi
    if [ -n "$want" ]; then real=linux-image-$want-$flavour$ARCH
    else real=$(apt-cache "${APT[@]}" depends "linux-image-$flavour$ARCH" | awk '$1=="Depends:" && $2 ~ /^linux-image-/ && !n++{print $2}'); fi
    [ -n "$real" ] || { echo "setup.sh: no linux-image-$flavour$ARCH in $suite" >&2; exit 1; }
    if [ "$(cat "$out/package" 2>/dev/null)" = "$real" ]; then say "kernel $real is cached"; rm -rf "$tmp"; return; fi
    if ( cd "$tmp" && apt-get "${APT[@]}" download "$real" ); then break; fi
    [ $how = sec ] || exit 1
    say "$real is not to be had, trying $suite without its security archive"
  done
  mkdir "$tmp/x"
  # Newer Debian kernels split the package: image and modules may lie in ones it needs.
  for deb in "$tmp"/*.deb; do dpkg -x "$deb" "$tmp/x"; done
  more=$(apt-cache "${APT[@]}" depends "$real" | awk '$1=="Depends:" && $2 ~ /^linux-(binary|modules|base)-[0-9]/{print $2}')
  for m in $more; do
    ( cd "$tmp" && apt-get "${APT[@]}" download "$m" )
    dpkg -x "$tmp/$m"_*.deb "$tmp/x"
  done
  rm -rf "$out"; mkdir -p "$out/modules"
  # 7.3 keeps image and configuration beside the modules, those before in /boot.
  cp "$(find "$tmp/x" -type f \( -path '*/boot/vmlinuz-*' -o -path '*/modules/*/vmlinuz' \) -print -quit)" "$out/vmlinuz"
  cp "$(find "$tmp/x" -type f \( -path '*/boot/config-*' -o -path '*/modules/*/config' \) -print -quit)" "$out/config"
  local mods; mods=$(find "$tmp/x" -type d -path '*modules/*' -name kernel -print -quit)
  : > "$out/order"
  for m in virtio_pci virtio_mmio virtio_blk virtio_console virtio_rng crc32c_generic ext4 9pnet_virtio 9p overlay; do
    add_module "$mods" "$m" "$out"
  done
  echo "$real" > "$out/package"
  rm -rf "$tmp"
  say "kernel $real: $(du -sh "$out" | cut -f1), $(wc -l < "$out/order") modules"
}
add_module() { # dir name out: copy a module after what it needs; built-in or absent ones are skipped
  local f d re=${2//[-_]/[-_]}
  f=$(find "$1" -name "$re.ko*" -print -quit)
  [ -n "$f" ] || return 0
  grep -qx "$2.ko" "$3/order" && return 0
  for d in $(modinfo -F depends "$f" | tr , ' '); do add_module "$1" "$d" "$3"; done
  case $f in
    *.xz) xz -dc "$f";; *.zst) zstd -dcq "$f";; *.gz) gzip -dc "$f";; *) cat "$f";;
  esac > "$3/modules/$2.ko"
  echo "$2.ko" >> "$3/order"
}

# --- the root image: $CACHE/root-ARCH.ext4 (or tools-ARCH.ext4), and a static busybox --
root() {
  local tmp d npmarch=$ARCH key="$ROOT_PACKAGES node=$NODE v7"
  [ "$ARCH" = amd64 ] && npmarch=x64
  if [ -s "$CACHE/$IMAGE-$ARCH.ext4" ] && [ "$(cat "$CACHE/$IMAGE-$ARCH.key" 2>/dev/null)" = "$key" ]; then say "$IMAGE-$ARCH is cached"; return; fi
  tmp=$(mktemp -d "$CACHE/tmp.XXXXXX")
  apt_for bookworm "$ARCH"
  rm -f "$ARCHIVES"/*.deb
  # shellcheck disable=SC2086
  apt-get "${APT[@]}" -y --download-only install $ROOT_PACKAGES busybox-static >/dev/null
  say "$(ls "$ARCHIVES"/*.deb | wc -l) packages, $(du -ch "$ARCHIVES"/*.deb | tail -1 | cut -f1)"
  mkdir -p "$tmp/r/usr/"{bin,sbin,lib}
  for d in bin sbin lib; do ln -s usr/$d "$tmp/r/$d"; done   # merged /usr, as Debian 12 has it
  for d in "$ARCHIVES"/*.deb; do
    dpkg-deb --fsys-tarfile "$d" | tar -x --keep-directory-symlink -C "$tmp/r"
  done
  [ "$ARCH" = amd64 ] && { [ -e "$tmp/r/lib64" ] || ln -s usr/lib64 "$tmp/r/lib64"; }
  cp "$tmp/r/usr/bin/busybox" "$CACHE/busybox-$ARCH"
  ln -sf dash "$tmp/r/usr/bin/sh"
  rm -rf "$tmp"/r/usr/share/{doc,man,locale,info}
  ( cd "$tmp/r" && mkdir -p proc sys dev run tmp root mnt etc opt/node home && chmod 1777 tmp )
  printf 'root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\ntester:x:1000:1000:tester:/home:/bin/bash\n' > "$tmp/r/etc/passwd"
  printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\ntester:x:1000:\n' > "$tmp/r/etc/group"
  printf '127.0.0.1 localhost guest\n::1 localhost\n' > "$tmp/r/etc/hosts"
  echo guest > "$tmp/r/etc/hostname"
  printf 'root:!:19000::::::\n' > "$tmp/r/etc/shadow"; chmod 640 "$tmp/r/etc/shadow"
  ( cd "$tmp" && npm pack --silent "node-linux-$npmarch@$NODE" >/dev/null && tar xzf node-linux-*.tgz )
  cp -a "$tmp/package/bin" "$tmp/r/opt/node/"
  [ $IMAGE = root ] || tools_for "$tmp"
  rm -f "$CACHE/$IMAGE-$ARCH.ext4"
  # usr/share etc. are small: 160 MiB of head room for what a test writes to /
  local mb=$(( $(du -sm "$tmp/r" | cut -f1) + 160 ))
  mke2fs -q -t ext4 -O ^has_journal -m 0 -E root_owner=0:0 -d "$tmp/r" "$CACHE/$IMAGE-$ARCH.ext4" "${mb}M"
  rm -rf "$tmp"
  echo "$key" > "$CACHE/$IMAGE-$ARCH.key"
  say "$IMAGE-$ARCH.ext4: $(du -sh "$CACHE/$IMAGE-$ARCH.ext4" | cut -f1) on disk"
}

tools_for() { # Node where its container images have it, and what maintainer scripts make: su and runuser need PAM's
  local kind name r=$1/r
  local to=$r/usr/local
  mkdir -p "$to/bin"
  mv "$r/opt/node/bin/node" "$to/bin/node"
  for kind in auth account password session; do echo "$kind required pam_permit.so" > "$r/etc/pam.d/common-$kind"; done
  cp "$r/etc/pam.d/common-session" "$r/etc/pam.d/common-session-noninteractive"
  mkdir -p "$r/srv"; cp "$r/usr/share/base-files/profile" "$r/etc/profile"
  printf 'root:*::\n' > "$r/etc/gshadow"; chmod 640 "$r/etc/gshadow"
  ln -s gcc "$r/usr/bin/cc"; ln -s g++ "$r/usr/bin/c++"
  # its modules, as python3-minimal's script does: a python that finds them compiled tries to write nothing
  if [ -d "$r/usr/lib/python$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" ]; then
    # a link to a module in /etc would lead out of this root
    for name in "$r"/usr/lib/python3.*/*.py; do [ ! -L "$name" ] || { kind=$(readlink "$name"); rm "$name"; cp -p "$r$kind" "$name"; }; done
    /usr/bin/python3 -m compileall -q -s "$r" "$r"/usr/lib/python3.* > /dev/null || true # some are there to be wrong
  fi
  # node-linux-* has node alone; 10.8.2 is the npm of that Node
  ( cd "$1" && npm pack --silent npm@10.8.2 >/dev/null && mkdir -p npm "$to/lib/node_modules" && tar xzf npm-10.8.2.tgz -C npm )
  mv "$1/npm/package" "$to/lib/node_modules/npm"
  for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$to/bin/$name"; done
}

[ $HOST = 0 ] || { say "host tools"; host_tools; say "host tools done"; }
for k in ${KERNELS[@]+"${KERNELS[@]}"}; do kernel "$k"; done
[ $ROOT = 0 ] || root
