import type { AskReader } from '../../native/asks.ts';
import { groupsFor, named } from '../../policy/constants.ts';
import type { SyscallName } from '../../policy/syscall-table.ts';
import { syscallRows } from '../../policy/syscalls.ts';
import { type Call, call } from './common.ts';

/** One argument of a call, decoded by what the table says it is. */
export interface SyscallArgument {
  /** `fd`, `open_flags`, `path`, `size`, `pointer`, …: docs/syscalls.md. */
  readonly kind: string;
  /** As the kernel reads it: an int by its low half, descriptors and pids with their sign. */
  readonly value: bigint;
  /** By the kernel's constants, where it has names: `'AF_NETLINK'`, `'O_WRONLY|O_CREAT'`. */
  readonly name?: string;
  /**
   * The text that it points to, read when the call was held; undefined where it cannot be read. The tree can change it
   * before the call runs, so it says what was asked for, and is nothing to decide a right by: `onOpen` and its like are.
   */
  readonly text?: string;
}

/** Any system call, as `onSyscall` hears of it. */
export interface SyscallCall<N extends SyscallName = SyscallName> extends Call {
  readonly syscall: N;
  readonly args: readonly SyscallArgument[];
  /** All six registers, whatever the call makes of them. */
  readonly registers: readonly bigint[];
}

const signed: ReadonlySet<string> = new Set([
  'dirfd',
  'dirfd2',
  'fd',
  'socket',
  'pidfd',
  'pid',
  'tid',
  'value',
  'signal',
]);

export const syscallCalls = {
  syscall: (ask: AskReader): SyscallCall => {
    const made = call(ask);
    const registers = ask.registers();
    const texts = ask.argv();
    const readable = ask.number('readable');
    const row = syscallRows().get(made.syscall);
    let next = 0;
    const args = (row?.kinds ?? []).map((kind, i): SyscallArgument => {
      const register = registers[i] ?? 0n;
      const wide = row?.wide[i] ?? true;
      const value = wide ? register : signed.has(kind) ? BigInt.asIntN(32, register) : BigInt.asUintN(32, register);
      const groups = groupsFor(made.syscall, i, kind);
      const name = groups.length === 0 ? undefined : named(groups, Number(BigInt.asUintN(32, register)));
      const text = (readable & (1 << i)) === 0 ? undefined : texts[next++];
      return { kind, value, ...(name !== undefined && { name }), ...(text !== undefined && { text }) };
    });
    return { ...made, syscall: made.syscall as SyscallName, args, registers };
  },
};
