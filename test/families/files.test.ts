// What rules, hooks and the never-allowed list do to path calls. Each refusal is compared with what is there afterwards, or
// with a bare twin that shows that the call would have worked.
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { deny, type Policy, redirect, respond, type SandboxedProcess } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const asRoot = process.getuid?.() === 0;

interface Calls {
  folder: string;
  cwd?: string;
  policy?: Policy;
  hooks?: (child: SandboxedProcess) => void;
  stdio?: ['pipe', 'pipe' | number, 'pipe' | number];
}

/** What each call answered, by the call; `$` in a call is the folder. */
async function made(calls: readonly string[], { folder, ...options }: Calls): Promise<Outcome & { answers: string[] }> {
  const args = calls.map((call) => call.replaceAll('$', folder));
  const outcome = await runSandboxed(program('file_calls'), args, { cwd: folder, ...options });
  expect(outcome.stderr).toBe('');
  const answers = outcome.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf(': ') + 2));
  return { ...outcome, answers };
}

async function bare(calls: readonly string[], folder: string, cwd = folder): Promise<string[]> {
  const outcome = await runBare(
    program('file_calls'),
    calls.map((call) => call.replaceAll('$', folder)),
    { cwd },
  );
  return outcome.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf(': ') + 2));
}

/** open/: read and write. shown/: read only. hidden/: nothing. open/kept: denied though it lies in open/. */
function playground(): string {
  const folder = temporaryFolder('files');
  for (const name of ['open', 'open/kept', 'open/sub', 'shown', 'shown/sub', 'hidden', 'drop'])
    mkdirSync(join(folder, name));
  for (const name of ['open/file', 'open/kept/key', 'open/sub/file', 'shown/file', 'hidden/file', 'drop/file'])
    writeFileSync(join(folder, name), `${name}\n`);
  symlinkSync('../hidden/file', join(folder, 'open/to-hidden'));
  symlinkSync('../shown/file', join(folder, 'open/to-shown'));
  symlinkSync('../hidden/new', join(folder, 'open/to-new'));
  symlinkSync('kept', join(folder, 'open/to-kept'));
  symlinkSync('kept/none', join(folder, 'open/to-none'));
  return folder;
}

const policyOf = (folder: string): Policy => ({
  files: {
    read: [`${folder}/open`, `${folder}/shown`],
    write: [`${folder}/open`, `${folder}/drop`],
    deny: [`${folder}/open/kept`],
  },
});

describe('rules', () => {
  test('with .. after a symbolic link mean what the kernel finds there', async () => {
    const folder = playground();
    symlinkSync('open/sub', join(folder, 'link'));
    const calls = ['read $/open/file', 'read $/link/../file', 'read $/shown/file', 'read $/open/sub/file'];
    const denied = { files: { read: [folder], deny: [`${folder}/link/../file`] } };
    expect((await made(calls, { folder, policy: denied })).answers).toEqual(['EACCES', 'EACCES', 'ok', 'ok']);
    const allowed = { files: { read: [`${folder}/link/..`] } };
    expect((await made(calls, { folder, policy: allowed, cwd: '/' })).answers).toEqual(['ok', 'ok', 'EACCES', 'ok']);
    // Relative ones too, from a working directory whose own name goes that way.
    const relative = { files: { read: ['../sub/../file'] } };
    const { answers } = await made(calls, { folder, policy: relative, cwd: `${folder}/link/../sub` });
    // The last lies in the working directory, which may be read by default.
    expect(answers).toEqual(['ok', 'ok', 'EACCES', 'ok']);
  });

  test('reading and writing are apart', async () => {
    const folder = playground();
    const calls = [
      'read $/open/file',
      'write $/open/file',
      'read $/shown/file',
      'write $/shown/file',
      'read $/hidden/file',
      'list $/shown',
      'list $/hidden',
      'list $',
      'stat $',
      'stat $/shown/file',
      'stat $/hidden/file',
      'access $/shown/file 2',
      'access $/shown/file 4',
    ];
    const { answers, violations } = await made(calls, { folder, policy: policyOf(folder), cwd: '/' });
    expect(answers).toEqual([
      'ok',
      'ok',
      'ok',
      'EACCES',
      'EACCES',
      'ok',
      'EACCES',
      'EACCES',
      'ok',
      'ok',
      'EACCES',
      'EACCES',
      'ok',
    ]);
    expect(violations.map((violation) => violation.path)).toContain(`${folder}/hidden/file`);
    expect(violations.every((violation) => violation.errno === 'EACCES')).toBe(true);
  });

  test('no call changes what may only be read', async () => {
    const folder = playground();
    const before = lstatSync(join(folder, 'shown/file'));
    const calls = [
      'truncating $/shown/file',
      'create $/shown/new',
      'tmpfile $/shown',
      'rename $/shown/file $/open/x',
      'rename $/open/file $/shown/file',
      'exchange $/open/file $/shown/file',
      'link $/shown/file $/open/x',
      'link $/open/file $/shown/x',
      'symlink x $/shown/x',
      'unlink $/shown/file',
      'rmdir $/shown/sub',
      'mkdir $/shown/x',
      'fifo $/shown/x',
      'chmod $/shown/file 777',
      'fchmod $/shown/file',
      'chown $/shown/file',
      'fchown $/shown/file',
      'utimes $/shown/file',
      'futimes $/shown/file',
      'truncate $/shown/file',
      'setxattr $/shown/file',
      'fsetxattr $/shown/file',
      'write $/open/to-shown',
    ];
    const { answers, violations } = await made(calls, { folder, policy: policyOf(folder) });
    expect(answers).toEqual(calls.map(() => 'EACCES'));
    expect(violations).toHaveLength(calls.length);
    const after = lstatSync(join(folder, 'shown/file'));
    expect([after.mode, after.size, after.nlink, after.mtimeMs, after.ctimeMs]).toEqual([
      before.mode,
      before.size,
      before.nlink,
      before.mtimeMs,
      before.ctimeMs,
    ]);
    expect(readFileSync(join(folder, 'shown/file'), 'utf8')).toBe('shown/file\n');
    expect(existsSync(join(folder, 'shown/sub'))).toBe(true);
  });

  test('links, dots, descriptors and /proc lead to what they lead to', async () => {
    const folder = playground();
    const calls = [
      'read $/open/to-hidden',
      'read $/open/../hidden/file',
      'read $/shown/../open/sub/../../hidden/file',
      'read /proc/self/cwd/$/hidden/file',
      'read /proc/self/root/$/hidden/file',
      'read /proc/%self/cwd/$/hidden/file',
      'read /proc/thread-self/cwd/$/hidden/file',
      'reopen $/hidden/file',
      'at $/open ../hidden/file',
      'create $/open/to-new',
    ];
    // The working directory may be read by default, unless it is this one.
    const { answers } = await made(calls, { folder, policy: policyOf(folder), cwd: '/' });
    expect(answers).toEqual(calls.map(() => 'EACCES'));
    expect(await bare(calls, folder, '/')).toEqual(calls.map(() => 'ok'));
  });

  test('a descriptor for looking gives no right to open', async () => {
    const folder = playground();
    const { answers } = await made(
      ['path $/shown/file', 'reopen $/shown/file', 'reopen-write $/shown/file', 'path $/open/kept/key'],
      { folder, policy: policyOf(folder) },
    );
    expect(answers).toEqual(['ok', 'ok', 'EACCES', 'EACCES']);
  });

  test('what is denied does not show whether it is there', async () => {
    const folder = playground();
    const calls = [
      'stat $/open/kept/key',
      'stat $/open/kept/none',
      'stat $/open/kept/none/deeper',
      'stat $/open/kept/key/deeper',
      'read $/open/kept/none',
      'readlink $/open/kept/none',
      'unlink $/open/kept/none',
      'create $/open/kept/none',
      'stat $/open/kept/key/',
      // By a link, too, and from a folder.
      'stat $/open/to-none',
      'read $/open/to-none',
      'stat $/open/to-kept/none',
      'stat $/open/to-kept/none/deeper',
      'readlink $/open/to-kept/none',
      'stat open/to-none',
      'stat open/kept/none',
      'at $/open to-none',
      'at $/open/kept none',
    ];
    expect((await made(calls, { folder, policy: policyOf(folder) })).answers).toEqual(calls.map(() => 'EACCES'));
  });

  test('what is not there is no violation', async () => {
    const folder = playground();
    const calls = [
      'stat $/none',
      'read $/none',
      'write $/none',
      'unlink $/none',
      'chmod $/none 600',
      'stat $/none/deeper',
      'rename $/none $/none2',
      'rename $/open/none $/open/none2',
      'readlink $/open/none',
    ];
    const { answers, violations } = await made(calls, { folder, policy: policyOf(folder) });
    expect(answers).toEqual(calls.map(() => 'ENOENT'));
    expect(violations).toEqual([]);
  });

  test('nothing is made where nothing may be written, and it is said', async () => {
    const folder = playground();
    const calls = [
      'create $/new',
      'mkdir $/new',
      'symlink x $/new',
      'fifo $/new',
      'create $/hidden/new',
      'link $/open/file $/new',
      'rename $/open/file $/new',
    ];
    const { answers, violations } = await made(calls, { folder, policy: policyOf(folder) });
    expect(answers).toEqual(calls.map(() => 'EACCES'));
    expect(violations).toHaveLength(calls.length);
    expect(existsSync(join(folder, 'new'))).toBe(false);
  });

  test('mkdir of what is there says so', async () => {
    const folder = playground();
    const { answers, violations } = await made(['mkdir $', 'mkdir $/shown', 'mkdir $/open', 'mkdir /'], {
      folder,
      policy: policyOf(folder),
    });
    expect(answers).toEqual(['EEXIST', 'EEXIST', 'EEXIST', 'EEXIST']);
    expect(violations).toEqual([]);
  });

  test('a folder with a rule in it does not move out of that rule', async () => {
    const folder = playground();
    const calls = [
      'rename $/open/kept $/open/other',
      'mkdir $/open/deep',
      'rename $/open/deep $/open/deeper',
      'rename $/open/sub $/open/sub2',
    ];
    const nested: Policy = { files: { ...policyOf(folder).files, deny: [`${folder}/open/sub/file`] } };
    expect((await made(calls, { folder, policy: policyOf(folder) })).answers).toEqual(['EACCES', 'ok', 'ok', 'ok']);
    const second = playground();
    const inner: Policy = { files: { ...policyOf(second).files, deny: [`${second}/open/sub/file`] } };
    const moved = await made(
      [
        'rename $/open/sub $/open/other',
        'exchange $/open/sub $/open/kept',
        'exchange $/open/kept $/open/sub',
        'read $/open/sub/file',
      ],
      { folder: second, policy: inner },
    );
    expect(moved.answers).toEqual(['EACCES', 'EACCES', 'EACCES', 'EACCES']);
    expect(nested.files?.deny).toHaveLength(1);
  });

  test('what may be written but not read does not become readable', async () => {
    const folder = playground();
    const calls = [
      'write $/drop/file',
      'read $/drop/file',
      'rename $/drop/file $/open/x',
      'link $/drop/file $/open/x',
      'exchange $/open/file $/drop/file',
    ];
    expect((await made(calls, { folder, policy: policyOf(folder), cwd: '/' })).answers).toEqual([
      'ok',
      'EACCES',
      'EACCES',
      'EACCES',
      'EACCES',
    ]);
  });
});

describe('what no rule allows', () => {
  test('set-user-ID and set-group-ID files, devices, file capabilities', async () => {
    const folder = playground();
    const calls = [
      'chmod $/open/file 4755',
      'chmod $/open/file 2755',
      'create $/open/suid 4755',
      'node $/open/suid 2644',
      'device $/open/null',
      'setxattr $/open/file security.capability',
    ];
    const { answers, violations } = await made(calls, { folder, policy: policyOf(folder) });
    expect(answers).toEqual(calls.map(() => 'EPERM'));
    expect(violations).toHaveLength(calls.length);
    expect(statSync(join(folder, 'open/file')).mode & 0o6000).toBe(0);
    expect(existsSync(join(folder, 'open/suid'))).toBe(false);
    expect(
      (await made(['chmod $/open/sub 2755', 'mkdir $/open/sticky 1777'], { folder, policy: policyOf(folder) })).answers,
    ).toEqual(['ok', 'ok']);
  });
});

describe('/proc', () => {
  const policy: Policy = { files: { read: ['/'] } };

  test('processes outside the tree are not there', async () => {
    const folder = temporaryFolder('proc');
    const outside = process.pid;
    const calls = [
      `stat /proc/${outside}`,
      `read /proc/${outside}/environ`,
      `read /proc/${outside}/stat`,
      `list /proc/${outside}/fd`,
      `read /proc/${outside}/cwd/package.json`,
      `readlink /proc/${outside}/exe`,
      `path /proc/${outside}/root`,
      'read /proc/1/status',
      `at /proc ${outside}/environ`,
    ];
    const { answers, violations } = await made(calls, { folder, policy });
    expect(answers).toEqual(calls.map(() => 'ENOENT'));
    // What is its own is asked for in vain and reported; what anybody could see is just not there.
    const told = violations.filter((violation) => violation.reason === 'a process outside the sandbox');
    expect(told.map((violation) => violation.path?.split('/').at(3))).toEqual([
      'environ',
      'fd',
      'cwd',
      'exe',
      'root',
      'environ',
    ]);
    expect(await bare([`stat /proc/${outside}`, `read /proc/${outside}/environ`], folder)).toEqual(['ok', 'ok']);
  });

  test('other processes of the tree are as without the sandbox, but for their memory', async () => {
    const folder = temporaryFolder('proc');
    const guarded = ['environ', 'maps', 'auxv', 'fd', 'fdinfo', 'cwd', 'root', 'exe', 'task/../environ', 'smaps'];
    const calls = guarded.map((entry) => `of-child ${entry}`);
    expect((await made(calls, { folder, policy })).answers).toEqual(await bare(calls, folder));
    expect((await made(['of-child mem'], { folder, policy })).answers).toEqual(['EACCES']);
    const plain = ['stat', 'status', 'cmdline', 'comm', 'task'].map((entry) => `of-child ${entry}`);
    expect((await made(plain, { folder, policy })).answers).toEqual(plain.map(() => 'ok'));
  });

  test("a process's own is its own", async () => {
    const folder = temporaryFolder('proc');
    const calls = ['environ', 'maps', 'auxv', 'fd', 'cwd', 'exe', 'stat', 'task/%self/stat', 'status'].flatMap(
      (entry) => [`read /proc/self/${entry}`, `read /proc/%self/${entry}`, `read /proc/thread-self/../../${entry}`],
    );
    expect((await made(calls, { folder, policy })).answers).toEqual(calls.map(() => 'ok'));
  });
});

describe('descriptors that the command was given', () => {
  test('can be opened again by name, with the rights that they have', async () => {
    const folder = playground();
    const log = join(folder, 'hidden/log');
    const fd = openSync(log, 'w');
    const calls = ['say /dev/stderr hello', 'say /proc/self/fd/2 more', 'read /dev/stderr', `write ${log}`];
    const outcome = await runSandboxed(program('file_calls'), calls, {
      stdio: ['pipe', 'pipe', fd],
      policy: policyOf(folder),
    });
    expect(
      outcome.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.replace(/.*: /, '')),
    ).toEqual(['ok', 'ok', 'EACCES', 'EACCES']);
    expect(readFileSync(log, 'utf8').length).toBeGreaterThan(0);
  });
});

describe('hooks', () => {
  test('redirect and respond', async () => {
    const folder = playground();
    const { stdout } = await runSandboxed(
      '/bin/cat',
      [`${folder}/shown/file`, `${folder}/open/none`, `${folder}/open/file`],
      {
        policy: policyOf(folder),
        hooks: (child) =>
          child.onOpen((call) => {
            if (call.path.endsWith('/shown/file')) return redirect(join(folder, 'hidden/file'));
            if (call.path.endsWith('/none')) return respond('made up\n');
            return undefined;
          }),
      },
    );
    expect(stdout).toBe('hidden/file\nmade up\nopen/file\n');
  });

  test('answer for a file that is not there', async () => {
    const folder = playground();
    const heard: string[] = [];
    const { answers } = await made(['read $/open/none', 'write $/open/new'], {
      folder,
      policy: policyOf(folder),
      hooks: (child) =>
        child.onOpen((call) => {
          if (!call.path.startsWith(`${folder}/open/n`)) return undefined;
          heard.push(call.path);
          return deny('EIO');
        }),
    });
    expect(answers).toEqual(['EIO', 'EIO']);
    expect(heard).toEqual([`${folder}/open/none`, `${folder}/open/new`]);
  });
});

describe('the rights are the caller’s', () => {
  test('umask', async () => {
    const folder = playground();
    await made(['umask 027', 'create $/open/new', 'mkdir $/open/newdir', 'fifo $/open/newfifo'], {
      folder,
      policy: policyOf(folder),
    });
    expect(
      ['new', 'newdir', 'newfifo'].map((name) => (statSync(join(folder, 'open', name)).mode & 0o777).toString(8)),
    ).toEqual(['640', '750', '640']);
  });

  test.runIf(asRoot)('user and group', async () => {
    const folder = playground();
    writeFileSync(join(folder, 'open/private'), 'x', { mode: 0o600 });
    mkdirSync(join(folder, 'open/shared'), { mode: 0o777 });
    const calls = [
      'read $/open/private',
      'become',
      'read $/open/private',
      'create $/open/new',
      'create $/open/shared/mine',
      'mkdir $/open/shared/dir',
      'access $/open/private 4',
      'chown $/open/file',
      'unlink $/open/file',
      'reopen $/shown/file',
      'read /proc/self/stat',
    ];
    const policy = policyOf(folder);
    await runBare('/bin/chmod', ['777', join(folder, 'open/shared')]);
    expect((await made(calls, { folder, policy })).answers).toEqual([
      'ok',
      'ok',
      'EACCES',
      'EACCES',
      'ok',
      'ok',
      'EACCES',
      'EPERM',
      'EACCES',
      'ok',
      'ok',
    ]);
    expect(statSync(join(folder, 'open/shared/mine')).uid).toBe(1000);
    expect(statSync(join(folder, 'open/shared/dir')).gid).toBe(1000);
  });
});

describe('hard links', () => {
  test('to a file with a name in both places are made where both may be read and written', async () => {
    const folder = playground();
    linkSync(join(folder, 'open/file'), join(folder, 'open/again'));
    const { answers } = await made(
      [
        'link $/open/file $/open/sub/linked',
        'link $/open/to-shown $/open/link-of-link',
        'link $/open/kept/key $/open/key',
      ],
      { folder, policy: policyOf(folder) },
    );
    expect(answers).toEqual(['ok', 'ok', 'EACCES']);
    expect(lstatSync(join(folder, 'open/link-of-link')).isSymbolicLink()).toBe(true);
  });
});
