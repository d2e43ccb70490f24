import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { compare } from './compare.ts';

const main = `
import { exec, execFile, execFileSync, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer, connect } from 'node:net';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { createGzip, gunzipSync } from 'node:zlib';
import { pipeline } from 'node:stream/promises';

if (!isMainThread) {
  fs.writeFileSync('worker-' + workerData, 'x'.repeat(workerData * 1000));
  const inner = workerData === 1 ? spawnSync('echo', ['from a worker']).stdout.toString() : '';
  parentPort.once('message', (shared) => { Atomics.add(new Int32Array(shared), 0, workerData); parentPort.postMessage([workerData, inner]); });
} else {
  const workers = [1, 2, 3, 4].map((n) => new Worker(new URL(import.meta.url), { workerData: n }));
  const shared = new SharedArrayBuffer(4);
  const answers = workers.map((worker) => once(worker, 'message'));
  const ends = workers.map((worker) => once(worker, 'exit'));
  for (const worker of workers) worker.postMessage(shared);
  console.log('workers', (await Promise.all(answers)).flat(2), new Int32Array(shared)[0], availableParallelism() > 0);
  await Promise.all(ends);

  const child = spawn('sh', ['-c', 'cat; echo err >&2; echo three >&3; exit 4'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
  const read = async (stream) => { let text = ''; for await (const chunk of stream) text += chunk; return text; };
  child.stdin.end('y'.repeat(300000));
  const [out, err, three, [code]] = await Promise.all([read(child.stdout), read(child.stderr), read(child.stdio[3]), once(child, 'exit')]);
  console.log('spawn', out.length, err, three, code);

  console.log('exec', await promisify(exec)('echo $((6 * 7)); pwd | wc -l'));
  console.log('execFile', await promisify(execFile)('nosuch').catch((failure) => [failure.code, failure.syscall]));
  console.log('sync', execFileSync(process.execPath, ['-p', 'process.argv.length', 'x', 'y']).toString());
  const forked = fork(new URL('./forked.mjs', import.meta.url), ['arg'], { serialization: 'advanced' });
  forked.send(new Map([['key', 20n]]));
  const [message] = await once(forked, 'message');
  forked.disconnect();
  console.log('fork', message, await once(forked, 'exit'));
  const killed = spawn('sleep', ['30']); killed.kill('SIGINT'); console.log('killed', await once(killed, 'exit'));
  const controller = new AbortController();
  const aborted = spawn('sleep', ['30'], { signal: controller.signal });
  const error = once(aborted, 'error'); controller.abort(); console.log('aborted', (await error)[0].name);
  const late = spawnSync('sleep', ['30'], { timeout: 200 }); console.log('timeout', late.signal, late.error.code);
  const daemon = spawn('sh', ['-c', 'echo detached > detached.txt'], { detached: true, stdio: 'ignore' }); await once(daemon, 'exit');
  console.log(fs.readFileSync('detached.txt', 'utf8'), spawnSync('false').status, spawnSync('sh', ['-c', 'kill -9 $$']).signal);

  await pipeline(fs.createReadStream(process.argv[1]), createGzip(), fs.createWriteStream('main.gz'));
  console.log('gzip', gunzipSync(fs.readFileSync('main.gz')).equals(fs.readFileSync(process.argv[1])));
  await fs.promises.mkdir('a/b/c', { recursive: true }); await fs.promises.cp('a', 'copy', { recursive: true });
  await fs.promises.symlink('a/b', 'link'); console.log(await fs.promises.realpath('link/c').then((path) => path.endsWith('/a/b/c')));
  await Promise.all(Array.from({ length: 100 }, (_, i) => fs.promises.writeFile('a/' + i, String(i)).then(() => fs.promises.rename('a/' + i, 'a/b/' + i))));
  console.log((await fs.promises.readdir('a', { recursive: true })).length, fs.existsSync('nothing'), fs.statSync('a').isDirectory());
  const watcher = fs.watch('a'); const changed = once(watcher, 'change'); fs.writeFileSync('a/new', ''); console.log((await changed)[1]); watcher.close();
  await fs.promises.rm('a', { recursive: true });
  for (const bad of ['nothing', 'main.mjs/x', '/proc/self/nothing']) try { fs.readFileSync(bad); } catch (error) { console.log(error.code); }

  const server = createServer((socket) => socket.end('by socket')).listen('tmp/socket'); await once(server, 'listening');
  console.log(await read(connect('tmp/socket'))); server.close();
  process.once('SIGUSR2', () => { console.log('signal'); process.exitCode = 9; }); process.kill(process.pid, 'SIGUSR2');
  await new Promise((resolve) => setTimeout(resolve, 50));
}
`;
const forked = `
process.once('message', (map) => process.send({ got: map.get('key'), arg: process.argv[2], connected: process.connected }));
process.once('disconnect', () => process.exit(5));
`;

test('worker threads, child processes of every kind, files and sockets', { timeout: patient(120_000) }, async () => {
  const { bare } = await compare({
    prepare: (folder) => {
      writeFileSync(join(folder, 'main.mjs'), main);
      writeFileSync(join(folder, 'forked.mjs'), forked);
    },
    command: process.execPath,
    args: ['main.mjs'],
    code: 9,
  });
  expect(bare.stderr).toBe('');
  expect(bare.stdout).toContain('by socket');
});
