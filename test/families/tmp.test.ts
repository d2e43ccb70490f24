// policy.tmp: a private temporary folder, by the names that programs have in themselves.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkSupport, type HoldfastError, type Policy, spawnSandboxed } from 'holdfast';
import { afterEach, describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { sanitizer } from '../helpers/sanitized.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { python } from '../lifecycle/tree.ts';

const timeout = patient(60_000);
const before = process.env.TMPDIR;
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});

/** A name in /tmp or /dev/shm that nobody else has. */
const name = () => `holdfast-tmp-test-${process.pid}-${Math.random().toString(36).slice(2)}`;

async function shell(script: string, policy: Policy = {}, more: object = {}) {
  const { stdout, stderr, violations } = await runSandboxed('sh', ['-c', script], {
    cwd: '/',
    env: { ...process.env, PWD: '/' },
    policy: { tmp: true, ...policy },
    ...more,
  });
  return { lines: stdout.trim().split('\n'), stderr, violations };
}

describe.each(['notify', 'ptrace'] as const)('a private temporary folder by the engine %s', (engine) => {
  test('is what they are called in the folder that they stand in, too', async () => {
    const outside = name();
    for (const folder of ['/tmp', '/dev/shm']) writeFileSync(join(folder, outside), '');
    try {
      const script = `
import os
print(sorted(os.listdir('tmp')), os.stat('tmp').st_ino == os.stat('/tmp').st_ino == os.stat('usr/../tmp').st_ino)
for folder, last in ('/', 'tmp'), ('/dev', 'shm'):
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    here = os.open(last, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
    print(os.listdir(here), os.stat(last, dir_fd=fd, follow_symlinks=False).st_ino == os.stat(folder + '/' + last).st_ino)
    os.chdir(folder)
    print(os.listdir(last), os.access(last + '/${outside}', os.F_OK))
    os.close(os.open(last, os.O_TMPFILE | os.O_RDWR))
`;
      const { stdout, stderr } = await runSandboxed(python, ['-c', script], {
        cwd: '/',
        engine,
        policy: { tmp: true, files: { read: ['/'] } },
      });
      const led = '[] True\n[] False\n';
      expect({ stdout, stderr }).toEqual({ stdout: `[] True\n${led}${led}`, stderr: '' });
    } finally {
      for (const folder of ['/tmp', '/dev/shm']) rmSync(join(folder, outside));
    }
  });

  test('is what TMPDIR, /tmp and /dev/shm name, and gone at the end', async () => {
    process.env.TMPDIR = temporaryFolder('tmp');
    const [one, other] = [name(), name()];
    const script = `
echo x > /tmp/${one} && cat "$TMPDIR/${one}" && ls /tmp && ls -d "$TMPDIR"
echo y > /dev/shm/${other} && cat /dev/shm/${other} && ls /dev/shm
mkdir -p /tmp/d/e && mv /tmp/${one} /tmp/d/e && ln "$TMPDIR/d/e/${one}" /tmp/second && cat /tmp/second //tmp/./second /tmp/d/../second
ln -s /tmp/second /tmp/link && cat /tmp/link && rm /tmp/link && chmod 600 /tmp/second && stat -c %a /tmp/second
cd /tmp && cat second && cd d/e && cat ../../second /proc/self/cwd/${one} && cd / && cat tmp/second usr/../tmp/second
mktemp /tmp/m.XXXXXX | cut -c1-7; mktemp -d | cut -c1-5`;
    const { lines, stderr, violations } = await shell(script, {}, { engine });
    expect({ stderr, violations }).toEqual({ stderr: '', violations: [] });
    const room = lines[2]?.replace(/\/tmp$/, '') ?? '';
    expect(room.startsWith(join(process.env.TMPDIR, 'holdfast-'))).toBe(true);
    expect(lines).toEqual([
      'x',
      one,
      `${room}/tmp`,
      'y',
      other,
      'x',
      'x',
      'x',
      'x',
      '600',
      'x',
      'x',
      'x',
      'x',
      'x',
      '/tmp/m.',
      process.env.TMPDIR.slice(0, 5),
    ]);
    expect(existsSync(room)).toBe(false);
    expect([existsSync(`/tmp/${one}`), existsSync(`/dev/shm/${other}`)]).toEqual([false, false]);
  });

  test('holds programs and unix sockets, and the way up leads back', async () => {
    const script = `
printf '#!/bin/sh\\necho runs $0\\n' > /tmp/run && chmod +x /tmp/run && /tmp/run && cd /tmp && ./run
cd /tmp && cd .. && pwd; ls -d /tmp/../usr; cat /tmp/../etc/hostname > /dev/null && echo up`;
    const { lines } = await shell(script, { files: { read: ['/etc/hostname'] } }, { engine });
    expect(lines[0]).toMatch(/^runs \/.*\/tmp\/run$/);
    expect(lines.slice(1)).toEqual(['runs ./run', '/', '/tmp/../usr', 'up']);
    const python = `
import os, socket
server = socket.socket(socket.AF_UNIX); server.bind('/tmp/s'); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect('/tmp/s'); client.send(b'hello')
print(server.accept()[0].recv(9).decode(), os.path.exists(os.environ['TMPDIR'] + '/s'), os.listdir('/tmp'), os.path.realpath('/tmp/s'))`;
    const { stdout, stderr } = await runSandboxed('/usr/bin/python3', ['-S', '-c', python], {
      cwd: '/',
      engine,
      policy: { tmp: true },
    });
    expect(stderr).toBe('');
    expect(stdout).toBe("hello True ['s'] /tmp/s\n");
  });

  test('does for Python’s multiprocessing and shared memory', { timeout }, async () => {
    const python = `
import multiprocessing as m, multiprocessing.shared_memory as s
if __name__ == '__main__':
    with m.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))
    block = s.SharedMemory(create=True, size=10); block.buf[0] = 7; other = s.SharedMemory(block.name); print(other.buf[0]); other.close(); block.close(); block.unlink()`;
    const { stdout, stderr } = await runSandboxed('/usr/bin/python3', ['-c', python], {
      cwd: '/',
      engine,
      policy: { tmp: true },
    });
    expect({ stdout, stderr }).toEqual({ stdout: '[1, 2]\n7\n', stderr: '' });
  });
});

describe('what is there already', () => {
  test('is not shown, nor reached by links, unless a rule names it', async () => {
    const folder = temporaryFolder('there');
    mkdirSync(join(folder, 'given'));
    writeFileSync(join(folder, 'given/file'), 'given');
    const stray = join('/tmp', name());
    writeFileSync(stray, 'stray');
    symlinkSync(stray, join(folder, 'given/link'));
    const script = `cat ${folder}/given/file; echo; cat ${stray} given/link; ls /tmp; echo a > ${stray}; cat ${stray}; cat given/link`;
    const { lines } = await shell(script, { files: { read: [join(folder, 'given')] } }, { cwd: folder });
    // Of the working directory, which the defaults give, and of what this has made.
    expect(lines.filter((line) => line !== '')).toContain('given');
    expect(lines.join('\n')).not.toContain('stray');
    expect(lines.slice(-2)).toEqual(['a', 'a']);
    expect(readFileSync(stray, 'utf8')).toBe('stray');
    rmSync(stray);
  });

  test('of another sandbox stays closed', async () => {
    const file = name();
    const one = spawnSandboxed('sh', ['-c', `echo secret > /tmp/${file}; echo "$TMPDIR"; read line`], {
      cwd: '/',
      policy: { tmp: true },
    });
    const folder = await new Promise<string>((resolve) =>
      one.stdout.once('data', (data) => resolve(String(data).trim())),
    );
    const { lines } = await shell(`cat /tmp/${file} ${folder}/${file}; ls ${folder}; echo end`);
    expect(lines).toEqual(['end']);
    one.stdin.end();
    await new Promise((resolve) => one.on('close', resolve));
    expect(existsSync(folder)).toBe(false);
  });

  test('the room’s own name is not the tree’s', async () => {
    const { lines } = await shell(
      'mv "$TMPDIR" /tmp/x; rmdir /tmp; mv /tmp/../tmp /x; ln -s / "$(dirname "$TMPDIR")/link"; ls "$(dirname "$TMPDIR")"; echo x > /tmp/y && cat /tmp/y',
    );
    expect(lines).toEqual(['x']);
  });
});

test('with scratch, extended, and restricted', async () => {
  const base = { tmp: true, scratch: true } satisfies Policy;
  const { stdout } = await runSandboxed('sh', ['-c', 'echo x > /tmp/a && cat "$TMPDIR/a"'], {
    cwd: '/',
    policy: { extends: base },
  });
  expect(stdout).toBe('x\n');
});

test('the plan says what it holds', async () => {
  const child = spawnSandboxed('true', [], {
    cwd: '/',
    policy: { tmp: true, files: { metadata: ['/'] }, defaults: { proc: false } },
  });
  const { classes } = await child.plan();
  await new Promise((resolve) => child.on('close', resolve));
  for (const which of ['read', 'write', 'make', 'metadata'] as const)
    expect(JSON.stringify(classes[which]), which).toContain('policy.tmp');
  expect(readdirSync('/tmp').filter((entry) => entry.startsWith(`holdfast-tmp-test-${process.pid}`))).toEqual([]);
});

test.skipIf((checkSupport().landlockAbi ?? 0) < 6 || sanitizer)(
  'the engine kernel refuses it (needs ABI 6 of Landlock; a sanitizer keeps memory)',
  async () => {
    const child = spawnSandboxed('true', [], {
      engine: 'kernel',
      cwd: '/',
      policy: { tmp: true, files: { metadata: ['/'] }, defaults: { proc: false } },
    });
    const failures: HoldfastError[] = [];
    child.on('error', (error) => failures.push(error as HoldfastError));
    await new Promise((resolve) => child.on('close', resolve));
    expect(failures).toMatchObject([
      { code: 'ERR_HOLDFAST_NEEDS_HOLD', message: expect.stringContaining('policy.tmp') },
    ]);
  },
);
