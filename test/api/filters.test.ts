import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { allow, deny, type SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

function scene() {
  const folder = temporaryFolder('filters');
  mkdirSync(join(folder, 'secret/deep'), { recursive: true });
  mkdirSync(join(folder, 'sub'));
  writeFileSync(join(folder, 'secret/key'), 'SECRET\n');
  writeFileSync(join(folder, 'secret/deep/key'), 'SECRET\n');
  symlinkSync('secret', join(folder, 'link'));
  return folder;
}

/** Runs a shell script that may do everything in the folder. */
function shell(folder: string, script: string, hooks: (child: SandboxedProcess) => unknown, cwd = folder) {
  return runSandboxed('sh', ['-c', script], {
    cwd,
    policy: { files: { read: [folder], write: [folder] } },
    hooks: (child) => void hooks(child as unknown as SandboxedProcess),
  });
}

describe('a filter speaks of what a rule of the same text speaks of', () => {
  test.each<[string, (folder: string) => string | URL]>([
    ['a folder alone', (at) => `${at}/secret`],
    ['a folder with a slash', (at) => `${at}/secret/`],
    ['//', (at) => `${at}//secret/**`],
    ['..', (at) => `${at}/sub/../secret/**`],
    ['.', (at) => `${at}/./secret/*`],
    ['// and . behind a wildcard', (at) => `${at}/s*//./key`],
    ['a link', (at) => `${at}/link/**`],
    ['a link alone', (at) => `${at}/link`],
    ['a link and ..', (at) => `${at}/link/deep/../key`],
    ['relative to cwd', () => './secret/**'],
    ['above cwd', (at) => `../${basename(at)}/secret/**`],
    ['a name anywhere', () => 'secret'],
    ['a name behind **', () => '**/secret'],
    ['a URL', (at) => pathToFileURL(`${at}/secret`)],
    ['a URL as text', (at) => pathToFileURL(`${at}/secret`).href],
    ['quoted characters', (at) => `${at}/secre\\t`],
  ])('%s', async (_, path) => {
    const folder = scene();
    const { stdout } = await shell(folder, 'cat secret/key', (child) =>
      child.onOpen({ path: path(folder) }, () => deny()),
    );
    expect(stdout).toBe('');
  });

  test('/proc/self is of each process its own, and no other', async () => {
    const folder = scene();
    const asked: string[] = [];
    const script = 'cat /proc/self/status /proc/thread-self/comm > /dev/null; read x < /proc/$$/stat; cat secret/key';
    const { stdout } = await shell(folder, script, (child) =>
      child.onOpen({ path: ['/proc/self/**', '/proc/thread-self/comm'] }, ({ path }) => void asked.push(path)),
    );
    expect(stdout).toBe('SECRET\n');
    expect(asked.filter((path) => /^\/proc\/\d+\/status$/.test(path)).length).toBe(1);
    expect(asked.filter((path) => /^\/proc\/\d+\/task\/\d+\/comm$/.test(path)).length).toBe(1);
    expect(asked.filter((path) => /^\/proc\/\d+\/stat$/.test(path)).length).toBe(1);
  });

  test('descriptors are what they are open on', async () => {
    const folder = scene();
    const python = `
import os
fd = os.open('secret/key', os.O_PATH)
for how in (lambda: open(f'/proc/self/fd/{fd}').read(), lambda: open(f'/dev/fd/{fd}').read()):
    try: print(how())
    except OSError: print('refused')
d = os.open('secret', os.O_PATH)
os.fchdir(d)
try: print(open('key').read())
except OSError: print('refused')
`;
    const { stdout } = await runSandboxed('/usr/bin/python3', ['-c', python], {
      cwd: folder,
      policy: { files: { read: [folder] } },
      hooks: (child) =>
        child.onOpen({ path: `${folder}/secret/**` }, ({ access }) => (access === 'none' ? undefined : deny())),
    });
    expect(stdout).toBe('refused\nrefused\nrefused\n');
  });
});

describe('what could never match is refused', () => {
  test.each<[unknown, RegExp]>([
    ['/a/{b,c', /^filter of onOpen\.path: '\/a\/\{b,c' has a \{ without its \}/],
    [['/a', '{a}'], /^filter of onOpen\.path\[1\]: .* has braces with one alternative/],
    ['~root/x', /starts with ~ and a name/],
    ['/a/*/../b', /has \.\. behind a wildcard/],
    ['**/../b', /has \.\. behind a wildcard/],
    ['/a*/', /ends with \//],
    ['$HOME/x', /starts with \$/],
    ['!/a/**', /starts with !/],
    [' /a', /begins or ends with white space/],
    ['http://a/b', /is not a file: URL/],
    ['file://elsewhere/b', /is not a file: URL/],
    ['/proc/self/cwd/x', /leads through a link of \/proc/],
    ['/proc/1/fd/3/x', /leads through a link of \/proc/],
    [7, /must be a pattern/],
  ])('%j', async (path, message) => {
    const folder = scene();
    let thrown: unknown;
    await shell(folder, 'true', (child) => {
      try {
        child.onOpen({ path: path as string }, () => deny());
      } catch (error) {
        thrown = error;
      }
    });
    expect(thrown).toMatchObject({ code: 'ERR_HOLDFAST_INVALID_FILTER', message: expect.stringMatching(message) });
  });
});

describe('what a hook covers is not carried out from under it', () => {
  const key = (folder: string) => readFileSync(join(folder, 'secret/key'), 'utf8');

  test.each<[string, string | string[], string]>([
    ['its folder', 'secret/**', 'mv secret s2; cat s2/key'],
    ['its folder, by a filter on the folder', './secret', 'mv secret s2; cat s2/key'],
    ['a folder above', 'secret/deep/**', 'mv secret s2; cat s2/deep/key'],
    ['the file', 'secret/**', 'mv secret/key k; cat k'],
    ['a second name', 'secret/**', 'ln secret/key k; cat k'],
    ['a name that a pattern fits', '*ey', 'mv secret/key secret/k; cat secret/k'],
    ['a folder of that name anywhere', '**/deep/**', 'mv secret/deep secret/d; cat secret/d/key'],
  ])('%s', async (_, path, script) => {
    const folder = scene();
    const { stdout, violations } = await shell(folder, script, (child) => child.onOpen({ path }, () => deny()));
    expect(stdout).toBe('');
    expect(key(folder)).toBe('SECRET\n');
    expect(violations).toContainEqual(
      expect.objectContaining({ rule: 'hook', errno: 'EACCES', to: expect.anything() }),
    );
  });

  test('by an exchange, whichever is named first', async () => {
    const folder = scene();
    const python = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for a, b in (b'sub', b'secret'), (b'secret', b'sub'):
    print(libc.renameat2(-100, a, -100, b, 2), os.strerror(ctypes.get_errno()))
`;
    const { stdout } = await runSandboxed('/usr/bin/python3', ['-c', python], {
      cwd: folder,
      policy: { files: { read: [folder], write: [folder] } },
      hooks: (child) => child.onStat({ path: `${folder}/secret/**` }, () => undefined),
    });
    expect(stdout).toBe('-1 Permission denied\n-1 Permission denied\n');
    expect(key(folder)).toBe('SECRET\n');
  });

  test('moves within its cover, into it, and elsewhere go on', async () => {
    const folder = scene();
    const script = 'mv secret/key secret/k && mv secret/k secret/key && mv sub s2 && mv s2 secret/s2 && echo done';
    const { stdout, violations } = await shell(folder, script, (child) =>
      child.onOpen({ path: ['secret/**', '**/*.json'] }, () => undefined),
    );
    expect(stdout).toBe('done\n');
    expect(violations.filter(({ syscall }) => /rename/.test(syscall))).toEqual([]);
  });

  test('unless a hook on the rename allows it', async () => {
    const folder = scene();
    const { stdout } = await shell(folder, 'mv secret s2 && ln s2/key k && cat k', (child) =>
      child
        .onOpen({ path: 'secret/**' }, () => deny())
        .onRename(({ from }) => (from === join(folder, 'secret') ? allow() : undefined)),
    );
    expect(stdout).toBe('SECRET\n');
  });
});
