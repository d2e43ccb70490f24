// A home with secrets, a project, packages as tarballs, and a real npm that installs them: all in a folder of its own.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../helpers/temp.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
/** As it is built: `npm run build`. */
export const guard = join(root, bin['holdfast-guard']);

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Scene {
  folder: string;
  home: string;
  project: string;
  cache: string;
  env: NodeJS.ProcessEnv;
  /** Makes a tarball of a package. */
  pack(manifest: Record<string, unknown> & { name: string }, files?: Record<string, string>): string;
  /** Writes the project's package.json. */
  manifest(fields: Record<string, unknown>): void;
  /** Runs a command in the project. */
  run(command: string, args: readonly string[], more?: NodeJS.ProcessEnv): Promise<Ran>;
  /** `npm …`, with the guard as its shell or without it. */
  npm(guarded: boolean, args: readonly string[], more?: NodeJS.ProcessEnv): Promise<Ran>;
}

export function write(path: string, text: string, mode?: number): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  if (mode !== undefined) chmodSync(path, mode);
  return path;
}

export function makeScene(): Scene {
  const folder = temporaryFolder('guard');
  const [home, project, cache] = ['home', 'project', 'cache'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [home, project, cache, join(folder, 'tmp')]) mkdirSync(path);
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    HOME: home,
    TMPDIR: join(folder, 'tmp'),
    LANG: 'C.UTF-8',
    npm_config_cache: cache,
    npm_config_offline: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_loglevel: 'error',
    // npm 12 asks before it runs any script.
    npm_config_dangerously_allow_all_scripts: 'true',
  };
  const run = (command: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) =>
    new Promise<Ran>((resolve, reject) => {
      const child = spawn(command, args, { cwd: project, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
      const ran: Ran = { code: null, stdout: '', stderr: '' };
      child.stdout.setEncoding('utf8').on('data', (text) => {
        ran.stdout += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text) => {
        ran.stderr += text;
      });
      child.on('error', reject);
      child.on('close', (code) => resolve({ ...ran, code }));
    });
  return {
    folder,
    home,
    project,
    cache,
    env,
    run,
    npm: (guarded, args, more) => (guarded ? run(guard, ['npm', ...args], more) : run('npm', args, more)),
    pack(manifest, files = {}) {
      const name = manifest.name.replace('/', '+');
      const source = join(folder, 'packed', name);
      const { version = '1.0.0' } = manifest;
      for (const [path, text] of Object.entries(files)) write(join(source, 'package', path), text, 0o755);
      write(join(source, 'package/package.json'), JSON.stringify({ version, ...manifest }));
      const tarball = join(folder, `${name}-${version}.tgz`);
      execFileSync('tar', ['-czf', tarball, '-C', source, 'package']);
      return tarball;
    },
    manifest: (fields) =>
      void write(join(project, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', ...fields })),
  };
}
