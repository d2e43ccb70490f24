// NODE_DEBUG=holdfast: what a start was, and which layer decides what, on standard error.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { checkSupport, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { engine } from '../helpers/engine.ts';
import { startHost } from '../lifecycle/host.ts';
import { textOf } from '../lifecycle/tree.ts';

const script = `
const quiet = { policy: { files: { metadata: ['/'] }, defaults: { proc: false } }, cwd: '/', stdio: 'ignore' };
const first = spawnSandboxed('/bin/true', [], quiet);
say(first.pid, fs.readFileSync('/proc/' + first.pid + '/status', 'latin1').match(/PPid:\\t(\\d+)/)[1]);
await new Promise((resolve) => first.on('close', resolve));
const pool = holdfast.createSandboxPool({ size: 1 });
while (pool.waiting < 1) await new Promise((resolve) => setImmediate(resolve));
const second = pool.spawn('/bin/true', [], quiet);
second.on('violation', () => {}).onOpen({ access: 'write' }, () => {});
say(second.pid);
const { classes } = await second.plan();
say(Object.keys(classes).join());
await new Promise((resolve) => second.on('close', resolve));
await pool.close();`;

async function debugged(sections: string) {
  const options = {
    stdio: ['ignore', 'pipe', 'pipe'] as ('ignore' | 'pipe')[],
    env: { ...process.env, NODE_DEBUG: sections },
  };
  const host = startHost(script, [], options);
  const [out, err, [code]] = await Promise.all([textOf(host.stdout), textOf(host.stderr), once(host, 'close')]);
  expect(code).toBe(0);
  const lines = out.trim().split('\n');
  const [first, supervisor] = (lines[0] ?? '').split(' ');
  const heads = `HOLDFAST ${host.pid}: `;
  const of = (pid = '') =>
    err
      .split('\n')
      .flatMap((line) => (line.startsWith(`${heads}${pid}: `) ? [line.slice(`${heads}${pid}: `.length)] : []));
  return { supervisor, first: of(first), second: of(lines[1]), names: (lines[2] ?? '').split(','), err };
}

test('it prints the start and one line for each class of calls', async () => {
  const { supervisor, first, second, names } = await debugged('holdfast');
  expect(first[0]).toMatch(
    new RegExp(`^/bin/true, by supervisor ${supervisor} that was started for it, in \\d+\\.\\d\\d ms$`),
  );
  expect(first[1]).toBe("0 lines of hooks’ filters, without a listener for 'violation'");
  expect(second[0]).toMatch(/^\/bin\/true, by supervisor \d+ that was ready, in \d+\.\d\d ms$/);
  expect(second[1]).toBe("1 lines of hooks’ filters, with a listener for 'violation'");
  const abi = checkSupport().landlockAbi ?? 0;
  for (const lines of [first, second]) {
    expect(lines[2]).toBe(`Landlock ABI ${abi}`);
    // Once, though the plan was asked for as well.
    expect(lines.slice(3).map((line) => line.split(':')[0])).toEqual(names);
  }
  expect(first.find((line) => line.startsWith('exec: '))).toMatch(
    /^exec: supervisor; Landlock lets every program in memory/,
  );
  if (abi < 3) return;
  expect(first).toContain('read: landlock');
  expect(second.find((line) => line.startsWith('write: '))).toContain(
    "; somebody listens to 'violation', and a refusal by the kernel is not seen (no listener for 'violation')",
  );
});

test('and nothing for who did not ask', async () => {
  expect((await debugged('http')).err).not.toContain('HOLDFAST');
});

test('every sandbox of the process tells its spawn, refusals, failed hooks and end on channels', async () => {
  const told: [string, unknown][] = [];
  const listeners = ['spawn', 'violation', 'hookError', 'close'].map((name) => {
    const listener = (message: unknown) => told.push([name, message]);
    subscribe(`holdfast.${name}`, listener);
    return () => unsubscribe(`holdfast.${name}`, listener);
  });
  // Nobody else listens for violations.
  const child = spawnSandboxed('cat', ['/etc/shadow', '/etc/passwd'], { stdio: 'ignore' });
  child.onOpen({ path: '/etc/passwd' }, () => {
    throw new Error('mine');
  });
  await once(child, 'close');
  for (const stop of listeners) stop();
  const of = (name: string) => told.filter(([channel]) => channel === name).map(([, message]) => message);
  expect(told[0]).toEqual(['spawn', { child }]);
  expect(of('violation')).toContainEqual({ child, violation: expect.objectContaining({ path: '/etc/shadow' }) });
  expect(of('hookError')).toEqual([
    { child, error: expect.objectContaining({ code: 'ERR_HOLDFAST_HOOK_FAILED', engine }) },
  ]);
  expect(of('close')).toEqual([{ child, exitCode: 1, signalCode: null }]);
});
