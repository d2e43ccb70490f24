import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type CompiledPolicy,
  checkSupport,
  compilePolicy,
  loadPolicy,
  type Policy,
  type PolicyName,
  spawnSandboxed,
  type UnusedRules,
} from 'holdfast';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

async function unused(
  policy: Policy | PolicyName | CompiledPolicy,
  command: string,
  args: string[],
  { heard = true, cwd = '/usr' } = {},
): Promise<UnusedRules> {
  const child = spawnSandboxed(command, args, { policy, cwd, stdio: 'ignore' });
  if (heard) child.on('violation', () => {});
  return child.unusedRules();
}

function world(): string {
  const folder = temporaryFolder('unused');
  for (const name of ['read', 'looked', 'other', 'denied', 'made']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'file'), '');
  }
  symlinkSync('read', join(folder, 'link'));
  return folder;
}

test('rules that matched no call are told, and no other', async () => {
  const folder = world();
  const at = (name: string) => join(folder, name);
  const policy: Policy = {
    files: {
      read: [at('read'), at('other'), at('link')],
      write: [at('made'), at('other')],
      metadata: [at('looked'), at('other')],
      deny: [at('denied'), join(at('read'), 'secret'), { path: at('other'), under: ['/usr/bin/nobody'] }],
    },
    network: { connect: ['127.0.0.1:9', '127.0.0.1:10', 'unix:@x'], bind: ['127.0.0.1:0'], deny: ['10.0.0.0/8'] },
    exec: ['/usr', at('read'), { path: '/usr/bin/true', argv: ['never'] }],
    syscalls: { deny: ['acct'] },
  };
  const script = `
import os, socket, subprocess
def act(f, *arguments):
    try: f(*arguments)
    except OSError: pass
act(open, '${folder}/read/file'); act(os.stat, '${folder}/looked/file'); act(open, '${folder}/denied/file')
act(open, '${folder}/made/new', 'w')
act(socket.socket().connect, ('127.0.0.1', 9)); act(socket.socket().connect, ('10.1.1.1', 9))`;
  for (const given of [policy, compilePolicy(policy, { cwd: '/usr' })]) {
    const told = await unused(given, '/usr/bin/python3', ['-c', script]);
    expect([...told.unused].sort()).toEqual([
      'exec[1]',
      'exec[2]',
      'files.deny[1]',
      'files.deny[2]',
      'files.metadata[1]',
      'files.read[1]',
      // The link's rule means the same place as the first, which is the one that counts.
      'files.read[2]',
      'files.write[1]',
      'network.bind[0]',
      'network.connect[1]',
      'network.connect[2]',
    ]);
    expect(told.unknown).toEqual([{ rule: 'syscalls.deny[0]', reason: expect.stringContaining('kernel') }]);
  }
});

test.runIf((checkSupport().landlockAbi ?? 0) > 0)(
  'what the kernel decides is not known, and never told as unused (needs Landlock)',
  async () => {
    const folder = world();
    const policy: Policy = { files: { read: [folder, '/srv'], metadata: ['/'] }, defaults: { proc: false } };
    const args = ['-c', `cat ${folder}/read/file`];
    const { unused: none, unknown } = await unused(policy, '/bin/sh', args, { heard: false });
    for (const rule of ['files.read[0]', 'files.metadata[0]']) expect(none).not.toContain(rule);
    const rules = unknown.map(({ rule }) => rule);
    expect(rules).toContain('files.read[1]');
    expect(unknown.find(({ rule }) => rule === 'files.read[1]')?.reason).toMatch(/kernel decides on .*read/);
    const child = spawnSandboxed('/bin/sh', args, {
      policy: { files: { read: [folder] } },
      engine: 'kernel',
      cwd: '/usr',
    });
    child.on('error', () => {});
    const told = await child.unusedRules().catch((error: Error) => error);
    if (!(told instanceof Error)) expect(told.unused).toEqual([]);
  },
);

test('what it starts from is told by where it stands there, but for policies with a name', async () => {
  const folder = world();
  const read = { files: { read: [join(folder, 'read'), '/srv'] } } satisfies Policy;
  const network = {
    network: { connect: ['127.0.0.1:9'] },
    exec: ['/usr', '/opt'],
    syscalls: { deny: ['acct'] },
  } satisfies Policy;
  const compiled = compilePolicy({ extends: ['test'], files: { deny: ['/srv/denied'] } }, { cwd: '/usr' });
  writeFileSync(join(folder, 'base.json'), '{ "extends": "node", "files": { "read": ["/mnt"] } }');
  writeFileSync(join(folder, 'top.json'), '{ "extends": ["build", "./base.json"], "files": { "read": ["/opt"] } }');
  for (const [policy, told, left] of [
    [{ extends: read }, ['extends.files.read[1]'], []],
    // Repeated, it gives nothing more.
    [{ extends: read, files: read.files }, ['extends.files.read[1]', 'files.read[0]', 'files.read[1]'], []],
    [
      { extends: ['build', read, { extends: [network, 'git'] }, compiled], files: { read: ['/opt'] } },
      [
        'extends[1].files.read[1]',
        'extends[2].extends[0].exec[1]',
        'extends[2].extends[0].network.connect[0]',
        'extends[3].files.deny[0]',
        'files.read[0]',
      ],
      ['extends[2].extends[0].syscalls.deny[0]'],
    ],
    [loadPolicy(join(folder, 'top.json')), ['extends[1].files.read[0]', 'files.read[0]'], []],
    ['agent', [], []],
    ['compute', [], []],
    [compilePolicy('python', { cwd: '/usr' }), [], []],
  ] satisfies [Policy | PolicyName | CompiledPolicy, string[], string[]][]) {
    const { unused: none, unknown } = await unused(policy, '/bin/cat', [join(folder, 'read/file')]);
    expect([...none].sort()).toEqual(told);
    expect(unknown.map(({ rule }) => rule)).toEqual(left);
  }
});

test('who was not started has no answer', async () => {
  const child = spawnSandboxed('/nowhere/program', [], { cwd: '/usr' });
  child.on('error', () => {});
  await expect(child.unusedRules()).rejects.toMatchObject({ code: 'ERR_HOLDFAST_NOT_RUNNING' });
});

test('what refused by another name, or left something out of a listing, is not called unused', async () => {
  const folder = world();
  const write = { read: [folder], write: [folder] };
  const kept = { files: { ...write, deny: [join(folder, 'made/below')] } };
  expect((await unused(kept, 'mv', [join(folder, 'made'), join(folder, 'moved')])).unused).not.toContain(
    'files.deny[0]',
  );
  const pattern = { files: { ...write, deny: ['**/moved/**'] } };
  expect((await unused(pattern, 'mv', [join(folder, 'made'), join(folder, 'moved')])).unused).not.toContain(
    'files.deny[0]',
  );
  const hidden = { files: { ...write, hide: ['**/file'] } };
  expect((await unused(hidden, 'ls', [join(folder, 'read')])).unused).not.toContain('files.hide[0]');
  expect((await unused(hidden, 'true', [])).unused).toContain('files.hide[0]');
});

test('of very many rules, those that matched', async () => {
  const folder = temporaryFolder('many');
  const read = Array.from({ length: 6000 }, (_, i) => join(folder, `a-folder-with-a-name-of-some-length-${i}`));
  for (const i of [0, 3000, 5999]) writeFileSync(read[i] as string, '');
  const files = [0, 3000, 5999].map((i) => read[i] as string);
  const { unused: none } = await unused({ files: { read } }, '/bin/cat', files);
  expect(none).toHaveLength(5997);
  for (const i of [0, 3000, 5999]) expect(none).not.toContain(`files.read[${i}]`);
  // So many matched that one message does not hold their names.
  const most = read.slice(0, 3000);
  const looked = await unused({ files: { read } }, '/bin/sh', [
    '-c',
    `cd ${folder} && i=0; while [ $i -lt 4000 ]; do [ -e a-folder-with-a-name-of-some-length-$i ]; i=$((i+1)); done`,
  ]);
  expect(looked.unused).toHaveLength(2000);
  expect(most).toHaveLength(3000);
});
