// The general registers of a thread, as the kernel has them: struct user_regs_struct (x86_64) and struct user_pt_regs
// (aarch64) of <sys/user.h> and <asm/ptrace.h>, all of 64 bits.

const x64 = [
  ...['r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi'],
  ...['origRax', 'rip', 'cs', 'eflags', 'rsp', 'ss', 'fsBase', 'gsBase', 'ds', 'es', 'fs', 'gs'],
] as const;
const arm64 = [
  ...['x0', 'x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'x7', 'x8', 'x9', 'x10', 'x11', 'x12', 'x13', 'x14', 'x15', 'x16'],
  ...['x17', 'x18', 'x19', 'x20', 'x21', 'x22', 'x23', 'x24', 'x25', 'x26', 'x27', 'x28', 'x29', 'x30'],
  ...['sp', 'pc', 'pstate'],
] as const;

type X64Name =
  | `r${8 | 9 | 10 | 11 | 12 | 13 | 14 | 15}`
  | 'rax'
  | 'rbx'
  | 'rcx'
  | 'rdx'
  | 'rsi'
  | 'rdi'
  | 'rbp'
  | 'rsp'
  | 'rip'
  | 'eflags'
  | 'origRax'
  | 'cs'
  | 'ss'
  | 'ds'
  | 'es'
  | 'fs'
  | 'gs'
  | 'fsBase'
  | 'gsBase';
type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;
type Arm64Name = `x${Digit}` | `x1${Digit}` | `x2${Digit}` | 'x30' | 'sp' | 'pc' | 'pstate';

/**
 * General registers of a thread on x86_64. `origRax` is the number of the system call that it is in, or -1 (as unsigned):
 * where that is none, the kernel does not make a call again that was cut short.
 */
export type X64Registers = { readonly arch: 'x64' } & { readonly [name in X64Name]: bigint };
/** General registers of a thread on aarch64. */
export type Arm64Registers = { readonly arch: 'arm64' } & { readonly [name in Arm64Name]: bigint };
/** General registers of a thread, by the machine's architecture, as unsigned numbers of 64 bits. */
export type Registers = X64Registers | Arm64Registers;
/** Registers to be set; what is not named stays. */
export type RegisterValues = Partial<Record<X64Name, bigint>> | Partial<Record<Arm64Name, bigint>>;

const names: readonly string[] = process.arch === 'arm64' ? arm64 : x64;
const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
const known = new Set(names);
const WORD = 8;

export function readRegisters(bytes: Buffer): Registers {
  const values = names.map((name, i) => [name, bytes.readBigUInt64LE(i * WORD)] as const);
  return Object.freeze({ arch, ...Object.fromEntries(values) }) as unknown as Registers;
}

/** What is wrong with a value, by its register; undefined if nothing is. */
export function registerProblem(values: Record<string, unknown>): [name: string, problem: string] | undefined {
  for (const [name, value] of Object.entries(values)) {
    if (name === 'arch' && value === arch) continue;
    if (!known.has(name)) return [name, `is no register of ${arch}: it has ${names.join(', ')}`];
    if (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value) {
      return [name, 'must be a bigint of 64 bits, not below 0'];
    }
  }
  return undefined;
}

/** A thread that is to go on somewhere else is in no call any more, whose restart would set it back. */
export function writeRegisters(bytes: Buffer, values: Record<string, unknown>): Buffer {
  const changed = Buffer.from(bytes);
  for (const [name, value] of Object.entries(values)) {
    const i = names.indexOf(name);
    if (i >= 0) changed.writeBigUInt64LE(value as bigint, i * WORD);
  }
  const call = names.indexOf('origRax');
  if (call >= 0 && values.rip !== undefined && values.origRax === undefined) {
    changed.writeBigInt64LE(-1n, call * WORD);
  }
  return changed;
}
