import type { NativeRecord } from '../../native/native.ts';
import { bytes, number, optionalNumber, optionalText, type PathCall, pathCall, text } from './common.ts';

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

function twoPaths(record: NativeRecord): TwoPathCall {
  const made = pathCall(record);
  const toBytes = bytes(record, 'to');
  return {
    ...made,
    from: made.path,
    ...(made.pathBytes && { fromBytes: made.pathBytes }),
    to: text(record, 'to'),
    ...(toBytes && { toBytes }),
    flags: number(record, 'flags'),
  };
}

// chown(2): an id of -1 is not changed. It arrives as 32 bits or sign-extended.
function id(record: NativeRecord, field: string): number | undefined {
  const value = number(record, field, -1);
  return value < 0 || value === 0xffffffff ? undefined : value;
}

// utimensat(2)
const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;

function time(record: NativeRecord, which: 'atime' | 'mtime'): number | 'now' | undefined {
  const nanoseconds = optionalNumber(record, `${which}Nsec`);
  const seconds = optionalNumber(record, `${which}Sec`);
  // No times at all: both become the present.
  if (nanoseconds === UTIME_NOW || (nanoseconds === undefined && seconds === undefined)) return 'now';
  if (nanoseconds === UTIME_OMIT) return undefined;
  return (seconds ?? 0) + (nanoseconds ?? 0) / 1e9;
}

export const fileCalls = {
  open: (record: NativeRecord): OpenCall => {
    const made = pathCall(record) as PathCall & { access?: OpenAccess; flags?: number; mode?: number };
    // Added in place: this is the call that is made most.
    made.access = openAccess[number(record, 'access') & 3] ?? 'none';
    made.flags = number(record, 'flags');
    made.mode = number(record, 'mode');
    return made as OpenCall;
  },
  stat: (record: NativeRecord): StatCall => pathCall(record),
  access: (record: NativeRecord): AccessCall => ({ ...pathCall(record), mode: number(record, 'mode') }),
  readlink: (record: NativeRecord): ReadlinkCall => pathCall(record),
  rename: (record: NativeRecord): RenameCall => twoPaths(record),
  link: (record: NativeRecord): LinkCall => twoPaths(record),
  symlink: (record: NativeRecord): SymlinkCall => ({ ...pathCall(record), target: text(record, 'target') }),
  unlink: (record: NativeRecord): UnlinkCall => ({ ...pathCall(record), directory: number(record, 'directory') === 1 }),
  mkdir: (record: NativeRecord): MkdirCall => ({ ...pathCall(record), mode: number(record, 'mode') }),
  mknod: (record: NativeRecord): MknodCall => ({
    ...pathCall(record),
    mode: number(record, 'mode'),
    device: number(record, 'device'),
  }),
  chmod: (record: NativeRecord): ChmodCall => ({ ...pathCall(record), mode: number(record, 'mode') }),
  chown: (record: NativeRecord): ChownCall => ({ ...pathCall(record), uid: id(record, 'uid'), gid: id(record, 'gid') }),
  utimes: (record: NativeRecord): UtimesCall => ({
    ...pathCall(record),
    atime: time(record, 'atime'),
    mtime: time(record, 'mtime'),
  }),
  truncate: (record: NativeRecord): TruncateCall => ({ ...pathCall(record), size: number(record, 'size') }),
  statfs: (record: NativeRecord): StatfsCall => pathCall(record),
  getxattr: (record: NativeRecord): GetxattrCall => ({ ...pathCall(record), name: optionalText(record, 'name') }),
  setxattr: (record: NativeRecord): SetxattrCall => ({ ...pathCall(record), name: text(record, 'name') }),
  watch: (record: NativeRecord): WatchCall => ({ ...pathCall(record), flags: number(record, 'flags') }),
  chdir: (record: NativeRecord): ChdirCall => pathCall(record),
};
