// `mode: 'report'` lets by what rules would refuse and tells of it; what is denied, and what is never allowed, stays refused.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compilePolicy, type Policy, spawnSandboxed, type Violation } from 'holdfast';
import { expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function place() {
  const folder = temporaryFolder('report-mode');
  const cwd = join(folder, 'project');
  for (const name of ['project', 'outside', 'secret']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'outside/file'), 'outside');
  writeFileSync(join(folder, 'secret/key'), 'secret');
  return { folder, cwd, outside: join(folder, 'outside'), secret: join(folder, 'secret') };
}

const dry = (violations: readonly Violation[]) =>
  violations
    .filter((violation) => violation.dry && !violation.probe)
    .map(({ access, path, errno }) => [access, path, errno]);
const wet = (violations: readonly Violation[]) => violations.filter((violation) => !violation.dry);
const shell = (cwd: string, script: string, policy: Policy) => runSandboxed('sh', ['-c', script], { cwd, policy });

test('what no rule allows is let by, and told as dry', async () => {
  const { cwd, outside } = place();
  const script = `cat ${outside}/file; echo x > ${outside}/new; rm ${outside}/file`;
  const { code, stdout, violations } = await shell(cwd, script, { mode: 'report' });
  expect([code, stdout]).toEqual([0, 'outside']);
  expect([existsSync(join(outside, 'new')), existsSync(join(outside, 'file'))]).toEqual([true, false]);
  expect(wet(violations)).toEqual([]);
  expect(dry(violations)).toEqual([
    ['read', join(outside, 'file'), 'EACCES'],
    ['write', join(outside, 'new'), 'EACCES'],
    ['write', join(outside, 'file'), 'EACCES'],
  ]);
  expect(violations.find(({ path }) => path === join(outside, 'new'))?.message).toMatch(/let by \(EACCES if/);
});

test('programs and addresses are let by, by the second wall, too', async () => {
  const { cwd, outside } = place();
  writeFileSync(join(outside, 'tool'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  const server = createServer((socket) => socket.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const node = `require('node:net').connect(${port}, '127.0.0.1').on('data', (data) => { console.log(String(data)); require('node:net').createServer().listen(0, '127.0.0.1', () => process.exit()) })`;
  const script = `${outside}/tool && ${process.execPath} -e "${node}"`;
  const { code, stdout, violations } = await shell(cwd, script, { mode: 'report', exec: ['/usr', '/bin'] });
  server.close();
  expect([code, stdout]).toEqual([0, 'ran\nhello\n']);
  expect(wet(violations)).toEqual([]);
  const told = violations.map(({ access }) => access);
  expect(told).toEqual(expect.arrayContaining(['exec', 'connect', 'bind']));
});

test('what deny says is refused, by whatever way', async () => {
  const { folder, cwd, secret, outside } = place();
  const policy: Policy = {
    mode: 'report',
    files: { deny: [{ path: secret, access: ['read', 'exec'] }] },
    network: { deny: ['127.0.0.1'] },
  };
  const script = `
    cat ${secret}/key
    mv ${secret} ${folder}/moved; cat ${folder}/moved/key
    mv ${secret}/key ${outside}/key; cat ${outside}/key
    mv ${folder} ${folder}-moved; cat ${folder}-moved/secret/key
    ln ${secret}/key ${outside}/link; cat ${outside}/link
    ln -s ${secret}/key ${outside}/soft; cat ${outside}/soft
    cp ${secret}/key ${outside}/copy
    ${process.execPath} -e "require('node:net').connect(9, '127.0.0.1').on('error', (error) => console.log(error.code))"
    true`;
  const { stdout, violations } = await shell(cwd, script, policy);
  expect(stdout).toBe('EACCES\n');
  expect(readFileSync(join(secret, 'key'), 'utf8')).toBe('secret');
  expect(wet(violations).length).toBeGreaterThanOrEqual(6);
});

test.each(['notify', 'ptrace'] as const)(
  'what is refused all the same is told once, as refused, by the engine %s',
  async (engine) => {
    for (const policy of [
      { mode: 'report' as const },
      // Moves of what may be moved are refused for the same reasons.
      { files: { read: ['/'], write: [tmpdir()] } },
    ]) {
      const { folder, cwd, secret, outside } = place();
      for (const name of ['other', 'tool']) writeFileSync(join(outside, name), '');
      const script = `
import os, sys
def act(f, *arguments):
    try: f(*arguments)
    except OSError as e: return e.errno
    return 0
print([
    act(os.rename, '${folder}/secret', '${folder}/moved'), act(os.rename, '${folder}', '${folder}-moved'),
    act(os.rename, '${secret}/key', '${outside}/key'), act(os.link, '${outside}/tool', '${outside}/linked'),
    act(os.chmod, '${outside}/other', 0o4755), act(os.setxattr, '${outside}/other', 'security.capability', b'x'),
    act(os.rename, '${outside}/heard', '${outside}/unheard'),
    act(os.rename, '${outside}/other', '${outside}/renamed')])`;
      writeFileSync(join(outside, 'heard'), '');
      const deny = [
        { path: secret, access: ['read' as const] },
        { path: join(outside, 'tool'), access: ['exec' as const] },
      ];
      const child = spawnSandboxed('/usr/bin/python3', ['-c', script], {
        cwd,
        engine,
        record: true,
        policy: {
          ...policy,
          files: { ...policy.files, deny: [...deny, { path: outside, access: ['read'], dry: true }] },
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      child.onOpen({ path: join(outside, 'heard') }, () => {});
      const violations: Violation[] = [];
      child.on('violation', (violation) => violations.push(violation));
      let stdout = '';
      child.stdout.on('data', (data) => {
        stdout += data;
      });
      await new Promise((resolve) => child.once('close', resolve));
      expect(stdout).toBe('[13, 13, 13, 13, 1, 1, 13, 0]\n');
      const changes = violations.filter(
        ({ syscall, path }) => path?.startsWith(folder) && /rename|link|chmod|xattr/.test(syscall),
      );
      const told = changes.map(({ path, dry, errno }) => [path?.slice(folder.length), dry === true, errno]);
      expect(told).toEqual([
        ['/secret', false, 'EACCES'],
        ['', false, 'EACCES'],
        ['/secret/key', false, 'EACCES'],
        ['/outside/tool', false, 'EACCES'],
        ['/outside/other', false, 'EPERM'],
        ['/outside/other', false, 'EPERM'],
        ['/outside/heard', false, 'EACCES'],
        ...(policy.mode === 'report' ? [['/outside/other', true, 'EACCES']] : []),
      ]);
      const written = (await child.accesses()).filter(
        ({ access, path }) => ['write', 'syscall'].includes(access) && (path === undefined || path.startsWith(folder)),
      );
      const outcomes = (name: string) =>
        written.filter(({ path }) => path === join(folder, name)).map(({ outcome, errno }) => [outcome, errno]);
      for (const name of [
        'secret',
        'moved',
        'secret/key',
        'outside/key',
        'outside/tool',
        'outside/linked',
        'outside/heard',
        'outside/unheard',
      ])
        expect([name, outcomes(name)]).toEqual([name, [['refused', 'EACCES']]]);
      expect(outcomes('outside/other').sort()).toEqual([
        ['allowed', undefined],
        ['refused', 'EPERM'],
      ]);
      expect(outcomes('outside/renamed')).toEqual([['allowed', undefined]]);
      expect(written.filter(({ access, outcome }) => access === 'syscall' || outcome === 'failed')).toEqual([]);
    }
  },
);

test('what the tree has written is refused once, where it is not to be executed', async () => {
  const { cwd, outside } = place();
  const script = `
import os
def run(name):
    try: os.posix_spawn('${outside}/' + name, [name], {})
    except OSError as e: return e.errno
    return 0
for name in 'tool', 'interpreter', 'script':
    with open('${outside}/' + name, 'w') as f: f.write('#!/bin/sh\\n' if name != 'script' else '#!${outside}/interpreter\\n')
    os.chmod('${outside}/' + name, 0o755)
print(run('tool'), run('script'))`;
  const { stdout, violations } = await runSandboxed('/usr/bin/python3', ['-c', script], {
    cwd,
    policy: { mode: 'report', exec: { written: false } },
  });
  expect(stdout).toBe('13 13\n');
  expect(
    violations.filter(({ syscall }) => syscall.startsWith('exec')).map(({ path, rule, dry }) => [path, rule, dry]),
  ).toEqual([
    [join(outside, 'tool'), 'exec.written', undefined],
    [join(outside, 'script'), 'exec.written', undefined],
  ]);
});

test('what is never allowed stays refused', async () => {
  const { cwd } = place();
  const script = `
    const { spawnSync } = require('node:child_process');
    try { process.kill(process.ppid, 0); console.log('signalled') } catch (error) { console.log(error.code) }
    console.log(spawnSync('mount', ['-t', 'tmpfs', 'none', '/mnt']).status !== 0);
    console.log(spawnSync('mknod', ['device', 'c', '1', '5']).status !== 0);
    console.log(spawnSync('unshare', ['-r', 'true']).status !== 0);
  `;
  const { stdout, violations } = await runSandboxed(process.execPath, ['-e', script], {
    cwd,
    policy: { mode: 'report' },
  });
  expect(stdout).toBe('EPERM\ntrue\ntrue\ntrue\n');
  expect(wet(violations).map(({ syscall }) => syscall)).toEqual(expect.arrayContaining(['kill']));
});

test('hooks refuse as ever, and restrict() still takes away', async () => {
  const { cwd, outside } = place();
  const { violations } = await runSandboxed('cat', [join(outside, 'file')], {
    cwd,
    policy: { mode: 'report' },
    hooks: (child) =>
      child.onOpen({ path: `${outside}/**` }, () => {
        throw new Error('no');
      }),
  });
  expect(wet(violations).map(({ rule, path }) => [rule, path])).toEqual([['hook', join(outside, 'file')]]);
  const child = spawnSandboxed('sh', ['-c', `echo; read x; cat ${outside}/file`], { cwd, policy: { mode: 'report' } });
  const refused: Violation[] = [];
  child.on('violation', (violation) => refused.push(violation));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await child.restrict({ files: { read: [cwd] } });
  child.stdin.end('\n');
  await new Promise((resolve) => child.once('close', resolve));
  expect(wet(refused).map(({ path }) => path)).toContain(join(outside, 'file'));
});

test('a dry deny rule is told and lets by what other rules allow; others deny', async () => {
  const { cwd } = place();
  for (const name of ['tried', 'denied', 'plain']) writeFileSync(join(cwd, name), name);
  const policy: Policy = { files: { deny: [{ path: 'tried', dry: true }, 'denied'] } };
  const { stdout, violations } = await shell(cwd, 'cat tried denied plain', policy);
  expect(stdout).toBe('triedplain');
  expect(violations.filter(({ probe }) => !probe).map(({ path, rule, dry }) => [path, rule, dry])).toEqual([
    [join(cwd, 'tried'), 'files.deny[0]', true],
    [join(cwd, 'denied'), 'files.deny[1]', undefined],
  ]);
  const plan = await spawnSandboxed('true', [], { cwd, policy }).plan();
  expect(plan.classes.read.obstacles.map(({ why }) => why)).toContainEqual(expect.stringContaining('dry rule'));
});

test('it cannot be mistaken for a sandbox', async () => {
  const warnings: string[] = [];
  const child = spawnSandboxed('true', [], { policy: { mode: 'report' } });
  child.on('warning', ({ rule }) => warnings.push(rule));
  expect(child.mode).toBe('report');
  const plan = await child.plan();
  expect(plan.mode).toBe('report');
  expect(plan.classes.read.layer).toBe('supervisor');
  await new Promise((resolve) => child.once('close', resolve));
  expect(warnings).toContain('mode');
  expect(spawnSandboxed('true', []).mode).toBe('enforce');
});

test('it counts nowhere but in the policy itself', () => {
  const report = { mode: 'report' } as const;
  expect(() => compilePolicy({ extends: report })).toThrow(/policy\.extends\.mode/);
  expect(() => compilePolicy({ extends: [compilePolicy(report)] })).toThrow(/policy\.extends\[0\]\.mode/);
  expect(() => compilePolicy({ mode: 'audit' } as never)).toThrow(/policy\.mode.*'enforce' or 'report'/);
  expect(() => compilePolicy({ files: { deny: [{ path: '/x', dry: true, under: ['/bin/sh'] }] } })).toThrow(
    /policy\.files\.deny\[0\]\.dry/,
  );
});

test('what is put on top takes away, and tries nothing', async () => {
  const child = spawnSandboxed('sh', ['-c', 'echo; read x']);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const wrong = { code: 'ERR_HOLDFAST_INVALID_POLICY' };
  await expect(child.restrict({ mode: 'report' } as never)).rejects.toMatchObject(wrong);
  await expect(child.restrict(compilePolicy({ mode: 'report' }))).rejects.toMatchObject(wrong);
  await expect(child.restrict({ files: { deny: [{ path: '/x', dry: true }] } })).rejects.toMatchObject(wrong);
  child.stdin.end('\n');
  await new Promise((resolve) => child.once('close', resolve));
});

test('the engine that tells nothing refuses it', async () => {
  const child = spawnSandboxed('true', [], { policy: { mode: 'report' }, engine: 'kernel' });
  const error = await new Promise<NodeJS.ErrnoException>((resolve) => child.once('error', resolve as never));
  expect(['ERR_HOLDFAST_NEEDS_HOLD', 'ERR_HOLDFAST_UNSUPPORTED_KERNEL']).toContain(error.code);
});
