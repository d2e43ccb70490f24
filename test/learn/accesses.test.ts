// What a tree asks for is counted by the supervisor: each right, each outcome, nothing unseen, and not without bound.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Access, type Accesses, type SandboxedProcess, spawnSandboxed } from 'holdfast';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { type RunOptions, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

async function recorded(command: string, args: string[], options: RunOptions = {}): Promise<Accesses> {
  let child: SandboxedProcess | undefined;
  await runSandboxed(command, args, {
    record: true,
    ...options,
    hooks: (one) => {
      child = one;
      options.hooks?.(one);
    },
  });
  return (child as SandboxedProcess).accesses();
}

const of = (all: readonly Access[], path: string) =>
  all.filter((access) => access.path === path).map(({ access, outcome, errno }) => [access, outcome, errno]);

test('each right is told with its outcome, and by whom', async () => {
  const folder = temporaryFolder('accesses');
  writeFileSync(join(folder, 'in.txt'), 'in');
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  symlinkSync('in.txt', join(folder, 'link'));
  mkdirSync(join(folder, 'out'));
  const script = `
    const fs = require('node:fs');
    const quietly = (act) => { try { act() } catch {} };
    for (let i = 0; i < 3; i++) fs.readFileSync('link');
    quietly(() => fs.readFileSync('secret.txt'));
    quietly(() => fs.readFileSync('missing.txt'));
    quietly(() => fs.writeFileSync('new.txt', ''));
    fs.writeFileSync('out/made.txt', 'made');
    fs.renameSync('out/made.txt', 'out/moved.txt');
    quietly(() => fs.mkdirSync('out'));
    quietly(() => fs.rmdirSync('out/none'));
    fs.statSync('out');
    process.kill(process.pid, 0);
  `;
  const all = await recorded(process.execPath, ['-e', script], {
    cwd: folder,
    policy: { files: { read: ['.'], write: ['out'], deny: ['secret.txt'] } },
  });
  const at = (name: string) => of(all, join(folder, name));
  expect(at('in.txt')).toContainEqual(['read', 'allowed', undefined]);
  expect(all.find(({ path, access }) => path === join(folder, 'in.txt') && access === 'read')).toMatchObject({
    count: 3,
    program: process.execPath,
    probe: false,
    rule: 'files.read[0]',
  });
  expect(all.find(({ path }) => path === join(folder, 'secret.txt'))).toMatchObject({
    access: 'read',
    outcome: 'refused',
    errno: 'EACCES',
    rule: 'files.deny[0]',
  });
  expect(all.find(({ path }) => path === join(folder, 'missing.txt'))).toMatchObject({
    access: 'read',
    outcome: 'failed',
    errno: 'ENOENT',
    probe: true,
  });
  expect(at('new.txt')).toEqual([['write', 'refused', 'EACCES']]);
  expect(at('out/made.txt')).toContainEqual(['write', 'allowed', undefined]);
  expect(all.find(({ path, ofFolder }) => path === join(folder, 'out/made.txt') && ofFolder)).toBeDefined();
  expect(at('out/moved.txt')).toContainEqual(['write', 'allowed', undefined]);
  expect(at('out')).toContainEqual(['metadata', 'failed', 'EEXIST']);
  expect(at('out')).toContainEqual(['metadata', 'allowed', undefined]);
  expect(all.find(({ access, path }) => access === 'exec' && path === process.execPath)).toBeDefined();
  expect(all.every(({ first, last, count }) => first >= 0 && first <= last && count > 0)).toBe(true);
  expect(all.truncated).toBe(0);
});

test('connections and bindings are told by address, port and outcome', async () => {
  const server = createServer((socket) => socket.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const free = createServer();
  await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
  const closed = (free.address() as { port: number }).port;
  await new Promise((resolve) => free.close(resolve));
  const script = `
    const net = require('node:net');
    const to = (port, host) => new Promise((resolve) => net.connect(port, host).on('error', resolve).on('data', resolve));
    (async () => {
      await to(${port}, '127.0.0.1');
      await to(${closed}, '127.0.0.1');
      await to(81, '127.0.0.2');
      await new Promise((resolve) => net.createServer().listen(0, '127.0.0.1', resolve));
      process.exit();
    })();
  `;
  const all = await recorded(process.execPath, ['-e', script], {
    policy: { network: { connect: ['127.0.0.1'], bind: ['127.0.0.1'] } },
  });
  server.close();
  const told = all.filter(({ address }) => address !== undefined);
  expect(told).toContainEqual(expect.objectContaining({ access: 'connect', address: '127.0.0.1', port }));
  expect(told).toContainEqual(
    expect.objectContaining({ access: 'connect', address: '127.0.0.2', port: 81, outcome: 'refused', errno: 'EACCES' }),
  );
  expect(told).toContainEqual(
    expect.objectContaining({ access: 'bind', address: '127.0.0.1', port: 0, outcome: 'allowed' }),
  );
  expect(told.some((access) => access.port === closed)).toBe(true);
});

test('nothing is left to the kernel that it would decide by itself, and the plan says why', async () => {
  const folder = temporaryFolder('accesses');
  writeFileSync(join(folder, 'file'), '');
  const policy = {
    files: { read: ['/'], write: [folder], metadata: ['/'] },
    network: { connect: ['*', 'unix:/', 'unix:@*'], bind: ['*', 'unix:/', 'unix:@*'] },
  };
  const plans = await Promise.all(
    [false, true].map(async (record) => {
      const child = spawnSandboxed('cat', ['file'], { cwd: folder, policy, record });
      child.stdout.resume();
      return child.plan();
    }),
  );
  const layers = plans.map((plan) => plan.classes.metadata.layer);
  expect(layers).toEqual(['kernel', 'supervisor']);
  for (const which of ['metadata', 'read', 'write', 'connect', 'bind'] as const) {
    const { layer, obstacles } = (plans[1] as (typeof plans)[1]).classes[which];
    expect(layer, which).toBe('supervisor');
    expect(
      obstacles.map(({ why }) => why),
      which,
    ).toContainEqual(expect.stringContaining('record: true'));
  }
  const all = await recorded('cat', ['file'], { cwd: folder, policy });
  expect(of(all, join(folder, 'file'))).toContainEqual(['read', 'allowed', undefined]);
});

test('while it runs, the list is what was asked for until now', async () => {
  const child = spawnSandboxed('sh', ['-c', 'stat / > /dev/null; echo ready; read x; exit 0'], { record: true });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const now = await child.accesses();
  expect(now.some(({ path, access }) => path === '/' && access === 'metadata')).toBe(true);
  child.stdin.end('\n');
  await new Promise((resolve) => child.once('close', resolve));
  const end = await child.accesses();
  expect(end.length).toBeGreaterThanOrEqual(now.length);
  expect(await child.accesses()).toBe(end);
});

test(
  'what is different beyond the bound is left out, counted, and told at once',
  async () => {
    const folder = temporaryFolder('accesses');
    const warnings: string[] = [];
    const script = `
    const { statSync } = require('node:fs');
    for (let i = 0; i < 21000; i++) statSync('name-' + i, { throwIfNoEntry: false });
    for (let i = 0; i < 500; i++) statSync('name-0', { throwIfNoEntry: false });
  `;
    const all = await recorded(process.execPath, ['-e', script], {
      cwd: folder,
      hooks: (child) => child.on('warning', ({ rule, message }) => warnings.push(`${rule} ${message}`)),
    });
    expect(all.length).toBe(20000);
    expect(all.truncated).toBeGreaterThanOrEqual(1000);
    expect(all.truncated).toBeLessThan(2000);
    expect(all.find(({ path }) => path === join(folder, 'name-0'))?.count).toBe(501);
    expect(warnings.filter((warning) => warning.startsWith('record '))).toHaveLength(1);
  },
  patient(30_000),
);

test('names that are no text are told byte by byte, and do not run into each other', async () => {
  const folder = temporaryFolder('accesses');
  const script = `
    const fs = require('node:fs');
    const name = Buffer.concat([Buffer.from(process.cwd() + '/a'), Buffer.from([0xff]), Buffer.from('\\n"b')]);
    try { fs.readFileSync(name) } catch {}
    try { fs.readFileSync('x'.repeat(255) + '/y') } catch {}
  `;
  const all = await recorded(process.execPath, ['-e', script], { cwd: folder });
  const odd = all.find(({ pathBytes }) => pathBytes?.includes(0xff));
  expect(odd?.pathBytes?.subarray(-5)).toEqual(Buffer.from([0x61, 0xff, 0x0a, 0x22, 0x62]));
});

test('without the option there is no list, and an option that is none is refused', async () => {
  const child = spawnSandboxed('true', []);
  await expect(child.accesses()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_INVALID_OPTION' });
  expect(() => spawnSandboxed('true', [], { record: 'yes' as never })).toThrow(/options\.record/);
  await new Promise((resolve) => child.once('close', resolve));
});

test('the engine that sees nothing refuses it', async () => {
  const child = spawnSandboxed('true', [], { record: true, engine: 'kernel' });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once('error', resolve as never));
  expect(['ERR_HOLDFAST_NEEDS_HOLD', 'ERR_HOLDFAST_UNSUPPORTED_KERNEL']).toContain(error.code);
});
