// Switches off one check of the boundary at a time and asks the tests whether they see it.
//   npm run test:mutation [-- --list] [--all] [--file PATTERN] [--only NUMBER,...] [--tests PATTERN] [--shard I/N]
//                             [--minutes M] [--learn] [--thorough]
// A copy of the tree is built once: in it each check can be switched off by a number that the supervisor reads from a file
// when it starts; and it notes in another which checks would have made a difference. First the whole suite runs once and
// tells which tests reach which check; then each check is off for just those, until one fails. What no test sees is a
// survivor; survivors.mjs says of each why nothing can be seen of it. Anything else is a gap, and the exit code says so.
// With HOLDFAST_MUTATION_FOLDER the copy, what was learned and what was seen are kept there: a second run builds nothing if
// native/ is the same, and runs only what changed (test files, and the checks that no test had missed).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn } from '../../.config/rooms.mjs';
import { takeOwnDevices } from '../helpers/own-devices.mjs';
import { allChecks, header, implementation, withSwitches } from './checks.mjs';
import { reasonOf, unknownNames } from './survivors.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const args = process.argv.slice(2);
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);

const named = allChecks(root);
const unknown = unknownNames(named);
for (const name of unknown) console.error(`test/mutation/survivors.mjs names what is not there: ${name}`);
if (unknown.length > 0) process.exitCode = 1;
if (args.includes('--names')) process.exit();
let chosen = named.filter((check) => args.includes('--all') || check.boundary);
if (option('--file')) chosen = chosen.filter((check) => new RegExp(option('--file')).test(check.file));
if (option('--only')) chosen = chosen.filter((check) => option('--only').split(',').includes(String(check.number)));
if (option('--shard')) {
  const [part, parts] = option('--shard').split('/').map(Number);
  chosen = chosen.filter((_, i) => i % parts === part - 1);
}
const where = (check) => `${check.number}\t${check.file}:${check.line}\t${check.name.replace(`${check.file}: `, '')}`;
if (args.includes('--list')) {
  for (const check of chosen) console.log(where(check));
  console.log(`${chosen.length} of ${named.length} checks`);
  process.exit();
}
takeOwnDevices();

// ---- The copy ----------------------------------------------------------------------------------------------------------

const folder = process.env.HOLDFAST_MUTATION_FOLDER ?? mkdtempSync(join(tmpdir(), 'holdfast-mutation-'));
const copy = join(folder, 'tree');
const release = join(copy, 'build/Release');
const run = (command, commandArgs, options) =>
  spawnSync(command, commandArgs, { cwd: copy, encoding: 'utf8', ...options });
const hashOf = (files) => {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex');
};
const kept = (name) => {
  const path = join(folder, name);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
};
const keep = (name, value) => writeFileSync(join(folder, name), JSON.stringify(value));

function must(what) {
  const { status, stdout, stderr } = run('npm', ['run', what], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (status === 0) return;
  console.error(stdout.slice(-4000), stderr.slice(-4000));
  throw new Error(`${what} fails in the copy, ${copy}`);
}

const supervisor = hashOf([...sourcesIn('native', /\.(cc|h|def)$/), 'binding.gyp', 'test/mutation/checks.mjs']);
const library = hashOf(sourcesIn('lib', /\.ts$/));
const built = kept('built.json');

/** Makes one file of the copy what it is to be, or leaves it alone: make(1) goes by its time. */
function put(name, content) {
  const path = join(copy, name);
  if (existsSync(path) && readFileSync(path).equals(Buffer.from(content))) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

const parts = readdirSync(root).filter((name) => !/^(\.git|build|dist|node_modules|prebuilds)$/.test(name));
const sources = parts.flatMap((name) => (statSync(join(root, name)).isDirectory() ? sourcesIn(name, /./) : [name]));
for (const name of sources) {
  if (named.some(({ file }) => file === name)) put(name, withSwitches(root, name, named));
  // A check that is off leaves warnings behind (unused names, constant conditions).
  else if (name === 'binding.gyp')
    put(name, readFileSync(join(root, name), 'utf8').replace("'-Werror', ", '').replace("'-O2'", "'-O1'"));
  else put(name, readFileSync(join(root, name)));
}
put('native/protocol/mutant.h', header);
put('native/protocol/mutant.cc', implementation(release));
for (const name of ['lib', 'native', 'test'].flatMap((part) =>
  readdirSync(join(copy, part), { recursive: true }).map((name) => join(part, name)),
))
  if (!existsSync(join(root, name)) && !name.startsWith('native/protocol/mutant.'))
    rmSync(join(copy, name), { recursive: true, force: true });
if (!existsSync(join(copy, 'node_modules'))) symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
if (built?.supervisor !== supervisor) must('build:native');
if (built?.library !== library) must('build');
keep('built.json', { supervisor, library });

const off = (number) => writeFileSync(join(release, 'mutant'), String(number));
const reached = join(release, 'reached');
writeFileSync(reached, Buffer.alloc(1 << 16));
// Some tests run as another user.
chmodSync(reached, 0o666);
chmodSync(folder, 0o755);

/** Ends the supervisors of the copy that a run left behind: without a check, one may wait, or work, for ever. */
function endLeftOver() {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (readlinkSync(`/proc/${pid}/exe`).startsWith(`${copy}/build/`)) process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It is gone already, or a thread of the kernel.
    }
  }
}

function vitest(files, { names, seconds, learn }) {
  const pattern =
    names === undefined ? [] : ['-t', `^(${names.map((name) => name.replace(/[^\w ]/g, '\\$&')).join('|')})$`];
  const bail = learn ? [] : ['--bail', '1'];
  const { status } = run(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--config',
      'test/mutation/vitest.config.ts',
      ...bail,
      ...pattern,
      ...files,
    ],
    {
      timeout: Math.ceil(seconds * 1000),
      killSignal: 'SIGKILL',
      stdio: 'ignore',
      env: {
        ...process.env,
        HOLDFAST_MUTATION_ORDER: files.join(','),
        HOLDFAST_MUTATION_LEARN: learn ?? '',
        HOLDFAST_MUTATION_TIMEOUT: learn ? '60000' : '12000',
      },
    },
  );
  endLeftOver();
  return status === 0;
}

// ---- Who reaches what --------------------------------------------------------------------------------------------------

// From the fastest and nearest to the slowest.
const tests = ['api', 'families', 'boundary', 'lifecycle', 'transparency']
  .flatMap((name) => readdirSync(join(root, 'test', name)).map((file) => `test/${name}/${file}`))
  .filter((name) => name.endsWith('.test.ts') && new RegExp(option('--tests') ?? '').test(name));
const helpers = hashOf(sourcesIn('test/helpers', /./));
const programs = sourcesIn('test/programs', /\.c$/);
/** A test file and the programs that it names. */
function partsOf(test) {
  const text = readFileSync(join(root, test), 'utf8');
  return [test, ...programs.filter((path) => text.includes(basename(path, '.c')))];
}
const learned = kept('learned.json') ?? {};
const keys = new Map();
function keyOf(test) {
  if (!keys.has(test)) keys.set(test, `${supervisor} ${library} ${helpers} ${hashOf(partsOf(test))}`);
  return keys.get(test);
}
off(0);
for (const test of tests) {
  const key = keyOf(test);
  if (learned[test]?.key === key) continue;
  const notes = join(folder, 'notes');
  writeFileSync(notes, '');
  const passed = vitest([test], { seconds: 900, learn: notes });
  const lines = readFileSync(notes, 'utf8').split('\n').filter(Boolean);
  learned[test] = { key, passed, notes: lines.map((line) => JSON.parse(line)) };
  keep('learned.json', learned);
  if (!passed) console.error(`${test}: something fails without any mutation; that is left out`);
}

/** For each check: the tests that reach it, and the files where something outside a test does. */
const reaching = new Map(named.map(({ number }) => [number, { tests: [], files: new Set() }]));
for (const test of tests)
  for (const { name, state, milliseconds, numbers } of learned[test].notes)
    for (const number of numbers) {
      if (state === 'between') reaching.get(number)?.files.add(test);
      else if (state !== 'fail') reaching.get(number)?.tests.push({ test, name, milliseconds });
    }
if (args.includes('--learn')) {
  for (const check of chosen) {
    const { tests: by, files } = reaching.get(check.number);
    if (by.length === 0 && files.size === 0) console.log(`no test reaches\t${where(check)}`);
  }
  process.exit(0);
}

// ---- One after the other ------------------------------------------------------------------------------------------------

const seen = kept('seen.json') ?? {};
const counts = { seen: 0, explained: 0, gaps: 0 };
const deadline = Date.now() + Number(option('--minutes') ?? Infinity) * 60_000;

/** What the tests of one check may take, in milliseconds; `--thorough` asks all that reach it. */
const most = args.includes('--thorough') ? Infinity : 20_000;

/** The tests to ask about a check, the nearest and fastest first; without any, the files that reach it outside of a test. */
function candidatesOf(check) {
  const { tests: by, files } = reaching.get(check.number);
  const rank = ({ test, milliseconds }) => milliseconds + 1000 * tests.indexOf(test);
  const chosen = [];
  let spent = 0;
  for (const one of [...by].sort((a, b) => rank(a) - rank(b))) {
    spent += one.milliseconds;
    if (spent < most || chosen.length === 0) chosen.push(one);
  }
  if (by.length > 0) return chosen;
  return [...files].filter((test) => learned[test].passed).map((test) => ({ test, milliseconds: 60_000 }));
}

/** The files of which a test fails without this check, if there is one. */
function missedBy(candidates) {
  // A few at a time: most checks are missed at once.
  for (let from = 0, count = 12; from < candidates.length; from += count, count = 60) {
    const part = candidates.slice(from, from + count);
    const names = part.some(({ name }) => name === undefined) ? undefined : [...new Set(part.map(({ name }) => name))];
    const inFiles = [...new Set(part.map(({ test }) => test))];
    const seconds = 45 + part.reduce((sum, { milliseconds }) => sum + milliseconds / 250, 0);
    if (!vitest(inFiles, { names, seconds })) return inFiles;
  }
}

let looked = 0;
for (const check of chosen) {
  if (Date.now() > deadline) {
    console.log(`out of time after ${looked} of ${chosen.length}: the rest was not looked at`);
    break;
  }
  looked++;
  const candidates = candidatesOf(check);
  const isSame = ([test, key]) => tests.includes(test) && keyOf(test) === key;
  const asked = candidates.map(({ test, name }) => [test, keyOf(test), name]);
  const before = seen[check.name];
  let by;
  if (before?.by?.every(isSame)) by = before.by.map(([test]) => test);
  else if (JSON.stringify(before?.passed) !== JSON.stringify(asked)) {
    off(check.number);
    by = missedBy(candidates);
    seen[check.name] = by === undefined ? { passed: asked } : { by: by.map((test) => [test, keyOf(test)]) };
    keep('seen.json', seen);
  }
  if (by !== undefined) {
    counts.seen++;
    console.log(`seen by ${by.map((test) => basename(test, '.test.ts')).join(' or ')}\t${where(check)}`);
    continue;
  }
  const reason = reasonOf(check.name);
  counts[reason === undefined ? 'gaps' : 'explained']++;
  const how = candidates.length === 0 ? 'no test reaches it' : `${candidates.length} tests pass without it`;
  console.log(`${reason === undefined ? 'SURVIVES' : 'equivalent'} (${reason ?? how})\t${where(check)}`);
}
off(0);
console.log(
  `mutation: ${counts.seen} seen, ${counts.explained} equivalent for a written reason, ${counts.gaps} survive`,
);
if (!process.env.HOLDFAST_MUTATION_FOLDER) rmSync(folder, { recursive: true, force: true });
if (counts.gaps > 0) process.exitCode = 1;
