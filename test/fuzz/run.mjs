// Random system calls under random policies, with an observer outside: nothing that the policy does not give may change,
// be reached, or be signalled, and neither the supervisor nor Node may be lost.
//   npm run test:fuzz [-- --seed N] [--rounds N] [--minutes M]
// A failure prints its seed; the same seed makes the same policy and the same calls.
import { execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { takeOwnDevices } from '../helpers/own-devices.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const require = createRequire(import.meta.url);
const { checkSupport, spawnSandboxed } = require(join(root, 'dist/index.js'));
const supervisor = join(dirname(require('node-gyp-build').resolve(root)), 'holdfast-supervisor');
const table = execFileSync(supervisor, ['--table'], { encoding: 'utf8' })
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

/** mulberry32: small, and the same everywhere. */
function generator(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n) => Math.floor(next() * n);
  const pick = (list) => list[below(list.length)];
  return { next, below, pick, chance: (p) => next() < p };
}

// A hole would hurt the machine itself: these are refused by number, and test/families/refused.test.ts shows that.
const neverMade = new Set(
  [
    'reboot',
    'kexec_load',
    'kexec_file_load',
    'init_module',
    'finit_module',
    'delete_module',
    'swapon',
    'swapoff',
  ].concat(
    ['settimeofday', 'clock_settime', 'clock_adjtime', 'adjtimex', 'sethostname', 'setdomainname', 'iopl', 'ioperm'],
    ['pivot_root', 'mount', 'umount2', 'vhangup', 'acct', 'quotactl', 'quotactl_fd', 'syslog', 'move_mount', 'fsmount'],
    // These end the program or its sense before anything has happened.
    [
      'exit',
      'exit_group',
      'vfork',
      'clone',
      'clone3',
      'rt_sigreturn',
      'munmap',
      'mprotect',
      'mremap',
      'brk',
      'seccomp',
    ],
    [
      'pause',
      'rt_sigsuspend',
      'rt_sigtimedwait',
      'arch_prctl',
      'set_tid_address',
      'rseq',
      'rt_sigaction',
      'execve',
      'execveat',
    ],
  ),
);

const architecture = { x64: 'x86_64', arm64: 'aarch64' }[process.arch];
const ARENA = 0x200000000n;

/** Bytes that the calls point to, each thing once. */
class Arena {
  #buffer = Buffer.alloc(1 << 16);
  #used = 4096; // the first page is for results
  #known = new Map();
  bytes(content) {
    const key = content.toString('latin1');
    let at = this.#known.get(key);
    if (at === undefined) {
      if (this.#used + content.length + 16 > this.#buffer.length) return ARENA + 4096n;
      at = this.#used;
      content.copy(this.#buffer, at);
      this.#used = (at + content.length + 16) & ~7;
      this.#known.set(key, at);
    }
    return ARENA + BigInt(at);
  }
  text = (value) => this.bytes(Buffer.from(`${value}\0`));
  words(...values) {
    const content = Buffer.alloc(8 * values.length);
    for (const [i, value] of values.entries()) content.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 8 * i);
    return this.bytes(content);
  }
  get content() {
    return this.#buffer;
  }
}

function inet(port, address = [127, 0, 0, 1]) {
  return Buffer.from([2, 0, port >> 8, port & 255, ...address, 0, 0, 0, 0, 0, 0, 0, 0]);
}
function inet6(port) {
  return Buffer.from([10, 0, port >> 8, port & 255, 0, 0, 0, 0, ...Array(15).fill(0), 1, 0, 0, 0, 0]);
}
function unix(name) {
  return Buffer.concat([Buffer.from([1, 0]), Buffer.from(name), Buffer.from([0])]);
}

function draw(random, scene, observed) {
  const { below, pick, chance } = random;
  const arena = new Arena();
  const inside = join(scene, 'inside');
  const outside = join(scene, 'outside');
  const names = ['a', 'dir', 'dir/b', 'new', 'link', 'up', 'fifo', 'dir/x', 'hard'];
  const paths = [
    ...names.map((name) => join(inside, name)),
    ...names.map((name) => join(outside, name)),
    ...names,
    ...[
      '.',
      '..',
      '../outside/a',
      'up/outside/a',
      'link/a',
      '',
      '/',
      '/proc/self/cwd/../outside/a',
      '/proc/self/root/etc/hosts',
    ],
    ...[
      '/proc/self/fd/3',
      '/proc/self/fd/4',
      '/dev/null',
      '/dev/tty',
      '/proc/self/mem',
      '/proc/self/exe',
      inside,
      outside,
      scene,
    ],
    ...[`${outside}/sock`, `${inside}/sock`, `/proc/${observed.pid}/environ`, `/proc/${observed.pid}/root${outside}/a`],
  ];
  const addresses = [
    inet(observed.tcp),
    inet(observed.udp),
    inet(0),
    inet6(observed.tcp),
    unix(join(outside, 'sock')),
    unix(join(inside, 'sock')),
    unix(`\0${observed.abstract}`),
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    inet(9, [239, 1, 2, 3]),
  ].map((content) => [arena.bytes(content), content.length]);
  const payload = arena.text('FUZZ');
  const iov = arena.words(payload, 4);
  const fd = () => pick([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, -100, -100, -1]);
  const flagBits = () => {
    let value = 0n;
    for (let i = below(4); i > 0; i--) value |= 1n << BigInt(below(pick([12, 24, 32])));
    return value;
  };
  const number = () => pick([0n, 1n, 2n, 8n, 4096n, 0xffffffffn, -1n, BigInt(below(70000)), flagBits()]);
  const argument = (kind) => {
    if (chance(0.05)) return number();
    if (kind.startsWith('path') || kind === 'text') return arena.text(pick(paths));
    switch (kind) {
      case 'fd':
      case 'dirfd':
      case 'socket':
      case 'dirfd2':
      case 'pidfd':
        return BigInt(fd());
      case 'address':
        return pick(addresses)[0];
      case 'address_size':
      case 'length':
      case 'size':
        return BigInt(pick([16, 28, 110, 4, 0, 4096]));
      case 'pointer':
        return chance(0.5) ? ARENA : pick([pick(addresses)[0], iov, payload, arena.words(payload, 4, iov, 1, 0, 0)]);
      case 'message': {
        const [address, length] = pick(addresses);
        return arena.words(address, length, iov, 1, 0, 0, 0);
      }
      case 'pid':
      case 'tid':
        return BigInt(pick([0, observed.pid, process.pid, process.ppid, 2 ** 30]));
      case 'signal':
        return BigInt(pick([0, 15, 10, 1, 18]));
      case 'mode':
        return BigInt(pick([0, 0o644, 0o7777, 0o100644, 0o20666, 0o10600]));
      default:
        return chance(0.5) ? number() : flagBits();
    }
  };
  const rows = table.filter((row) => row[architecture] !== null && !neverMade.has(row.name));
  const weighted = rows.flatMap((row) =>
    Array(['files', 'network', 'signals', 'process', 'exec'].includes(row.family) ? 4 : 1).fill(row),
  );
  const number_of = (name) => BigInt(rows.find((row) => row.name === name)?.[architecture] ?? -1);
  const calls = [];
  const threads = 1 + below(3);
  const add = (nr, args) => calls.push([BigInt(below(threads)), nr, ...[0, 1, 2, 3, 4, 5].map((i) => args[i] ?? 0n)]);
  // Something to work on: descriptors from 3 on.
  add(number_of('openat'), [-100n, arena.text(join(inside, 'a')), 2n]);
  add(number_of('openat'), [-100n, arena.text(inside), 0o200000n]);
  for (const [family, type] of [
    [2, 1],
    [2, 2],
    [1, 1],
    [1, 2],
    [10, 1],
  ])
    add(number_of('socket'), [BigInt(family), BigInt(type)]);
  for (let i = 0; i < 150; i++) {
    const row = pick(weighted);
    if (chance(0.2)) {
      const [address, length] = pick(addresses);
      const name = pick(['connect', 'bind', 'sendto', 'sendmsg', 'listen', 'setsockopt']);
      const s = BigInt(5 + below(5));
      const args = {
        connect: [s, address, BigInt(length)],
        bind: [s, address, BigInt(length)],
        sendto: [s, payload, 4n, BigInt(pick([0, 0x20000000, 0x40])), address, BigInt(length)],
        sendmsg: [s, arena.words(address, length, iov, 1, 0, 0, 0), BigInt(pick([0, 0x20000000]))],
        listen: [s, 5n],
        setsockopt: [
          s,
          BigInt(pick([0, 1, 6, 41, 17])),
          BigInt(below(80)),
          arena.words(1, 0xef010203),
          BigInt(pick([4, 8, 16])),
        ],
      }[name];
      add(number_of(name), args);
      continue;
    }
    // kill(-1) and whole groups: nobody's business but the tree's, and a hole would end this very program.
    if (/kill|sigqueue/.test(row.name))
      add(BigInt(row[architecture]), [BigInt(observed.pid), BigInt(pick([observed.pid, 15])), 15n, 0n]);
    else
      add(
        BigInt(row[architecture]),
        row.args.map((kind) => argument(kind)),
      );
  }
  const script = Buffer.alloc(32 + arena.content.length + calls.length * 64);
  [0x7a7a7566n, BigInt(arena.content.length), BigInt(threads), BigInt(calls.length)].forEach((value, i) => {
    script.writeBigUInt64LE(value, 8 * i);
  });
  arena.content.copy(script, 32);
  calls.flat().forEach((value, i) => {
    script.writeBigUInt64LE(BigInt.asUintN(64, value), 32 + arena.content.length + 8 * i);
  });

  const files = { read: [], write: [], deny: [] };
  if (chance(0.8)) files.read.push(inside);
  if (chance(0.8)) files.write.push(inside);
  if (chance(0.3)) files.read.push(outside);
  if (chance(0.3)) files.deny.push(join(inside, 'dir'));
  if (chance(0.2)) files.read.push('/proc');
  const network = { connect: [], bind: [] };
  const may = { tcp: chance(0.2), udp: chance(0.2), unix: chance(0.2), abstract: chance(0.2) };
  if (may.tcp) network.connect.push(`127.0.0.1:${observed.tcp}`, `[::1]:${observed.tcp}`);
  if (may.udp) network.connect.push(`127.0.0.1:${observed.udp}`);
  if (may.unix) network.connect.push(`unix:${outside}/sock`);
  if (may.abstract) network.connect.push(`unix:@${observed.abstract}`);
  if (chance(0.2)) network.bind.push('127.0.0.1:0');
  const policy = { files, network };
  const hooked = chance(0.3);
  // Without a listener the kernel is left to decide what it can, and that is more without /proc/self.
  const listens = chance(0.5);
  if (!listens && chance(0.8)) policy.defaults = { proc: false };
  if (chance(0.4)) files.metadata = ['/'];
  if (chance(0.15)) {
    network.connect.push('*', 'unix:/', 'unix:@*');
    for (const key of Object.keys(may)) may[key] = true;
  }
  return { script, policy, may, hooked, listens };
}

function furnish(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'dir'), { recursive: true });
  writeFileSync(join(folder, 'a'), 'the text of a\n');
  writeFileSync(join(folder, 'dir/b'), 'the text of b\n');
  symlinkSync('../outside', join(folder, 'link'));
  symlinkSync('..', join(folder, 'up'));
  linkSync(join(folder, 'a'), join(folder, 'hard'));
}

function snapshot(folder, under = '', seen = {}) {
  const path = join(folder, under);
  const { mode, uid, gid, size, nlink, mtimeMs, ctimeMs, ino } = lstatSync(path);
  seen[under] = { mode, uid, gid, size, nlink, mtimeMs, ctimeMs, ino };
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) snapshot(folder, join(under, name), seen);
  else if (lstatSync(path).isSymbolicLink()) seen[under].target = readlinkSync(path);
  else if (lstatSync(path).isFile()) seen[under].text = readFileSync(path, 'latin1');
  return seen;
}

/** Who must not be reached: servers that count, a process that counts signals. */
async function observer(scene) {
  const counts = { tcp: 0, udp: 0, unix: 0, abstract: 0, signals: 0 };
  const server = (key, where) =>
    new Promise((resolve) => {
      const one = createServer((socket) => {
        counts[key] += 1;
        socket.on('error', () => {}).destroy();
      });
      one.listen(where, () => resolve(one));
    });
  const tcp = await server('tcp', { host: '127.0.0.1', port: 0 });
  const abstract = `holdfast-fuzz-${process.pid}`;
  const sentinel = spawn(process.execPath, [
    '-e',
    "for (const s of ['SIGTERM', 'SIGUSR1', 'SIGHUP', 'SIGCONT']) process.on(s, () => console.log(s)); setInterval(() => {}, 1e6); console.log('ready')",
  ]);
  sentinel.stdout.on('data', (text) => (counts.signals += /SIG/.test(text) ? 1 : 0));
  sentinel.on('exit', () => (counts.signals += 1));
  await new Promise((resolve) => sentinel.stdout.once('data', resolve));
  const udp = createSocket('udp4', () => (counts.udp += 1));
  await new Promise((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const abstractServer = await server('abstract', { path: `\0${abstract}` });
  let unixServer;
  return {
    counts,
    about: { tcp: tcp.address().port, udp: udp.address().port, abstract, pid: sentinel.pid },
    async renew() {
      unixServer?.close();
      unixServer = await server('unix', { path: join(scene, 'outside/sock') });
    },
    close() {
      for (const one of [tcp, udp, abstractServer, unixServer]) one.close();
      sentinel.removeAllListeners('exit');
      sentinel.kill('SIGKILL');
    },
  };
}

// As root a hole could change the machine itself: without devices of its own, nothing is drawn.
if (process.getuid() === 0) takeOwnDevices();

const args = process.argv.slice(2);
const option = (name, otherwise) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : otherwise);
const first = option('--seed', 1);
const rounds = option('--rounds', args.includes('--seed') ? 1 : 1e9);
const deadline = Date.now() + 60_000 * option('--minutes', 1);

const scene = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-fuzz-')));
chmodSync(scene, 0o755);
mkdirSync(join(scene, 'outside'));
const program = join(scene, 'random_calls');
const source = join(root, 'test/programs/random_calls.c');
execFileSync('gcc', ['-O1', '-D_GNU_SOURCE', '-pthread', '-o', program, source], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const watch = await observer(scene);
const counts = { passed: 0, failed: 0, skipped: 0 };
let violations = 0;
let listened = 0;
const layers = {};
for (let seed = first; seed < first + rounds && Date.now() < deadline; seed++) {
  const { script, policy, may, hooked, listens } = draw(generator(seed), scene, watch.about);
  furnish(join(scene, 'inside'));
  furnish(join(scene, 'outside'));
  await watch.renew();
  const before = snapshot(join(scene, 'outside'));
  const root_before = statSync(scene).ctimeMs;
  const seen = { ...watch.counts };
  const problems = [];
  const child = spawnSandboxed(program, [], {
    cwd: join(scene, 'inside'),
    policy,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  if (hooked)
    child.onOpen((call) => (call.path.endsWith('/a') ? undefined : new Promise((resolve) => setTimeout(resolve, 1))));
  if (listens) child.on('violation', () => (violations += 1));
  listened += Number(listens);
  child.plan().then(
    ({ classes }) => {
      for (const { layer } of Object.values(classes)) layers[layer] = (layers[layer] ?? 0) + 1;
    },
    () => {}, // it is told as an error
  );
  child.on('hookError', (error) => problems.push(`hookError: ${error.message}`));
  child.stdin.on('error', () => {}).end(script);
  const timer = setTimeout(() => child.kill('SIGKILL'), 4000);
  await new Promise((resolve) => {
    child.on('error', (error) => problems.push(`error: ${error.stack}`));
    child.on('close', resolve);
  });
  clearTimeout(timer);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const after = snapshot(join(scene, 'outside'));
  if (JSON.stringify(after) !== JSON.stringify(before))
    problems.push(`outside changed:\n${JSON.stringify(before)}\n${JSON.stringify(after)}`);
  if (statSync(scene).ctimeMs !== root_before) problems.push('the folder above changed');
  for (const key of ['tcp', 'udp', 'unix', 'abstract'])
    if (!may[key] && watch.counts[key] !== seen[key]) problems.push(`${key} was reached`);
  if (watch.counts.signals !== seen.signals) problems.push('a process outside got a signal');
  counts[problems.length === 0 ? 'passed' : 'failed'] += 1;
  if (problems.length > 0)
    console.log(`✗ --seed ${seed}, policy ${JSON.stringify(policy)}\n    ${problems.join('\n    ')}`);
  if (counts.failed > 5) break;
}
watch.close();
rmSync(scene, { recursive: true, force: true });
if (process.env.HOLDFAST_TEST_REPORT) writeFileSync(process.env.HOLDFAST_TEST_REPORT, JSON.stringify(counts));
const decided = Object.entries(layers).map(([layer, classes]) => `${layer} ${classes}`);
console.log(
  `fuzz: seeds from ${first} on, ${violations} violations, classes by layer: ${decided.join(', ')}; ${counts.passed} passed, ${counts.failed} failed`,
);
// It says something only if it came by every layer; a seed of its own comes by what it comes by.
const expected =
  (checkSupport().landlockAbi ?? 0) >= 3 ? ['kernel', 'landlock', 'continued', 'supervisor', 'hook'] : [];
const missed = rounds > 1 && counts.passed > 30 && expected.some((layer) => layers[layer] === undefined);
if (missed) console.log('✗ not every layer was met');
process.exit(counts.failed > 0 || counts.passed === 0 || (listened > 0 && violations === 0) || missed ? 1 : 0);
