// Real programs, unmodified, with a hook on every open: the same output and exit status as bare.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const nodePrefix = dirname(dirname(process.execPath));

type Files = Record<string, string>;

interface Case {
  files: Files;
  script: string;
  /** What differs from run to run by nature: times, pids, durations. */
  normalise?: (text: string) => string;
}

const repeated = (count: number, line: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

const cases: Record<string, Case> = {
  'shell pipelines and coreutils': {
    files: { 'words.txt': `${repeated(2000, (index) => `word${(index * 7919) % 503} ${index}`)}\n` },
    script: `
      set -eu
      cut -d' ' -f1 words.txt | sort | uniq -c | sort -rn -k1,1 -k2,2 | head -5
      cat words.txt | tee copy.txt | wc -lc
      cmp words.txt copy.txt && echo same
      mkdir -p a/b/c && cp -r a d && mv d/b d/e && ln -s ../words.txt a/link && ln words.txt hard
      readlink a/link; stat -c '%n %s %h %F' words.txt a/link; realpath --relative-to=. a/link
      touch -d 2020-01-02T03:04:05Z old && stat -c %Y old && chmod 640 old && stat -c %a old
      truncate -s 4096 old && du -b old; split -l 500 words.txt part. && ls part.*
      for i in 1 2 3; do (echo "sub $i"; sleep 0.0$i) & done; wait
      mkfifo pipe && (cat pipe > through & cat words.txt > pipe; wait) && cmp words.txt through
      seq 50 | xargs -P 2 -n 10 echo | wc -w
      ls missing 2>&1 || echo "status $?"
      rm -r a d part.* && ls
      sha256sum < words.txt; date -u -d @0; printf '%s\\n' "\${PWD##*/}" "$(id -u)"; exit 7
    `,
    normalise: (text) => text.replace(/(sub \d\n)+/, (lines) => `${lines.trim().split('\n').sort().join('\n')}\n`),
  },
  'git init, add, commit, clone, gc': {
    files: { 'one.txt': '1\n', 'dir/two.txt': `${repeated(300, String)}\n` },
    script: `
      set -eu
      export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
      export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
      export GIT_AUTHOR_DATE='2026-01-01T00:00:00Z' GIT_COMMITTER_DATE='2026-01-01T00:00:00Z'
      git init -q -b main . && git add . && git commit -q -m first
      git checkout -q -b side && echo 2 >> one.txt && git mv dir/two.txt dir/three.txt && git commit -q -am second
      git checkout -q main && git merge -q --no-ff -m merged side
      git log --format='%H %s' --stat
      git clone -q . clone && git -C clone log --oneline | wc -l
      git gc -q --aggressive --prune=now && git fsck --full && git count-objects | cut -d, -f1
      git status --short; git -C clone status --porcelain=v2 --branch | head -2
    `,
  },
  'make -j2 of a C project': {
    files: {
      Makefile: [
        'objects := main.o one.o two.o three.o',
        'program: $(objects)',
        '\t$(CC) -o $@ $^',
        '%.o: %.c all.h',
        '\t@echo CC $<',
        '\t@$(CC) -O1 -c -o $@ $<',
        'clean:',
        '\trm -f program *.o',
        '',
      ].join('\n'),
      'all.h': 'int one(void); int two(void); int three(void);\n',
      'main.c':
        '#include <stdio.h>\n#include "all.h"\nint main(void) { printf("%d\\n", one() + two() + three()); return 0; }\n',
      'one.c': '#include "all.h"\nint one(void) { return 1; }\n',
      'two.c': '#include "all.h"\nint two(void) { return 2; }\n',
      'three.c': '#include "all.h"\nint three(void) { return 3; }\n',
    },
    script:
      'set -eu; make -j2 --no-print-directory; ./program; touch all.h; make -j2 --no-print-directory; make -q; make clean',
    normalise: (text) => text.replace(/(CC \w+\.c\n)+/g, (lines) => `${lines.trim().split('\n').sort().join('\n')}\n`),
  },
  'Python with threads and subprocess': {
    files: {
      'main.py': `
import concurrent.futures, json, os, pathlib, shutil, sqlite3, subprocess, sys, tempfile, threading

lock, total = threading.Lock(), 0
def work(n):
    global total
    path = pathlib.Path(f"thread-{n}.json")
    path.write_text(json.dumps({"n": n}))
    with lock:
        total += json.loads(path.read_text())["n"]
    path.rename(f"done-{n}.json")
threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("total", total, len(list(pathlib.Path(".").glob("done-*.json"))))

with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: subprocess.run(["sh", "-c", f"echo {n}; exit {n}"], capture_output=True, text=True).returncode, range(6))))
print(subprocess.check_output([sys.executable, "-c", "import os; print(os.getcwd() == os.path.realpath('.'))"], text=True).strip())
with tempfile.TemporaryDirectory(dir=".") as folder:
    with sqlite3.connect(os.path.join(folder, "db")) as db:
        db.execute("create table t (a)")
        db.executemany("insert into t values (?)", [(n,) for n in range(100)])
        print(db.execute("select sum(a) from t").fetchone())
    db.close()
os.makedirs("x/y"); shutil.copytree("x", "z"); shutil.rmtree("x"); print(sorted(os.listdir("z")))
try:
    open("missing/file")
except OSError as error:
    print(error.errno, error.filename)
pid = os.fork()
if pid == 0: os._exit(5)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
sys.exit(3)
`,
    },
    script: 'exec python3 -B main.py',
  },
  'Node with worker threads and child processes': {
    files: {
      'main.mjs': `
import { execFile, fork, spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { promisify } from 'node:util';
import { createServer } from 'node:net';

const worker = (n) => new Promise((resolve, reject) => {
  const thread = new Worker("const { parentPort, workerData } = require('worker_threads'); const fs = require('fs'); fs.writeFileSync('w' + workerData, 'x'.repeat(workerData)); parentPort.postMessage(fs.statSync('w' + workerData).size)", { eval: true, workerData: n });
  thread.once('message', resolve).once('error', reject);
});
console.log(await Promise.all([1, 2, 3, 4].map(worker)));
console.log((await promisify(execFile)(process.execPath, ['-p', '6 * 7'])).stdout.trim());
const child = fork('child.cjs');
child.send({ question: 20 });
console.log(await new Promise((resolve) => child.once('message', resolve)));
console.log(await new Promise((resolve) => child.once('close', (code, signal) => resolve([code, signal]))));
const folder = await mkdtemp('tmp-');
await Promise.all(Array.from({ length: 50 }, (_, n) => writeFile(folder + '/' + n, String(n))));
await rename(folder + '/0', folder + '/zero');
await symlink('zero', folder + '/link');
console.log((await readdir(folder)).length, await readFile(folder + '/link', 'utf8'), (await stat(folder + '/49')).size);
await rm(folder, { recursive: true });
const piped = spawn('cat');
piped.stdin.end('through cat');
for await (const chunk of piped.stdout) console.log(String(chunk));
const server = createServer().listen('sock');
await new Promise((resolve) => server.once('listening', resolve));
server.close();
await stat('missing').catch((error) => console.log(error.code));
process.exitCode = 4;
`,
      'child.cjs': "process.once('message', ({ question }) => process.send(question * 2.1, () => process.exit(9)));\n",
    },
    script: 'exec node main.mjs',
  },
  'tar, find, grep -r': {
    files: Object.fromEntries(
      Array.from({ length: 60 }, (_, index) => [
        `tree/${index % 7}/${index % 3}/file ${index}`,
        `line ${index}\nneedle ${index % 5}\n`,
      ]),
    ),
    script: `
      set -eu
      tar -C tree --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf all.tar.gz . && tar -tzf all.tar.gz | wc -l
      mkdir out && tar -xzf all.tar.gz -C out --no-same-owner && diff -r tree out && echo equal
      find tree -type f -name '*3*' -size -2k | sort; find tree -depth -type d -empty -delete; find tree -newer all.tar.gz | wc -l
      grep -rn 'needle 4' tree | sort; grep -rlZ 'needle 1' tree | sort -z | xargs -0 wc -c
      find out -type f -exec chmod 600 {} + && find out -type f -perm 600 | wc -l && rm -rf out && ls
      grep -r nothing tree || echo "status $?"
    `,
  },
};

function lay(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

function empty(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true, force: true });
}

async function compare(
  folder: string,
  files: Files,
  script: string,
  normalise: (text: string) => string,
  environment = {},
) {
  const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, LC_ALL: 'C', ...environment };
  const seen = ({ code, signal, stdout, stderr }: Outcome) => ({
    code,
    signal,
    stdout: normalise(stdout),
    stderr: normalise(stderr),
  });
  lay(folder, files);
  const bare = await runBare('sh', ['-c', script], { cwd: folder, env });
  empty(folder);
  lay(folder, files);
  let opens = 0;
  const held = await runSandboxed('sh', ['-c', script], {
    cwd: folder,
    env,
    policy: { files: { read: ['/'], write: [folder, '/dev'] }, network: { bind: [`unix:${folder}`] } },
    hooks: (child) =>
      child.onOpen(() => {
        opens += 1;
      }),
  });
  expect(seen(held)).toEqual(seen(bare));
  expect(opens).toBeGreaterThan(0);
  return { bare, held };
}

describe('with a hook on every open, as bare', () => {
  test.each(Object.entries(cases))(
    '%s',
    async (_, { files, script, normalise = (text) => text }) => {
      const { bare } = await compare(temporaryFolder('real'), files, script, normalise);
      expect(bare.stdout).not.toBe('');
    },
    120_000,
  );

  test('npm install of a package with dependencies and a native build', async () => {
    const folder = temporaryFolder('npm');
    const packages = temporaryFolder('packages');
    const pack = (name: string, files: Files) => {
      lay(join(packages, name, 'package'), files);
      execFileSync('tar', ['-czf', join(packages, `${name}.tgz`), '-C', join(packages, name), 'package']);
    };
    pack('leaf', { 'package.json': '{ "name": "leaf", "version": "1.0.0" }', 'index.js': 'module.exports = 40;\n' });
    pack('native', {
      'package.json': JSON.stringify({
        name: 'native',
        version: '1.0.0',
        dependencies: { leaf: `file:${packages}/leaf.tgz` },
        scripts: {
          install: `node ${join(root, 'node_modules/node-gyp/bin/node-gyp.js')} rebuild --silent --nodedir=${nodePrefix}`,
        },
      }),
      'binding.gyp': "{ 'targets': [{ 'target_name': 'two', 'sources': ['two.c'] }] }",
      'two.c': [
        '#include <node_api.h>',
        'NAPI_MODULE_INIT() {',
        '  napi_value two;',
        '  (void)exports;',
        '  napi_create_int32(env, 2, &two);',
        '  return two;',
        '}',
      ].join('\n'),
      'index.js': "module.exports = require('leaf') + require('./build/Release/two.node');\n",
    });
    const files = {
      'package.json': JSON.stringify({
        name: 'app',
        version: '1.0.0',
        dependencies: { native: `file:${relative(folder, packages)}/native.tgz` },
      }),
    };
    const script =
      'npm install --foreground-scripts && node -p "require(\'native\')" && ls node_modules && npm ls --all';
    const { bare } = await compare(folder, files, script, (text) => text.replace(/in \d+m?s/g, 'in a moment'), {
      npm_config_offline: 'true',
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_update_notifier: 'false',
      npm_config_ignore_scripts: 'false',
      npm_config_loglevel: 'error',
      npm_config_cache: join(folder, '.cache'),
    });
    expect(bare).toMatchObject({ code: 0, stdout: expect.stringContaining('42') });
  }, 180_000);
});
