// What a rule on a path means (docs/api.md): the name of what a rule is on is not the rule's, and what the tree can have
// planted is not followed. Each attack is run bare, too, where it works.

import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { allow, deny, type Policy, type PolicyWarning, redirect, type SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function project(): string {
  const folder = temporaryFolder('names');
  for (const name of ['proj', 'proj/dist', 'outside', 'secret']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'outside/key'), 'outside\n');
  writeFileSync(join(folder, 'secret/key'), 'secret\n');
  writeFileSync(join(folder, 'proj/file'), 'file\n');
  return folder;
}

const python = '/usr/bin/python3';

async function sandboxed(script: string, policy: Policy, hooks?: (child: SandboxedProcess) => void) {
  const warnings: PolicyWarning[] = [];
  const outcome = await runSandboxed('/bin/sh', ['-c', script], {
    policy,
    cwd: '/',
    hooks: (child) => {
      child.on('warning', (warning) => warnings.push(warning));
      hooks?.(child);
    },
  });
  return { ...outcome, warnings };
}

describe('the name of what a rule is on', () => {
  const attacks: [what: string, script: string][] = [
    ['removed', 'rmdir $/proj/dist'],
    ['moved', 'mv $/proj/dist $/proj/gone'],
    ['replaced by a link', 'rmdir $/proj/dist && ln -s ../outside $/proj/dist'],
    ['replaced by another', 'mkdir $/proj/dist/new && mv -T $/proj/dist/new $/proj/dist'],
  ];
  test.each(attacks)('is not %s with a rule on it alone', async (what, script) => {
    const folder = project();
    const text = script.replaceAll('$', folder);
    const policy = { files: { read: [`${folder}/proj`], write: [`${folder}/proj/dist`] } };
    const held = await sandboxed(
      `${text}; touch ${folder}/proj/dist/x && chmod 700 ${folder}/proj/dist && echo same`,
      policy,
    );
    expect(held.stdout).toBe('same\n');
    expect(held.violations.length).toBeGreaterThan(0);
    expect(lstatSync(`${folder}/proj/dist`).isDirectory() && existsSync(`${folder}/proj/dist/x`)).toBe(true);
    // With the folder above, it may.
    const wider = project();
    const given = { files: { read: [`${wider}/proj`], write: [`${wider}/proj`] } };
    const again = await sandboxed(script.replaceAll('$', wider), given);
    expect(again.code).toBe(what === 'replaced by another' ? 1 : 0); // as bare: into itself
  });

  test('may be made where it is missing, but not as a link', async () => {
    const folder = project();
    const policy = { files: { write: [`${folder}/proj/new`, `${folder}/proj/other`] } };
    const made = await sandboxed(
      `ln -s /etc ${folder}/proj/other; mkdir ${folder}/proj/new && echo > ${folder}/proj/new/x`,
      policy,
    );
    expect(made.code).toBe(0);
    expect(existsSync(`${folder}/proj/new/x`)).toBe(true);
    expect(existsSync(`${folder}/proj/other`)).toBe(false);
    expect(made.violations.some(({ reason }) => reason?.includes('does not give its name'))).toBe(true);
  });

  test('of a file may not be linked elsewhere', async () => {
    const folder = project();
    const file = `${folder}/proj/file`;
    const policy = { files: { read: [folder], write: [file, `${folder}/outside`] } };
    const held = await sandboxed(`echo over > ${file}; ln ${file} ${folder}/outside/link; rm -f ${file}`, policy);
    expect(held.code).not.toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('over\n');
    expect(existsSync(`${folder}/outside/link`)).toBe(false);
  });

  test.each([
    ['moved', 'mv s x && ./x'],
    ['moved with its folder', 'mv in out && out/s'],
    ['linked', 'ln s x && ./x'],
    [
      'exchanged',
      `${python} -c 'import ctypes; ctypes.CDLL(None).renameat2(-100, b"s", -100, b"t", 2)'; ./t | grep ran`,
    ],
  ])('what may not be executed is not %s to where it may be', async (_, script) => {
    const folder = temporaryFolder('executes');
    mkdirSync(join(folder, 'in'));
    for (const name of ['s', 'in/s']) writeFileSync(join(folder, name), '#!/bin/sh\necho ran\n', { mode: 0o755 });
    writeFileSync(join(folder, 't'), '#!/bin/sh\n', { mode: 0o755 });
    const files = { read: [folder], write: [folder] };
    const denied = ['s', 'in/s'].map((name) => ({ path: join(folder, name), access: ['exec' as const] }));
    const held = await runSandboxed('/bin/sh', ['-c', script], {
      cwd: folder,
      policy: { files: { ...files, deny: denied } },
    });
    expect(held).toMatchObject({ code: 1, stdout: '' });
    expect(held.violations.length).toBeGreaterThan(0);
    const free = await runSandboxed('/bin/sh', ['-c', script], { cwd: folder, policy: { files } });
    expect(free).toMatchObject({ code: 0, stdout: 'ran\n' });
  });

  test('a FIFO gives its contents by its own rule, and all of it by its folder', async () => {
    const folder = project();
    await runBare('mkfifo', [`${folder}/proj/fifo`]);
    const calls = `chmod 600 ${folder}/proj/fifo; echo $?; touch ${folder}/proj/fifo; echo $?; rm -f ${folder}/proj/fifo; echo $?`;
    const own = await sandboxed(calls, { files: { read: [`${folder}/proj`], write: [`${folder}/proj/fifo`] } });
    expect(own.stdout).toBe('1\n1\n1\n');
    const above = await sandboxed(calls, { files: { read: [`${folder}/proj`], write: [`${folder}/proj`] } });
    expect(above.stdout).toBe('0\n0\n0\n');
  });
});

describe('a link that the tree can have planted', () => {
  test('is not followed by a rule, which says so', async () => {
    const folder = project();
    symlinkSync('../outside', `${folder}/proj/link`);
    const policy = { files: { read: [`${folder}/proj/link`], write: [`${folder}/proj`] } };
    const held = await sandboxed(`cat ${folder}/proj/link/key`, policy);
    expect(held.stdout).toBe('');
    expect(held.warnings).toMatchObject([{ rule: 'files.read[0]', path: `${folder}/proj/link`, target: '../outside' }]);
    // Where it may not write, it is.
    const trusted = await sandboxed(`cat ${folder}/proj/link/key`, { files: { read: [`${folder}/proj/link`] } });
    expect(trusted.stdout).toBe('outside\n');
    expect(trusted.warnings).toEqual([]);
  });

  test('takes a hook along to be asked, but not to allow more than rules do', async () => {
    const folder = project();
    symlinkSync('../outside', `${folder}/proj/link`);
    const run = (files: Policy['files'], script: string, verdict: typeof allow | typeof deny) => {
      const asked: string[] = [];
      const outcome = sandboxed(script, { files }, (child) =>
        child.onOpen({ path: `${folder}/proj/link/**` }, (call) => {
          asked.push(call.path);
          return verdict();
        }),
      );
      return outcome.then((held) => ({ ...held, asked }));
    };
    const script = `cat ${folder}/proj/link/key`;
    const planted = await run({ read: [`${folder}/proj`], write: [`${folder}/proj`] }, script, allow);
    expect(planted).toMatchObject({ stdout: '', asked: [`${folder}/outside/key`] });
    expect(planted.violations).toContainEqual(
      expect.objectContaining({ path: `${folder}/outside/key`, access: 'read' }),
    );
    expect(planted.warnings).toMatchObject([{ rule: 'hook 0', path: `${folder}/proj/link`, target: '../outside' }]);
    // It may still refuse; and allow what bears the name itself.
    const read = { read: [folder], write: [`${folder}/proj`] };
    expect((await run(read, script, deny)).stdout).toBe('');
    expect((await run(read, script, allow)).stdout).toBe('outside\n');
    const replaced = `rm ${folder}/proj/link; mkdir ${folder}/proj/link; echo mine > ${folder}/proj/link/key; ${script}`;
    expect(await run({ write: [`${folder}/proj`] }, replaced, allow)).toMatchObject({ stdout: 'mine\n' });
    // Where the tree may not write, the link is its author's.
    const own = project();
    symlinkSync('../outside', `${own}/proj/link`);
    const trusted = await sandboxed(`cat ${own}/proj/link/key`, {}, (child) =>
      child.onOpen({ path: `${own}/proj/link/**` }, () => allow()),
    );
    expect(trusted).toMatchObject({ stdout: 'outside\n', warnings: [] });
  });

  test('is not followed by a redirect, nor out of the folder it is to stay in', async () => {
    const folder = project();
    symlinkSync('../outside/key', `${folder}/proj/planted`);
    symlinkSync('../outside/key', `${folder}/secret/link`);
    const read = (
      to: string,
      within?: string,
      policy: Policy['files'] = { read: [`${folder}/proj`], write: [`${folder}/proj`] },
    ) =>
      sandboxed(`cat ${folder}/proj/file`, { files: policy }, (child) =>
        child.onOpen({ path: `${folder}/proj/file` }, () =>
          redirect(to, within === undefined ? undefined : { within }),
        ),
      );
    expect((await read(`${folder}/outside/key`)).stdout).toBe('outside\n');
    expect((await read(`${folder}/proj/planted`)).stdout).toBe('');
    expect((await read(`${folder}/secret/link`)).stdout).toBe('outside\n');
    expect((await read('link', `${folder}/secret`)).stdout).toBe('');
    const away = await read('../outside/key', `${folder}/secret`);
    expect(away.stdout).toBe('');
    expect(away.violations).toContainEqual(
      expect.objectContaining({ errno: 'EXDEV', reason: expect.stringContaining('out of the folder') }),
    );
    expect((await read(`${folder}/secret/key`, `${folder}/secret`)).stdout).toBe('secret\n');
    const denied = await read(`${folder}/secret/key`, undefined, {
      read: [`${folder}/proj`],
      deny: [`${folder}/secret`],
    });
    expect(denied.stdout).toBe('');
    expect(denied.violations).toContainEqual(
      expect.objectContaining({ path: `${folder}/secret/key`, rule: 'files.deny[0]', errno: 'EACCES' }),
    );
  });
});

test('a redirected connection is judged by network.deny', async () => {
  const server = createServer((socket) => socket.end('served')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const script = `
import socket
try: print(socket.create_connection(('127.0.0.1', 1)).recv(9))
except OSError as e: print(e.errno)`;
  const run = (policy: Policy, address: string) =>
    runSandboxed(python, ['-c', script], {
      policy,
      cwd: '/',
      hooks: (child) => child.onConnect(() => redirect({ address, port })),
    });
  try {
    expect((await run({}, '127.0.0.1')).stdout).toBe("b'served'\n");
    for (const address of ['127.0.0.1', '0.0.0.0']) {
      const held = await run({ network: { deny: [`127.0.0.1:${port}`] } }, address);
      expect(held.stdout).toBe('13\n');
      expect(held.violations).toContainEqual(expect.objectContaining({ rule: 'network.deny[0]', port }));
    }
  } finally {
    server.close();
  }
});

describe('what is not granted', () => {
  const kinds = (folder: string) => `
import os, errno
for path in ('file', 'file/x', 'file/', 'none', 'loop'):
  try: os.stat('${folder}/secret/' + path)
  except OSError as e: print(errno.errorcode[e.errno])`;

  test('does not tell what it is', async () => {
    const folder = project();
    writeFileSync(`${folder}/secret/file`, '');
    symlinkSync('loop', `${folder}/secret/loop`);
    const run = (policy?: Policy) => runSandboxed(python, ['-c', kinds(folder)], { policy, cwd: '/' });
    expect((await runBare(python, ['-c', kinds(folder)])).stdout).toBe('ENOTDIR\nENOTDIR\nENOENT\nELOOP\n');
    expect((await run({})).stdout).toBe('EACCES\nEACCES\nEACCES\nENOENT\nEACCES\n');
    const hidden = await run({ files: { ungranted: 'ENOENT' } });
    expect(hidden.stdout).toBe('ENOENT\n'.repeat(5));
    expect(hidden.violations).toHaveLength(4);
  });

  test('and who makes a path from its first missing part on comes to an end', async () => {
    const folder = project();
    const script = `require('fs').mkdirSync('${folder}/secret/a/b', { recursive: true })`;
    const policy: Policy = { files: { ungranted: 'ENOENT', read: [process.execPath, `${folder}/none`] } };
    const { code, stderr } = await runSandboxed(process.execPath, ['-e', script], { policy, cwd: '/' });
    expect([code, stderr]).toEqual([1, expect.stringContaining('EACCES')]);
  });

  test("attributes' values need the right to read, by descriptors too", async () => {
    const folder = project();
    const script = `
import os
path = '${folder}/secret/key'
os.setxattr(path, 'user.x', b'VALUE')
fd = os.open(path, os.O_WRONLY)
for at in (path, fd):
  for call in (lambda: os.getxattr(at, 'user.x'), lambda: os.listxattr(at)):
    try: print(call())
    except OSError as e: print(e.errno)`;
    expect((await runBare(python, ['-c', script])).stdout).toBe("b'VALUE'\n['user.x']\n".repeat(2));
    const write = [`${folder}/secret`];
    const held = await runSandboxed(python, ['-c', script], { policy: { files: { write } } });
    expect(held.stdout).toBe('13\n'.repeat(4));
    const may = await runSandboxed(python, ['-c', script], { policy: { files: { write, read: write } } });
    expect(may.stdout).toBe("b'VALUE'\n['user.x']\n".repeat(2));
  });
});
