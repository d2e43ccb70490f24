// Package managers and Nodes, from npm into .cache/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cache = fileURLToPath(new URL('../../.cache/install', import.meta.url));

/** From npm, once: each in a folder of its own, with nothing run. */
export function fetch(specifier) {
  const folder = join(cache, specifier.replaceAll('/', '+'));
  if (existsSync(join(folder, '.done'))) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  const line = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    ...specifier.split(' '),
  ];
  const { status } = spawnSync('npm', line, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`npm install ${specifier} failed`);
  writeFileSync(join(folder, '.done'), '');
  return folder;
}

/** Where a Node of a version is. */
export const nodePath = (version) =>
  join(fetch(`node-linux-${process.arch}@${version}`), `node_modules/node-linux-${process.arch}/bin/node`);
