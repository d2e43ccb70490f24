// Before `npm pack` and `npm publish`: the package is built anew, and nothing that is missing or stale is packed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn } from './rooms.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });

rmSync(join(root, 'dist'), { recursive: true, force: true });
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
run('node_modules/rolldown/bin/cli.mjs', '-c', '.config/rolldown.mjs');
run('native/build.mjs', '--prebuilds');

const problems = [];
const needed = ['dist/index.js', 'dist/index.d.ts'];
const platforms = readdirSync(join(root, 'prebuilds')).filter((name) => name.startsWith('linux-'));
const changed = Math.max(...sourcesIn('native', /\.(cc|h|def)$/).map((path) => statSync(join(root, path)).mtimeMs));
for (const platform of platforms) {
  for (const name of ['holdfast.glibc.node', 'holdfast-supervisor']) {
    const path = join('prebuilds', platform, name);
    needed.push(path);
    if (existsSync(join(root, path)) && statSync(join(root, path)).mtimeMs < changed)
      problems.push(
        `${path} is older than native/: build it anew (native/build.mjs --prebuilds --arch=…), or remove it`,
      );
  }
}
for (const path of needed) {
  if (!existsSync(join(root, path)) || statSync(join(root, path)).size === 0)
    problems.push(`${path} is missing or empty`);
}
for (const problem of problems) console.error(`prepack: ${problem}`);
console.error(`prepack: binaries for ${platforms.join(', ')}`);
process.exitCode = problems.length === 0 ? 0 : 1;
