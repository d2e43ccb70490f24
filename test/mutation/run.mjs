// Switches off one check of the boundary at a time and asks the tests whether they see it.
//   npm run test:mutation [-- --list] [--all] [--file PATTERN] [--only NUMBER,...] [--shard I/N] [--minutes M]
// A copy of the tree is built once: in it each `if` can be switched off by a number that the supervisor reads, from a file
// beside its executable, when it starts; and it notes there which checks were reached. First the whole suite runs once and
// tells which test files reach which check; then each check is off for just those, until one fails. What no test sees is a
// survivor; survivors.mjs says of each why it is equivalent. Anything else is a gap, and the exit code says so.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn } from '../../.config/rooms.mjs';
import { survivors } from './survivors.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const rooms = ['engine', 'families', 'view', 'policy', 'launch', 'call'];
const args = process.argv.slice(2);
const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);

/** The place after the parenthesis that closes the one at `open`, or -1. */
function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const c = text[at];
    if (c === '"' || c === "'") {
      const end = new RegExp(`(?:\\\\.|[^\\\\${c}\\n])*${c}`, 'y');
      end.lastIndex = at + 1;
      if (!end.test(text)) return -1;
      at = end.lastIndex - 1;
    } else if (c === '(') depth++;
    else if (c === ')' && --depth === 0) return at + 1;
  }
  return -1;
}

const refusal = /EACCES|EPERM|EXDEV|ELOOP|refus|report\(|mismatch|den(y|ied)|kill|gone\(\)|ESRCH|drop|error/i;

/** The checks of one source: where each condition stands, and how it is switched off. */
function checksIn(file) {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [];
  for (const match of text.matchAll(/\bif \(/g)) {
    const open = match.index + match[0].length - 1;
    const end = closing(text, open);
    const lineStart = text.lastIndexOf('\n', match.index) + 1;
    if (end < 0 || /\/\/|\bconstexpr\b/.test(text.slice(lineStart, match.index))) continue;
    const inside = text.slice(open + 1, end - 1);
    const after = text.slice(end, end + 240);
    const line = text.slice(0, match.index).split('\n').length;
    const boundary = refusal.test(after.split('\n').slice(0, 3).join('\n')) || /still_held|contains\(/.test(inside);
    found.push({ file, line, begin: open + 1, end: end - 1, inside, boundary });
  }
  // Steps that take rights away are no conditions, and missing they would be missed as much.
  for (const match of text.matchAll(/^ +((?:drop|give_up|confine|strip|restrict)\w*)\([^;{}]*\);$/gm)) {
    const begin = match.index + match[0].search(/\S/);
    const line = text.slice(0, begin).split('\n').length;
    found.push({
      file,
      line,
      begin,
      end: match.index + match[0].length,
      inside: match[0].trim(),
      boundary: true,
      step: true,
    });
  }
  return found;
}

function switched(check, number) {
  const { inside, step } = check;
  if (step) return `if (!holdfast_mutant(${number})) { ${inside} }`;
  const parts = /^([^;]*;)([\s\S]*)$/.exec(inside);
  if (parts) return `${parts[1]} !holdfast_mutant(${number}) && (${parts[2].trim()})`;
  const declared = /^((?:const |auto|[\w:<>*]+ )[\w:<>*& ]*?[*& ](\w+)) = /.exec(inside);
  if (declared) return `${inside}; !holdfast_mutant(${number}) && ${declared[2]}`;
  return `!holdfast_mutant(${number}) && (${inside})`;
}

const header = `#pragma once
namespace holdfast { bool holdfast_mutant(unsigned number); void holdfast_mutant_begin(); }
`;
const implementation = `#include "mutant.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
namespace holdfast {
namespace {
unsigned off = 0;
unsigned char* reached = nullptr;
}
__attribute__((constructor)) static void begin() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
  if (length <= 0) return;
  path[length] = 0;
  char* name = strrchr(path, '/') + 1;
  strcpy(name, "mutant");
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char text[16] = {};
  if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) off = static_cast<unsigned>(atoi(text));
  if (fd >= 0) close(fd);
  strcpy(name, "reached");
  fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* at = mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) reached = static_cast<unsigned char*>(at);
  close(fd);
}
bool holdfast_mutant(unsigned number) {
  if (reached != nullptr) __atomic_store_n(&reached[number], 1, __ATOMIC_RELAXED);
  return number == off;
}
}
`;

const all = rooms.flatMap((room) => sourcesIn(`native/${room}`, /\.cc$/)).flatMap(checksIn);
all.sort((a, b) => a.file.localeCompare(b.file) || a.begin - b.begin);
const named = all.map((check, i) => ({
  ...check,
  number: i + 1,
  name: `${check.file}: ${check.inside.replace(/\s+/g, ' ')}`,
}));
let chosen = named.filter((check) => args.includes('--all') || check.boundary);
if (option('--file')) chosen = chosen.filter((check) => new RegExp(option('--file')).test(check.file));
if (option('--only')) chosen = chosen.filter((check) => option('--only').split(',').includes(String(check.number)));
if (option('--shard')) {
  const [part, parts] = option('--shard').split('/').map(Number);
  chosen = chosen.filter((_, i) => i % parts === part - 1);
}
if (args.includes('--list')) {
  for (const check of chosen)
    console.log(`${check.number}\t${check.file}:${check.line}\t${check.inside.replace(/\s+/g, ' ')}`);
  console.log(`${chosen.length} of ${named.length} checks`);
  process.exit(0);
}

// ---- The copy ----------------------------------------------------------------------------------------------------------

const copy = join(process.env.HOLDFAST_MUTATION_FOLDER ?? mkdtempSync(join(tmpdir(), 'holdfast-mutation-')), 'tree');
rmSync(copy, { recursive: true, force: true });
cpSync(root, copy, {
  recursive: true,
  filter: (path) => !/^(\.git|build|dist|node_modules)$/.test(relative(root, path)),
});
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
for (const file of new Set(named.map((check) => check.file))) {
  let text = readFileSync(join(copy, file), 'utf8');
  for (const check of named.filter((each) => each.file === file).reverse())
    text = text.slice(0, check.begin) + switched(check, check.number) + text.slice(check.end);
  writeFileSync(join(copy, file), `#include "../supervisor/mutant.h"\n${text}`);
}
writeFileSync(join(copy, 'native/supervisor/mutant.h'), header);
writeFileSync(join(copy, 'native/supervisor/mutant.cc'), implementation);
// A check that is off leaves warnings behind (unused names, constant conditions).
const gyp = join(copy, 'binding.gyp');
writeFileSync(gyp, readFileSync(gyp, 'utf8').replace("'-Werror', ", ''));
const run = (command, commandArgs, options) =>
  spawnSync(command, commandArgs, { cwd: copy, encoding: 'utf8', ...options });
const built = run('npm', ['run', 'build:native'], { stdio: ['ignore', 'pipe', 'pipe'] });
if (built.status !== 0) {
  console.error(built.stdout.slice(-4000), built.stderr.slice(-4000));
  throw new Error(`the copy in ${copy} does not build`);
}
const release = join(copy, 'build/Release');
const off = (number) => writeFileSync(join(release, 'mutant'), String(number));
const forget = () => writeFileSync(join(release, 'reached'), Buffer.alloc(1 << 16), { mode: 0o666 });

function vitest(files, limit) {
  const outcome = run('npx', ['vitest', 'run', '--config', 'test/vitest.config.ts', '--bail', '1', ...files], {
    timeout: limit * 1000,
    killSignal: 'SIGKILL',
    env: { ...process.env, HOLDFAST_MUTATION: '1' },
  });
  return outcome.status === 0;
}

// ---- Who reaches what --------------------------------------------------------------------------------------------------

const tests = ['api', 'families', 'boundary', 'lifecycle', 'transparency']
  .flatMap((folder) => readdirSync(join(copy, 'test', folder)).map((name) => `test/${folder}/${name}`))
  .filter((name) => name.endsWith('.test.ts'));
const reaching = new Map();
off(0);
for (const test of tests) {
  forget();
  const began = Date.now();
  const passed = vitest([test], 600);
  const seconds = (Date.now() - began) / 1000;
  const bytes = readFileSync(join(release, 'reached'));
  if (!passed) console.error(`${test} fails without any mutation: it is left out`);
  for (const { number } of chosen)
    if (passed && bytes[number] !== 0) reaching.set(number, [...(reaching.get(number) ?? []), { test, seconds }]);
}

// ---- One after the other ------------------------------------------------------------------------------------------------

const reasonOf = ({ name }) => survivors.find(({ check }) => name === check)?.reason;
const counts = { seen: 0, explained: 0, gaps: 0 };
const deadline = Date.now() + Number(option('--minutes') ?? Infinity) * 60_000;
for (const check of chosen) {
  if (Date.now() > deadline) {
    console.log(`out of time before ${check.number}: the rest was not looked at`);
    break;
  }
  off(check.number);
  const candidates = (reaching.get(check.number) ?? []).sort((a, b) => a.seconds - b.seconds);
  const by = candidates.find(({ test, seconds }) => !vitest([test], 60 + 4 * seconds))?.test;
  const where = `${check.number}\t${check.file}:${check.line}\t${check.inside.replace(/\s+/g, ' ')}`;
  if (by !== undefined) {
    counts.seen++;
    console.log(`seen by ${basename(by)}\t${where}`);
    continue;
  }
  const reason = reasonOf(check);
  counts[reason === undefined ? 'gaps' : 'explained']++;
  const how = candidates.length === 0 ? 'no test reaches it' : `${candidates.length} test files pass without it`;
  console.log(`${reason === undefined ? 'SURVIVES' : 'equivalent'} (${reason ?? how})\t${where}`);
}
off(0);
console.log(
  `mutation: ${counts.seen} seen, ${counts.explained} equivalent for a written reason, ${counts.gaps} survive`,
);
if (existsSync(copy) && !process.env.HOLDFAST_MUTATION_FOLDER) rmSync(dirname(copy), { recursive: true, force: true });
process.exitCode = counts.gaps > 0 ? 1 : 0;
