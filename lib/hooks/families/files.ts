import type { AskReader } from '../../native/asks.ts';
import { type PathCall, pathCall } from './common.ts';

/** `none`: only a handle (`O_PATH`), which neither reads nor writes. */
export type OpenAccess = 'read' | 'write' | 'read-write' | 'none';

/** open, openat, openat2, creat. */
export interface OpenCall extends PathCall {
  readonly access: OpenAccess;
  /** The `O_*` flags. */
  readonly flags: number;
  /** Permission bits for a file that is made. */
  readonly mode: number;
}

/** stat, lstat, newfstatat, statx. */
export interface StatCall extends PathCall {}

/** access, faccessat, faccessat2. */
export interface AccessCall extends PathCall {
  /** `R_OK`, `W_OK`, `X_OK` as bits; 0 for `F_OK`. */
  readonly mode: number;
}

/** readlink, readlinkat. */
export interface ReadlinkCall extends PathCall {}

interface TwoPathCall extends PathCall {
  readonly from: string;
  readonly fromBytes?: Buffer;
  readonly to: string;
  readonly toBytes?: Buffer;
  readonly flags: number;
}

/** rename, renameat, renameat2. `path` is `from`. */
export interface RenameCall extends TwoPathCall {}

/** link, linkat. `from` is there already, `to` is the new name; `path` is `from`. */
export interface LinkCall extends TwoPathCall {}

/** symlink, symlinkat. */
export interface SymlinkCall extends PathCall {
  /** The text of the link, which need not lead anywhere. */
  readonly target: string;
}

/** unlink, unlinkat, rmdir. */
export interface UnlinkCall extends PathCall {
  /** A directory is removed. */
  readonly directory: boolean;
}

/** mkdir, mkdirat. */
export interface MkdirCall extends PathCall {
  readonly mode: number;
}

/** mknod, mknodat. */
export interface MknodCall extends PathCall {
  readonly mode: number;
  /** Device number, for devices. */
  readonly device: number;
}

/** chmod, fchmod, fchmodat, fchmodat2. */
export interface ChmodCall extends PathCall {
  readonly mode: number;
}

/** chown, lchown, fchown, fchownat. */
export interface ChownCall extends PathCall {
  /** Undefined if it stays. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** utime, utimes, futimesat, utimensat. Times in seconds since 1970; undefined if one stays. */
export interface UtimesCall extends PathCall {
  readonly atime: number | 'now' | undefined;
  readonly mtime: number | 'now' | undefined;
}

/** truncate. */
export interface TruncateCall extends PathCall {
  /** Bytes. */
  readonly size: number;
}

/** statfs. */
export interface StatfsCall extends PathCall {}

/** getxattr, listxattr and their relatives. */
export interface GetxattrCall extends PathCall {
  /** Undefined where the names are listed. */
  readonly name: string | undefined;
}

/** setxattr, removexattr and their relatives. */
export interface SetxattrCall extends PathCall {
  readonly name: string;
}

/** inotify_add_watch. */
export interface WatchCall extends PathCall {
  /** The `IN_*` mask. */
  readonly flags: number;
}

/** chdir. */
export interface ChdirCall extends PathCall {}

const openAccess: readonly OpenAccess[] = ['none', 'read', 'write', 'read-write'];

function twoPaths(ask: AskReader): TwoPathCall {
  const made = pathCall(ask);
  const toBytes = ask.bytes('to');
  return {
    ...made,
    from: made.path,
    ...(made.pathBytes && { fromBytes: made.pathBytes }),
    to: ask.text('to'),
    ...(toBytes && { toBytes }),
    flags: ask.number('flags'),
  };
}

// chown(2): an id of -1 is not changed. It arrives as 32 bits or sign-extended.
function id(ask: AskReader, field: string): number | undefined {
  const value = ask.number(field, -1);
  return value < 0 || value === 0xffffffff ? undefined : value;
}

// utimensat(2)
const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;

function time(ask: AskReader, which: 'atime' | 'mtime'): number | 'now' | undefined {
  const nanoseconds = ask.optionalNumber(`${which}Nsec`);
  const seconds = ask.optionalNumber(`${which}Sec`);
  // No times at all: both become the present.
  if (nanoseconds === UTIME_NOW || (nanoseconds === undefined && seconds === undefined)) return 'now';
  if (nanoseconds === UTIME_OMIT) return undefined;
  return (seconds ?? 0) + (nanoseconds ?? 0) / 1e9;
}

export const fileCalls = {
  open: (ask: AskReader): OpenCall => {
    const made = pathCall(ask) as PathCall & { access?: OpenAccess; flags?: number; mode?: number };
    // Added in place: this is the call that is made most.
    made.access = openAccess[ask.number('access') & 3] ?? 'none';
    made.flags = ask.number('flags');
    made.mode = ask.number('mode');
    return made as OpenCall;
  },
  stat: (ask: AskReader): StatCall => pathCall(ask),
  access: (ask: AskReader): AccessCall => ({ ...pathCall(ask), mode: ask.number('mode') }),
  readlink: (ask: AskReader): ReadlinkCall => pathCall(ask),
  rename: (ask: AskReader): RenameCall => twoPaths(ask),
  link: (ask: AskReader): LinkCall => twoPaths(ask),
  symlink: (ask: AskReader): SymlinkCall => ({ ...pathCall(ask), target: ask.text('target') }),
  unlink: (ask: AskReader): UnlinkCall => ({ ...pathCall(ask), directory: ask.number('directory') === 1 }),
  mkdir: (ask: AskReader): MkdirCall => ({ ...pathCall(ask), mode: ask.number('mode') }),
  mknod: (ask: AskReader): MknodCall => ({
    ...pathCall(ask),
    mode: ask.number('mode'),
    device: ask.number('device'),
  }),
  chmod: (ask: AskReader): ChmodCall => ({ ...pathCall(ask), mode: ask.number('mode') }),
  chown: (ask: AskReader): ChownCall => ({ ...pathCall(ask), uid: id(ask, 'uid'), gid: id(ask, 'gid') }),
  utimes: (ask: AskReader): UtimesCall => ({
    ...pathCall(ask),
    atime: time(ask, 'atime'),
    mtime: time(ask, 'mtime'),
  }),
  truncate: (ask: AskReader): TruncateCall => ({ ...pathCall(ask), size: ask.number('size') }),
  statfs: (ask: AskReader): StatfsCall => pathCall(ask),
  getxattr: (ask: AskReader): GetxattrCall => ({ ...pathCall(ask), name: ask.optionalText('name') }),
  setxattr: (ask: AskReader): SetxattrCall => ({ ...pathCall(ask), name: ask.text('name') }),
  watch: (ask: AskReader): WatchCall => ({ ...pathCall(ask), flags: ask.number('flags') }),
  chdir: (ask: AskReader): ChdirCall => pathCall(ask),
};
