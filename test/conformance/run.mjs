// Corpora that nobody here wrote, bare and supervised: CPython's own tests, stress-ng's stressors, Node's test files for
// child_process. Each test must end as it ends bare; where it may not, expected.mjs names it and says why.
//   npm run test:conformance [-- SUITE...] [--keep]
// The control has the tree's capabilities and no_new_privs, and no supervisor: what root loses by itself is no difference.
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expected } from './expected.mjs';
import { suites } from './suites.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const { spawnSandboxed } = createRequire(import.meta.url)(join(root, 'dist/index.js'));
const isRoot = process.getuid() === 0;

const policy = (folder) => ({
  files: {
    read: ['/'],
    write: [folder, '/dev/null', '/dev/zero', '/dev/full', '/dev/tty', '/dev/ptmx', '/dev/pts', '/dev/shm'],
  },
  network: { connect: ['*', 'unix:/', 'unix:@*'], bind: ['*', 'unix:/', 'unix:@*'] },
});

function collect(child) {
  return new Promise((resolve) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => resolve({ output: `${output}\n${error.stack}`, code: -1, signal: null }));
    child.on('close', (code, signal) => resolve({ output, code, signal }));
  });
}

/** The capabilities that a command of ours has, as setpriv names them. */
async function capabilities() {
  const { output } = await collect(
    spawnSandboxed('/bin/cat', ['/proc/self/status'], { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  const has = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(output)?.[1]}`);
  const names = spawnSync('setpriv', ['--list-caps'], { encoding: 'utf8' }).stdout.trim().split('\n');
  return names.filter((_, i) => (has >> BigInt(i)) & 1n);
}

const kept = isRoot ? await capabilities() : [];
// A group of its own, so that the end of a run can be everybody's.
const start = {
  bare: (line, options) => {
    const drop = isRoot ? ['--inh-caps=-all', `--bounding-set=-all${kept.map((name) => `,+${name}`).join('')}`] : [];
    return spawn('setpriv', ['--no-new-privs', ...drop, ...line], { ...options, detached: true });
  },
  held: ([command, ...args], options) =>
    spawnSandboxed(command, args, { ...options, detached: true, policy: policy(options.cwd) }),
};

async function run(how, line, options, limit) {
  const child = start[how](line, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const timer = setTimeout(() => {
    if (how === 'bare') process.kill(-child.pid, 'SIGKILL');
    else child.kill('SIGKILL');
  }, limit * 1000);
  const result = await collect(child);
  clearTimeout(timer);
  return result;
}

const args = process.argv.slice(2);
const wanted = args.filter((arg) => !arg.startsWith('--'));
const counts = { passed: 0, failed: 0, skipped: 0 };
const scene = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-conformance-')));
chmodSync(scene, 0o755);

/** Both runs of a suite, or of those of its parts that have one of `only` among their results. */
async function bareAndHeld(suite, only) {
  const results = { bare: {}, held: {} };
  const runs = ['bare', 'held'].map((how) => async () => {
    // The same path both times, as programs print it; not where both are run at once.
    const folder = join(scene, suite.waits ? how : 'run');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    if (suite.asNobody && isRoot) chownSync(folder, 65534, 65534);
    const as = suite.asNobody && isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    for (const part of await suite.parts(folder)) {
      if (only !== undefined && part.name !== undefined && !only.includes(part.name)) continue;
      const env = {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: folder,
        TMPDIR: folder,
        LC_ALL: 'C.UTF-8',
        ...part.env,
      };
      const outcome = await run(how, [...as, ...part.line], { cwd: folder, env }, part.limit ?? 300);
      Object.assign(results[how], part.read(outcome));
      if (args.includes('--keep')) console.log(`${how}: ${part.line.join(' ')}\n${outcome.output}`);
    }
  });
  if (suite.waits) await Promise.all(runs.map((begin) => begin()));
  else for (const begin of runs) await begin();
  return results;
}

for (const suite of suites) {
  if (wanted.length > 0 && !wanted.some((name) => suite.name.startsWith(name))) continue;
  const missing = suite.missing();
  if (missing !== undefined) {
    const fails = process.env.CI && !suite.optional;
    console.log(`${fails ? '✗' : '↓'} ${suite.name}: ${missing}`);
    counts[fails ? 'failed' : 'skipped'] += 1;
    continue;
  }
  const began = Date.now();
  const known = expected[suite.name] ?? {};
  const reasonFor = (name) => Object.entries(known).find(([pattern]) => new RegExp(`^(?:${pattern})$`).test(name))?.[1];
  const differences = ({ bare, held }) =>
    [...new Set([...Object.keys(bare), ...Object.keys(held)])].filter((name) => bare[name] !== held[name]);
  const results = await bareAndHeld(suite);
  let surprises = differences(results).filter((name) => reasonFor(name) === undefined);
  if (surprises.length > 0) {
    // Some of them go by time, on machines that are busy: what differs once and not again is no difference.
    const first = surprises;
    const again = await bareAndHeld(suite, first);
    for (const how of ['bare', 'held']) Object.assign(results[how], again[how]);
    surprises = differences(results).filter((name) => first.includes(name));
    for (const name of first.filter((each) => !surprises.includes(each))) console.log(`    ${name}: differed once`);
  }
  const names = new Set(Object.values(results).flatMap(Object.keys));
  const differ = differences(results);
  const seconds = Math.round((Date.now() - began) / 1000);
  const explained = differ.length - surprises.length;
  console.log(
    `${surprises.length === 0 && names.size > 0 ? '✓' : '✗'} ${suite.name}: ${names.size - differ.length} of ${names.size} as bare, ${explained} differ for a written reason, ${seconds} s`,
  );
  for (const name of surprises) console.log(`    ${name}: bare ${results.bare[name]}, held ${results.held[name]}`);
  counts[surprises.length === 0 && names.size > 0 ? 'passed' : 'failed'] += 1;
}
rmSync(scene, { recursive: true, force: true });
if (existsSync(scene)) console.error(`${scene} could not be removed`);
console.log(`conformance: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
if (process.env.HOLDFAST_TEST_REPORT) writeFileSync(process.env.HOLDFAST_TEST_REPORT, JSON.stringify(counts));
process.exitCode = counts.failed > 0 || counts.passed + counts.skipped === 0 ? 1 : 0;
