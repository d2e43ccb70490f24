// Builds the addon and the supervisor: `npm run build:native`, `build:debug`, `build:prebuilds`.
//   --if-needed   do nothing when what is built is newer than its sources (npm test, npm run demo)
//   --arch=arm64  with --prebuilds: for another machine than this one, by Debian's cross compiler
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const args = new Set(process.argv.slice(2));
/** What is built, in build/<configuration>. */
const products = ['holdfast.node', 'holdfast-supervisor'];

/** Debian's package for each tool that a build needs and `npm ci` cannot bring. */
const tools = { 'g++': 'g++', make: 'make', python3: 'python3' };

function fail(message) {
  console.error(`build: ${message}`);
  process.exit(1);
}

function run(command, commandArgs, options = {}) {
  const { status, signal, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit', ...options });
  if (error) fail(`${command}: ${error.message}`);
  if (status !== 0) fail(`${command} ${signal ? `was ended by ${signal}` : `failed with exit code ${status}`}`);
}

const found = (tool) => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, tool)));
const succeeds = (command, commandArgs) => spawnSync(command, commandArgs, { stdio: 'ignore' }).status === 0;

function requireTools() {
  const packages = Object.keys(tools)
    .filter((tool) => !found(tool))
    .map((tool) => tools[tool]);
  if (packages.length === 0) return;
  const install = `apt-get install -y --no-install-recommends ${packages.join(' ')} libc6-dev`;
  const prefix = process.getuid() === 0 ? [] : succeeds('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined;
  if (!found('apt-get') || prefix === undefined) {
    fail(`a source build needs ${packages.join(', ')}. On Debian and Ubuntu, as root: ${install}`);
  }
  console.error(`build: ${packages.join(', ')} missing; running ${[...prefix, install].join(' ')}`);
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  const apt = (...aptArgs) => {
    const [command, ...rest] = [...prefix, ...env, 'apt-get', ...aptArgs];
    run(command, rest);
  };
  apt('update', '-q');
  apt(...install.split(' ').slice(1));
}

/** Node's own headers lie beside its executable; without them node-gyp would download them. */
function headers() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? prefix : process.env.npm_config_nodedir;
}

function newest(folder) {
  let time = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) time = Math.max(time, newest(path));
    else if (/\.(cc|h|def)$/.test(entry.name)) time = Math.max(time, statSync(path).mtimeMs);
  }
  return time;
}

function upToDate(configuration) {
  const built = products.map((name) => join(root, 'build', configuration, name));
  if (!built.every((path) => existsSync(path))) return false;
  const sources = Math.max(newest(join(root, 'native')), statSync(join(root, 'binding.gyp')).mtimeMs);
  return built.every((path) => statSync(path).mtimeMs >= sources);
}

const configuration = args.has('--debug') ? 'Debug' : 'Release';
if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
  fail(`holdfast runs on Linux on x64 and arm64 only, not on ${process.platform} ${process.arch}`);
}
if (args.has('--if-needed') && upToDate(configuration)) process.exit(0);
requireTools();

const nodedir = headers();
const env = { ...process.env };
/** What we build for, the name that Debian's tools for it begin with, and what ELF calls it (elf(5), e_machine). */
const target = [...args].find((arg) => arg.startsWith('--arch='))?.slice('--arch='.length) ?? process.arch;
const machines = { x64: { tools: 'x86_64-linux-gnu-', elf: 62 }, arm64: { tools: 'aarch64-linux-gnu-', elf: 183 } };
const machine = machines[target];
const crossed = target !== process.arch;
if (machine === undefined) fail(`--arch=${target}: known are ${Object.keys(machines).join(', ')}`);
if (crossed && !args.has('--prebuilds')) fail('--arch is for --prebuilds');
if (crossed) {
  const [cc, cxx] = [`${machine.tools}gcc`, `${machine.tools}g++`];
  if (!found(cxx)) fail(`${cxx} is not there: it builds for ${target}`);
  Object.assign(env, {
    CC: cc,
    CXX: cxx,
    LINK: cxx,
    AR: `${machine.tools}ar`,
    PREBUILD_STRIP_BIN: `${machine.tools}strip`,
  });
}
if (nodedir) env.npm_config_nodedir = nodedir;
mkdirSync(join(root, 'build'), { recursive: true });
// Two builds in one tree (two shells, two test runs) would write the same objects: the second waits.
const locked = (command, ...rest) => run('flock', [join(root, 'build/.lock'), command, ...rest], { env });

if (args.has('--prebuilds')) {
  locked(
    process.execPath,
    require.resolve('prebuildify/bin.js'),
    '--napi',
    '--strip',
    '--tag-libc',
    '-t',
    process.versions.node,
    '--arch',
    target,
  );
  const folder = join(root, 'prebuilds', `linux-${target}`);
  const supervisor = join(folder, 'holdfast-supervisor');
  copyFileSync(join(root, 'build/Release/holdfast-supervisor'), supervisor);
  run(env.PREBUILD_STRIP_BIN ?? 'strip', [supervisor]);
  chmodSync(supervisor, 0o755);
  for (const name of readdirSync(folder)) {
    const found = readFileSync(join(folder, name)).readUInt16LE(18);
    if (found !== machine.elf) fail(`${join(folder, name)} is for the machine ${found} of ELF, not for ${target}`);
  }
  // What lies in build/ is for this machine, or not there.
  if (crossed) rmSync(join(root, 'build/Release'), { recursive: true });
} else {
  const gyp = require.resolve('node-gyp/bin/node-gyp.js');
  const jobs = String(availableParallelism());
  const flags = ['--loglevel', 'warn', ...(nodedir ? [`--nodedir=${nodedir}`] : [])];
  locked(process.execPath, gyp, 'configure', 'build', `--${configuration.toLowerCase()}`, '--jobs', jobs, ...flags);
  // make leaves a product alone that none of the changed files goes into; its new time says that it was checked.
  const now = new Date();
  for (const name of products) utimesSync(join(root, 'build', configuration, name), now, now);
}
