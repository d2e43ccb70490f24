// Folders that matter to install scripts, and those that no exception opens.
import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';

/** What holds keys and tokens in a home; of shells, what runs at the next start. */
const ofHome = [
  ...['.ssh', '.gnupg', '.aws', '.azure', '.kube', '.docker', '.config/gcloud', '.config/gh', '.config/hub'],
  ...[
    '.npmrc',
    '.yarnrc',
    '.yarnrc.yml',
    '.config/pnpm',
    '.netrc',
    '.git-credentials',
    '.config/git',
    '.gitconfig',
    '.pypirc',
  ],
  ...[
    '.cargo/credentials',
    '.cargo/credentials.toml',
    '.m2/settings.xml',
    '.terraform.d',
    '.vault-token',
    '.password-store',
  ],
  ...[
    '.bashrc',
    '.bash_profile',
    '.profile',
    '.zshrc',
    '.zshenv',
    '.config/fish',
    '.config/autostart',
    '.config/systemd',
  ],
  ...[
    '.local/share/keyrings',
    '.mozilla',
    '.config/google-chrome',
    '.config/chromium',
    '.bash_history',
    '.zsh_history',
  ],
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
