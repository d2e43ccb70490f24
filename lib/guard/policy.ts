// What a package's install script may do, as a policy.
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { HoldfastError, type Policy } from '../index.ts';
import type { Caller } from './caller.ts';
import type { Reach } from './downloads.ts';
import { regularText } from './files.ts';
import { canonical, isWithin, secretBelow } from './places.ts';
import type { Exception } from './settings.ts';

const managers: ReadonlySet<unknown> = new Set([
  ...['npm', 'pnpm', '@pnpm/exe', 'yarn', '@yarnpkg/cli-dist', '@yarnpkg/cli', 'node-gyp', 'corepack'],
]);

/** The folder of a package manager's or node-gyp's own package, by a file in it. */
function packageAround(file: string | undefined): string | undefined {
  if (file === undefined || !existsSync(file)) return undefined;
  for (let folder = dirname(realpathSync(file)); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (!existsSync(manifest)) continue;
    try {
      const { name } = JSON.parse(regularText(manifest, 'follow')) as { name?: unknown };
      if (managers.has(name)) return folder;
    } catch {
      return undefined;
    }
  }
  return undefined;
}

/** Node itself, its headers, and what it brings along: never the folder above, which may be a home. */
function ofNode(): string[] {
  const node = realpathSync(process.execPath);
  const prefix = join(dirname(node), '..');
  const beside = ['npm', 'npx', 'corepack', 'node-gyp', 'node'].map((name) => join(dirname(node), name));
  const modules = ['npm', 'corepack', 'node-gyp'].map((name) => join(prefix, 'lib/node_modules', name));
  return [node, process.execPath, join(prefix, 'include/node'), ...beside, ...modules];
}

/** Every node_modules that lies on the way to the package, and so may hold what it needs. */
function modulesAbove({ folder, project }: Caller): string[] {
  const found = project === undefined ? [] : [join(project, 'node_modules')];
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    if (at.endsWith('/node_modules')) found.push(at);
  }
  return found;
}

/**
 * What node-gyp has been given to compile against, by the user's settings or its own habit. In a git dependency that npm prepares,
 * they may be that one's own settings (its .npmrc), and do not count; nor do those that would open keys and tokens.
 */
function headersOf({ project }: Caller, env: NodeJS.ProcessEnv): string[] {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'node-gyp');
  const prefix = env.npm_config_local_prefix;
  if (project === undefined || (prefix && canonical(prefix) !== project)) return [cache];
  const said = [env.npm_config_devdir, env.npm_config_nodedir && join(env.npm_config_nodedir, 'include/node')];
  const safe = said.filter((path) => path?.startsWith('/') && secretBelow(canonical(path), project) === undefined);
  return [cache, ...(safe as string[])];
}

/** The folder may be written whole, so it must be a package's and nobody's home, project or root. */
function ownFolder({ folder, project }: Caller): string {
  for (const place of [canonical(homedir()), project]) {
    if (place !== undefined && isWithin(place, folder)) {
      throw new HoldfastError(
        'ERR_HOLDFAST_INVALID_GUARD',
        `the script's working directory, ${folder}, holds ${place}: that is no folder of a package`,
      );
    }
  }
  return folder;
}

/** Package managers' settings for the whole machine, which lie below /usr where tokens are not expected. */
function settingsOfMachine(env: NodeJS.ProcessEnv): string[] {
  const prefixes = [
    '/usr',
    '/usr/local',
    join(dirname(realpathSync(process.execPath)), '..'),
    env.npm_config_global_prefix,
  ];
  const names = ['etc/npmrc', 'etc/yarnrc', 'share/.yarnrc'];
  const found = prefixes.flatMap((prefix) => (prefix === undefined ? [] : names.map((name) => join(prefix, name))));
  return [...found, ...(env.npm_config_globalconfig === undefined ? [] : [env.npm_config_globalconfig])];
}

const there = (paths: readonly string[]) => [...new Set(paths)].filter((path) => existsSync(path));

/** What Git and package managers would execute or obey, whether it is there or to be made. In a work tree `.git` is a file. */
function keptOf(project: string): string[] {
  const git = lstatSync(join(project, '.git'), { throwIfNoEntry: false });
  const ofGit = git === undefined || git.isDirectory() ? ['.git/hooks', '.git/config'] : ['.git'];
  return [...ofGit, '.npmrc', '.yarnrc.yml', '.env'].map((name) => join(project, name));
}

/** Of a dependency; or of the project's own script, which may write the project but not what Git and npm would execute or obey. */
export function scriptPolicy(
  caller: Caller,
  exception: Exception | undefined,
  reach: Reach,
  env: NodeJS.ProcessEnv,
): Policy {
  const own = caller.own ? (caller.project as string) : ownFolder(caller);
  const tools = [packageAround(env.npm_execpath), packageAround(env.npm_config_node_gyp)];
  const read = there([
    own,
    ...ofNode(),
    ...modulesAbove(caller),
    ...headersOf(caller, env),
    ...tools.filter((path) => path !== undefined),
    ...(exception?.read ?? []),
    ...(exception?.exec ?? []),
  ]);
  const write = [own, ...(exception?.write ?? [])];
  const deny = [...there(settingsOfMachine(env)), ...(caller.own ? keptOf(own) : [])];
  return {
    files: {
      // What a program may not see is not there, so that it goes on without its configuration.
      ungranted: 'ENOENT',
      read: [...read, ...(exception?.write ?? [])],
      write,
      deny,
    },
    network: { connect: reach.connect },
    scratch: true,
  };
}
