// Real programs, bare and in a sandbox: under plain rules, with the right to look at everything, on kernel layers alone, and with a
// hook on every open.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spawnSandboxed } from 'holdfast';
import { ended, ms, policy, work } from './run.js';

const home = join(work, 'home');
const env = {
  PATH: process.env.PATH,
  HOME: home,
  TMPDIR: join(work, 'tmp'),
  LANG: 'C.UTF-8',
  GIT_AUTHOR_NAME: 'Bench',
  GIT_AUTHOR_EMAIL: 'bench@example.com',
  GIT_COMMITTER_NAME: 'Bench',
  GIT_COMMITTER_EMAIL: 'bench@example.com',
  GIT_CONFIG_NOSYSTEM: '1',
  npm_config_cache: join(work, 'npm-cache'),
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  npm_config_loglevel: 'error',
};

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** `count` text files in folders of twenty. */
function writeFiles(folder, count) {
  for (let i = 0; i < count; i++) write(join(folder, `d${Math.floor(i / 20)}`, `f${i}.txt`), `line ${i}\n`.repeat(50));
}

function writeProject(folder, files) {
  const names = Array.from({ length: files }, (_, i) => `part${i}`);
  for (const name of names) {
    write(join(folder, `${name}.c`), `#include <stdio.h>\n#include <stdlib.h>\nint ${name}(int a) { return a * 3; }\n`);
  }
  const calls = names.map((name) => `${name}(1)`).join(' + ');
  const declared = names.map((name) => `int ${name}(int);\n`).join('');
  write(join(folder, 'main.c'), `${declared}int main(void) { return ${calls} == ${files * 3} ? 0 : 1; }\n`);
  const objects = ['main', ...names].map((name) => `${name}.o`).join(' ');
  write(
    join(folder, 'Makefile'),
    `all: program\n\t./program\nprogram: ${objects}\n\tcc -o $@ ${objects}\n%.o: %.c\n\tcc -O1 -c -o $@ $<\n`,
  );
}

/** A package of some files as a tarball, whose dependencies are tarballs too. */
function pack(name, dependencies, files) {
  const folder = join(work, 'packages', name);
  const wanted = Object.fromEntries(dependencies.map((each) => [each, `file:${join(work, `${each}.tgz`)}`]));
  write(join(folder, 'package/package.json'), JSON.stringify({ name, version: '1.0.0', dependencies: wanted }));
  for (let i = 0; i < files; i++) write(join(folder, `package/lib/f${i}.js`), `module.exports = ${i};\n`);
  execFileSync('tar', ['czf', join(work, `${name}.tgz`), '-C', folder, 'package']);
}

const script = `
import os, subprocess, sys, threading, json, glob
done = []
def one(n):
    out = subprocess.run(['/bin/echo', str(n)], capture_output=True, text=True).stdout
    done.append(int(out))
threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert sorted(done) == list(range(8))
`;

const nodeScript = `
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
for (let i = 0; i < 100; i++) fs.writeFileSync('n' + i, String(i));
for (let i = 0; i < 100; i++) if (fs.readFileSync('n' + i, 'utf8') !== String(i)) process.exit(1);
for (let i = 0; i < 100; i++) fs.unlinkSync('n' + i);
if (execFileSync('/bin/echo', ['yes']).toString() !== 'yes\\n') process.exit(1);
`;

/** What to run, in a folder of its own that `prepare` fills before each run. */
const programs = (few) => [
  {
    name: 'git',
    group: 'builders',
    title: `git init, add, commit of ${few(200)} files`,
    prepare: (folder) => writeFiles(folder, few(200)),
    command: ['sh', '-c', 'git init -q . && git add -A && git commit -q -m all && git status --short'],
  },
  {
    name: 'status',
    title: `git status of ${few(2000)} files`,
    group: 'walkers',
    prepare: (folder) => {
      writeFiles(folder, few(2000));
      execFileSync('sh', ['-c', 'git init -q . && git add -A && git commit -q -m all'], { cwd: folder, env });
    },
    keep: true,
    command: ['git', 'status', '--short'],
  },
  {
    name: 'make',
    title: 'make -j2 of a C project',
    group: 'walkers',
    prepare: (folder) => writeProject(folder, few(20)),
    command: ['make', '-s', '-j2'],
  },
  {
    name: 'python',
    group: 'builders',
    title: 'python3 with threads and subprocesses',
    prepare: (folder) => write(join(folder, 'script.py'), script),
    command: [pythonPath(), 'script.py'],
  },
  {
    name: 'node',
    group: 'builders',
    title: 'node, files and a child',
    prepare: (folder) => write(join(folder, 'script.cjs'), nodeScript),
    command: [process.execPath, 'script.cjs'],
  },
  {
    name: 'npm',
    group: 'builders',
    title: 'npm install with dependencies, offline',
    prepare: (folder) => {
      rmSync(env.npm_config_cache, { recursive: true, force: true });
      const wanted = Object.fromEntries(packages.map((name) => [name, `file:${join(work, `${name}.tgz`)}`]));
      write(join(folder, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', dependencies: wanted }));
    },
    command: ['npm', 'install', '--offline'],
  },
  {
    name: 'tar',
    group: 'builders',
    title: `tar of ${few(1000)} files, and out of it again`,
    prepare: (folder) => writeFiles(join(folder, 'in'), few(1000)),
    command: ['sh', '-c', 'tar cf all.tar in && mkdir out && tar xf all.tar -C out'],
  },
  {
    name: 'find',
    title: `find over ${few(2000)} files`,
    prepare: (folder) => writeFiles(folder, few(2000)),
    keep: true,
    group: 'walkers',
    command: ['find', '.', '-type', 'f', '-size', '+0', '-newer', '/etc/passwd', '-name', '*.txt'],
  },
  {
    name: 'grep',
    title: `grep -r through ${few(2000)} files`,
    prepare: (folder) => writeFiles(folder, few(2000)),
    keep: true,
    group: 'walkers',
    command: ['grep', '-rc', 'line 7', '.'],
  },
];

const packages = ['one', 'two', 'three', 'four', 'five'];

/** Not a shim that starts a shell first: that would be the shim's measure. */
function pythonPath() {
  return execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim();
}

/** How a sandbox is asked for; the goals are for the geometric means of the groups. */
const kinds = {
  holdfast: { listens: true, policy: () => wide },
  'holdfast, metadata': { listens: true, policy: () => ({ ...wide, files: { ...wide.files, metadata: ['/'] } }) },
  'holdfast, kernel layers': { listens: false, policy: () => narrow },
  'holdfast, hook on every open': {
    listens: false,
    policy: () => wide,
    hook: (child) => child.onOpen(() => undefined),
  },
};

function measure({ name, title, group, prepare, keep, command }) {
  const folder = join(work, `run-${name}`);
  let prepared = false;
  const timed = (start) => async () => {
    if (!prepared || !keep) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      prepare(folder);
      prepared = true;
    }
    const began = ms();
    await ended(start(command[0], command.slice(1), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }), title);
    return ms() - began;
  };
  const sandboxed =
    ({ listens, policy, hook }) =>
    (command, args, options) => {
      const child = spawnSandboxed(command, args, { ...options, policy: policy() });
      if (listens) child.on('violation', () => {});
      hook?.(child);
      return child;
    };
  const subjects = { bare: timed(spawn) };
  for (const [kind, how] of Object.entries(kinds)) subjects[kind] = timed(sandboxed(how));
  return { name, title, unit: 'ms', group, subjects, compare: Object.keys(kinds).map((of) => ({ of, to: 'bare' })) };
}

let wide = policy;
/** What the kernel can be left to decide: no folder of /proc in it, and each rule a folder that is there. */
let narrow = policy;

export const realPrograms = (few) => {
  for (const folder of [home, env.TMPDIR]) mkdirSync(folder, { recursive: true });
  for (const name of packages) pack(name, [], few(40));
  const prefix = execFileSync(pythonPath(), ['-c', 'import sys; print(sys.base_prefix)'], { encoding: 'utf8' }).trim();
  wide = { ...policy, files: { ...policy.files, read: [...policy.files.read, prefix] } };
  const read = wide.files.read.filter((path) => !['/proc', '/sys', '/dev'].includes(path));
  narrow = { ...wide, files: { read, write: [work], metadata: ['/'] }, defaults: { proc: false } };
  return programs(few).map(measure);
};
