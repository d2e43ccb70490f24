// A limit that was reached: what the `limit` event tells.
import { errnoName } from '../errors.ts';
import type { NativeRecord } from '../native/native.ts';
import { number, optionalNumber, text } from '../native/records.ts';
import type { LimitName } from './limits.ts';

/** The argument of the `limit` event. */
export interface LimitReached {
  /** The option's name. */
  readonly name: LimitName;
  /** What was asked for: bytes, milliseconds, or how many. */
  readonly limit: number;
  /** What was found, in the same unit; of a fork that was refused, what there would have been. */
  readonly reached: number;
  /** Whether the tree was killed for it. */
  readonly killed: boolean;
  /** Who was refused, of what is refused. */
  readonly pid?: number;
  /** What that one saw: `EAGAIN`. */
  readonly errno?: string;
  /** All of it in one line, to print. */
  readonly message: string;
}

const times: readonly LimitName[] = ['cpuTime', 'wallTime'];
const counts: readonly LimitName[] = ['processes', 'threads'];

function amount(name: LimitName, value: number): string {
  if (counts.includes(name)) return `${value}`;
  return times.includes(name) ? `${value} ms` : `${value} bytes`;
}

type Plain = Omit<LimitReached, 'message'>;

export function limitReached(reached: Plain): LimitReached {
  const { name, limit, errno, pid, killed } = reached;
  const what = `limits.${name}: ${amount(name, reached.reached)}, and ${amount(name, limit)} are allowed`;
  const end = killed ? 'the tree was killed' : `${errno ?? 'an error'} for process ${pid ?? 0}`;
  return Object.freeze({ ...reached, message: `${what}: ${end}` });
}

export function limitOf(record: NativeRecord): LimitReached {
  const errno = optionalNumber(record, 'errno');
  const pid = optionalNumber(record, 'pid');
  return limitReached({
    name: text(record, 'limitName') as LimitName,
    limit: number(record, 'limit'),
    reached: number(record, 'reached'),
    killed: errno === undefined,
    ...(pid === undefined ? {} : { pid }),
    ...(errno === undefined ? {} : { errno: errnoName(errno) }),
  });
}
