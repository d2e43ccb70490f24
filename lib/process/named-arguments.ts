// What the arguments of a refused call mean, by the kernel's own names: a violation says which ioctl, which family of
// sockets, which option it was. Numbers that have no name here stay numbers.

/** By the names that the call's manual page has for them. */
export type NamedArguments = Readonly<Record<string, string | number>>;

type Names = Readonly<Record<number, string>>;

/** Written as in the kernel's headers: `number=NAME`. */
function named(text: string): Names {
  return Object.fromEntries([...text.matchAll(/(\w+)=(\w+)/g)].map(([, value, name]) => [Number(value), name ?? '']));
}

/** include/linux/socket.h */
const families: Names = named(`
  0=AF_UNSPEC 1=AF_UNIX 2=AF_INET 3=AF_AX25 4=AF_IPX 5=AF_APPLETALK 9=AF_X25 10=AF_INET6 15=AF_KEY
  16=AF_NETLINK 17=AF_PACKET 21=AF_RDS 24=AF_PPPOX 26=AF_LLC 29=AF_CAN 30=AF_TIPC 31=AF_BLUETOOTH
  33=AF_RXRPC 38=AF_ALG 39=AF_NFC 40=AF_VSOCK 41=AF_KCM 42=AF_QIPCRTR 43=AF_SMC 44=AF_XDP 45=AF_MCTP`);
const socketTypes: Names = named(`
  1=SOCK_STREAM 2=SOCK_DGRAM 3=SOCK_RAW 4=SOCK_RDM 5=SOCK_SEQPACKET 6=SOCK_DCCP 10=SOCK_PACKET`);
/** asm-generic/ioctls.h, linux/sockios.h, linux/fs.h */
const ioctls: Names = named(`
  0x5401=TCGETS 0x5402=TCSETS 0x5403=TCSETSW 0x5404=TCSETSF 0x540e=TIOCSCTTY 0x540f=TIOCGPGRP
  0x5410=TIOCSPGRP 0x5412=TIOCSTI 0x5413=TIOCGWINSZ 0x5414=TIOCSWINSZ 0x541c=TIOCLINUX 0x541d=TIOCCONS
  0x5420=TIOCPKT 0x5421=FIONBIO 0x5422=TIOCNOTTY 0x5423=TIOCSETD 0x541b=FIONREAD 0x5424=TIOCGETD
  0x5441=TIOCGPTPEER 0x5450=FIONCLEX 0x5451=FIOCLEX 0x5452=FIOASYNC 0x8901=FIOSETOWN 0x8902=SIOCSPGRP
  0x890b=SIOCADDRT 0x890c=SIOCDELRT 0x8912=SIOCGIFCONF 0x8913=SIOCGIFFLAGS 0x8914=SIOCSIFFLAGS
  0x8915=SIOCGIFADDR 0x8916=SIOCSIFADDR 0x8927=SIOCGIFHWADDR 0x8946=SIOCETHTOOL 0x40049409=FICLONE
  0x4020940d=FICLONERANGE 0x40086602=FS_IOC_SETFLAGS 0x80086601=FS_IOC_GETFLAGS 0x400454ca=TUNSETIFF`);
/** linux/prctl.h */
const prctls: Names = named(`
  1=PR_SET_PDEATHSIG 3=PR_GET_DUMPABLE 4=PR_SET_DUMPABLE 8=PR_SET_KEEPCAPS 15=PR_SET_NAME 22=PR_SET_SECCOMP
  24=PR_CAPBSET_DROP 26=PR_SET_TSC 28=PR_SET_SECUREBITS 29=PR_SET_TIMERSLACK 31=PR_TASK_PERF_EVENTS_DISABLE
  32=PR_TASK_PERF_EVENTS_ENABLE 33=PR_MCE_KILL 35=PR_SET_MM 36=PR_SET_CHILD_SUBREAPER 38=PR_SET_NO_NEW_PRIVS
  41=PR_SET_THP_DISABLE 47=PR_CAP_AMBIENT 53=PR_SET_SPECULATION_CTRL 55=PR_PAC_SET_ENABLED_KEYS
  57=PR_SET_IO_FLUSHER 59=PR_SET_SYSCALL_USER_DISPATCH 62=PR_SCHED_CORE 65=PR_SET_MDWE
  67=PR_SET_MEMORY_MERGE 0x53564d41=PR_SET_VMA 0x59616d61=PR_SET_PTRACER`);
/** asm-generic/fcntl.h, linux/fcntl.h */
const fcntls: Names = named(`
  4=F_SETFL 8=F_SETOWN 10=F_SETSIG 15=F_SETOWN_EX 1024=F_SETLEASE 1026=F_NOTIFY 1031=F_SETPIPE_SZ
  1033=F_ADD_SEALS`);
const levels: Names = named(`
  0=IPPROTO_IP 1=SOL_SOCKET 6=IPPROTO_TCP 17=IPPROTO_UDP 41=IPPROTO_IPV6 255=IPPROTO_RAW 263=SOL_PACKET
  270=SOL_NETLINK 282=SOL_TLS 283=SOL_XDP`);
/** By level: asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h */
const socketOptions: Readonly<Record<number, Names>> = {
  0: named(`
  2=IP_TTL 4=IP_OPTIONS 19=IP_TRANSPARENT 15=IP_FREEBIND 35=IP_ADD_MEMBERSHIP 36=IP_DROP_MEMBERSHIP
  39=IP_ADD_SOURCE_MEMBERSHIP 41=IP_MSFILTER 42=MCAST_JOIN_GROUP 46=MCAST_JOIN_SOURCE_GROUP
  48=MCAST_MSFILTER 51=IP_LOCAL_PORT_RANGE 64=IPT_SO_SET_REPLACE`),
  1: named(`
  1=SO_DEBUG 16=SO_PASSCRED 25=SO_BINDTODEVICE 26=SO_ATTACH_FILTER 34=SO_PASSSEC 36=SO_MARK
  49=SO_ATTACH_REUSEPORT_CBPF 50=SO_ATTACH_BPF 52=SO_ATTACH_REUSEPORT_EBPF 62=SO_BINDTOIFINDEX`),
  6: named(`
  13=TCP_CONGESTION 19=TCP_REPAIR 30=TCP_FASTOPEN_CONNECT 31=TCP_ULP`),
  17: named(`
  100=UDP_ENCAP`),
  41: named(`
  20=IPV6_JOIN_GROUP 42=MCAST_JOIN_GROUP 46=MCAST_JOIN_SOURCE_GROUP 48=MCAST_MSFILTER 54=IPV6_HOPOPTS
  57=IPV6_RTHDR 59=IPV6_DSTOPTS 75=IPV6_TRANSPARENT`),
};
/** linux/sched.h */
const cloneFlags: Names = named(`
  0x80=CLONE_NEWTIME 0x100=CLONE_VM 0x200=CLONE_FS 0x400=CLONE_FILES 0x800=CLONE_SIGHAND 0x1000=CLONE_PIDFD
  0x2000=CLONE_PTRACE 0x4000=CLONE_VFORK 0x8000=CLONE_PARENT 0x10000=CLONE_THREAD 0x20000=CLONE_NEWNS
  0x40000=CLONE_SYSVSEM 0x80000=CLONE_SETTLS 0x100000=CLONE_PARENT_SETTID 0x200000=CLONE_CHILD_CLEARTID
  0x400000=CLONE_DETACHED 0x800000=CLONE_UNTRACED 0x1000000=CLONE_CHILD_SETTID 0x2000000=CLONE_NEWCGROUP
  0x4000000=CLONE_NEWUTS 0x8000000=CLONE_NEWIPC 0x10000000=CLONE_NEWUSER 0x20000000=CLONE_NEWPID
  0x40000000=CLONE_NEWNET`);
const protections: Names = named(`
  1=PROT_READ 2=PROT_WRITE 4=PROT_EXEC`);
/** asm-generic/mman-common.h */
const mapFlags: Names = named(`
  1=MAP_SHARED 2=MAP_PRIVATE 0x10=MAP_FIXED 0x20=MAP_ANONYMOUS 0x100=MAP_GROWSDOWN 0x8000=MAP_POPULATE
  0x20000=MAP_STACK 0x40000=MAP_HUGETLB 0x100000=MAP_FIXED_NOREPLACE`);
/** linux/seccomp.h: operations of seccomp(2). */
const seccomps: Names = named(`
  0=SECCOMP_SET_MODE_STRICT 1=SECCOMP_SET_MODE_FILTER 2=SECCOMP_GET_ACTION_AVAIL`);

const hexadecimal = (value: bigint): string => `0x${value.toString(16)}`;
/** An `int` or `unsigned int` argument: the kernel looks at the low half only. */
const low = (value: bigint): number => Number(BigInt.asUintN(32, value));

function flags(names: Names, value: number): string {
  const set: string[] = [];
  let left = value;
  for (const [bit, name] of Object.entries(names)) {
    if ((left & Number(bit)) === 0) continue;
    set.push(name);
    left &= ~Number(bit);
  }
  if (left !== 0 || set.length === 0) set.push(hexadecimal(BigInt(left >>> 0)));
  return set.join('|');
}

const one = (names: Names, value: number): string => names[value] ?? hexadecimal(BigInt(value));

const sockets = (args: readonly bigint[]): NamedArguments => ({
  family: one(families, low(args[0] ?? 0n)),
  type: one(socketTypes, low(args[1] ?? 0n) & 0xf),
  protocol: low(args[2] ?? 0n),
});
const range = (args: readonly bigint[]): NamedArguments => ({
  address: hexadecimal(args[0] ?? 0n),
  length: hexadecimal(args[1] ?? 0n),
});

const decoders: Readonly<Record<string, (args: readonly bigint[]) => NamedArguments>> = {
  socket: sockets,
  socketpair: sockets,
  ioctl: (args) => ({ command: one(ioctls, low(args[1] ?? 0n)) }),
  prctl: (args) => ({ option: one(prctls, low(args[0] ?? 0n)) }),
  fcntl: (args) => ({ command: one(fcntls, low(args[1] ?? 0n)), argument: hexadecimal(args[2] ?? 0n) }),
  setsockopt: (args) => {
    const level = low(args[1] ?? 0n);
    return { level: one(levels, level), option: one(socketOptions[level] ?? {}, low(args[2] ?? 0n)) };
  },
  clone: (args) => ({ flags: flags(cloneFlags, low(args[0] ?? 0n) & ~0xff) }),
  unshare: (args) => ({ flags: flags(cloneFlags, low(args[0] ?? 0n)) }),
  setns: (args) => ({ flags: flags(cloneFlags, low(args[1] ?? 0n)) }),
  mmap: (args) => ({
    ...range(args),
    protection: flags(protections, low(args[2] ?? 0n)),
    flags: flags(mapFlags, low(args[3] ?? 0n)),
  }),
  mprotect: (args) => ({ ...range(args), protection: flags(protections, low(args[2] ?? 0n)) }),
  munmap: range,
  mremap: (args) => ({ ...range(args), flags: hexadecimal(args[3] ?? 0n) }),
  madvise: (args) => ({ ...range(args), advice: low(args[2] ?? 0n) }),
  seccomp: (args) => ({ operation: one(seccomps, low(args[0] ?? 0n)), flags: hexadecimal(args[1] ?? 0n) }),
  ptrace: (args) => ({ request: hexadecimal(args[0] ?? 0n) }),
  bpf: (args) => ({ command: low(args[0] ?? 0n) }),
  keyctl: (args) => ({ operation: low(args[0] ?? 0n) }),
  personality: (args) => ({ persona: hexadecimal(args[0] ?? 0n) }),
};

/** Undefined for a call whose registers say nothing that has a name. */
export function namedArguments(syscall: string, registers: readonly bigint[]): NamedArguments | undefined {
  return Object.hasOwn(decoders, syscall) ? decoders[syscall]?.(registers) : undefined;
}
