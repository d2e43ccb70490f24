// `holdfast-guard run-scripts`: the install scripts of what is installed, where the package manager was told to run none: for
// yarn, which takes no shell for them. Each is run by the guard, with the environment that npm would give it.
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { HoldfastError } from '../index.ts';
import { regularText } from './files.ts';

interface Manifest {
  name?: string;
  version?: string;
  scripts?: Record<string, unknown>;
  dependencies?: Record<string, unknown>;
  optionalDependencies?: Record<string, unknown>;
  gypfile?: boolean;
}

interface Installed {
  folder: string;
  manifest: Manifest;
}

function manifestOf(folder: string): Manifest | undefined {
  try {
    const manifest: unknown = JSON.parse(regularText(join(folder, 'package.json')));
    return typeof manifest === 'object' && manifest !== null ? manifest : undefined;
  } catch {
    return undefined;
  }
}

const isFolder = (path: string) => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Those in a node_modules and below. What a link stands for (workspaces, pnpm's) is found where it lies, or is the project's own. */
function packagesIn(modules: string): Installed[] {
  if (!isFolder(modules)) return [];
  const found: Installed[] = [];
  for (const name of readdirSync(modules)) {
    const folder = join(modules, name);
    if (name === '.pnpm')
      found.push(...readdirSync(folder).flatMap((entry) => packagesIn(join(folder, entry, 'node_modules'))));
    if (name.startsWith('.') || !isFolder(folder)) continue;
    if (name.startsWith('@')) {
      found.push(...packagesIn(folder));
      continue;
    }
    const manifest = manifestOf(folder);
    if (manifest !== undefined) found.push({ folder, manifest });
    found.push(...packagesIn(join(folder, 'node_modules')));
  }
  return found;
}

/** Dependencies before who needs them, as npm runs their scripts. */
function inOrder(all: readonly Installed[]): Installed[] {
  const at = new Map(all.map((one) => [one.folder, one]));
  const ordered = new Set<Installed>();
  const seen = new Set<Installed>();
  const visit = (one: Installed) => {
    if (seen.has(one)) return;
    seen.add(one);
    for (const name of Object.keys({ ...one.manifest.dependencies, ...one.manifest.optionalDependencies })) {
      for (let folder = one.folder; folder !== dirname(folder); folder = dirname(folder)) {
        const path = join(folder, 'node_modules', name);
        if (!existsSync(path)) continue;
        const dependency = at.get(realpathSync(path));
        if (dependency !== undefined) visit(dependency);
        break;
      }
    }
    ordered.add(one);
  };
  for (const one of all) visit(one);
  return [...ordered];
}

/** What npm would run: a binding.gyp stands for a script. */
function scriptsOf({ folder, manifest }: Installed): [string, string][] {
  const scripts = typeof manifest.scripts === 'object' && manifest.scripts !== null ? manifest.scripts : {};
  const found: [string, string][] = [];
  for (const event of ['preinstall', 'install', 'postinstall']) {
    const script = Object.hasOwn(scripts, event) ? scripts[event] : undefined;
    if (typeof script === 'string' && script !== '') found.push([event, script]);
  }
  const compiles = existsSync(join(folder, 'binding.gyp')) && manifest.gypfile !== false;
  if (compiles && !found.some(([event]) => event !== 'postinstall')) found.unshift(['install', 'node-gyp rebuild']);
  return found;
}

/** node-gyp comes with npm, and npm with Node. */
function nodeGyp(): { bin?: string; script?: string } {
  const npm = join(dirname(process.execPath), 'npm');
  if (!existsSync(npm)) return {};
  const modules = join(dirname(realpathSync(npm)), '../node_modules');
  return {
    bin: join(modules, '@npmcli/run-script/lib/node-gyp-bin'),
    script: join(modules, 'node-gyp/bin/node-gyp.js'),
  };
}

function environment(
  project: string,
  { folder, manifest }: Installed,
  event: string,
  script: string,
): NodeJS.ProcessEnv {
  const gyp = nodeGyp();
  const path: string[] = [];
  for (let at = folder; at !== dirname(at); at = dirname(at)) path.push(join(at, 'node_modules/.bin'));
  if (gyp.bin !== undefined) path.push(gyp.bin);
  return {
    ...process.env,
    PATH: [...path, process.env.PATH ?? ''].join(delimiter),
    INIT_CWD: project,
    NODE: process.execPath,
    npm_node_execpath: process.execPath,
    npm_lifecycle_event: event,
    npm_lifecycle_script: script,
    npm_package_json: join(folder, 'package.json'),
    npm_package_name: manifest.name ?? '',
    npm_package_version: manifest.version ?? '',
    npm_config_local_prefix: project,
    npm_config_node_gyp: gyp.script,
    HOLDFAST_GUARD_PROJECT: project,
  };
}

/**
 * Runs them, one after the other, and goes on where one fails.
 * @param names Of these packages only; all, if there are none.
 * @returns Those that failed, as places in the project.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_GUARD`, where the project has no node_modules, or no such package.
 */
export async function runInstallScripts(
  guard: string,
  project: string,
  names: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  if (existsSync(join(project, '.pnp.cjs'))) {
    const message = `${project} is installed with Plug'n'Play: run-scripts needs nodeLinker: node-modules (or pnpm)`;
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', message);
  }
  const all = inOrder(packagesIn(join(project, 'node_modules')));
  const named = ({ folder }: Installed) => names.find((name) => folder.endsWith(`/node_modules/${name}`));
  const missing = names.find((name) => !all.some((one) => named(one) === name));
  if (missing !== undefined)
    throw new HoldfastError('ERR_HOLDFAST_INVALID_GUARD', `${missing} is not installed in ${project}`);
  const failed: string[] = [];
  for (const one of all) {
    if (names.length > 0 && named(one) === undefined) continue;
    for (const [event, script] of scriptsOf(one)) {
      const ended = await new Promise<boolean>((resolve, reject) => {
        const options = { cwd: one.folder, env: { ...environment(project, one, event, script), ...env } };
        const child = spawn(guard, ['-c', script], { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
        child.on('error', reject);
        child.on('close', (code) => resolve(code === 0));
      });
      if (ended) continue;
      failed.push(relative(project, one.folder));
      break;
    }
  }
  return failed;
}
