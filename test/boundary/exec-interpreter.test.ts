// What a file asks for as its ELF interpreter is looked at when the exec is judged; the kernel looks again when it makes it.
// A hook that thinks between the two looks gives the file's writer all the time that it needs.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { checkSupport, SandboxedProcess, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const ptNull = 0;
const ptInterp = 3;

/** Where the program header of the interpreter is in a 64-bit ELF file (elf(5)), and the name that it leads to. */
function interpreterOf(file: Buffer): { at: number; name: string } {
  const [start, size, count] = [Number(file.readBigUInt64LE(32)), file.readUInt16LE(54), file.readUInt16LE(56)];
  for (let at = start; at < start + size * count; at += size) {
    if (file.readUInt32LE(at) !== ptInterp) continue;
    const from = Number(file.readBigUInt64LE(at + 8));
    return { at, name: file.toString('latin1', from, from + Number(file.readBigUInt64LE(at + 32)) - 1) };
  }
  throw new Error('the program has no interpreter');
}

/** A program and its three forms: with its own interpreter, with a copy of that, and with none. */
function scene(place?: string) {
  const folder = temporaryFolder('interpreter');
  mkdirSync(join(folder, 'lib'));
  const path = join(folder, 'program');
  const usual = readFileSync(realpathSync('/bin/echo'));
  const { at, name } = interpreterOf(usual);
  const loader = join(place ?? folder, place === undefined ? 'lib/loader' : 'loader');
  if (existsSync(dirname(loader))) copyFileSync(realpathSync(name), loader);
  const other = Buffer.concat([usual, Buffer.from(`${loader}\0`)]);
  other.writeBigUInt64LE(BigInt(usual.length), at + 8);
  other.writeBigUInt64LE(BigInt(loader.length + 1), at + 32);
  const none = Buffer.from(usual);
  none.writeUInt32LE(ptNull, at);
  return { folder, path, forms: { usual, other, none } };
}

/** In place: it stays the same file. */
function write(path: string, content: Buffer): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, content, 0, content.length, 0);
  closeSync(fd);
}

type Form = keyof ReturnType<typeof scene>['forms'];

async function attack(approved: Form, executed: Form) {
  const { folder, path, forms } = scene();
  writeFileSync(path, forms[approved], { mode: 0o755 });
  const outcome = await runSandboxed('sh', ['-c', `${path} it has run; echo status $?`], {
    cwd: folder,
    policy: { files: { read: [folder] } },
    hooks: (child) => child.onExec({ path }, async () => write(path, forms[executed])),
  });
  return { path, outcome };
}

describe('an ELF interpreter that changes while a hook thinks about the exec', () => {
  test.each<[Form, Form]>([
    ['usual', 'other'],
    ['other', 'usual'],
    ['usual', 'none'],
    ['none', 'usual'],
    ['none', 'other'],
  ])('from %s to %s does not run', async (approved, executed) => {
    const { path, outcome } = await attack(approved, executed);
    expect(outcome.stdout).toBe('status 137\n');
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ path, reason: 'another ELF interpreter was loaded than the one approved' }),
    );
  });

  // The same writes, of what is there already: it is not they that end it.
  test.each<Form>(['usual', 'other'])('and stays %s runs, as it does bare', async (form) => {
    const { path, outcome } = await attack(form, form);
    expect(outcome.stdout).toBe('it has run\nstatus 0\n');
    expect(await runBare(path, ['it', 'has', 'run'])).toMatchObject({ stdout: 'it has run\n' });
  });
});

describe('a program that is another one after a hook has thought', () => {
  test.each(['program', 'script'])('of a %s does not run', async (kind) => {
    const { folder, path, forms } = scene();
    const approved = join(folder, 'approved');
    writeFileSync(path, forms.usual, { mode: 0o755 });
    writeFileSync(join(folder, 'other'), forms.usual, { mode: 0o755 });
    writeFileSync(approved, `#!${path}\n`, { mode: 0o755 });
    const command = kind === 'script' ? approved : path;
    const outcome = await runSandboxed('sh', ['-c', `${command} it has run; echo status $?`], {
      cwd: folder,
      policy: { files: { read: [folder] } },
      hooks: (child) => child.onExec({ path: command }, async () => renameSync(join(folder, 'other'), path)),
    });
    expect(outcome.stdout).toBe('status 137\n');
    expect(outcome.violations).toContainEqual(
      expect.objectContaining({ path, reason: 'another image was executed than the one approved' }),
    );
  });
});

test.each([
  ['that nothing allows', () => temporaryFolder('outside'), 'EACCES', 126],
  ['that is not there', () => '/nowhere', 'ENOENT', 127],
])('an ELF interpreter %s is not loaded', async (_, where, errno, status) => {
  const place = where();
  const { folder, path, forms } = scene(place);
  writeFileSync(path, forms.other, { mode: 0o755 });
  const outcome = await runSandboxed('sh', ['-c', `${path} it has run; echo status $?`], {
    cwd: folder,
    policy: { files: { read: [folder] } },
  });
  expect(outcome.stdout).toBe(`status ${status}\n`);
  // Once, by the policy: Landlock would refuse it after that for another reason.
  expect(outcome.violations.filter(({ syscall }) => syscall === 'execve')).toEqual(
    errno === 'EACCES'
      ? [expect.objectContaining({ path: join(place, 'loader'), errno, reason: 'nothing allows it' })]
      : [],
  );
});

// Landlock knows the folder that was there at the start, and would refuse without a word.
test('an interpreter from a folder that somebody outside has replaced does not run, and that is said', async () => {
  const { folder, path, forms } = scene();
  const lib = join(folder, 'lib');
  const script = join(folder, 'script');
  writeFileSync(path, forms.other, { mode: 0o755 });
  writeFileSync(script, `#!${lib}/tool\n`, { mode: 0o755 });
  copyFileSync(realpathSync('/bin/true'), join(lib, 'tool'));
  const child = spawnSandboxed('sh', ['-c', `go() { ${path}; ${script}; echo $?; }; go; read line; go`], {
    policy: { files: { read: [folder] }, exec: ['/usr', lib, path, script] },
  });
  const violations: unknown[] = [];
  child.on('violation', ({ syscall, path, reason }) => {
    if (syscall === 'execve') violations.push([path, reason?.startsWith('Landlock was told')]);
  });
  let stdout = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
    if (stdout !== '\n0\n') return;
    renameSync(lib, `${lib}.old`);
    cpSync(`${lib}.old`, lib, { recursive: true });
    child.stdin.end('\n');
  });
  await new Promise((resolve) => child.on('close', resolve));
  const { landlockAbi = 0 } = checkSupport();
  expect(stdout).toBe(landlockAbi > 0 ? '\n0\n126\n' : '\n0\n\n0\n');
  expect(violations).toEqual(
    landlockAbi > 0
      ? [
          [join(lib, 'loader'), true],
          [join(lib, 'tool'), true],
        ]
      : [],
  );
});

// Where Landlock's folder still stands is looked up as the caller, by its name; the kernel does not walk there again.
test('a program below a descriptor runs where its folder can no longer be reached by name, as bare', async () => {
  const folder = temporaryFolder('unreachable');
  const inner = join(folder, 'closed/inner');
  mkdirSync(inner, { recursive: true });
  copyFileSync(realpathSync('/bin/echo'), join(inner, 'program'));
  const script = `
import ctypes, os, sys
fd = os.open('${inner}', os.O_RDONLY)
if os.getuid() == 0: os.setresuid(65534, 65534, 65534)
print('open', flush=True); sys.stdin.readline()
try: os.stat('${inner}')
except OSError as error: print(error.strerror, flush=True)
argv = (ctypes.c_char_p * 4)(b'program', b'it', b'runs', None)
ctypes.CDLL(None).syscall(${process.arch === 'x64' ? 322 : 281}, fd, b'program', argv, None, 0)
print('it does not')
`;
  for (const held of [false, true]) {
    chmodSync(join(folder, 'closed'), 0o755);
    const args = ['-S', '-c', script];
    const child = held
      ? spawnSandboxed('/usr/bin/python3', args, { policy: { files: { read: [folder] }, exec: ['/usr', inner] } })
      : spawn('/usr/bin/python3', args);
    const violations: unknown[] = [];
    if (child instanceof SandboxedProcess) child.on('violation', ({ message }) => violations.push(message));
    let stdout = '';
    child.stdout?.on('data', (chunk) => {
      stdout += chunk;
      if (stdout !== 'open\n') return;
      chmodSync(join(folder, 'closed'), 0);
      child.stdin?.end('\n');
    });
    await new Promise((resolve) => child.on('close', resolve));
    chmodSync(join(folder, 'closed'), 0o755);
    expect(stdout).toBe('open\nPermission denied\nit runs\n');
    expect(violations).toEqual([]);
  }
});
