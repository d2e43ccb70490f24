// Installs the package as it would be published, by the package managers that people have, with no compiler at hand, and
// loads it on the Nodes that `engines` names, in workers and in bundles.
//   npm run test:install [-- --write]
// --write: the table into docs/platforms.md, and as test/install/table.json. Managers and Nodes come from npm into .cache/.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetch, nodePath } from './fetch.mjs';
import { bundlers, compilers, linter, managers, nodes, runtimes } from './matrix.mjs';
import { pack } from './pack.mjs';
import { startRegistry } from './registry.mjs';
import { spawnText } from './spawn-text.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const write = process.argv.includes('--write');
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-install-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const fail = (message) => {
  throw new Error(message);
};

/** What an install that compiles would call. */
const tools = ['gcc', 'g++', 'cc', 'c++', 'clang', 'make', 'cmake', 'python', 'python3', 'node-gyp', 'node-gyp-build'];
const wire = join(scratch, 'called');
function layWire() {
  const folder = join(scratch, 'wire');
  mkdirSync(folder);
  for (const tool of tools) {
    writeFileSync(join(folder, tool), `#!/bin/sh\necho "${tool} $*" >> '${wire}'\nexit 1\n`);
    chmodSync(join(folder, tool), 0o755);
  }
  return folder;
}

const tarballs = pack(scratch);
const registry = await startRegistry(tarballs);
const wires = layWire();
const results = [];
function record(group, subject, what, problem) {
  results.push({
    group,
    subject,
    what,
    result: problem === undefined ? 'passed' : 'failed',
    ...(problem && { problem }),
  });
  if (problem !== undefined) console.log(`FAILED: ${subject}: ${what}: ${problem}`);
}

function environment(home, node, more = {}) {
  return {
    HOME: home,
    PATH: `${wires}:${dirname(node)}:/usr/bin:/bin`,
    LANG: 'C.UTF-8',
    CI: 'true',
    NO_COLOR: '1',
    npm_config_registry: registry.url,
    npm_config_update_notifier: 'false',
    ...more,
  };
}

/** The registry is in this process: nothing here may wait for another one in its only thread. */
function run(command, args, options) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { timeout: 120_000, ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const out = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => {
        out[name] += text;
      });
    }
    child.on('error', (error) => resolve({ status: -1, ...out, stderr: String(error) }));
    child.on('close', (status) => resolve({ status: status ?? -1, ...out }));
  });
}

/** What would not be there after a clean install: a word of warning, a script, something built. */
const unwanted = /warn|deprecat|gyp|script|build|compil|ignored/i;
/** A dependency's name, what yarn 1 calls a step of each install and says of the flag, and what yarn 4 says of every ES module with PnP. */
const usual =
  /node-gyp-build@|Building fresh packages|warning Ignored scripts due to flag\.|YN0092.*|(?<=YN0092[\s\S]*)Done with warnings/g;

async function install(manager) {
  const project = join(scratch, manager.name.replaceAll(/[ (),]/g, '-'));
  const home = join(project, '.home');
  mkdirSync(home, { recursive: true });
  const files = {
    'package.json': JSON.stringify({ name: 'p', version: '1.0.0', private: true, license: 'MIT' }),
    'import.mjs': `import { spawnSandboxed } from 'holdfast';\n${spawnText}`,
    'require.cjs': `const { spawnSandboxed } = require('holdfast');\n${spawnText}`,
    'mode.cjs': `const { join } = require('node:path'), own = require.resolve('holdfast/package.json');
console.log((require('node:fs').statSync(join(own, '../prebuilds/linux-${process.arch}/holdfast-supervisor')).mode & 0o777).toString(8));`,
    'worker.mjs': `import { Worker } from 'node:worker_threads';
const worker = new Worker(new URL('./import.mjs', import.meta.url));
worker.on('error', (error) => { console.log(error); process.exitCode = 1; });
worker.on('exit', (code) => { process.exitCode ||= code; });`,
    ...manager.files?.(registry.url),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project, name), text);
  rmSync(wire, { force: true });
  const folder = fetch(manager.fetch);
  const node = nodePath(manager.node);
  const [program, ...args] = manager.command(join(folder, 'node_modules'));
  const line = /\.[cm]?js$/.test(program) ? [node, program, ...args] : [program, ...args];
  const { status, stdout, stderr } = await run(line[0], line.slice(1), {
    cwd: project,
    env: environment(home, node, manager.env),
  });
  const said = (stdout + stderr)
    .replaceAll(usual, '')
    .split('\n')
    .filter((text) => unwanted.test(text));
  const called = existsSync(wire) ? readFileSync(wire, 'utf8') : '';
  const problem =
    status !== 0
      ? `exit code ${status}: ${stdout}${stderr}`
      : said.length > 0
        ? `it says ${said.join(' / ')}:\n${stdout}${stderr}`
        : called !== ''
          ? `it called ${called}`
          : undefined;
  record('install', manager.name, 'installs', problem);
  if (problem !== undefined) return undefined;
  const mode = await run(node, [...(manager.flags?.(project) ?? []), 'mode.cjs'], {
    cwd: project,
    env: environment(home, node),
  });
  record('install', manager.name, 'keeps modes', mode.stdout === '755\n' ? undefined : mode.stdout + mode.stderr);
  return { project, home };
}

/** What the others say is worth something only if a package with a script is noticed here. */
async function control() {
  const [tool] = tools;
  const folder = join(scratch, 'control');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: 'control', version: '1.0.0', scripts: { install: tool } }),
  );
  const project = join(scratch, 'with-control');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  const node = nodePath(nodes[0].version);
  const line = [
    join(fetch(managers[0].fetch), 'node_modules/npm/bin/npm-cli.js'),
    'install',
    '--install-links',
    folder,
  ];
  const { status } = await run(node, line, { cwd: project, env: environment(project, node) });
  const called = existsSync(wire) ? readFileSync(wire, 'utf8') : '';
  const felt = status !== 0 && called.startsWith(tool);
  record(
    'control',
    managers[0].name,
    `${tool} at install is noticed`,
    felt ? undefined : `exit code ${status}, called ${called}`,
  );
}

async function load({ project, home }, manager) {
  for (const version of nodes) {
    const node = nodePath(version.version);
    const problems = [];
    for (const file of ['import.mjs', 'require.cjs', 'worker.mjs']) {
      const flags = manager.flags?.(project) ?? [];
      const { status, stdout, stderr } = await run(node, [...flags, join(project, file)], {
        cwd: project,
        env: environment(home, node),
      });
      if (status !== 0 || stdout !== 'from the package\n')
        problems.push(`${file}: exit code ${status}: ${stdout}${stderr}`);
    }
    record('install', manager.name, version.name, problems.length > 0 ? problems.join('; ') : undefined);
  }
}

/** A bundle beside the package works; one elsewhere says what to do; one that keeps the package outside works beside it. */
async function bundle({ project, home }, bundler) {
  const modules = join(fetch(bundler.fetch), 'node_modules');
  const node = nodePath(nodes.at(-1).version);
  const elsewhere = join(scratch, 'elsewhere');
  mkdirSync(elsewhere, { recursive: true });
  for (const { name, file, external, expected } of bundler.bundles) {
    const out = join(project, `bundle-${bundler.name}-${name.replaceAll(' ', '-')}`, file);
    mkdirSync(dirname(out));
    const [program, ...args] = bundler.command(modules, { project, out, external });
    const built = await run(node, [program, ...args], {
      cwd: project,
      env: environment(home, node, { NODE_PATH: modules }),
    });
    if (built.status !== 0) {
      record('bundle', bundler.name, name, `it does not build: ${built.stdout}${built.stderr}`);
      continue;
    }
    const moved = join(elsewhere, `${bundler.name}-${name.replaceAll(' ', '-')}-${file}`);
    copyFileSync(out, moved);
    const start = async (path) => {
      const { status, stdout, stderr } = await run(node, [path], { cwd: dirname(path), env: environment(home, node) });
      return status === 0 && stdout === 'from the package\n' ? 'runs' : `${stdout}${stderr}`;
    };
    for (const [where, path] of [
      ['beside', out],
      ['elsewhere', moved],
      ['without the package', out],
    ]) {
      if (expected[where] === undefined) continue;
      const gone = where === 'without the package';
      if (gone) renameSync(join(project, 'node_modules'), join(project, 'gone'));
      const seen = await start(path);
      if (gone) renameSync(join(project, 'gone'), join(project, 'node_modules'));
      const fits = expected[where] === 'runs' ? seen === 'runs' : /ERR_HOLDFAST_NATIVE_MISSING.*external/s.test(seen);
      record('bundle', bundler.name, `${name}, ${where}: ${expected[where]}`, fits ? undefined : seen);
    }
  }
}

async function otherRuntime({ project, home }, { name, fetch: what, run: start, check }) {
  const modules = join(fetch(what), 'node_modules');
  const tried = async ([program, ...args], file) =>
    run(program, [...args, join(project, file)], {
      cwd: project,
      env: { ...environment(home, process.execPath), DENO_DIR: join(home, 'deno') },
    });
  const text = `import { spawnSandboxed } from 'holdfast';
try { spawnSandboxed('true'); } catch (error) { console.log(error.code, error.message); }`;
  writeFileSync(join(project, 'refused.mjs'), text);
  const { stdout, stderr } = await tried(start(modules), 'refused.mjs');
  const said = stdout + stderr;
  record(
    'runtime',
    name,
    'a start says to run it by node',
    /^ERR_HOLDFAST_UNSUPPORTED_PLATFORM .*run it by node\n$/.test(said) ? undefined : said,
  );
  if (check === undefined) return;
  const checked = await tried(check(modules), 'typed.mts');
  record('runtime', name, 'checks types', checked.status === 0 ? undefined : checked.stdout + checked.stderr);
}

/** An older system as its packages make it, glibc 2.31 and libstdc++ 10: as a root of its own, with this machine's /proc. */
async function olderSystem({ project }) {
  const folder = join(root, '.cache/debian/root-bullseye');
  if (!existsSync(folder)) {
    const debian = { x64: 'amd64', arm64: 'arm64' }[process.arch];
    const line = ['root', 'bullseye', debian, folder, 'dash', 'coreutils', 'libstdc++6', 'libatomic1'];
    const { status, stderr } = await run(join(root, '.config/debian.sh'), line, {});
    if (status !== 0) fail(`no root of Debian 11: ${stderr}`);
  }
  const own = process.getuid() === 0 ? ['-m'] : ['-mr'];
  for (const { name, version } of nodes) {
    const script = `set -e
cd '${folder}'
mount -t tmpfs none tmp && mount --rbind /proc proc && mount -t tmpfs none dev && mkdir tmp/project && touch dev/null tmp/node
mount --bind /dev/null dev/null
mount --bind '${nodePath(version)}' tmp/node && mount --bind '${project}' tmp/project
exec chroot . /bin/sh -c 'cd /tmp/project && for file in import.mjs require.cjs worker.mjs; do /tmp/node $file; done; /tmp/node -p "process.report.getReport().header.glibcVersionRuntime"'`;
    const { stdout, stderr } = await run('unshare', [...own, 'sh', '-c', script], {
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    });
    record(
      'system',
      'Debian 11',
      name,
      stdout === `${'from the package\n'.repeat(3)}2.31\n` ? undefined : stdout + stderr,
    );
  }
}

const typed = `import { allow, HoldfastError, type Policy, type SandboxedProcess, spawnSandboxed } from 'holdfast';
const policy: Policy = { files: { read: ['/'] } };
const child: SandboxedProcess = spawnSandboxed('true', [], { policy });
child.onOpen((call) => { const path: string = call.path; void path; return allow(); });
child.on('error', (error) => { if (error instanceof HoldfastError) { const code: HoldfastError['code'] = error.code; void code; } });
// @ts-expect-error: a policy's fields are known
const wrong: Policy = { flies: {} };
void wrong;
`;

/** Declarations are checked too: what they need must be there for a user. */
async function compile({ project, home }) {
  const node = nodePath(nodes.at(-1).version);
  const files = ['ts', 'mts', 'cts'].map((extension) => join(project, `typed.${extension}`));
  for (const file of files) writeFileSync(file, typed);
  for (const compiler of compilers) {
    const modules = join(fetch(compiler.fetch), 'node_modules');
    for (const { name, flags } of compiler.resolutions) {
      const types = ['--typeRoots', join(modules, '@types'), '--types', 'node'];
      const line = [
        join(modules, 'typescript/bin/tsc'),
        '--noEmit',
        '--strict',
        '--target',
        'es2022',
        ...types,
        ...flags,
        ...files,
      ];
      const { status, stdout, stderr } = await run(node, line, { cwd: project, env: environment(home, node) });
      record('types', compiler.name, name, status === 0 ? undefined : stdout + stderr);
    }
  }
  const cli = join(fetch(linter.fetch), 'node_modules/@arethetypeswrong/cli/dist/index.js');
  const { status, stdout, stderr } = await run(node, [cli, tarballs[0]], {
    cwd: project,
    env: environment(home, node),
  });
  record('types', linter.name, 'no problem found', status === 0 ? undefined : stdout + stderr);
}

try {
  await control();
  let first;
  for (const manager of managers) {
    const at = Date.now();
    const installed = await install(manager);
    if (installed !== undefined) await load(installed, manager);
    if (manager.name.startsWith('npm')) first ??= installed;
    console.log(`${manager.name}: ${Date.now() - at} ms`);
  }
  if (first === undefined) fail('no npm has installed it: there is nothing to bundle');
  for (const bundler of bundlers) await bundle(first, bundler);
  await compile(first);
  for (const runtime of runtimes) await otherRuntime(first, runtime);
  await olderSystem(first);
} finally {
  registry.close();
}

const failed = results.filter(({ result }) => result === 'failed').length;
if (write) {
  const { writeTable } = await import('./table.mjs');
  writeTable(root, results);
}
if (process.env.HOLDFAST_TEST_REPORT) {
  writeFileSync(
    process.env.HOLDFAST_TEST_REPORT,
    JSON.stringify({ passed: results.length - failed, failed, skipped: 0 }),
  );
}
console.log(`installs: ${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
