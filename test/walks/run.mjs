// What a newcomer does in the first five minutes, for each kind of user: a shell script each, in an empty folder with nothing but the
// package as it would be published.
//   npm run test:walks [-- NAME…]
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pack } from '../install/pack.mjs';

const folder = dirname(fileURLToPath(import.meta.url));
const all = readdirSync(folder)
  .filter((name) => name.endsWith('.sh'))
  .map((name) => basename(name, '.sh'));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) throw new Error(`no such walk: ${unknown.join(', ')}; known are ${all.join(', ')}`);

const scratch = mkdtempSync(join(tmpdir(), 'holdfast-walks-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const tarballs = pack(scratch);

const results = [];
for (const name of wanted.length > 0 ? wanted : all) {
  const [home, project] = ['home', 'project'].map((part) => join(scratch, name, part));
  for (const path of [home, project]) mkdirSync(path, { recursive: true });
  const { status, signal, stdout, stderr } = spawnSync('sh', ['-eu', join(folder, `${name}.sh`)], {
    cwd: project,
    encoding: 'utf8',
    timeout: 5 * 60_000,
    killSignal: 'SIGKILL',
    env: {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: home,
      NO_COLOR: '1',
      npm_config_update_notifier: 'false',
      npm_config_fund: 'false',
      npm_config_audit: 'false',
      // What `npm install holdfast` takes from the registry.
      HOLDFAST: tarballs.join(' '),
      ...(process.env.NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS }),
    },
  });
  const passed = status === 0;
  results.push(passed);
  console.log(`${passed ? 'passed' : 'FAILED'}: ${name}`);
  if (!passed) console.log(`exit code ${status}, signal ${signal}\n${stdout}\n${stderr}`);
}

const report = process.env.HOLDFAST_TEST_REPORT;
const count = (value) => results.filter((passed) => passed === value).length;
if (report) writeFileSync(report, JSON.stringify({ passed: count(true), failed: count(false), skipped: 0 }));
process.exitCode = count(false) > 0 ? 1 : 0;
