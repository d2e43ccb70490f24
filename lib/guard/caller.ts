// Whose script it is. Only what the package manager says counts (its working directory, the project's lock file, the place that
// it has given a package), never what a package says of itself: name and version in its package.json are its own choice.
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { regularText } from './files.ts';
import { canonical, isWithin } from './places.ts';
import type { Exception } from './settings.ts';

export interface Caller {
  /** The package's folder, which is the script's working directory; canonical. */
  folder: string;
  /** The project that is installed, if that can be told. */
  project?: string;
  /** It is the project's own script, or that of a package in its workspace. */
  own: boolean;
  /** The name that the package manager has given its place, if it has one. */
  name?: string;
  /** What the package calls itself: for people to read, nothing to decide by. */
  claimed: { name?: string; version?: string };
  event: string;
  /** Why it is not run: where it would be started is not the folder that the package manager means. */
  misplaced?: string;
}

type Json = Record<string, unknown> | undefined;

/** @param links People may have put one in place of their project's files. */
function jsonOf(path: string, links: 'follow' | 'refuse' = 'refuse'): Json {
  try {
    const value: unknown = JSON.parse(regularText(path, links));
    return typeof value === 'object' && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
const isProject = (folder: string) => existsSync(join(folder, 'package.json'));

/** The folder above the first node_modules in a path. */
function aboveModules(path: string): string | undefined {
  const at = path.indexOf('/node_modules/');
  return at < 0 ? undefined : path.slice(0, at) || '/';
}

/**
 * The project that is installed: who has started the package manager through `holdfast-guard` has said it; else it is where
 * this package lies; else (it lies somewhere else, for all projects of a user) npm says it.
 */
function projectOf(env: NodeJS.ProcessEnv): string | undefined {
  const said = text(env.HOLDFAST_GUARD_PROJECT);
  if (said !== undefined) return existsSync(said) ? realpathSync(said) : undefined;
  const around = aboveModules(fileURLToPath(import.meta.url));
  if (around !== undefined && isProject(around)) return around;
  const prefix = text(env.npm_config_local_prefix);
  const started = text(env.INIT_CWD);
  // npm that prepares a git dependency says the folder of the clone, and has not been started there by a person.
  if (prefix === undefined || started === undefined || !isProject(prefix) || started.includes('/_cacache/'))
    return undefined;
  const project = realpathSync(prefix);
  return isWithin(canonical(started), project) ? project : undefined;
}

/** Below the project, and neither what was installed nor what a package manager keeps (clones of git dependencies, stores). */
function isOwn(folder: string, project: string | undefined): boolean {
  if (project === undefined || !isWithin(folder, project)) return false;
  return relative(project, folder)
    .split(sep)
    .every((part) => part !== 'node_modules' && part !== '_cacache' && !part.startsWith('.'));
}

function nameOf(folder: string): string | undefined {
  const at = folder.lastIndexOf('/node_modules/');
  const name = at < 0 ? '' : folder.slice(at + '/node_modules/'.length);
  return /^(?:@[^/]+\/)?[^/@.][^/]*$/.test(name) ? name : undefined;
}

/**
 * The folder that the package manager means. A package can have put a link at its place (to the project, to another package), and
 * then the real working directory is not what was named. Only above the project itself may links be: people put those.
 */
function namedFolder(env: NodeJS.ProcessEnv, project: string | undefined): string | undefined {
  const manifest = text(env.npm_package_json);
  if (manifest === undefined || !isAbsolute(manifest) || basename(manifest) !== 'package.json') return undefined;
  const folder = dirname(manifest);
  const prefix = text(env.npm_config_local_prefix);
  if (project === undefined || prefix === undefined || !existsSync(prefix) || realpathSync(prefix) !== project)
    return folder;
  return isWithin(folder, prefix) ? join(project, relative(prefix, folder)) : folder;
}

function misplacedAt(cwd: string, named: string | undefined): string | undefined {
  if (named === cwd) return undefined;
  return named === undefined
    ? 'not run: the package manager does not name its folder (npm_package_json)'
    : `not run: the package manager names ${named}, and a link leads from there to ${cwd}`;
}

/** @param cwd The real working directory, as the kernel has it. */
export function callerOf(env: NodeJS.ProcessEnv, cwd: string): Caller {
  const project = projectOf(env);
  const event = text(env.npm_lifecycle_event) ?? 'script';
  const named = namedFolder(env, project);
  const misplaced = misplacedAt(cwd, named);
  if (misplaced !== undefined) {
    return { folder: cwd, project, own: false, name: nameOf(named ?? cwd), claimed: {}, event, misplaced };
  }
  const manifest = jsonOf(join(cwd, 'package.json'));
  const claimed = { name: text(manifest?.name), version: text(manifest?.version) };
  return { folder: cwd, project, own: isOwn(cwd, project), name: nameOf(cwd), claimed, event };
}

/** The folder that the scripts of a package within it could change: that of the outermost package which is not the project's own. */
export function outermostOf({ folder, project }: Caller): string {
  const above = aboveModules(folder);
  if (above === undefined) return folder;
  if (!isOwn(above, project)) return above;
  const [first = '', second = ''] = relative(join(above, 'node_modules'), folder).split(sep);
  return join(above, 'node_modules', first, first === '.pnpm' || first.startsWith('@') ? second : '');
}

/** `esbuild@0.28.2`, for people. */
export function titleOf({ folder, project, name, claimed, own }: Caller): string {
  const said = name ?? claimed.name ?? (project === undefined ? folder : relative(project, folder) || '.');
  return `${said}${claimed.version === undefined ? '' : `@${claimed.version}`}${own ? ' (the project)' : ''}`;
}

/** What is certain of a package. A version that only the package itself has said is left out. */
interface Proof {
  name: string;
  version?: string;
}

const registries = (env: NodeJS.ProcessEnv) =>
  ['https://registry.npmjs.org/', 'https://registry.yarnpkg.com/', env.npm_config_registry]
    .filter((registry) => registry !== undefined && URL.canParse(registry))
    .map((registry) => new URL(registry as string).origin);

/** pnpm names a folder by what the registry has said: `.pnpm/@scope+name@1.2.3_peers/node_modules/@scope/name`. */
function byPnpm(folder: string, project: string): Proof | undefined {
  const [first = '', second = '', entry = '', third = '', ...rest] = relative(project, folder).split(sep);
  if (first !== 'node_modules' || second !== '.pnpm' || third !== 'node_modules') return undefined;
  const name = rest.join('/');
  const start = `${name.replace('/', '+')}@`;
  if (!entry.startsWith(start)) return undefined;
  const [, version] = /^(\d+\.\d+\.\d+[^_(]*)(?:[_(].*)?$/.exec(entry.slice(start.length)) ?? [];
  return version === undefined ? undefined : { name, version };
}

/** `/npm-proxy/@scope/name/-/name-1.0.0.tgz`: anybody may have a scope, `@evil/electron` is not `electron`. */
function isTarballOf(name: string, pathname: string): boolean {
  const [before = '', file, ...more] = pathname.split('/-/');
  if (file === undefined || more.length > 0) return false;
  const parts = before.split('/').map((part) => part.replaceAll(/%40/gi, '@').replaceAll(/%2f/gi, '/'));
  const way = parts.join('/');
  if (way.includes('%') || !way.endsWith(`/${name}`)) return false;
  const scope =
    way
      .slice(0, -name.length - 1)
      .split('/')
      .at(-1) ?? '';
  return !scope.startsWith('@');
}

/** npm's lock file says where a folder's contents come from. A folder that an alias has put there has a `name` of its own. */
function byLock({ folder, claimed, name }: Caller, project: string, env: NodeJS.ProcessEnv): Proof | undefined {
  if (name === undefined) return undefined;
  const lock = ['npm-shrinkwrap.json', 'package-lock.json']
    .map((file) => jsonOf(join(project, file), 'follow'))
    .find((found) => found !== undefined);
  const packages = lock?.packages as Json;
  const place = relative(project, folder);
  const entry = (packages !== undefined && Object.hasOwn(packages, place) ? packages[place] : undefined) as Json;
  if (entry === undefined || (entry.name ?? name) !== name || entry.link === true) return undefined;
  const version = text(entry.version);
  if (version === undefined || version !== claimed.version || text(entry.integrity) === undefined) return undefined;
  const resolved = text(entry.resolved);
  if (resolved === undefined) return { name, version }; // omit-lockfile-registry-resolved: what a registry has is left out
  if (!URL.canParse(resolved)) return undefined;
  const { origin, pathname } = new URL(resolved);
  return registries(env).includes(origin) && isTarballOf(name, pathname) ? { name, version } : undefined;
}

/** The project's own manifest names it, so the package manager has put at that place what the project has asked for. */
function byManifest({ folder, name }: Caller, project: string): Proof | undefined {
  if (name === undefined || folder !== join(project, 'node_modules', name)) return undefined;
  const manifest = jsonOf(join(project, 'package.json'), 'follow');
  const named = ['dependencies', 'devDependencies', 'optionalDependencies'].some((field) => {
    const list = manifest?.[field];
    return typeof list === 'object' && list !== null && Object.hasOwn(list, name);
  });
  return named ? { name } : undefined;
}

export interface Granted {
  exception?: Exception;
  /** Why one that has the package's name does not count. */
  note?: string;
}

/** The exception for a package, if it is certain that it is the one that is meant. Of several the one that names versions. */
export function exceptionFor(caller: Caller, exceptions: readonly Exception[], env: NodeJS.ProcessEnv): Granted {
  const { project, own, name, claimed } = caller;
  const meant = exceptions
    .filter((one) => one.name === name || one.name === claimed.name)
    .sort((one, other) => Number(other.versions !== undefined) - Number(one.versions !== undefined));
  if (own || project === undefined || meant.length === 0) return {};
  const proof = byPnpm(caller.folder, project) ?? byLock(caller, project, env) ?? byManifest(caller, project);
  const notes: string[] = [];
  for (const exception of meant) {
    const { key, versions } = exception;
    if (proof?.name !== exception.name) {
      notes.push(`${key}: nothing but the package itself says that it is ${exception.name}`);
    } else if (versions !== undefined && proof.version === undefined) {
      notes.push(`${key}: no lock file proves its version (npm ci does)`);
    } else if (versions !== undefined && !versions.includes(proof.version ?? '')) {
      notes.push(`${key}: it is version ${proof.version}`);
    } else {
      return { exception };
    }
  }
  return { note: `an exception does not count: ${notes.join('; ')}` };
}
