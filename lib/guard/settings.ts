// What the project's own package.json says of the guard: `"holdfast": { "guard": { … } }`.
import { join } from 'node:path';
import * as v from 'valibot';
import { HoldfastError } from '../index.ts';
import { fieldName, ownFields, problemOf, record, shown } from '../policy/check.ts';
import { didYouMean } from '../policy/nearest.ts';
import { type Download, downloadOf } from './downloads.ts';
import { regularText } from './files.ts';
import { canonical, exceptionPath, secretBelow } from './places.ts';

/** What one package's scripts may do besides. */
export interface GuardException {
  /**
   * What may be reached: names (`registry.npmjs.org`, port 443 unless one is said), URLs of which scheme, name and port
   * count, and addresses as in `policy.network.connect`. Default: nothing.
   */
  network?: string[];
  /** Paths that may be read besides: absolute ones, `~/…`, or relative to the project. */
  read?: string[];
  /** Paths that may be written and read besides. */
  write?: string[];
  /** Programs that may be executed besides, by path. */
  exec?: string[];
  /** Names of environment variables that are passed on, whatever they hold. */
  env?: string[];
  /** Its scripts are not run at all, and that counts as a success. Default: false. */
  skip?: boolean;
}

/** `holdfast.guard` in the project's package.json. */
export interface GuardSettings {
  /** A refused try makes a script fail, as `HOLDFAST_GUARD=strict` does. Default: false. */
  strict?: boolean;
  /** The project's own scripts: `'run'` (default) as they are, `'guard'` in a sandbox that may write the project. */
  own?: 'run' | 'guard';
  /** By the package's name, or its name and exact versions: `esbuild`, `esbuild@0.28.2 || 0.28.3`. */
  packages?: Record<string, GuardException>;
}

/** One exception as it was found. */
export interface Exception {
  key: string;
  name: string;
  /** Undefined: every version. */
  versions?: readonly string[];
  downloads: readonly Download[];
  read: readonly string[];
  write: readonly string[];
  exec: readonly string[];
  env: readonly string[];
  skip: boolean;
}

export interface Settings {
  strict: boolean;
  own: 'run' | 'guard';
  exceptions: readonly Exception[];
}

const list = (what: string) => {
  const message = `must be a list of ${what}`;
  return v.array(v.pipe(v.string(message), v.nonEmpty(message)), message);
};
const yes = v.boolean('must be true or false');

const exceptionFields = {
  network: v.optional(list('names, URLs or addresses')),
  read: v.optional(list('paths')),
  write: v.optional(list('paths')),
  exec: v.optional(list('paths')),
  env: v.optional(list('names of environment variables')),
  skip: v.optional(yes),
};
const guardFields = {
  strict: v.optional(yes),
  own: v.optional(v.picklist(['run', 'guard'], "must be 'run' or 'guard'")),
  packages: v.optional(v.unknown()),
};
const guardSchema = record(guardFields, 'must be an object');
const exceptionSchema = record(exceptionFields, 'must be an object');

const none = new Set<string>();

/** @throws {HoldfastError} `ERR_HOLDFAST_INVALID_GUARD`, with the file, the field and the value. */
function refuse(file: string, keys: readonly PropertyKey[], why: string): never {
  throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `${file}: ${fieldName('holdfast.guard', keys)} ${why}`);
}

function check(
  file: string,
  keys: readonly PropertyKey[],
  schema: v.GenericSchema,
  names: object,
  value: unknown,
): void {
  const problem = problemOf(schema, value);
  if (problem === undefined) return;
  const at = [...keys, ...problem.keys];
  if (problem.unknown) refuse(file, at, `is no such field${didYouMean(problem.keys.at(-1), Object.keys(names))}`);
  refuse(file, at, `${problem.message}: ${shown(problem.value)}`);
}

const packageName = /^(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/i;
const exactVersion = /^\d+\.\d+\.\d+(?:-[0-9a-z.-]+)?(?:\+[0-9a-z.-]+)?$/i;

function packageOf(file: string, key: string): Pick<Exception, 'name' | 'versions'> {
  const at = key.indexOf('@', 1);
  const name = at < 0 ? key : key.slice(0, at);
  if (!packageName.test(name)) refuse(file, ['packages', key], 'is no name of a package');
  if (at < 0) return { name };
  const versions = key
    .slice(at + 1)
    .split('||')
    .map((version) => version.trim());
  const wrong = versions.find((version) => !exactVersion.test(version));
  // A range would give the rights to the next release, too, which nobody has looked at yet.
  if (wrong !== undefined) {
    refuse(file, ['packages', key], `: ${shown(wrong)} is no exact version, such as ${name}@1.2.3 || 1.2.4`);
  }
  return { name, versions };
}

function paths(file: string, project: string, keys: readonly PropertyKey[], given: readonly string[] = []): string[] {
  return given.map((path, i) => {
    const at = [...keys, i];
    const found = exceptionPath(path, project);
    if (found === undefined) {
      return refuse(
        file,
        at,
        `must be an absolute path, one that begins with ~/, or one below the project: ${shown(path)}`,
      );
    }
    const below = secretBelow(found, project) ?? secretBelow(canonical(found), project);
    if (below !== undefined) refuse(file, at, `would open ${below}, which no package gets: ${shown(path)}`);
    return found;
  });
}

function exceptionOf(file: string, project: string, key: string, value: unknown): Exception {
  const keys = ['packages', key];
  check(file, keys, exceptionSchema, exceptionFields, value);
  const given = value as GuardException;
  const downloads = (given.network ?? []).map((text, i) => {
    const download = downloadOf(text);
    if (typeof download === 'string') return refuse(file, [...keys, 'network', i], `${download}: ${shown(text)}`);
    return download;
  });
  const pathsOf = (field: 'read' | 'write' | 'exec') => paths(file, project, [...keys, field], given[field]);
  const [read, write, exec] = [pathsOf('read'), pathsOf('write'), pathsOf('exec')];
  return {
    key,
    ...packageOf(file, key),
    downloads,
    read,
    write,
    exec,
    env: given.env ?? [],
    skip: given.skip === true,
  };
}

/** Those of a project; what is not there is as if it said nothing. */
export function readSettings(project: string | undefined): Settings {
  if (project === undefined) return { strict: false, own: 'run', exceptions: [] };
  const file = join(project, 'package.json');
  let manifest: unknown;
  try {
    manifest = JSON.parse(regularText(file, 'follow'));
  } catch (cause) {
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `${file}: ${(cause as Error).message}`, { cause });
  }
  const holdfast = (manifest as { holdfast?: { guard?: unknown } } | null)?.holdfast;
  const given = holdfast?.guard;
  const near = Object.keys(holdfast ?? {}).find((name) => name !== 'guard' && didYouMean(name, ['guard']) !== '');
  if (near !== undefined) {
    const message = `${file}: holdfast.${near} is no such field${didYouMean(near, ['guard'])}`;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', message);
  }
  if (given === undefined) return { strict: false, own: 'run', exceptions: [] };
  const own = ownFields(given, none);
  check(file, [], guardSchema, guardFields, own);
  const { strict = false, own: scripts = 'run', packages = {} } = own as GuardSettings;
  if (typeof packages !== 'object' || packages === null || Array.isArray(packages)) {
    return refuse(file, ['packages'], `must be an object: ${shown(packages)}`);
  }
  const exceptions = Object.entries(packages).map(([key, value]) => exceptionOf(file, project, key, value));
  return { strict, own: scripts, exceptions };
}
