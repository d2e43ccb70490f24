#!/bin/bash
# boot.sh [options] -- COMMAND [ARG...]
#
# Boots a Debian kernel under qemu with a directory of this machine shared at the same
# path, runs COMMAND in it as root from the current directory, passes its standard
# output and standard error through, and exits with its exit status (125: the guest
# itself failed; 124: --timeout ran out). setup.sh must have been run before.
#
#   --arch arm64|amd64     default arm64
#   --kernel NAME          default bookworm (see setup.sh)
#   --share DIR            the directory shared read-write over 9p (default: the current one)
#   --image DIR            instead of 9p: a throw-away ext4 copy of DIR, at the same path
#                          (faster to read; what the guest writes there is lost)
#   --mount FILE:PATH      an ext4 image of this machine mounted at PATH, throw-away (repeatable)
#   --out DIR              a directory of this machine for results, at /out (needs 9p)
#   --tools                the root image with a compiler (setup.sh --root --tools)
#   --env NAME=VALUE       (repeatable)
#   --timeout SECONDS      default 900
#   --mem MIB  --smp N     default 2048, 2
#   --poll                 with more than one CPU: let the guest's idle loop poll. A wake-up of a
#                          sleeping CPU costs milliseconds under emulation, so this is for tests
#                          with many ptrace stops; elsewhere it wastes the host's processor time
#   --cpu MODEL            see the comment where it is used
#   --accel tcg|kvm        default tcg
#   --cmdline WORDS        more kernel parameters
#   --log FILE             the guest kernel's console (default: thrown away unless boot fails)
#   --times                print boot, command and total time to standard error
set -euo pipefail

CACHE=${HOLDFAST_GUEST_CACHE:-$(realpath "$(dirname "$0")/../..")/.cache/guest}
ARCH=arm64 KERNEL=bookworm SHARE=$PWD IMAGE='' OUT='' LIMIT=900 MEM=2048 SMP=2 ACCEL=tcg CMDLINE='' LOG='' TIMES=0 CPU='' ROOT=root ENVS=() MOUNTS=() WANTPOLL=''
while [ $# -gt 0 ]; do case $1 in
  --arch) ARCH=$2; shift 2;;      --kernel) KERNEL=$2; shift 2;;
  --share) SHARE=$(realpath "$2"); shift 2;;  --image) IMAGE=$(realpath "$2"); shift 2;;
  --out) mkdir -p "$2"; OUT=$(realpath "$2"); shift 2;;
  --mount) MOUNTS+=("$2"); shift 2;;
  --env) ENVS+=("$2"); shift 2;;
  --timeout) LIMIT=$2; shift 2;;  --mem) MEM=$2; shift 2;;   --smp) SMP=$2; shift 2;;
  --accel) ACCEL=$2; shift 2;;    --cpu) CPU=$2; shift 2;;
  --cmdline) CMDLINE=$2; shift 2;; --log) LOG=$2; shift 2;;
  --tools) ROOT=tools; shift;;
  --times) TIMES=1; shift;;  --poll) WANTPOLL=1; shift;;
  --) shift; break;;
  *) echo "boot.sh: unknown argument $1" >&2; exit 2;;
esac; done
[ $# -gt 0 ] || { echo "boot.sh: no command" >&2; exit 2; }

K=$CACHE/kernel/$ARCH-$(printf %s "$KERNEL" | tr :@ --)
for f in "$K/vmlinuz" "$CACHE/$ROOT-$ARCH.ext4" "$CACHE/busybox-$ARCH"; do
  [ -s "$f" ] || { echo "boot.sh: $f is missing; run setup.sh" >&2; exit 125; }
done
W=$(mktemp -d); QPID=''
cleanup() { [ -z "$QPID" ] || kill "$QPID" 2>/dev/null || true; rm -rf "$W"; }
trap cleanup EXIT

# --- the initramfs: one part per kernel (cached), one part per run ------------------
initramfs_base() {
  local d=$W/base key; key=$(cat "$K/package")-$(md5sum < "$0" | cut -c1-8)
  [ "$(cat "$K/initramfs.key" 2>/dev/null)" = "$key" ] && return
  mkdir -p "$d"/{bin,dev,proc,sys,run,newroot,modules}
  cp "$CACHE/busybox-$ARCH" "$d/bin/busybox"
  cp "$K"/modules/*.ko "$d/modules/" 2>/dev/null || true
  cp "$K/order" "$d/modules/order"
  sed -n '/^#INIT1$/,/^#INIT2$/p' "$0" | sed 's/^#|//; /^#INIT/d' > "$d/init"
  sed -n '/^#INIT2$/,/^#INIT3$/p' "$0" | sed 's/^#|//; /^#INIT/d' > "$d/init2"
  chmod 755 "$d/init" "$d/init2"
  ( cd "$d" && find . | cpio -o -H newc -R 0:0 --quiet | gzip -1 ) > "$W/b.gz"
  local n=$(( $(stat -c %s "$W/b.gz") % 4 ))
  [ $n = 0 ] || head -c $((4-n)) /dev/zero >> "$W/b.gz"
  mv "$W/b.gz" "$K/initramfs.base"; echo "$key" > "$K/initramfs.key"; rm -rf "$d"
}
#INIT1
#|#!/bin/busybox sh
#|B=/bin/busybox
#|$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
#|while read -r m; do $B insmod /modules/$m || echo "init: $m failed" > /dev/console; done < /modules/order
#|. /run.conf
#|n=0; while [ ! -b /dev/vda ]; do n=$((n+1)); [ $n -lt 200 ] || { echo "init: no /dev/vda" > /dev/console; $B poweroff -f; }; $B usleep 20000; done
#|$B mount -t ext4 -o noatime /dev/vda /newroot || { echo "init: no root" > /dev/console; $B poweroff -f; }
#|for d in proc sys dev; do $B mount -o move /$d /newroot/$d; done
#|$B mount -t tmpfs -o mode=755 run /newroot/run; $B mount -t tmpfs -o mode=1777 tmp /newroot/tmp
#|$B cp /run.conf /cmd /init2 /bin/busybox /newroot/run/
#|exec $B switch_root /newroot /run/busybox sh /run/init2
#INIT2
#|B=/run/busybox
#|. /run/run.conf
#|mkdir -p /dev/pts /dev/shm; $B mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts; $B mount -t tmpfs -o mode=1777 shm /dev/shm
#|$B mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
#|$B ln -sf /proc/self/fd /dev/fd; $B ln -sf fd/0 /dev/stdin; $B ln -sf fd/1 /dev/stdout; $B ln -sf fd/2 /dev/stderr
#|$B ip link set lo up; $B hostname guest
#|port() { n=0; while :; do for p in /sys/class/virtio-ports/*; do [ "$($B cat $p/name 2>/dev/null)" = $1 ] && { echo /dev/${p##*/}; return; }; done; n=$((n+1)); [ $n -gt 200 ] && return; $B usleep 10000; done; }
#|O=$(port hf.out); E=$(port hf.err); S=$(port hf.status)
#|if [ -n "$SHARE" ]; then $B mkdir -p "$SHARE"; $B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=$CACHEMODE share "$SHARE" || FAIL="cannot mount $SHARE"; fi
#|if [ -n "$OUT" ]; then $B mkdir -p /out; $B mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /out || FAIL="cannot mount /out"; fi
#|if [ -n "$IMAGE" ]; then $B mkdir -p "$IMAGE"; $B mount -t ext4 -o noatime /dev/vdb "$IMAGE" || FAIL="cannot mount $IMAGE"; fi
#|for m in $MOUNTS; do d=${m%%:*}; t=${m#*:}; $B mkdir -p "$t"; $B mount -t ext4 -o noatime /dev/$d "$t" || FAIL="cannot mount $t"; done
#|if [ -n "$FAIL" ]; then echo "guest: $FAIL" > "$E"; echo 125 > "$S"; else
#|  echo "start $($B cut -d' ' -f1 /proc/uptime)" > "$S"
#|  ( exec $B setsid $B sh /run/cmd ) < /dev/null > "$O" 2> "$E"
#|  r=$?
#|  echo "end $($B cut -d' ' -f1 /proc/uptime)" > "$S"
#|  echo "exit $r" > "$S"
#|fi
#|$B sync
#|[ -n "$SHARE" ] && $B umount "$SHARE" 2>/dev/null
#|$B poweroff -f
#INIT3
initramfs_base
q() { printf "'%s'" "${1//\'/\'\\\'\'}"; }
mkdir "$W/run"
GM='' letter=b; [ -z "$IMAGE" ] || letter=c
for m in ${MOUNTS[@]+"${MOUNTS[@]}"}; do   # no white space in these paths
  GM="$GM vd$letter:${m#*:}"; letter=$(printf %s "$letter" | tr b-y c-z)
done
{ echo "MOUNTS=$(q "$GM")"; echo "SHARE=$([ -n "$IMAGE" ] || q "$SHARE")"; echo "IMAGE=$([ -z "$IMAGE" ] || q "$IMAGE")"; echo "OUT=$(q "$OUT")"; echo "CACHEMODE=${HOLDFAST_GUEST_9P_CACHE:-loose}"; } > "$W/run/run.conf"
{ echo "export PATH=/opt/node/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 CI=true NO_COLOR=1"
  for e in ${ENVS[@]+"${ENVS[@]}"}; do echo "export ${e%%=*}=$(q "${e#*=}")"; done
  echo "cd $(q "$PWD") 2>/dev/null || cd /"
  printf 'exec'; for a in "$@"; do printf ' %s' "$(q "$a")"; done; echo; } > "$W/run/cmd"
{ cat "$K/initramfs.base"; ( cd "$W/run" && find . -type f | cpio -o -H newc -R 0:0 --quiet ); } > "$W/initrd"

# --- the machine ---------------------------------------------------------------------
if [ "$ARCH" = arm64 ]; then
  # pauth-impdef: the architected PAC algorithm is very slow under emulation.
  # lpa2=off: kernels before 5.12 do not boot on a CPU that has it.
  Q=(qemu-system-aarch64 -M virt -cpu "${CPU:-max,pauth-impdef=on,lpa2=off,sve=off}"); CON=ttyAMA0 POLL=nohlt
else
  Q=(qemu-system-x86_64 -M q35 -cpu "${CPU:-$([ "$ACCEL" = kvm ] && echo host || echo max)}"); CON=ttyS0 POLL=idle=poll
fi
[ "$SMP" -gt 1 ] && [ -n "$WANTPOLL" ] || POLL=''
[ "$ACCEL" = tcg ] && ACCEL=tcg,thread=multi
mkfifo "$W/out" "$W/err" "$W/status"
LOGF=${LOG:-$W/console.log}
Q+=(-accel "$ACCEL" -smp "$SMP" -m "$MEM" -nodefaults -display none -no-reboot
  -kernel "$K/vmlinuz" -initrd "$W/initrd"
  -append "console=$CON loglevel=4 panic=-1 nokaslr mitigations=off audit=0 random.trust_cpu=on $POLL $CMDLINE"
  -serial "file:$LOGF" -monitor none
  -drive "file=$CACHE/$ROOT-$ARCH.ext4,if=none,id=d0,format=raw,snapshot=on,cache=unsafe" -device virtio-blk-pci,drive=d0
  -device virtio-rng-pci
  -device virtio-serial-pci
  -chardev "file,id=c0,path=$W/out"    -device virtserialport,chardev=c0,name=hf.out
  -chardev "file,id=c1,path=$W/err"    -device virtserialport,chardev=c1,name=hf.err
  -chardev "file,id=c2,path=$W/status" -device virtserialport,chardev=c2,name=hf.status)
if [ -n "$IMAGE" ]; then
  mb=$(( $(du -sm "$IMAGE" | cut -f1) * 5 / 4 + 128 ))
  mke2fs -q -t ext4 -O ^has_journal -m 0 -i 8192 -E root_owner=0:0 -d "$IMAGE" "$W/image.ext4" "${mb}M" >/dev/null
  Q+=(-drive "file=$W/image.ext4,if=none,id=d1,format=raw,cache=unsafe" -device virtio-blk-pci,drive=d1)
else
  Q+=(-virtfs "local,path=$SHARE,mount_tag=share,security_model=none,multidevs=remap")
fi
n=2; for m in ${MOUNTS[@]+"${MOUNTS[@]}"}; do
  Q+=(-drive "file=${m%%:*},if=none,id=d$n,format=raw,snapshot=on,cache=unsafe" -device "virtio-blk-pci,drive=d$n"); n=$((n+1))
done
[ -z "$OUT" ] || Q+=(-virtfs "local,path=$OUT,mount_tag=out,security_model=none,multidevs=remap")

now() { date +%s%N; }
cat "$W/out" & C1=$!
cat "$W/err" >&2 & C2=$!
cat "$W/status" > "$W/status.txt" & C3=$!
t0=$(now)
timeout --foreground "$LIMIT" "${Q[@]}" < /dev/null & QPID=$!
qrc=0; wait "$QPID" || qrc=$?
QPID=''
t1=$(now)
# The readers end when qemu has closed its ends; one that qemu never opened is woken here.
: <>"$W/out"; : <>"$W/err"; : <>"$W/status"
wait "$C1" "$C2" "$C3" || true
st=$(awk '/^exit/{print $2}' "$W/status.txt" | tr -dc 0-9)
if [ $TIMES = 1 ]; then
  awk -v total=$(( (t1-t0)/1000000 )) '/^start/{s=$2} /^end/{e=$2} END{printf "boot.sh: guest uptime at command start %.2f s, command %.2f s, qemu total %.2f s", s, e-s, total/1000}' "$W/status.txt" >&2
  times > "$W/times"; awk 'NR==2{print ", qemu CPU user " $1 " sys " $2}' "$W/times" >&2
fi
if [ "$qrc" = 124 ]; then echo "boot.sh: timed out after $LIMIT s" >&2; exit 124; fi
if [ -z "$st" ]; then echo "boot.sh: the guest did not run the command (qemu exit $qrc); console:" >&2; tail -n 40 "$LOGF" >&2; exit 125; fi
exit "$st"
