// A policy that is put on top while the tree runs holds for the next call of every thread, wherever it is just then, and
// whoever decided before: the kernel alone, the kernel after a look, the supervisor, a hook.

import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { allow, compilePolicy, type Policy, type Restriction, type SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { holdsByStops } from '../helpers/engine.ts';
import { patient } from '../helpers/patience.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { started } from './conversation.ts';

/** Under emulation all takes that many times as long (test/vitest.config.ts). */
const timeout = patient(60_000);

function scene(): { root: string; file: string; folder: string; other: string } {
  const root = temporaryFolder();
  const [file, folder, other] = [join(root, 'file'), join(root, 'folder'), join(root, 'other')];
  writeFileSync(file, 'here');
  for (const made of [folder, other]) mkdirSync(made);
  return { root, file, folder, other };
}

/** Which layer decides before: none of them is held; reading and writing go on; all is performed, and told of. */
const layers: Record<string, [policy: (root: string) => Policy, hooks?: (child: SandboxedProcess) => void]> = {
  'the kernel': [(root) => ({ files: { read: ['/'], write: [root], metadata: ['/'] }, defaults: { proc: false } })],
  'the kernel after a look': [(root) => ({ files: { read: ['/'], write: [root] } })],
  'the supervisor': [(root) => ({ files: { read: ['/'], write: [root] } }), (child) => child.on('violation', () => {})],
  'a hook': [() => ({}), (child) => child.onOpen(() => allow()).onStat(() => allow())],
};

describe.each(Object.entries(layers))('what %s decided', (_, [policy, hooks]) => {
  test('is refused in the next call of every thread and child', { timeout }, async () => {
    const { root, file, folder, other } = scene();
    const { child, closed, next, say } = started(program('restricted'), [file, folder], policy(root), hooks);
    expect(await next()).toBe('ready');
    // A hook gives more than the rules do; a restriction may name no more than they.
    const left = hooks === undefined || policy(root).files !== undefined ? [other] : [];
    await child.restrict({ files: { read: left, write: left, metadata: left } });
    say('now');
    const seen = JSON.parse(await next());
    expect(await closed).toEqual([0, null]);
    expect(seen).toMatchObject({ escaped: 0, wrong: 0, cut: 0, early: 0 });
    expect(seen.before).toBeGreaterThan(0);
    expect(seen.refused).toBeGreaterThan(100);
    expect(seen.children).toBeGreaterThan(0);
  });
});

const asks = String.raw`
import os, resource, socket, sys
def call(what, argument):
    if what == 'read': return open(argument).read()
    if what == 'write': open(argument, 'w').close()
    if what == 'stat': os.stat(argument)
    if what == 'list': os.listdir(argument)
    if what == 'mkdir': os.mkdir(argument)
    if what == 'rename': os.rename(*argument.split(','))
    if what == 'link': os.link(*argument.split(','))
    if what == 'run': return str(os.spawnv(os.P_WAIT, argument, [argument]))
    if what == 'chdir': os.chdir(argument)
    if what == 'connect': socket.create_connection(('127.0.0.1', int(argument)), 5).close()
    if what == 'udp': socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', int(argument)))
    if what == 'bind': socket.socket().bind(('127.0.0.1', int(argument)))
    if what == 'files': resource.setrlimit(resource.RLIMIT_NOFILE, (int(argument), int(argument)))
    return 'ok'
sys.stdout.write('ready\n')
sys.stdout.flush()
for line in sys.stdin:
    try: answer = call(*line.split())
    except OSError as error: answer = str(error.errno)
    sys.stdout.write(answer + '\n')
    sys.stdout.flush()
`;

async function asked(policy: Policy) {
  const run = started('/usr/bin/python3', ['-c', asks], policy);
  expect(await run.next()).toBe('ready');
  return {
    ...run,
    call: (what: string, argument: string | number) => {
      run.say(`${what} ${argument}`);
      return run.next();
    },
    end: async () => {
      run.child.stdin.end();
      expect(await run.closed).toEqual([0, null]);
    },
  };
}

const EACCES = '13';

test('what a restriction does not name stays, and it only narrows', async () => {
  const { root, file, folder, other } = scene();
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { child, call, end } = await asked({
    files: { read: ['/'], write: [root], metadata: ['/'] },
    network: { connect: ['127.0.0.0/8'], bind: ['127.0.0.1:0'] },
  });
  const refusedAs = (field: string) => ({ code: 'ERR_HOLDFAST_WIDER_POLICY', message: expect.stringContaining(field) });

  await child.restrict({ files: { write: [folder, other] } });
  expect(await call('write', join(root, 'new'))).toBe(EACCES);
  expect(await call('write', join(folder, 'new'))).toBe('ok');
  expect(await call('mkdir', join(root, 'made'))).toBe(EACCES);
  expect(await call('read', file)).toBe('here');
  expect(await call('connect', port)).toBe('ok');

  await expect(child.restrict({ files: { write: [root] } })).rejects.toMatchObject(refusedAs('policy.files.write[0]'));
  const narrow = await asked({ files: { read: [folder] } });
  for (const path of ['/', root]) {
    await expect(narrow.child.restrict({ files: { metadata: [path] } })).rejects.toMatchObject(
      refusedAs('policy.files.metadata[0]'),
    );
  }
  await narrow.child.restrict({ files: { metadata: [folder] } });
  await narrow.end();
  await expect(child.restrict({ network: { bind: ['127.0.0.1:1-9'] } })).rejects.toMatchObject(
    refusedAs('policy.network.bind[0]'),
  );

  // What lies where it may no longer be read does not come to be readable by another name.
  await child.restrict({ files: { deny: [{ path: folder, access: ['read'] }] } });
  expect(await call('read', join(folder, 'new'))).toBe(EACCES);
  expect(await call('rename', `${join(folder, 'new')},${join(other, 'new')}`)).toBe(EACCES);
  expect(await call('link', `${join(folder, 'new')},${join(other, 'new')}`)).toBe(EACCES);
  expect(await call('rename', `${folder},${join(other, 'moved')}`)).toBe(EACCES);
  await expect(child.restrict({ files: { read: [folder] } })).rejects.toMatchObject(refusedAs('policy.files.read[0]'));

  await child.restrict({ network: { connect: [`127.0.0.1:${port}`] } });
  expect(await call('connect', port)).toBe('ok');
  expect(await call('udp', port === 9 ? 10 : 9)).toBe(EACCES);
  expect(await call('bind', 0)).toBe('ok');
  await child.restrict({ network: 'none' });
  for (const what of ['connect', 'udp']) expect(await call(what, port)).toBe(EACCES);
  expect(await call('bind', 0)).toBe(EACCES);
  expect(await call('run', '/bin/true')).toBe('0');
  await child.restrict({ exec: [] });
  expect(await call('run', '/bin/true')).toBe('127');
  expect(await call('stat', file)).toBe('ok');
  await child.restrict({ files: { read: [other], metadata: [] } });
  expect(await call('read', file)).toBe(EACCES);
  expect(await call('list', root)).toBe(EACCES);
  expect(await call('list', other)).toBe('ok');
  await end();
  server.close();
});

test('a compiled policy counts as a whole, and violations tell who refused', async () => {
  const { root, file, other } = scene();
  const { child, call, end } = await asked({ files: { read: ['/'], write: [root] }, network: { connect: ['*'] } });
  const heard: (string | undefined)[] = [];
  child.on('violation', ({ rule }) => heard.push(rule));
  await child.restrict(compilePolicy({ files: { read: [root], deny: [other] } }));
  expect(await call('read', file)).toBe('here');
  expect(await call('write', join(root, 'new'))).toBe(EACCES);
  expect(await call('connect', 9)).toBe(EACCES);
  expect(await call('list', other)).toBe(EACCES);
  await end();
  expect(heard).toEqual(expect.arrayContaining(['restrict', 'restrict.files.deny[0]']));
});

test.skipIf(holdsByStops /* it has the page already, and needs no descriptor */)(
  'a process that cannot be confined further is killed, and that is told',
  async () => {
    const { root } = scene();
    const { child, closed, call } = await asked({ files: { read: ['/'], write: [root], metadata: ['/'] } });
    const heard: (string | undefined)[] = [];
    child.on('violation', ({ reason }) => heard.push(reason));
    expect(await call('files', 0)).toBe('ok');
    await child.restrict({ files: { write: [] } });
    void call('stat', root);
    expect(await closed).toEqual([null, 'SIGKILL']);
    expect(heard).toEqual([expect.stringContaining('could not confine this process further')]);
  },
);

test('strict leaves what is open, and kills whoever makes another call', async () => {
  const { file } = scene();
  const { child, closed, next, say } = started(program('restricted_strict'), [], { files: { read: [file] } });
  expect(await next()).toBe('ready');
  await child.restrict('strict');
  say('still here');
  expect(await next()).toBe('still here');
  say('open');
  expect(await closed).toEqual([null, 'SIGSYS']);
});

test('what is wrong with it is told by its field, and nothing changes', async () => {
  const { root, file } = scene();
  const { child, call, end } = await asked({ files: { read: ['/'], write: [root] } });
  const wrong = (value: unknown, words: string) =>
    expect(child.restrict(value as Restriction)).rejects.toMatchObject({
      code: 'ERR_HOLDFAST_INVALID_POLICY',
      message: expect.stringContaining(words),
    });
  await wrong({ file: { read: [] } }, 'policy.file');
  await wrong({ files: { reed: [] } }, 'policy.files.reed');
  await wrong({ files: { read: 'x' } }, 'policy.files.read');
  await wrong({ network: 'all' }, 'policy.network');
  // What is empty is no "as before" either.
  for (const field of ['files', 'network', 'exec', 'syscalls']) await wrong({ [field]: null }, `policy.${field}`);
  await wrong({ exec: '' }, 'policy.exec');
  await wrong({ files: false }, 'policy.files');
  await wrong({ network: { connect: ['nowhere'] } }, 'policy.network.connect[0]');
  await wrong('compute!', 'policy');
  await wrong(undefined, 'policy');
  await wrong({ scratch: true }, 'policy.scratch');
  expect(await call('read', file)).toBe('here');
  await child.restrict({});
  expect(await call('read', file)).toBe('here');
  await end();
  await expect(child.restrict({})).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
});
