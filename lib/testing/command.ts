// Which program a test means by a name, and what that program needs to be itself.
import { accessSync, constants, existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';

/** A folder and those above it, the nearest first. */
function* upwards(folder: string): Generator<string> {
  for (let at = folder; ; at = dirname(at)) {
    yield at;
    if (dirname(at) === at) return;
  }
}

interface Manifest {
  name?: string;
  bin?: string | Record<string, string>;
}

/** The nearest folder with a package.json, and what that says. */
export function packageOf(folder: string): { root: string; manifest: Manifest } | undefined {
  for (const root of upwards(folder)) {
    try {
      return { root, manifest: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest };
    } catch {}
  }
  return undefined;
}

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

/** A program that the package itself has: of its `bin`, as `npx` would run it there. */
function ownProgram(name: string, base: string): string | undefined {
  const found = packageOf(base);
  const { bin, name: own } = found?.manifest ?? {};
  const programs = typeof bin === 'string' ? { [own?.replace(/^@[^/]*\//, '') ?? '']: bin } : { ...bin };
  const path = Object.hasOwn(programs, name) ? programs[name] : undefined;
  return found === undefined || typeof path !== 'string' ? undefined : resolve(found.root, path);
}

/** Where programs of installed packages are. */
export function binFolders(base: string): string[] {
  return [...upwards(base)].map((folder) => join(folder, 'node_modules/.bin')).filter((folder) => existsSync(folder));
}

/**
 * What to start for a name: a program of the package's own `bin`, of `node_modules/.bin`, or of PATH. What has a slash, and what is
 * not found, stays as it is.
 */
export function programFor(name: string, base: string, path: string | undefined): { file: string; node: boolean } {
  if (name.includes('/')) return { file: name, node: false };
  const own = ownProgram(name, base);
  // A script that nobody has made executable yet (a fresh clone on some systems) is one for Node all the same: npm does that at install.
  if (own !== undefined) return { file: own, node: /\.[cm]?js$/.test(own) && !isProgram(own) };
  for (const folder of [...binFolders(base), ...(path ?? '').split(delimiter)]) {
    const file = join(folder, name);
    if (folder !== '' && isProgram(file)) return { file, node: false };
  }
  return { file: name, node: false };
}

/** What the policy's defaults give already. */
const system = /^\/(usr|bin|sbin|lib[^/]*|nix\/store)(\/|$)/;

/**
 * What a program needs to read of itself: its package, with all that is installed beside it. Programs of the system and of the private
 * folder need nothing.
 */
export function partsOf(file: string, folder: string): string[] {
  if (!file.startsWith('/')) return [];
  let real: string;
  try {
    real = realpathSync(file);
  } catch {
    return [];
  }
  if (system.test(real) || real.startsWith(`${folder}/`)) return [];
  const modules = real.indexOf('/node_modules/');
  if (modules >= 0) return [real.slice(0, modules + '/node_modules'.length)];
  const own = packageOf(dirname(real));
  if (own === undefined) return [real];
  // What a workspace has installed for all its packages lies above them.
  return [
    own.root,
    ...[...upwards(dirname(own.root))].map((at) => join(at, 'node_modules')).filter((at) => existsSync(at)),
  ];
}

/** The folder that the Node of these tests is installed in; none where the system's is. */
export function nodeFolder(): string[] {
  const folder = dirname(dirname(realpathSync(process.execPath)));
  return system.test(`${folder}/`) || folder === '/' ? [] : [folder];
}
