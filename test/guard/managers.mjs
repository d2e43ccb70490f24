// Installs, by each package manager with the guard as docs/guard.md says it, a package whose script does what malware did and one
// that compiles.
//   npm run test:guard-managers [-- --write] [NAME…]
// --write: the table into docs/guard.md. Package managers and Nodes come from npm into .cache/; the packages from a registry on loopback.
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetch, nodePath } from '../install/fetch.mjs';
import { managers as all } from '../install/matrix.mjs';
import { pack } from '../install/pack.mjs';
import { startRegistry } from '../install/registry.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const guard = join(root, 'dist/guard.js');
const write = process.argv.includes('--write');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--write');
const scratch = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-guard-managers-')));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const secret = 'npm_5ecretT0ken';
const guardOfProject = 'node_modules/holdfast/dist/guard.js';
const approved = ['malware', 'builds'];

/** What it is called by, how it installs a lock file's packages and makes one, and the line that has it use the guard. */
const kinds = {
  npm: {
    install: ['install', '--no-audit', '--no-fund'],
    again: ['ci', '--no-audit', '--no-fund'],
    files: (registry) => ({ '.npmrc': `registry=${registry}\n` }),
    line: { '.npmrc': `script-shell=\${PWD}/${guardOfProject}\n` },
    // npm 12 asks before it runs any script.
    env: { npm_config_dangerously_allow_all_scripts: 'true', npm_config_update_notifier: 'false' },
  },
  pnpm: {
    install: ['install', '--no-frozen-lockfile'],
    again: ['install', '--frozen-lockfile'],
    files: (registry) => ({
      '.npmrc': `registry=${registry}\n`,
      'pnpm-workspace.yaml': [
        `onlyBuiltDependencies: [${approved.join(', ')}]`, // pnpm 10
        `allowBuilds: { ${approved.map((name) => `${name}: true`).join(', ')} }`,
        '',
      ].join('\n'),
    }),
    line: { 'pnpm-workspace.yaml': `scriptShell: ./${guardOfProject}\n` },
  },
  yarn: {
    install: ['install'],
    again: ['install', '--frozen-lockfile'],
    files: (registry) => ({ '.yarnrc': `registry "${registry}"\n` }),
  },
  berry: {
    install: ['install', '--no-immutable'],
    again: ['install', '--immutable'],
    files: (registry) => ({
      '.yarnrc.yml': `nodeLinker: node-modules\nenableScripts: true\nnpmRegistryServer: "${registry}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableTelemetry: false\nenableGlobalCache: false\n`,
    }),
  },
};
const kindOf = ({ name }) => (/^yarn 4/.test(name) ? 'berry' : name.split(' ')[0]);
const managers = all.filter(({ name }) => !/bun|\(pnp\)/.test(name));

function tarball(folder, manifest, files) {
  const source = join(folder, manifest.name, 'package');
  mkdirSync(source, { recursive: true });
  const whole = { version: '1.0.0', license: 'MIT', ...manifest };
  for (const [name, text] of Object.entries({ ...files, 'package.json': JSON.stringify(whole) }))
    writeFileSync(join(source, name), text, { mode: 0o755 });
  const path = join(folder, `${manifest.name}.tgz`);
  execFileSync('tar', ['-czf', path, '-C', dirname(source), 'package']);
  return path;
}

async function listeners() {
  const heard = [];
  const server = createServer((request, response) => {
    heard.push(`HTTP ${request.url}`);
    response.end('#!/bin/sh\nexit 0\n');
  });
  const socket = createSocket('udp4').on('message', (message) => heard.push(`UDP ${message}`));
  await Promise.all([
    new Promise((resolve) => server.listen(0, '127.0.0.1', resolve)),
    new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve)),
  ]);
  return {
    heard,
    ports: { http: server.address().port, udp: socket.address().port },
    close() {
      server.close();
      socket.close();
    },
  };
}

/** The registry and what the packages reach for are in this process: nothing here may wait for another one in its only thread. */
function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { timeout: 180_000, ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
    child.on('error', (error) => resolve({ code: -1, text: String(error) }));
    child.on('close', (code) => resolve({ code: code ?? -1, text }));
  });
}

const contents = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

async function tryManager(manager, own, outer) {
  const kind = kinds[kindOf(manager)];
  const folder = join(scratch, manager.name.replaceAll(/\W+/g, '-'));
  const [project, home, bin] = ['project', 'home', 'bin'].map((name) => join(folder, name));
  const node = nodePath(manager.node);
  const program = manager.command(join(fetch(manager.fetch), 'node_modules'))[0];
  const called = kindOf(manager) === 'berry' ? 'yarn' : kindOf(manager);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, called), `#!/bin/sh\nexec '${node}' '${program}' "$@"\n`);
  chmodSync(join(bin, called), 0o755);
  const cache = join(home, 'cache');
  const malware = tarball(
    folder,
    { name: 'malware', scripts: { postinstall: 'node attack.cjs' } },
    {
      'attack.cjs': readFileSync(join(root, 'test/guard/attack.cjs'), 'utf8'),
      'target.json': JSON.stringify({ project, cache, ...outer.ports, secret }),
    },
  );
  const builds = tarball(
    folder,
    { name: 'builds', scripts: { install: 'cc -o built main.c && ./built > out' } },
    { 'main.c': '#include <stdio.h>\nint main(void) { puts("built"); }\n', 'index.js': '' },
  );
  const victim = tarball(folder, { name: 'victim', bin: { tsc: 'index.js' } }, { 'index.js': '' });
  const registry = await startRegistry([...own, malware, builds, victim]);
  const env = {
    HOME: home,
    PATH: `${bin}:${dirname(node)}:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    CI: 'true',
    NO_COLOR: '1',
    npm_config_cache: cache,
    npm_config_registry: registry.url,
    NPM_TOKEN: secret,
    ...kind.env,
  };

  /** A home, and a project in which nothing is installed but what locks its packages. */
  function lay(line) {
    const locks = ['package-lock.json', 'pnpm-lock.yaml', 'yarn.lock'].map((name) => [
      name,
      contents(join(project, name)),
    ]);
    for (const path of [home, project]) rmSync(path, { recursive: true, force: true });
    for (const path of ['.ssh', 'cache']) mkdirSync(join(home, path), { recursive: true });
    mkdirSync(join(project, '.git/hooks'), { recursive: true });
    const files = {
      ...kind.files(registry.url),
      ...Object.fromEntries(locks.filter(([, text]) => text !== undefined)),
      'package.json': JSON.stringify({
        name: 'p',
        version: '1.0.0',
        private: true,
        license: 'MIT',
        dependencies: { malware: '1.0.0', builds: '1.0.0', victim: '1.0.0', holdfast: '*' },
      }),
      '.env': `DATABASE=${secret}`,
      '.git/hooks/pre-commit': '',
      'README.md': '',
    };
    // A project of yarn 4's own, whatever lies above it.
    if (kindOf(manager) === 'berry') files['yarn.lock'] ??= '';
    for (const [name, text] of Object.entries(line ?? {})) files[name] = (files[name] ?? '') + text;
    for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text);
    writeFileSync(join(home, '.npmrc'), `//registry.example/:_authToken=${secret}\n`);
    writeFileSync(join(home, '.ssh/id_ed25519'), 'key');
    writeFileSync(join(home, '.bashrc'), '');
    outer.heard.length = 0;
  }

  /** What the scripts have done. */
  function seen() {
    const of = (name) => contents(join(project, 'node_modules', name));
    const result = JSON.parse(of('malware/result.json') ?? 'null');
    const daemon = Number(of('malware/daemon'));
    let lives = false;
    try {
      if (daemon > 0) process.kill(daemon, 0);
      lives = daemon > 0;
      if (lives) process.kill(daemon, 'SIGKILL');
    } catch {}
    const { 'own folder': inside, daemon: began, ...attacks } = result ?? {};
    const changed = [
      [home, '.bashrc'],
      [home, '.config/systemd/user/x.service'],
      [project, '.git/hooks/pre-commit'],
      [project, 'node_modules/victim/index.js'],
      [project, 'node_modules/was-victim'],
      [project, 'README.md'],
      [cache, 'planted'],
      [project, 'node_modules/.cache/holdfast-guard/x.jsonl'],
    ].filter(
      ([at, name]) =>
        (contents(join(at, name)) ?? '') !== '' || (name.endsWith('was-victim') && existsSync(join(at, name))),
    );
    return {
      ran: result !== null && inside === true && began === true,
      lives,
      done: Object.keys(attacks).filter((name) => attacks[name] === true),
      changed: changed.map(([, name]) => name),
      heard: [...outer.heard],
      built: of('builds/out') === 'built\n',
    };
  }

  /** undefined, or what is wrong. */
  function judge({ code, text }, told, expected = 0) {
    const { ran, lives, done, changed, heard, built } = seen();
    const problems = [
      code !== expected && `exit code ${code}: ${text}`,
      !ran && expected === 0 && `malware's script has not run: ${text}`,
      !built && expected === 0 && `the other package was not built: ${text}`,
      lives && 'its daemon lives on',
      done.length > 0 && `it could: ${done.join(', ')}`,
      changed.length > 0 && `it has changed ${changed.join(', ')}`,
      heard.length > 0 && `it has sent ${heard.join(', ')}`,
      !told(text) && `the summary does not tell of it: ${text}`,
    ].filter(Boolean);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  const results = {};
  lay();
  // What a guarded install keeps it from is worth something only if it does it without.
  const bare = await run(called, kind.install, { cwd: project, env });
  const control = seen();
  if (
    bare.code !== 0 ||
    !control.built ||
    control.done.length < 10 ||
    control.heard.length < 3 ||
    control.changed.length < 5
  )
    throw new Error(
      `${manager.name} without the guard: ${JSON.stringify(control)}: exit code ${bare.code}: ${bare.text}`,
    );

  const tells = (text) =>
    /✗ malware@1\.0\.0 postinstall/.test(text) && text.includes('1 tried what it may not') && !text.includes(secret);
  lay();
  results['in front of it'] = judge(await run(node, [guard, called, ...kind.again], { cwd: project, env }), tells);
  lay();
  const strict = await run(node, [guard, '--strict', called, ...kind.again], { cwd: project, env });
  results['`--strict`'] = judge(strict, () => true, strict.code === 0 ? 1 : strict.code);
  if (kind.line !== undefined) {
    const line = manager.name === 'pnpm 10' ? kinds.npm.line : kind.line;
    lay(line);
    const text = await run(called, kind.again, { cwd: project, env });
    const summary = await run(node, [join(project, guardOfProject), 'summary'], { cwd: project, env });
    results['by its line'] = judge(text, () => tells(summary.text));
  }
  registry.close();
  return results;
}

const columns = ['in front of it', '`--strict`', 'by its line'];
const [begin, end] = ['<!-- managers: npm run test:guard-managers -- --write -->', '<!-- /managers -->'];

function writeTable(rows) {
  const words = { 'in front of it': 'guarded', '`--strict`': 'fails', 'by its line': 'guarded' };
  const cell = (results, column) =>
    !(column in results) ? 'takes none' : results[column] === undefined ? words[column] : 'FAILED';
  const lines = rows.map(({ manager, results }) => [
    manager.name.replace(/ \d+/, ` ${manager.version}`),
    manager.node,
    ...columns.map((column) => cell(results, column)),
  ]);
  const head = ['package manager', 'Node', ...columns];
  const table = [head, head.map(() => '---'), ...lines].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const text = `${begin}
On ${new Date().toISOString().slice(0, 10)}, linux ${process.arch}. *Guarded*: of two packages of a lock file one compiles and runs what it has built; of what the other tries nothing comes about, which without the guard does
(tokens in the environment, in the home and in other processes; writing hooks of Git, start-up files, packages beside it and commands; the network, a daemon, a miner), and the summary tells of it.

${table}
`;
  const path = join(root, 'docs/guard.md');
  const page = readFileSync(path, 'utf8');
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < 0) throw new Error(`docs/guard.md has no place for the table: ${begin} … ${end}`);
  writeFileSync(path, page.slice(0, from) + text + page.slice(to));
}

const own = pack(scratch);
const outer = await listeners();
const rows = [];
for (const manager of managers) {
  if (wanted.length > 0 && !wanted.some((name) => manager.name.startsWith(name))) continue;
  const results = await tryManager(manager, own, outer);
  rows.push({ manager, results });
  for (const [column, problem] of Object.entries(results))
    console.log(
      `${manager.name} ${manager.version}: ${column}: ${problem === undefined ? 'passed' : `FAILED: ${problem}`}`,
    );
}
outer.close();
if (write && wanted.length === 0) writeTable(rows);
const bad = rows.flatMap(({ results }) => Object.values(results)).filter((problem) => problem !== undefined).length;
console.log(`package managers: ${rows.length} tried, ${bad} of their ways failed`);
process.exitCode = bad === 0 && rows.length > 0 ? 0 : 1;
