// Whether the sources alone decide on the bytes of prebuilds/: builds them once more, from a copy in another folder with nothing
// that was compiled before, and compares the checksums: `npm run check:reproducible`.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sums = (folder) => readFileSync(join(folder, 'prebuilds/SHA256SUMS'), 'utf8');
const run = (cwd, ...args) => {
  const line = ['native/build.mjs', '--prebuilds', ...args];
  const env = {
    ...process.env,
    ...(cwd !== root && { CCACHE_DISABLE: '1', LANG: 'de_DE.UTF-8', TZ: 'Pacific/Chatham' }),
  };
  const { status } = spawnSync(process.execPath, line, { cwd, env, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) process.exit(status ?? 1);
};
run(root, '--if-needed');

const temporary = mkdtempSync(join(tmpdir(), 'holdfast-again-'));
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));
const copy = join(temporary, 'at', 'another', 'depth');
mkdirSync(copy, { recursive: true });
const tracked = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
for (const name of tracked.split('\0').filter((path) => path !== '' && existsSync(join(root, path)))) {
  cpSync(join(root, name), join(copy, name));
}
// What is compiled of them lies elsewhere, too.
mkdirSync(join(copy, 'node_modules'));
for (const name of readdirSync(join(root, 'node_modules'))) {
  const [from, to] = [root, copy].map((folder) => join(folder, 'node_modules', name));
  if (name === 'node-addon-api') cpSync(from, to, { recursive: true });
  else symlinkSync(from, to);
}
run(copy);

const [first, second] = [sums(root), sums(copy)];
console.log(first === second ? `reproduce: the same bytes\n${first}` : `reproduce: they differ\n${first}\n${second}`);
process.exitCode = first === second ? 0 : 1;
