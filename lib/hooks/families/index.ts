// Every event that a hook can hear of, and how its call is built from a record. The names are those of
// native/protocol/events.def; a test compares the two lists.
import { execCalls } from './exec.ts';
import { fileCalls } from './files.ts';
import { networkCalls } from './network.ts';
import { processCalls } from './processes.ts';
import { signalCalls } from './signals.ts';
import { syscallCalls } from './syscall.ts';

export const calls = { ...fileCalls, ...execCalls, ...networkCalls, ...signalCalls, ...syscallCalls, ...processCalls };

/** Name of an event: `open` for `onOpen`. */
export type HookEvent = keyof typeof calls;
/** The call that a hook on this event is given. */
export type HookedCall<E extends HookEvent = HookEvent> = ReturnType<(typeof calls)[E]>;

/** What of a call a filter can speak of. */
export type FilterKey = 'path' | 'access' | 'port' | 'executable' | 'kind' | 'under';

const path: readonly FilterKey[] = ['path', 'under'];
const port: readonly FilterKey[] = ['port', 'under'];

export const filterKeys: Readonly<Record<HookEvent, readonly FilterKey[]>> = {
  open: ['path', 'access', 'under'],
  stat: path,
  access: path,
  readlink: path,
  rename: path,
  link: path,
  symlink: path,
  unlink: path,
  mkdir: path,
  mknod: path,
  chmod: path,
  chown: path,
  utimes: path,
  truncate: path,
  statfs: path,
  getxattr: path,
  setxattr: path,
  watch: path,
  chdir: path,
  exec: path,
  connect: port,
  bind: port,
  send: port,
  signal: ['under'],
  syscall: [],
  fork: ['kind', 'executable', 'under'],
  exit: ['executable', 'under'],
};
