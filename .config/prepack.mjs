// Before `npm pack` and `npm publish`: the package is built anew, and nothing that is missing or stale is packed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = (...args) => execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });

rmSync(join(root, 'dist'), { recursive: true, force: true });
run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json');
run('node_modules/rolldown/bin/cli.mjs', '-c', '.config/rolldown.mjs');
run('native/build.mjs', '--prebuilds');

// The build has refused what is not for the machine that its folder names, and has made all of it anew.
const problems = [];
const needed = [
  'dist/policy.schema.json',
  'dist/index.js',
  'dist/index.cjs',
  'dist/index.d.ts',
  'dist/index.d.cts',
  'dist/report.html',
  'dist/guard.js',
  'prebuilds/SHA256SUMS',
];
for (const platform of ['linux-x64', 'linux-arm64']) {
  for (const name of ['holdfast.glibc.node', 'holdfast-supervisor']) needed.push(join('prebuilds', platform, name));
}
const listed = readFileSync(join(root, 'prebuilds/SHA256SUMS'), 'utf8');
const others = readdirSync(join(root, 'prebuilds'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && !['README.md', 'SHA256SUMS'].includes(entry.name))
  .map((entry) => join(relative(join(root, 'prebuilds'), entry.parentPath ?? entry.path), entry.name));
for (const name of others) {
  if (!listed.includes(`  ${name}\n`)) problems.push(`prebuilds/${name} is nothing that was built: remove it`);
}
for (const path of needed) {
  if (!existsSync(join(root, path)) || statSync(join(root, path)).size === 0)
    problems.push(`${path} is missing or empty`);
}
for (const problem of problems) console.error(`prepack: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
