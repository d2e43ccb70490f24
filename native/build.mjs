// Builds the addon and the supervisor: `npm run build:native`, `build:debug`, `build:prebuilds`.
//   --if-needed   do nothing when what is built is newer than its sources (npm test, npm run demo)
//   --prebuilds   what is published: prebuilds/linux-x64 and prebuilds/linux-arm64, the other machine's by Debian's cross
//                 compiler, the addon against the glibc of Debian 11. The same sources give the same bytes, wherever they lie
//   --arch=arm64  with --prebuilds: for this one only
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const args = new Set(process.argv.slice(2));
/** What is built, in build/<configuration>. */
const products = ['holdfast.node', 'holdfast-supervisor'];

/** What we build for: Debian's name, the one that its tools and folders have, and what ELF calls it (elf(5), e_machine). */
const machines = {
  x64: { debian: 'amd64', triple: 'x86_64-linux-gnu', elf: 62 },
  arm64: { debian: 'arm64', triple: 'aarch64-linux-gnu', elf: 183 },
};

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

const built = (configuration) => products.map((name) => join(root, 'build', configuration, name));
const shipped = (arch) =>
  ['holdfast.glibc.node', 'holdfast-supervisor'].map((name) => join(root, 'prebuilds', `linux-${arch}`, name));

function upToDate(built) {
  if (!built.every((path) => existsSync(path))) return false;
  const sources = Math.max(newest(join(root, 'native')), statSync(join(root, 'binding.gyp')).mtimeMs);
  return built.every((path) => statSync(path).mtimeMs >= sources);
}

const configuration = args.has('--debug') ? 'Debug' : 'Release';
if (process.platform !== 'linux' || machines[process.arch] === undefined) {
  fail(`holdfast runs on Linux on x64 and arm64 only, not on ${process.platform} ${process.arch}`);
}
const wanted = [...args].find((arg) => arg.startsWith('--arch='))?.slice('--arch='.length);
if (wanted !== undefined && machines[wanted] === undefined) {
  fail(`--arch=${wanted}: known are ${Object.keys(machines).join(', ')}`);
}
if (wanted !== undefined && !args.has('--prebuilds')) fail('--arch is for --prebuilds');
const targets = wanted === undefined ? Object.keys(machines) : [wanted];
const wantedFiles = args.has('--prebuilds') ? targets.flatMap(shipped) : built(configuration);
if (args.has('--if-needed') && upToDate(wantedFiles)) process.exit(0);
requireTools();

const nodedir = headers();
// Files are linked in the order of a sorted list: by the same rules everywhere.
const env = { ...process.env, LC_ALL: 'C', npm_config_jobs: String(availableParallelism()) };
if (nodedir) env.npm_config_nodedir = nodedir;
mkdirSync(join(root, 'build'), { recursive: true });
// Two builds in one tree (two shells, two test runs) would write the same objects: the second waits.
const locked = (command, commandArgs, extra = {}) =>
  run('flock', [join(root, 'build/.lock'), command, ...commandArgs], { env: { ...env, ...extra } });

/** A glibc that is older than any that Node runs on, to build the addon against. */
function sysroot({ debian }) {
  const folder = join(root, '.cache/debian', `sysroot-${debian}`);
  if (!existsSync(folder)) run(join(root, '.config/debian.sh'), ['sysroot', debian, folder]);
  return folder;
}

/** In a folder of its own for each machine, by names that say nothing of where the tree lies. */
function prebuild(arch) {
  const machine = machines[arch];
  const [cc, cxx, ar, strip] = ['gcc', 'g++', 'ar', 'strip'].map((tool) => `${machine.triple}-${tool}`);
  if (!found(cxx)) {
    fail(
      `${cxx} is not there: it builds for ${arch}. On Debian: apt-get install g++-${machine.triple.replace('_', '-')}`,
    );
  }
  const include = spawnSync(cxx, ['-print-file-name=include'], { encoding: 'utf8' }).stdout.trim();
  const stage = join(root, 'build', `linux-${arch}`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  const parts = { sysroot: sysroot(machine) };
  for (const name of ['package.json', 'binding.gyp', 'native', 'node_modules']) parts[name] = join(root, name);
  for (const [name, path] of Object.entries(parts)) symlinkSync(relative(stage, path), join(stage, name));
  const line = ['--napi', '--strip', '--tag-libc', '-t', process.versions.node, '--platform', 'linux', '--arch', arch];
  locked(process.execPath, [require.resolve('prebuildify/bin.js'), ...line, '--cwd', stage, '--out', root], {
    CC: cc,
    CXX: cxx,
    LINK: cxx,
    AR: ar,
    PREBUILD_STRIP_BIN: strip,
    GYP_DEFINES: `holdfast_sysroot=../sysroot holdfast_triple=${machine.triple} holdfast_compiler_include=${include}`,
  });
  const [addon, supervisor] = shipped(arch);
  copyFileSync(join(stage, 'build/Release/holdfast-supervisor'), supervisor);
  run(strip, ['--strip-all', supervisor]);
  for (const path of [addon, supervisor]) {
    chmodSync(path, 0o755);
    const type = readFileSync(path).readUInt16LE(18);
    if (type !== machine.elf) fail(`${path} is for the machine ${type} of ELF, not for ${arch}`);
  }
  // One test links the supervisor's objects anew (open-supervisor.ts), another machine's in a guest (test/guest/tree.mjs).
  const made = join(stage, 'build/Release/obj.target/holdfast-supervisor');
  const objects = join(
    root,
    'build',
    arch === process.arch ? 'Release/obj.target/holdfast-supervisor' : `objects-${arch}`,
  );
  rmSync(objects, { recursive: true, force: true });
  mkdirSync(dirname(objects), { recursive: true });
  renameSync(made, objects);
  rmSync(stage, { recursive: true });
  if (arch !== process.arch) return;
  // The tree's own programs and tests run what would be published.
  built('Release').forEach((path, i) => {
    rmSync(path, { force: true });
    copyFileSync(shipped(arch)[i], path);
  });
}

/** For `sha256sum -c`, of all that lies there. */
function writeSums() {
  const folder = join(root, 'prebuilds');
  const paths = Object.keys(machines)
    .flatMap(shipped)
    .filter((path) => existsSync(path))
    .sort();
  const lines = paths.map((path) => {
    const sum = createHash('sha256').update(readFileSync(path)).digest('hex');
    return `${sum}  ${relative(folder, path)}\n`;
  });
  writeFileSync(join(folder, 'SHA256SUMS'), lines.join(''));
}

if (args.has('--prebuilds')) {
  for (const arch of targets) prebuild(arch);
  writeSums();
} else {
  const gyp = require.resolve('node-gyp/bin/node-gyp.js');
  const flags = ['--loglevel', 'warn', ...(nodedir ? [`--nodedir=${nodedir}`] : [])];
  locked(process.execPath, [gyp, 'configure', 'build', `--${configuration.toLowerCase()}`, ...flags]);
  // make leaves a product alone that none of the changed files goes into; its new time says that it was checked.
  const now = new Date();
  for (const path of built(configuration)) utimesSync(path, now, now);
}
