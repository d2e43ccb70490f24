// The command has its streams to itself: nothing of ours holds them open, and no byte goes through us.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { event, parentOf, policyFor, python, sleep, textOf, until } from './tree.ts';

const policy = policyFor();

/** The same on plain Linux and held; both must pass. */
function both(
  title: string,
  check: (start: (command: string, args: string[], options?: object) => SandboxedProcess) => Promise<void>,
) {
  test(`${title} (bare)`, () => check((command, args, options = {}) => spawn(command, args, options) as never));
  test(`${title} (held)`, () =>
    check((command, args, options = {}) => spawnSandboxed(command, args, { policy, ...options }) as never));
}

describe('the end of a stream', () => {
  both('comes when the command closes it, while it still runs', async (start) => {
    const child = start('bash', ['--norc', '-c', 'echo last words; exec >&- 2>&-; read -r line; exit 9']);
    const closed = event(child, 'close');
    expect(await textOf(child.stdout)).toBe('last words\n');
    expect(await textOf(child.stderr)).toBe('');
    expect(child.exitCode).toBeNull();
    child.stdin?.end('go\n');
    expect(await closed).toEqual([9, null]);
  });

  both('comes to the command when its standard input is closed', async (start) => {
    const child = start('sh', ['-c', 'cat; echo end']);
    child.stdin?.write('one\n');
    child.stdin?.end('two');
    expect(await textOf(child.stdout)).toBe('one\ntwoend\n');
  });

  both('gives SIGPIPE to a command that writes on', async (start) => {
    const child = start('bash', ['--norc', '-c', 'yes; exit 1']);
    await event(child.stdout, 'data');
    child.stdout?.destroy();
    const [code, signal] = await event(child, 'exit');
    expect([code, signal]).toEqual([1, null]);
  });

  both('comes before close, with output that nobody has read, has paused, or reads late', async (start) => {
    const lines = ['-c', 'head -c 50000 /dev/zero; echo x >&2'];
    expect(await event(start('sh', lines), 'close')).toEqual([0, null]);

    const paused = start('sh', lines);
    paused.stdout?.on('data', () => {}).pause();
    expect(await event(paused, 'close')).toEqual([0, null]);

    const late = start('sh', lines);
    let size = 0;
    late.once('exit', () => {
      late.stdout?.on('data', (chunk: Buffer) => {
        size += chunk.length;
      });
    });
    expect(await event(late, 'close')).toEqual([0, null]);
    expect(size).toBe(50000);
    expect([late.stdout?.closed, late.stderr?.closed]).toEqual([true, true]);
  });

  both('is left to the command that reads it, if it is the standard input of another', async (start) => {
    const first = start('sh', ['-c', 'seq 20000; echo end']);
    const second = start('sh', ['-c', 'sleep 0.2; tail -n 1'], { stdio: [first.stdout, 'pipe', 'inherit'] });
    // Our own end of it must not be read by us.
    const [output] = await Promise.all([textOf(second.stdout), event(first, 'exit'), event(second, 'close')]);
    expect(output).toBe('end\n');
  });

  both('between two commands of a pipeline is their own', async (start) => {
    const child = start('bash', ['--norc', '-c', `yes | head -1; echo "\${PIPESTATUS[@]}"`]);
    expect(await textOf(child.stdout)).toBe('y\n141 0\n');
  });

  test('waits for a descendant that still has it, with descendants that may go on', async () => {
    const script = '(read -r line; echo "late $line") <&3 & exit 4';
    const child = spawnSandboxed('bash', ['--norc', '-c', script], {
      policy,
      descendants: 'wait',
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    const output = textOf(child.stdout);
    let closed = false;
    const close = event(child, 'close').then((end) => {
      closed = true;
      return end;
    });
    expect(await event(child, 'exit')).toEqual([4, null]);
    await sleep(50);
    expect(closed).toBe(false);
    (child.stdio[3] as NodeJS.WritableStream).end('words\n');
    expect(await close).toEqual([4, null]);
    expect(await output).toBe('late words\n');
  });
});

test('the supervisor has none of the descriptors of the command', async () => {
  const folder = temporaryFolder('stdio');
  const file = openSync(join(folder, 'log'), 'w');
  const child = spawnSandboxed('sh', ['-c', 'echo ready; read -r line'], {
    policy,
    stdio: ['pipe', 'pipe', file, 'pipe', 'ipc', file],
  });
  closeSync(file);
  await event(child.stdout, 'data');
  const name = (pid: number) => (fd: string) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  };
  const command = child.pid ?? 0;
  const its = readdirSync(`/proc/${command}/fd`).map(name(command));
  expect(its.filter((link) => link.endsWith('/log'))).toHaveLength(2);
  const supervisor = parentOf(command);
  const ours = readdirSync(`/proc/${supervisor}/fd`).map(name(supervisor));
  expect(ours.filter((link) => link !== '/dev/null' && its.includes(link))).toEqual([]);
  expect(readFileSync(`/proc/${supervisor}/comm`, 'utf8')).not.toBe('');
  const closed = event(child, 'close');
  child.stdin?.end('\n');
  await closed;
});

describe('large output', { timeout: patient(60_000) }, () => {
  const size = 50_000_000;
  const script = `import sys\nblock = bytes(range(256)) * 1000\nleft = ${size}\nwhile left: left -= sys.stdout.buffer.write(block[:left])`;

  test('50 MB through standard output arrive whole', async () => {
    const child = spawnSandboxed(python, ['-c', script], { policy, stdio: ['ignore', 'pipe', 'inherit'] });
    const hash = createHash('sha256');
    let got = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      got += chunk.length;
      hash.update(chunk);
    });
    expect(await event(child, 'close', 50_000)).toEqual([0, null]);
    const block = Buffer.alloc(256_000, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    const expected = createHash('sha256');
    for (let left = size; left > 0; left -= block.length) expected.update(block.subarray(0, left));
    expect(got).toBe(size);
    expect(hash.digest('hex')).toBe(expected.digest('hex'));
  });

  test('20 MB through cat and back, and through every stream at once', async () => {
    const child = spawnSandboxed('bash', ['--norc', '-c', 'cat <&3 >&4 & cat; wait'], {
      policy,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
    });
    const data = Buffer.alloc(20_000_000, 'holdfast ');
    const size = async (stream: AsyncIterable<Buffer>) => {
      let total = 0;
      for await (const chunk of stream) total += chunk.length;
      return total;
    };
    child.stdin.end(data);
    (child.stdio[3] as NodeJS.WritableStream).end(data);
    const sizes = await Promise.all([size(child.stdout), size(child.stdio[4] as never)]);
    expect(sizes).toEqual([data.length, data.length]);
  });

  test('output of a command that ends at once is not lost', async () => {
    for (let i = 0; i < 50; i++) {
      const { stdout, stderr, code } = await runSandboxed('sh', ['-c', `echo out ${i}; echo err ${i} >&2; exit ${i}`], {
        policy,
      });
      expect({ stdout, stderr, code }).toEqual({ stdout: `out ${i}\n`, stderr: `err ${i}\n`, code: i });
    }
  });
});

describe('forms of stdio', () => {
  test('inherited descriptors, ignored ones and files', async () => {
    const folder = temporaryFolder('stdio');
    const file = openSync(join(folder, 'out'), 'w');
    const child = spawnSandboxed('sh', ['-c', 'echo to file; cat; readlink /proc/self/fd/0 >&1'], {
      policy,
      stdio: ['ignore', file, 'ignore'],
    });
    expect([child.stdin, child.stdout, child.stderr]).toEqual([null, null, null]);
    expect(await event(child, 'close')).toEqual([0, null]);
    closeSync(file);
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('to file\n/dev/null\n');
  });

  test('messages to and from a Node process', async () => {
    const child = spawnSandboxed(
      process.execPath,
      ['-e', "process.on('message', (m) => process.send({ echoed: m }, () => m === 'end' && process.disconnect()))"],
      { policy, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], serialization: 'advanced' },
    );
    const messages: unknown[] = [];
    child.on('message', (message) => messages.push(message));
    child.send?.(new Map([[1n, 'one']]) as never);
    child.send?.('end');
    expect(await event(child, 'close')).toEqual([0, null]);
    expect(messages).toEqual([{ echoed: new Map([[1n, 'one']]) }, { echoed: 'end' }]);
    expect(child.connected).toBe(false);
  });

  test('a command without any stream, and one that closes all of them', async () => {
    const none = spawnSandboxed('sh', ['-c', 'exit 12'], { policy, stdio: 'ignore' });
    expect(await event(none, 'close')).toEqual([12, null]);
    const closes = spawnSandboxed('bash', ['--norc', '-c', 'exec 0<&- 1>&- 2>&-; sleep 0.1; exit 13'], { policy });
    expect(await event(closes, 'close')).toEqual([13, null]);
  });

  test('what a hook thinks about does not hold up the output of others', async () => {
    const folder = temporaryFolder('stdio');
    const child = spawnSandboxed(
      'bash',
      ['--norc', '-c', `(echo x > ${folder}/slow) & echo flows; echo flows; wait; echo end`],
      {
        policy: policyFor(folder),
      },
    );
    let answer: (() => void) | undefined;
    child.onOpen(
      { path: join(folder, 'slow') },
      () =>
        new Promise<undefined>((resolve) => {
          answer = () => resolve(undefined);
        }),
    );
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    await until(() => text === 'flows\nflows\n' && answer !== undefined, 'the output of the others');
    const closed = event(child, 'close');
    answer?.();
    await closed;
    expect(text).toBe('flows\nflows\nend\n');
  });
});
