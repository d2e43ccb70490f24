// Real programs, bare and in a sandbox: under plain rules, with the right to look at everything, on kernel layers alone, and with a
// hook on every open.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bareLoop, ended, layers, ms, python, serving, spawnOn, work } from './run.js';

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

const threads = `
import hashlib, glob, zlib
from concurrent.futures import ThreadPoolExecutor
def one(path):
    with open(path, 'rb') as file: data = file.read() * 200
    return hashlib.sha256(zlib.compress(data)).hexdigest()
with ThreadPoolExecutor(8) as pool: sums = list(pool.map(one, glob.glob('in/*/*.txt')))
assert len(sums) == len(set(sums)) > 0
`;

const server = `
const { createReadStream } = require('node:fs');
const server = require('node:http').createServer((request, response) => createReadStream('.' + request.url).pipe(response));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

/** A web server as the other programs are started, and what a request to it takes a client that nothing holds. */
const requests = (count) => (start) =>
  serving(async (port) => {
    await bareLoop('get', port, count); // Node compiles what it runs often
    return await bareLoop('get', port, count);
  }, start());

/** What to run, in a folder of its own that `prepare` fills before each run. */
const programs = (few) => [
  {
    name: 'clone',
    group: 'builders',
    needs: 'git',
    title: `git clone and gc of ${few(200)} files, twenty commits`,
    once: (folder) => {
      const origin = join(folder, '../origin');
      const commit = (i) => `echo ${i} >> d0/f0.txt; cp d0/f1.txt d0/g${i}.txt; git add -A; git commit -q -m ${i}`;
      writeFiles(origin, few(200));
      const all = ['git init -q .', ...Array.from({ length: 20 }, (_, i) => commit(i))].join('\n');
      execFileSync('sh', ['-ec', all], { cwd: origin, env });
    },
    command: ['sh', '-c', 'git clone -q --no-local ../origin clone && cd clone && git gc -q'],
  },
  {
    name: 'git',
    needs: 'git',
    title: `git init, add, commit of ${few(200)} files`,
    prepare: (folder) => writeFiles(folder, few(200)),
    command: ['sh', '-c', 'git init -q . && git add -A && git commit -q -m all && git status --short'],
  },
  {
    name: 'status',
    needs: 'git',
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
    needs: 'make',
    title: 'make -j2 of a C project',
    group: 'walkers',
    prepare: (folder) => writeProject(folder, few(20)),
    command: ['make', '-s', '-j2'],
  },
  {
    name: 'compileall',
    group: 'builders',
    needs: 'python3',
    title: 'python3 -m compileall of the standard library in part',
    once: (folder) => {
      const library = execFileSync(python.path, ['-c', 'import os; print(os.path.dirname(os.__file__))'], {
        encoding: 'utf8',
      }).trim();
      for (const part of ['json', 'email', 'asyncio', 'importlib', 'xml'].slice(0, few(5))) {
        cpSync(join(library, part), join(folder, '../library', part), {
          recursive: true,
          filter: (path) => !path.endsWith('__pycache__'),
        });
      }
    },
    prepare: (folder) => cpSync(join(folder, '../library'), folder, { recursive: true }),
    command: [python?.path, '-m', 'compileall', '-q', '.'],
  },
  {
    name: 'threads',
    group: 'builders',
    needs: 'python3',
    title: `python3, eight threads that read, compress and hash ${few(400)} files`,
    prepare: (folder) => {
      write(join(folder, 'script.py'), threads);
      writeFiles(join(folder, 'in'), few(400));
    },
    keep: true,
    command: [python?.path, 'script.py'],
  },
  {
    name: 'server',
    group: 'builders',
    unit: 'µs',
    title: "a request to node's web server, a file for an answer",
    prepare: (folder) => {
      write(join(folder, 'server.cjs'), server);
      write(join(folder, 'page'), 'A line of the page.\n'.repeat(200));
    },
    keep: true,
    command: [process.execPath, 'server.cjs'],
    run: requests(few(500)),
  },
  {
    name: 'python',
    needs: 'python3',
    title: 'python3 with threads and subprocesses',
    prepare: (folder) => write(join(folder, 'script.py'), script),
    command: [python?.path, 'script.py'],
  },
  {
    name: 'node',
    title: 'node, files and a child',
    prepare: (folder) => write(join(folder, 'script.cjs'), nodeScript),
    command: [process.execPath, 'script.cjs'],
  },
  {
    name: 'npm',
    group: 'builders',
    needs: 'npm',
    title: 'npm ci, offline',
    once: (folder) => {
      for (const name of packages) pack(name, [], few(40));
      const wanted = Object.fromEntries(packages.map((name) => [name, `file:../${name}.tgz`]));
      const project = join(folder, '../project');
      write(join(project, 'package.json'), JSON.stringify({ name: 'project', version: '1.0.0', dependencies: wanted }));
      execFileSync('npm', ['install', '--offline', '--package-lock-only'], { cwd: project, env });
    },
    prepare: (folder) => {
      rmSync(env.npm_config_cache, { recursive: true, force: true });
      cpSync(join(folder, '../project'), folder, { recursive: true });
    },
    command: ['npm', 'ci', '--offline'],
  },
  {
    name: 'tar',
    needs: 'tar',
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

const hookedOpens = 'holdfast, hook on every open';

function measure({ name, title, group, unit = 'ms', once = () => {}, prepare = () => {}, keep, command, run }) {
  const folder = join(work, `run-${name}`);
  let prepared = false;
  const timed = (start) => async () => {
    if (!prepared) once(folder);
    if (!prepared || !keep) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      prepare(folder);
      prepared = true;
    }
    const started = () => start(command[0], command.slice(1), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    if (run !== undefined) return await run(started);
    const began = ms();
    await ended(started(), title);
    return ms() - began;
  };
  const subjects = { bare: timed(spawn) };
  for (const [kind, how] of Object.entries(layers)) subjects[kind] = timed((...args) => spawnOn(how, ...args));
  subjects[hookedOpens] = timed((...args) => {
    const child = spawnOn({ policy: layers.holdfast.policy, listens: false }, ...args);
    child.onOpen(() => undefined);
    return child;
  });
  const compare = [...Object.keys(layers), hookedOpens].map((of) => ({ of, to: 'bare' }));
  return { name, title, unit, group, subjects, compare };
}

export const realPrograms = (few, leave) => {
  for (const folder of [home, env.TMPDIR]) mkdirSync(folder, { recursive: true });
  const there = programs(few).filter(({ name, needs }) => {
    const missing = needs !== undefined && spawnSync(needs, ['--version'], { stdio: 'ignore' }).error !== undefined;
    if (missing) leave(name, `${needs} is not installed`);
    return !missing;
  });
  return there.map(measure);
};
