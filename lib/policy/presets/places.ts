// What a preset's paths stand for on this machine, for a working directory.
import { lstatSync, realpathSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { FileDenial, Policy } from '../policy.ts';
import { inFolder } from '../variables.ts';

function attempt(get: () => string): string | undefined {
  try {
    const folder = get();
    return isAbsolute(folder) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** Of the environment, and of the user's entry where that is another: what is to be kept from a tree may lie in both. */
function homes(): string[] {
  const all = [attempt(homedir), attempt(() => userInfo().homedir)];
  return [...new Set(all.filter((home) => home !== undefined))];
}

const real = (path: string): string => attempt(() => realpathSync.native(path)) ?? path;
const isWithin = (path: string, folder: string): boolean =>
  folder === '/' || path === folder || path.startsWith(`${folder}/`);

/** Whether giving that folder would give a home, or the machine: nobody's intent. */
export function tooWide(cwd: string): string | undefined {
  const folder = real(cwd);
  if (folder === '/') return 'the root';
  const home = homes().find((one) => isWithin(real(one), folder));
  return home === undefined ? undefined : `the home directory ${home}, or above it`;
}

/** And no link, which the tree of an earlier run, or whoever made the project, may have put there. */
function isFolder(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Where Node looks for packages above a folder, as far as they are the project's. What is in the folder itself it has anyway. */
function nodeModules(cwd: string): string[] {
  const found: string[] = [];
  const stops = homes();
  for (let at = dirname(cwd); at !== dirname(at) && !stops.includes(at); at = dirname(at)) {
    const folder = basename(at) === 'node_modules' ? at : join(at, 'node_modules');
    if (!found.includes(folder) && isFolder(folder)) found.push(folder);
  }
  return found;
}

/** Where there is no repository, none is made whose parts are not those that a rule protects: a file `.git` names another folder. */
function notMade(denials: readonly (string | URL | FileDenial)[], cwd: string): FileDenial[] {
  const protects = denials.some(
    (rule) => typeof rule === 'object' && 'path' in rule && String(rule.path).startsWith('.git/'),
  );
  return protects && !isFolder(join(cwd, '.git')) ? [{ path: '.git', access: ['write'] }] : [];
}

function placed(path: string, cwd: string, folders: readonly string[]): string[] {
  if (path === '$NODE_MODULES') return nodeModules(cwd).map((folder) => inFolder(folder, ''));
  if (!path.startsWith('~/')) return [path];
  return folders.map((home) => inFolder(home === '/' ? '' : home, path.slice(1)));
}

/** A preset's policy as any other. */
export function presetAt({ files = {}, ...rest }: Policy, cwd: string): Policy {
  const all = homes();
  const allow = (list: readonly (string | URL)[] | undefined) =>
    list?.flatMap((path): (string | URL)[] => (typeof path === 'string' ? placed(path, cwd, all.slice(0, 1)) : [path]));
  const deny = (rule: string | URL | FileDenial): (string | URL | FileDenial)[] => {
    if (typeof rule === 'string') return placed(rule, cwd, all);
    if (rule instanceof URL || typeof rule.path !== 'string') return [rule];
    return placed(rule.path, cwd, all).map((path) => ({ ...rule, path }));
  };
  const { read, write } = files;
  return {
    ...rest,
    files: {
      ...files,
      ...(read && { read: allow(read) ?? [] }),
      ...(write && { write: allow(write) ?? [] }),
      ...(files.deny && { deny: [...files.deny.flatMap(deny), ...notMade(files.deny, cwd)] }),
    },
  };
}
