// What the arguments of a refused call mean, by the kernel's own names: a violation says which ioctl, which family of
// sockets, which option it was. Numbers that have no name here stay numbers.
import { type ConstantGroup, constantsOf } from '../policy/constants.ts';

/** By the names that the call's manual page has for them. */
export type NamedArguments = Readonly<Record<string, string | number>>;

type Names = Readonly<Record<number, string>>;

/** Written as in the kernel's headers: `number=NAME`. */
function named(text: string): Names {
  return Object.fromEntries([...text.matchAll(/(\w+)=(\w+)/g)].map(([, value, name]) => [Number(value), name ?? '']));
}

/** What an option is depends on its level: asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h, linux/udp.h */
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
const hexadecimal = (value: bigint): string => `0x${value.toString(16)}`;
/** An `int` or `unsigned int` argument: the kernel looks at the low half only. */
const low = (value: bigint): number => Number(BigInt.asUintN(32, value));

function flags(group: ConstantGroup, value: number): string {
  const set: string[] = [];
  let left = value;
  for (const [name, bit] of constantsOf(group)) {
    // Single bits only.
    if ((left & bit) === 0 || (bit & (bit - 1)) !== 0) continue;
    set.push(name);
    left &= ~bit;
  }
  if (left !== 0 || set.length === 0) set.push(hexadecimal(BigInt(left >>> 0)));
  return set.join('|');
}

function one(group: ConstantGroup, value: number): string {
  for (const [name, known] of constantsOf(group)) if (known === value) return name;
  return hexadecimal(BigInt(value));
}

const sockets = (args: readonly bigint[]): NamedArguments => ({
  family: one('families', low(args[0] ?? 0n)),
  type: one('socketTypes', low(args[1] ?? 0n) & 0xf),
  protocol: low(args[2] ?? 0n),
});
const range = (args: readonly bigint[]): NamedArguments => ({
  address: hexadecimal(args[0] ?? 0n),
  length: hexadecimal(args[1] ?? 0n),
});

const decoders: Readonly<Record<string, (args: readonly bigint[]) => NamedArguments>> = {
  socket: sockets,
  socketpair: sockets,
  ioctl: (args) => ({ command: one('ioctls', low(args[1] ?? 0n)) }),
  prctl: (args) => ({ option: one('prctls', low(args[0] ?? 0n)) }),
  fcntl: (args) => ({ command: one('fcntls', low(args[1] ?? 0n)), argument: hexadecimal(args[2] ?? 0n) }),
  setsockopt: (args) => {
    const level = low(args[1] ?? 0n);
    return {
      level: one('levels', level),
      option: socketOptions[level]?.[low(args[2] ?? 0n)] ?? hexadecimal(BigInt(low(args[2] ?? 0n))),
    };
  },
  clone: (args) => ({ flags: flags('cloneFlags', low(args[0] ?? 0n) & ~0xff) }),
  unshare: (args) => ({ flags: flags('cloneFlags', low(args[0] ?? 0n)) }),
  setns: (args) => ({ flags: flags('cloneFlags', low(args[1] ?? 0n)) }),
  mmap: (args) => ({
    ...range(args),
    protection: flags('protections', low(args[2] ?? 0n)),
    flags: flags('mapFlags', low(args[3] ?? 0n)),
  }),
  mprotect: (args) => ({ ...range(args), protection: flags('protections', low(args[2] ?? 0n)) }),
  munmap: range,
  mremap: (args) => ({ ...range(args), flags: hexadecimal(args[3] ?? 0n) }),
  madvise: (args) => ({ ...range(args), advice: low(args[2] ?? 0n) }),
  seccomp: (args) => ({ operation: one('seccomps', low(args[0] ?? 0n)), flags: hexadecimal(args[1] ?? 0n) }),
  ptrace: (args) => ({ request: hexadecimal(args[0] ?? 0n) }),
  bpf: (args) => ({ command: low(args[0] ?? 0n) }),
  keyctl: (args) => ({ operation: low(args[0] ?? 0n) }),
  personality: (args) => ({ persona: hexadecimal(args[0] ?? 0n) }),
};

/** Undefined for a call whose registers say nothing that has a name. */
export function namedArguments(syscall: string, registers: readonly bigint[]): NamedArguments | undefined {
  return Object.hasOwn(decoders, syscall) ? decoders[syscall]?.(registers) : undefined;
}
