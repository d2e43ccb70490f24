// The command's stops, which who runs it for somebody has to know of.
import { once } from 'node:events';
import { checkSupport, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { sanitizer } from '../helpers/sanitized.ts';

const engines = ['notify', 'ptrace', 'kernel'] as const;
/** A sanitizer keeps memory that the engine kernel cannot have. */
const runs = (engine: string) => engine !== 'kernel' || ((checkSupport().landlockAbi ?? 0) >= 6 && !sanitizer);

describe.each(engines.filter(runs))('by the engine %s', (engine) => {
  const all = { engine, policy: { files: { metadata: ['/'] }, defaults: { proc: false } } } as const;

  test('each stop and each going on is told, with its signal', async () => {
    const child = spawnSandboxed('sh', ['-c', 'for i in 1 2; do kill -STOP $$; read line; echo $i; done'], all);
    const told: unknown[] = [];
    child.on('stop', (signal) => {
      told.push(signal);
      child.kill('SIGCONT');
    });
    child.on('continue', () => {
      told.push('continue');
      child.stdin.write('\n');
    });
    let text = '';
    child.stdout.on('data', (data) => {
      text += String(data);
    });
    await once(child, 'close');
    expect(text).toBe('1\n2\n');
    expect(told).toEqual(['SIGSTOP', 'continue', 'SIGSTOP', 'continue']);
  });

  test('what others of the tree do is not told', async () => {
    const script =
      'sh -c "kill -STOP \\$\\$" & while ! grep -q "^State:.*[tT] (" /proc/$!/status; do :; done; kill -CONT $!; wait';
    const child = spawnSandboxed('sh', ['-c', script], {
      ...all,
      policy: { files: { metadata: ['/'] } },
      ...(engine === 'kernel' && { engine: 'auto' }),
    });
    const told: unknown[] = [];
    child.on('stop', (signal) => told.push(signal));
    await once(child, 'close');
    expect([child.exitCode, told]).toEqual([0, []]);
  });

  test('a tree that stops and goes on without end ends at its kill', async () => {
    const script = '(while :; do kill -STOP $$; kill -CONT $$; done) & while :; do :; done';
    const child = spawnSandboxed('sh', ['-c', script], all);
    let stops = 0;
    child.on('stop', () => {
      stops += 1;
      if (stops === 30) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'close');
    expect(signal).toBe('SIGKILL');
  });
});
