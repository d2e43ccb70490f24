// Programs that have the names of temporary folders in themselves, with a private folder there (`tmp: true`) and little else.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { testWith } from '../helpers/tools.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const timeout = patient(60_000);

/** A page whose script writes into it, and tries to load one from each of these addresses. */
const page = (...scripts: readonly string[]) => `<!doctype html><title>page</title><p id=made>static</p>
<script>document.getElementById('made').textContent = 'made by script ' + 6 * 7;</script>
${scripts.map((script) => `<script src="${script}"></script>`).join('\n')}`;

// Debian's package chromium: skipped where it is not installed, but in CI.
testWith('chromium')(
  'Chromium renders a page, and loads neither files nor addresses beside it',
  { timeout },
  async () => {
    const folder = temporaryFolder('chromium');
    for (const name of ['site', 'closed']) mkdirSync(join(folder, name));
    const requests: string[] = [];
    const server = createServer((request, response) => {
      requests.push(request.url ?? '');
      response.end('document.title = "reached"');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/script.js`;
    writeFileSync(join(folder, 'closed/script.js'), 'document.title = "read"');
    writeFileSync(join(folder, 'site/beside.js'), 'document.body.append("loaded beside it");');
    writeFileSync(join(folder, 'site/page.html'), page('beside.js', '../closed/script.js', address));
    const url = pathToFileURL(join(folder, 'site/page.html')).href;
    const { code, stdout, stderr, violations } = await runSandboxed(
      '/usr/lib/chromium/chromium',
      ['--headless', '--no-sandbox', '--dump-dom', url],
      {
        cwd: join(folder, 'site'),
        env: { PATH: process.env.PATH, HOME: '/tmp' },
        policy: { tmp: true, files: { read: [join(folder, 'site')] }, exec: ['/usr/lib/chromium/*'] },
      },
    );
    server.close();
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('<p id="made">made by script 42</p>');
    expect(stdout).toContain('loaded beside it');
    expect(stdout).toContain('<title>page</title>');
    expect(requests).toEqual([]);
    expect(violations.map(({ path }) => path)).toContain(join(folder, 'closed/script.js'));
    const reached = violations.filter(({ syscall }) => syscall === 'connect').map(({ port }) => port);
    expect(reached).toContain(Number(new URL(address).port));
  },
);

testWith('chromium')('Chromium makes a picture, by the line of the documentation', { timeout }, () => {
  const line = /^HOME=\/tmp npx holdfast run .* -- chromium .*$/m.exec(
    readFileSync(join(root, 'docs/getting-started.md'), 'utf8'),
  )?.[0];
  const folder = temporaryFolder('chromium');
  for (const name of ['site', 'out']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'site/page.html'), page());
  const command = String(line).replace('npx holdfast', `'${process.execPath}' '${join(root, 'dist/cli.js')}'`);
  execFileSync('sh', ['-c', command], { cwd: folder, stdio: 'pipe' });
  const picture = readFileSync(join(folder, 'out/page.png'));
  expect(picture.toString('latin1', 1, 4)).toBe('PNG');
  expect(picture.length).toBeGreaterThan(1000);
});

test("Python's multiprocessing: queues, pools, locks, shared memory, managers, by each way to start", {
  timeout,
}, async () => {
  const folder = temporaryFolder('python');
  const program = `
import multiprocessing as m, os
from multiprocessing import shared_memory

def double(queue, lock, name):
    block = shared_memory.SharedMemory(name)
    with lock: queue.put(2 * block.buf[0])
    block.close()

if __name__ == '__main__':
    for method in ('fork', 'spawn', 'forkserver'):
        c = m.get_context(method)
        queue, lock = c.Queue(), c.Lock()
        block = shared_memory.SharedMemory(create=True, size=64); block.buf[0] = 21
        assert block.name.lstrip('/') in os.listdir('/dev/shm')
        one = c.Process(target=double, args=(queue, lock, block.name)); one.start()
        answer = queue.get(); one.join()
        with c.Pool(2) as pool: print(method, answer, one.exitcode, pool.map(abs, [-1, -2]), flush=True)
        block.close(); block.unlink()
    with m.Manager() as manager: print(dict(manager.dict(k=1)))
`;
  writeFileSync(join(folder, 'program.py'), program);
  const { stdout, stderr, violations } = await runSandboxed('/usr/bin/python3', ['program.py'], {
    cwd: folder,
    policy: { tmp: true, files: { read: [folder] } },
  });
  expect({ stdout, stderr }).toEqual({
    stdout: `${['fork', 'spawn', 'forkserver'].map((method) => `${method} 42 0 [1, 2]\n`).join('')}{'k': 1}\n`,
    stderr: '',
  });
  expect(violations.filter(({ probe }) => !probe)).toEqual([]);
});

test('mktemp, and gcc and g++ with TMPDIR and without it', { timeout }, async () => {
  const folder = temporaryFolder('compilers');
  writeFileSync(join(folder, 'a.c'), '#include <stdio.h>\nint main(void) { puts("c"); }\n');
  writeFileSync(join(folder, 'a.cc'), '#include <iostream>\nint main() { std::cout << "c++" << std::endl; }\n');
  const { stdout, stderr } = await runSandboxed(
    'sh',
    [
      '-ec',
      `for where in set unset; do
        test $where = set || unset TMPDIR
        file=$(mktemp); other=$(mktemp -d); shared=$(mktemp -p /dev/shm)
        echo $where > $file; cp $file $other/copy; cp $file $shared; cat $other/copy $shared
        rm $file $other/copy $shared; rmdir $other
        gcc -flto -o /tmp/c a.c && /tmp/c; g++ -o /tmp/c++ a.cc && /tmp/c++
        gcc -c -o /tmp/a.o a.c; cd /tmp; ar rc liba.a a.o; gcc -o linked liba.a; ./linked; rm *; cd - > /dev/null
      done; ls /tmp`,
    ],
    { cwd: folder, policy: { tmp: true, files: { read: [folder] } } },
  );
  expect({ stdout, stderr }).toEqual({
    stdout: ['set', 'unset'].map((where) => `${where}\n${where}\nc\nc++\nc\n`).join(''),
    stderr: '',
  });
});

test('workers of Node’s and their files', { timeout }, async () => {
  const folder = temporaryFolder('workers');
  const program = `
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
if (isMainThread) {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  const workers = [1, 2, 3].map((n) => new Worker(new URL(import.meta.url), { workerData: { n, shared } }));
  const names = await Promise.all(workers.map((worker) => new Promise((resolve, reject) => worker.on('error', reject).on('message', resolve))));
  // By the other name than they were written by.
  for (const name of names) console.log(readFileSync(name.replace(tmpdir(), '/tmp') + '/file', 'utf8'));
  console.log(shared[0], readdirSync('/tmp').length);
  for (const name of readdirSync(tmpdir())) rmSync('/tmp/' + name, { recursive: true });
  console.log(readdirSync(tmpdir()));
} else {
  const folder = mkdtempSync(tmpdir() + '/worker-');
  writeFileSync(folder + '/file', 'of ' + workerData.n);
  Atomics.add(workerData.shared, 0, workerData.n);
  parentPort.postMessage(folder);
}`;
  writeFileSync(join(folder, 'program.mjs'), program);
  const { stdout, stderr } = await runSandboxed(process.execPath, ['program.mjs'], {
    cwd: folder,
    policy: { tmp: true, files: { read: [folder] } },
  });
  expect({ stdout, stderr }).toEqual({ stdout: 'of 1\nof 2\nof 3\n6 3\n[]\n', stderr: '' });
});
