import { chmodSync, closeSync, copyFileSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const python = '/usr/bin/python3';

function scene(): { folder: string; policy: Policy } {
  const folder = temporaryFolder('written');
  for (const name of ['show', 'other', 'third']) {
    copyFileSync(program('proc_show'), join(folder, name));
    chmodSync(join(folder, name), 0o755);
  }
  writeFileSync(join(folder, 'script'), '#!/bin/sh\nexit 33\n', { mode: 0o755 });
  const programs = [folder, program('proc_exec')];
  return { folder, policy: { files: { read: programs, write: [folder] }, exec: { written: false } } };
}

/** Runs each line by one shell, and says with what it ended: 33 is the program itself. */
async function ends(folder: string, policy: Policy, lines: string[], stdio: (number | 'pipe' | 'ignore')[] = []) {
  const script = lines.map((line) => `(${line}) >/dev/null 2>&1; echo $?`).join('\n');
  const { stdout, violations } = await runSandboxed('/bin/sh', ['-c', script], {
    policy,
    cwd: folder,
    stdio: ['pipe', 'pipe', 'pipe', ...stdio],
  });
  return { codes: stdout.trim().split('\n').map(Number), violations };
}

describe('exec: { written: false }', () => {
  test('what the tree has written is not executed, by whatever name and way', async () => {
    const { folder, policy } = scene();
    const { codes, violations } = await ends(folder, policy, [
      './show',
      'cp show copy && ./copy',
      // Over a name that was executed before, by another name, and by a name that comes later.
      'cp show new && mv new other && ./other',
      'cp show first && ln first second && ./second',
      'exec 9<copy && exec /proc/self/fd/9',
      'cp show gone && exec 9<gone && rm gone && exec /proc/self/fd/9',
      `${python} -c "import os; os.open('third', os.O_RDWR); os.execv('third', ['third'])"`,
      `${python} -c "import os; os.truncate('script', 20); os.execv('script', ['script'])"`,
      'printf "#!/bin/sh\\nexit 33\\n" >made && chmod 755 made && ./made',
      'printf "#!$PWD/copy\\n" >by && chmod 755 by && ./by',
      // An interpreter reads it, which is no exec.
      'sh ./made',
      './show',
    ]);
    expect(codes).toEqual([33, 126, 126, 126, 126, 126, 1, 1, 126, 126, 33, 33]);
    const written = violations.filter(({ rule }) => rule === 'exec.written');
    expect(written).toHaveLength(9);
    expect(written[0]).toMatchObject({ path: join(folder, 'copy'), access: 'exec', errno: 'EACCES' });
  });

  test('nor a program in memory, nor what the command was given to write to', async () => {
    const { folder, policy } = scene();
    const hooks = { hooks: () => {} };
    const memory = await runSandboxed(program('proc_exec'), ['memfd', join(folder, 'show'), 'x'], {
      policy: { ...policy, exec: { allow: ['/'], written: false } },
      cwd: folder,
      ...hooks,
    });
    expect(memory.stdout).not.toContain('leader');
    expect(memory.violations.map(({ rule }) => rule)).toContain('exec.written');
    const given = openSync(join(folder, 'other'), 'r+');
    const { codes } = await ends(folder, policy, ['./other', './show'], [given]);
    closeSync(given);
    expect(codes).toEqual([126, 33]);
  });

  test('and no write is left to Landlock', async () => {
    const { folder, policy } = scene();
    const plan = async (given: Policy) => {
      const child = spawnSandboxed('/bin/true', [], { policy: given, cwd: folder });
      return (await child.plan()).classes;
    };
    const simple: Policy = { files: { read: [folder], write: [folder] }, defaults: { proc: false } };
    expect((await plan(simple)).write.layer).not.toBe('supervisor');
    const held = (await plan({ ...simple, exec: policy.exec as object })).write;
    expect(held.layer).toBe('supervisor');
    expect(JSON.stringify(held.obstacles)).toContain('written: false');
    // Without a listener, so that Landlock would be given what it can be.
    const child = spawnSandboxed('/bin/sh', ['-c', 'cp show copy; ./copy; exit $?'], {
      policy: { ...simple, exec: policy.exec as object },
      cwd: folder,
      stdio: 'ignore',
    });
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(126);
  });
});

describe('exec: { writableMappings: false }', () => {
  const policy: Policy = { exec: { writableMappings: false } };
  const script = `
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def name(failed): return os.strerror(ctypes.get_errno()) if failed else 'ok'
def mapped(prot): return libc.mmap(None, 4096, prot, 0x22, -1, 0)
failed = ctypes.c_void_p(-1).value
print(name(mapped(7) == failed))
at = mapped(3)
print(name(libc.mprotect(at, 4096, 5)), name(libc.mprotect(at, 4096, 7)), name(libc.mprotect(at, 4096, 1)))
print(name(mapped(5) == failed))
`;

  test('memory is not writable and executable, nor becomes executable, in no process of the tree', async () => {
    const { stdout, stderr } = await runSandboxed('/bin/sh', ['-c', `${python} -c "$S"`], {
      policy,
      env: { S: script },
    });
    expect(stderr).toBe('');
    const refused = 'Permission denied';
    expect(stdout).toBe(`${refused}\n${refused} ${refused} ok\nok\n`);
    const free = await runSandboxed('/bin/sh', ['-c', `${python} -c "$S"`], { env: { S: script } });
    expect(free.stdout).toBe('ok\nok ok ok\nok\n');
  });

  test('what compiles while it runs does not start', async () => {
    const options = { policy: { files: { read: [process.execPath] }, ...policy } };
    const { code, signal } = await runSandboxed(process.execPath, ['-e', '1'], options);
    expect(signal ?? code).not.toBe(0);
  });
});
