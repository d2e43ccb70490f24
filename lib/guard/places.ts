// Folders that matter to install scripts, and those that no exception opens.
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { secrets } from '../policy/presets/parts.ts';

/** What holds keys and tokens in a home; of shells, desktops and Git, what they execute or obey at the next start. */
const ofHome = [
  ...secrets.map((path) => path.replace('~/', '')),
  ...[
    '.bashrc',
    '.bash_profile',
    '.bash_login',
    '.profile',
    '.zshrc',
    '.zshenv',
    '.zprofile',
    '.zlogin',
    '.config/fish',
  ],
  ...['.config/autostart', '.config/git', '.gitconfig', '.local/bin', '.pam_environment', '.config/environment.d'],
];
const ofProject = ['.npmrc', '.yarnrc.yml', '.env', '.git'];

/** Whether `path` is `folder` or lies below it. */
export function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (way !== '..' && !way.startsWith('../') && !isAbsolute(way));
}

/** Where a path leads, as far as it is there. */
export function canonical(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const folder = dirname(path);
    return folder === path ? path : join(canonical(folder), basename(path));
  }
}

/** The absolute path that an exception means; undefined for what could be meant in two ways. */
export function exceptionPath(text: string, project: string): string | undefined {
  if (text === '~' || text.startsWith('~/')) return join(homedir(), text.slice(1));
  if (text.startsWith('~') || /[$*?[\]{}\0]/.test(text)) return undefined;
  if (isAbsolute(text)) return resolve(text);
  const path = resolve(project, text);
  return isWithin(path, project) ? path : undefined;
}

/** The first secret that would be open with `path`, as one would write it. */
export function secretBelow(path: string, project: string): string | undefined {
  const opened = (folder: string, names: readonly string[]) =>
    names.map((name) => join(folder, name)).find((place) => isWithin(place, path) || isWithin(path, place));
  return opened(homedir(), ofHome) ?? opened(project, ofProject);
}
