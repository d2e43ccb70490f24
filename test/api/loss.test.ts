// Bad luck: whoever dies, the tree dies with it, and the API says so.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { allow, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';
import { textOf } from '../lifecycle/tree.ts';

const library = new URL('../../dist/index.js', import.meta.url).href;

function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function supervisorOf(child: SandboxedProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^TracerPid:\s+(\d+)/m.exec(status)?.[1]);
}

async function told(child: SandboxedProcess): Promise<unknown[]> {
  const events: unknown[] = [];
  child.on('error', (error) => events.push((error as NodeJS.ErrnoException).code));
  child.on('exit', (code, signal) => events.push(['exit', code, signal]));
  await new Promise<void>((resolve) =>
    child.on('close', (code, signal) => {
      events.push(['close', code, signal]);
      resolve();
    }),
  );
  return events;
}

const lost = ['ERR_HOLDFAST_SUPERVISOR_LOST', ['exit', null, 'SIGKILL'], ['close', null, 'SIGKILL']];

describe('a supervisor that is killed', () => {
  test('while the command runs', async () => {
    const child = spawnSandboxed('sleep', ['30'], { stdio: 'ignore' });
    child.on('spawn', () => process.kill(supervisorOf(child), 'SIGKILL'));
    const pid = child.pid ?? 0;
    expect(await told(child)).toEqual(lost);
    await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
  });

  test('before the command has started', async () => {
    const child = spawnSandboxed('sleep', ['30'], { stdio: 'ignore' });
    process.kill(supervisorOf(child), 'SIGKILL');
    expect(await told(child)).toEqual(lost);
  });

  test('while a hook thinks', async () => {
    const child = spawnSandboxed('cat', ['/etc/hostname'], { stdio: 'ignore' });
    child.onOpen({ path: '/etc/hostname' }, () => {
      process.kill(supervisorOf(child), 'SIGKILL');
      return new Promise(() => {});
    });
    expect(await told(child)).toEqual(lost);
  });
});

// native/protocol/protocol.h: what stands at the head of the shared memory, and after it.
function withChannels(change: (put: (at: number, word: number) => void, word: (at: number) => number) => void): void {
  const memory = openSync('/proc/self/mem', 'r+');
  for (const [, at] of readFileSync('/proc/self/maps', 'utf8').matchAll(/^(\w+)-.* \/memfd:holdfast-channel/gm)) {
    const start = Number.parseInt(at ?? '', 16);
    const word = Buffer.alloc(4);
    change(
      (place, value) => {
        word.writeUInt32LE(value);
        writeSync(memory, word, 0, 4, start + place);
      },
      (place) => {
        readSync(memory, word, 0, 4, start + place);
        return word.readUInt32LE();
      },
    );
  }
  closeSync(memory);
}

describe('a channel whose memory goes wrong', () => {
  // The call is refused and the tree ends; what a hook says afterwards counts for nothing.
  test('where verdicts stand', async () => {
    const folder = temporaryFolder('loss');
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'secret\n');
    const child = spawnSandboxed('sh', ['-c', 'cat secret; cat secret'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
      policy: { files: { read: [folder] } },
    });
    const output = textOf(child.stdout);
    const asked: string[] = [];
    child.onOpen({ path: secret }, async () => {
      asked.push('secret');
      withChannels((put, word) => {
        const [count, size, total] = [word(12), word(16), word(20)];
        for (let slot = 0; slot < count; slot++) put(total - (count - slot) * size, 77);
      });
      await new Promise((resolve) => setTimeout(resolve, 500));
      return allow();
    });
    const pid = child.pid ?? 0;
    expect(await told(child)).toEqual(lost);
    expect(await output).toBe('');
    expect(asked).toHaveLength(1);
    expect(alive(pid)).toBe(false);
  });
});

describe('a Node that ends', () => {
  const script = (end: string) => `import { spawnSandboxed } from '${library}';
    const child = spawnSandboxed('sh', ['-c', 'sleep 30 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.once('data', (data) => { process.stdout.write(child.pid + ' ' + data, () => { ${end} }); });`;

  test.each([
    ['by SIGKILL', "process.kill(process.pid, 'SIGKILL')"],
    ['by process.exit', 'process.exit(0)'],
    ['by an uncaught exception', "process.nextTick(() => { throw new Error('end') })"],
    ['by process.abort', 'process.abort()'],
  ])('%s', async (_, end) => {
    const node = spawn(process.execPath, ['--input-type=module', '-e', script(end)], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    node.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await new Promise((resolve) => node.on('exit', resolve));
    const pids = text.trim().split(/\s+/).map(Number);
    expect(pids.length).toBe(2);
    await expect.poll(() => pids.map(alive), { timeout: 5000 }).toEqual([false, false]);
  });

  test('a worker thread that is terminated, while records come and a hook thinks', async () => {
    const code = `import { parentPort } from 'node:worker_threads';
      const { spawnSandboxed } = await import('${library}');
      const child = spawnSandboxed('sh', ['-c', 'while :; do cat /root/nothing /etc/shadow; done'], { stdio: 'ignore' });
      child.onOpen({ path: '/etc/hostname' }, () => new Promise(() => {}));
      child.on('violation', () => {});
      child.on('spawn', () => parentPort.postMessage(child.pid));`;
    for (let round = 0; round < 3; round++) {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`));
      const pid = await new Promise<number>((resolve, reject) => worker.once('message', resolve).once('error', reject));
      expect(alive(pid)).toBe(true);
      await worker.terminate();
      await expect.poll(() => alive(pid), { timeout: 5000 }).toBe(false);
    }
  });
});

test('a listener that throws is an uncaughtException, and the events go on', async () => {
  const script = `import { spawnSandboxed } from '${library}';
    let thrown = 0;
    process.on('uncaughtException', (error) => { thrown++; });
    const child = spawnSandboxed('cat', ['/etc/hostname', '/etc/passwd'], { stdio: 'ignore', policy: { files: { deny: ['/etc/hostname', '/etc/passwd'] } } });
    child.on('violation', () => { throw null; });
    child.on('exit', () => { throw new Error('exit'); });
    child.on('close', (code) => console.log('closed', code, thrown >= 3));`;
  const node = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  node.stdout.on('data', (chunk) => {
    text += chunk;
  });
  await new Promise((resolve) => node.on('close', resolve));
  expect(text).toBe('closed 1 true\n');
});
