// Installs real packages that have install scripts, by npm with the guard, and says what came of it.
//   npm run test:guard-table [-- --write] [NAME…]
// --write: the table into docs/guard.md, and as test/guard/table.json. Packages come from the registry that npm is set to; what
// scripts download from elsewhere they would have to be granted. A script that fails is run again without the guard, to tell whose fault it is.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packages } from './packages.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const guard = join(root, 'dist/guard.js');
const write = process.argv.includes('--write');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--write');
const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-guard-table-')));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const LONGEST = Number(process.env.HOLDFAST_TABLE_TIMEOUT ?? 300) * 1000;

function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        text += chunk;
      });
    }
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid, 'SIGTERM'); // its own group
    }, LONGEST);
    child.on('error', (error) => resolve({ code: -1, text: String(error), late }));
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? -1, text, late });
    });
  });
}

const npmLine = ['--no-audit', '--no-fund', '--loglevel=error', '--dangerously-allow-all-scripts', '--no-package-lock'];

async function tryOne([name, version, kind], i) {
  const folder = join(scratch, String(i));
  const [home, project] = ['home', 'project'].map((part) => join(folder, part));
  for (const path of [home, join(project, '.git/hooks')]) mkdirSync(path, { recursive: true });
  writeFileSync(join(project, '.git/HEAD'), 'ref: refs/heads/main\n');
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'p', version: '1.0.0', dependencies: { [name]: version } }),
  );
  const env = {
    ...process.env,
    HOME: home,
    npm_config_cache: join(scratch, 'cache'),
    npm_config_update_notifier: 'false',
  };
  // Headers to compile against, as `npx node-gyp install` fetches them where Node has not brought them.
  env.npm_config_nodedir ??= join(dirname(process.execPath), '..');
  const from = Date.now();
  const { code, text, late } = await run(guard, ['npm', 'install', ...npmLine], { cwd: project, env });
  const summary = spawnSync(guard, ['summary', '--json'], { cwd: project, env, encoding: 'utf8' });
  const scripts = JSON.parse(summary.stdout || '[]');
  const place = join(project, 'node_modules', name);
  // Of an install that has failed nothing is left but what its scripts were told by.
  const told = scripts.map((script) => script.package).find((title) => title.startsWith(`${name}@`));
  let installed = told?.slice(name.length + 1) ?? version;
  try {
    installed = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')).version;
  } catch {}
  let bare;
  if (code !== 0 && !late) {
    rmSync(join(project, 'node_modules'), { recursive: true, force: true });
    bare = (await run('npm', ['install', ...npmLine], { cwd: project, env })).code;
  }
  const short = (path) => path.replaceAll(`${project}/`, '').replaceAll(home, '~').replaceAll(scratch, '…');
  const refused = scripts.flatMap((script) =>
    script.tries.filter(({ look }) => !look).map(({ what, on }) => `${what} ${short(on)}`),
  );
  const row = {
    name,
    version: installed,
    kind,
    scripts: scripts.length,
    result: late
      ? 'too slow here'
      : code === 0
        ? 'succeeds'
        : bare === 0
          ? 'FAILS UNDER THE GUARD ALONE'
          : 'fails, and without the guard, too',
    refused: [...new Set(refused)],
    seconds: Math.round((Date.now() - from) / 100) / 10,
  };
  console.log(JSON.stringify(row));
  if (code !== 0) console.log(text.slice(-1500).replaceAll(/^/gm, '    | '));
  rmSync(folder, { recursive: true, force: true });
  return row;
}

const [begin, end] = ['<!-- packages: npm run test:guard-table -- --write -->', '<!-- /packages -->'];

/** `connect to` a name server, a write below a cache: what a reader wants to know, each once. */
function told(refused) {
  const kinds = refused.map((one) =>
    one
      .replace(/^connect \S+ port 53$/, 'name look-ups')
      .replace(/^connect (\S+) port (\d+)$/, 'connections to port $2')
      .replace(/^(read|write) (~(?:\/[^/ ]+){0,2}).*$/, '$1 `$2`')
      .replace(/^(read|write) (\.git\/[^/ ]+|[^~`][^ ]*).*$/, '$1 `$2`'),
  );
  const all = [...new Set(kinds)];
  return all.length > 4 ? `${all.slice(0, 4).join(', ')}, and ${all.length - 4} more` : all.join(', ') || 'nothing';
}

function writeTable(rows) {
  const date = new Date().toISOString().slice(0, 10);
  const { node } = process.versions;
  const npm = spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout.trim();
  const machine = `linux ${process.arch}, Node ${node}, npm ${npm}`;
  writeFileSync(join(root, 'test/guard/table.json'), `${JSON.stringify({ date, machine, rows }, undefined, 2)}\n`);
  spawnSync(join(root, 'node_modules/.bin/biome'), ['format', '--write', 'test/guard/table.json'], { cwd: root });
  const lines = rows.map(({ name, version, kind, scripts, result, refused }) => [
    `\`${name}\` ${version}`,
    kind,
    scripts,
    result,
    told(refused),
  ]);
  const table = [['package', 'its script', 'scripts', 'the install', 'refused'], Array(5).fill('---'), ...lines]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
  const path = join(root, 'docs/guard.md');
  const page = readFileSync(path, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`docs/guard.md has no place for the table: ${begin} … ${end}`);
  const head = `On ${date}, ${machine}, on a machine that reaches npm's registry alone, without exceptions. *Scripts*: how many ran, those of dependencies too.`;
  writeFileSync(path, `${page.slice(0, from)}${begin}\n${head}\n\n${table}\n${page.slice(to)}`);
}

const rows = [];
for (const [i, one] of packages.entries()) {
  if (wanted.length === 0 || wanted.includes(one[0])) rows.push(await tryOne(one, i));
  // An interrupted run leaves what it has.
  if (write) writeTable(rows);
}
const bad = rows.filter(({ result }) => result.includes('ALONE')).length;
console.log(`packages: ${rows.length} tried, ${bad} fail under the guard alone`);
process.exitCode = bad === 0 ? 0 : 1;
