// Who is in the tree.
import type { NativeRecord } from '../native/native.ts';
import { nested, number } from '../native/records.ts';

/** A process of the tree. */
export interface TreeProcess {
  readonly pid: number;
}

export function processesOf(parts: readonly NativeRecord[]): TreeProcess[] {
  return parts.flatMap((part) => nested(part, 'process').map((process) => ({ pid: number(process, 'pid') })));
}
