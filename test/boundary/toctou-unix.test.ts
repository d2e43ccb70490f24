import { symlinkSync, unlinkSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { steps } from '../helpers/steps.ts';
import { policyFor, python } from '../lifecycle/tree.ts';
import { attack, attackTwin, expectBitten, expectHeld, expectUntouched, movingScene, scene } from './race.ts';

const timeout = patient(120_000);
const modes = ['thread', 'vm', 'shared'];
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A socket that nobody inside may reach; counts who does. */
async function forbiddenSocket(folder: string): Promise<{ seen: number }> {
  const counted = { seen: 0 };
  const server = createServer((socket) => {
    counted.seen += 1;
    socket.on('error', () => {}).destroy();
  });
  await new Promise<void>((resolve) => server.listen(join(folder, 'socket'), resolve));
  servers.push(server);
  return counted;
}

describe('the path of a socket that changes during connect', () => {
  test.each(modes)('by %s reaches only what was approved', { timeout }, async (mode) => {
    const made = scene();
    const forbidden = await forbiddenSocket(made.outside);
    const attacked = await attack('race_path', [mode, 'connect', 1_500, made.inside, made.outside], {
      policy: { files: { read: [made.inside], write: [made.inside] } },
    });
    expectHeld(attacked);
    expect(forbidden.seen).toBe(0);
    expect(attacked.violations.some((violation) => violation.path === join(made.outside, 'socket'))).toBe(true);
  });

  test.each(modes)('by %s reaches the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = scene();
    await forbiddenSocket(outside);
    const options = { hold: 'connect', denyPath: outside };
    expectBitten(await attackTwin('race_path', [mode, 'connect', 20_000, inside, outside], options));
  });
});

describe('the path of a socket that changes during bind', () => {
  test.each(modes)('by %s makes only what was approved', { timeout }, async (mode) => {
    const made = scene();
    const attacked = await attack('race_path', [mode, 'bind', 1_500, made.inside, made.outside], {
      policy: { files: { read: [made.inside], write: [made.inside] } },
    });
    expectHeld(attacked);
    expectUntouched(made);
  });

  test.each(modes)('by %s makes the other under the twin', { timeout }, async (mode) => {
    const { inside, outside } = scene();
    const options = { hold: 'bind', denyPath: outside };
    expectBitten(await attackTwin('race_path', [mode, 'bind', 20_000, inside, outside], options));
    unlinkSync(join(outside, 'socket'));
  });
});

describe('a folder and a link that change places during bind', () => {
  test('lead only to what was approved', { timeout }, async () => {
    const made = movingScene();
    expectHeld(
      await attack('race_exchange', ['symlink', 'bind', 2_000, made.inside], {
        policy: { files: { read: [made.inside], write: [made.inside] } },
      }),
    );
    expectUntouched(made);
  });

  test('lead out of the twin', { timeout }, async () => {
    const { inside, outside } = movingScene();
    const options = { hold: 'bind', denyPath: outside };
    expectBitten(await attackTwin('race_exchange', ['symlink', 'bind', 50_000, inside], options));
  });
});

// What a hook has heard of is what is reached, though the name leads to another socket by then.
test('a link that leads elsewhere after a hook has thought: connect, sendto, sendmsg, sendmmsg', async () => {
  const { inside } = scene();
  const script = `${steps}
import socket
def made(name, kind):
    one = socket.socket(socket.AF_UNIX, kind); one.bind(name); one.settimeout(0)
    if kind == socket.SOCK_STREAM: one.listen()
    return one
def link(to):
    try: os.unlink('link')
    except FileNotFoundError: pass
    os.symlink(to, 'link')
def met(*both):
    found = []
    for one in both:
        try: found.append(one.accept() is not None if one.type == socket.SOCK_STREAM else one.recv(9))
        except BlockingIOError: found.append(None)
    return found
streams = [made(name + '-stream', socket.SOCK_STREAM) for name in ('first', 'second')]
packets = [made(name + '-packet', socket.SOCK_DGRAM) for name in ('first', 'second')]
link('first-stream')
with socket.socket(socket.AF_UNIX) as one: one.connect('link')
step('connect', lambda: met(*streams))
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
link('first-packet'); one.connect('link'); one.send(b'x'); step('connect', lambda: met(*packets))
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
link('first-packet'); one.sendto(b'x', 'link'); step('sendto', lambda: met(*packets))
link('first-packet'); one.sendmsg([b'x'], [], 0, 'link'); step('sendmsg', lambda: met(*packets))
name = ctypes.create_string_buffer(b'\\1\\0link'); text = ctypes.create_string_buffer(b'x')
part = (ctypes.c_uint64 * 2)(ctypes.addressof(text), 1)
message = (ctypes.c_uint64 * 8)(ctypes.addressof(name), 7, ctypes.addressof(part), 1)
link('first-packet'); libc.sendmmsg(one.fileno(), message, 1, 0); step('sendmmsg', lambda: met(*packets))
`;
  const swap = ({ address }: { address: string }) => {
    const kind = address.endsWith('stream') ? 'stream' : 'packet';
    unlinkSync(join(inside, 'link'));
    symlinkSync(`second-${kind}`, join(inside, 'link'));
  };
  const outcome = await runSandboxed(python, ['-S', '-c', script], {
    cwd: inside,
    policy: { files: { read: [...(policyFor().files?.read ?? []), inside], write: [inside] } },
    hooks: (child) => {
      child.onConnect(swap);
      child.onSend(swap);
    },
  });
  expect(outcome.stderr).toBe('');
  expect(outcome.stdout.trimEnd().split('\n')).toEqual([
    'connect [True, None]',
    ...['connect', 'sendto', 'sendmsg', 'sendmmsg'].map((call) => `${call} [b'x', None]`),
  ]);
});
