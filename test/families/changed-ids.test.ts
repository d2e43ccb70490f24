// Programs that start as root and go on as somebody else: entrypoints (su, gosu, setpriv), servers, installers. Bare and held they do the
// same; in a container, without CAP_SYS_PTRACE, the supervisor can look at them only by their own ids (boundary/container-rules runs this).
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isRoot, library } from '../helpers/places.ts';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { steps } from '../helpers/steps.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { testWith } from '../helpers/tools.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const user = 1234;

/** A folder of that user's, and in it a file of root's. */
function playground(): string {
  const folder = temporaryFolder('ids');
  mkdirSync(join(folder, 'own'));
  writeFileSync(join(folder, 'own/file'), 'FILE');
  writeFileSync(join(folder, 'secret'), 'SECRET', { mode: 0o600 });
  for (const name of ['', 'own', 'own/file']) chownSync(join(folder, name), user, user);
  chmodSync(folder, 0o755);
  return folder;
}

async function sameAsBare(command: string, args: readonly string[], wanted: RegExp): Promise<void> {
  const one = async (run: typeof runBare | typeof runSandboxed) => {
    const folder = playground();
    const policy = {
      files: { read: [...(policyFor().files?.read ?? []), folder, '/proc/self'], write: [folder, '/dev/null'] },
      network: { connect: [`unix:${folder}`], bind: [`unix:${folder}`] },
    };
    const outcome = await run(command, args, { cwd: folder, policy });
    return { code: outcome.code, stdout: outcome.stdout, stderr: outcome.stderr };
  };
  const bare = await one(runBare);
  expect(bare).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(wanted) });
  expect(await one(runSandboxed)).toEqual(bare);
}

const prelude = `${steps}
import array, socket, subprocess
def child(*acts):
    if os.fork() == 0:
        for act in acts: act()
        os._exit(0)
    os.wait()
def opened(*args):
    fd = os.open(*args); os.close(fd); return 'opened'
def meet():
    server = socket.socket(socket.AF_UNIX); server.bind('own/socket'); server.listen()
    client = socket.socket(socket.AF_UNIX); client.connect('own/socket')
    other = server.accept()[0]; client.sendall(b'hello'); os.unlink('own/socket')
    return other.recv(5)
def look():
    step('secret', lambda: open('secret').read()); step('relative', lambda: open('own/file').read())
    step('absolute', lambda: open(os.getcwd() + '/own/file').read()); step('list', lambda: sorted(os.listdir('.')))
    folder = os.open('own', os.O_RDONLY)
    step('below', lambda: os.stat('file', dir_fd=folder).st_size)
    step('again', lambda: os.readlink(f'/proc/self/fd/{folder}').split('/')[-1]); step('exe', lambda: os.readlink('/proc/self/exe') != '')
    step('path', lambda: opened('own', os.O_PATH)); step('make', lambda: opened('own/made', os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640))
    step('mode', lambda: oct(os.stat('own/made').st_mode)); step('owner', lambda: os.stat('own/made').st_uid); step('remove', lambda: os.unlink('own/made'))
    step('socket', meet); step('go', lambda: os.chdir('own')); step('there', lambda: open('file').read()); step('back', lambda: os.chdir('..'))
    step('run', lambda: subprocess.run(['cat', 'own/file'], capture_output=True, text=True).stdout); os.close(folder)
`;

const asNobody = /^65534\n65534\nFILEkept\nFILEover\n$/;

describe.runIf(isRoot)('as root (an ordinary user cannot become another)', () => {
  const setpriv = ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];

  test('setpriv and what it executes', () =>
    sameAsBare(
      'setpriv',
      [
        ...setpriv,
        'sh',
        '-c',
        'id -u; cat own/file; cd own; cat file; echo x > new; cat new; (cat file); ls /proc/self/fd > /dev/null && echo over',
      ],
      /^1234\nFILEFILEx\nFILEover\n$/,
    ));

  // As entrypoints call them. su and runuser are PAM's, gosu is a program of Go with threads of its own.
  const script =
    'id -u; id -g; cat own/file; cat secret 2> /dev/null || echo kept; (cat own/file); ls own > /dev/null && echo over';
  test.each<[string, ...string[]]>([
    ['su', '-s', '/bin/sh', 'nobody', '-c', script],
    ['runuser', '-u', 'nobody', '--', '/bin/sh', '-c', script],
  ])('%s', (...[command, ...args]) => sameAsBare(command, args, asNobody));
  testWith('gosu')('gosu', () => sameAsBare('gosu', ['nobody', '/bin/sh', '-c', script], asNobody));

  test('a script, and what it starts in the background', () =>
    sameAsBare(
      'setpriv',
      [...setpriv, 'sh', '-c', 'for i in 1 2 3; do (cat own/file > own/$i) & done; wait; cat own/1 own/2 own/3'],
      /^FILEFILEFILE$/,
    ));

  test.each([
    ['all ids', `os.setgroups([]); os.setresgid(${user}, ${user}, ${user}); os.setresuid(${user}, ${user}, ${user})`],
    ['the user only', `os.setuid(${user})`],
  ])('%s, without an exec', (_, become) =>
    sameAsBare(
      python,
      ['-S', '-c', `${prelude}\n${become}\nlook()\nchild(look)\nchild(lambda: child(look))`],
      /relative FILE/,
    ),
  );

  test('root again', () =>
    sameAsBare(
      python,
      [
        '-S',
        '-c',
        `${prelude}\nos.seteuid(${user})\nos.seteuid(0)\nlook()\nchild(look)\nos.setuid(${user})\nchild(look)`,
      ],
      /secret SECRET/,
    ));

  test('the effective ids only', () =>
    sameAsBare(
      python,
      ['-S', '-c', `${prelude}\nos.setegid(${user}); os.seteuid(${user})\nlook()\nchild(look)`],
      /relative FILE/,
    ));
});

test.runIf(isRoot)(
  'where the supervisor may not look into others, a folder of mixed ids is closed, and that is said',
  async () => {
    const script = `${steps}
folder = os.open('.', os.O_RDONLY)
step('before', lambda: os.stat('.') is not None)
os.setresuid(1234, 1234, 0)
os.fchdir(folder)
step('mixed', lambda: os.stat('.') is not None)
step('by its whole path', lambda: os.stat('/etc') is not None)`;
    const host = `import { spawnSandboxed } from ${JSON.stringify(library)};
const child = spawnSandboxed('/usr/bin/python3', ['-S', '-c', ${JSON.stringify(script)}], { cwd: '/etc', stdio: ['ignore', 'inherit', 'inherit'], policy: { files: { read: ['/etc'] } } });
child.on('violation', ({ syscall, errno, reason }) => console.log(syscall, errno, reason));`;
    const under = ['--bounding-set=-sys_ptrace', process.execPath, '--input-type=module', '-e'];
    const outcome = await runBare('setpriv', [...under, host]);
    expect(outcome.stderr).toBe('');
    expect(outcome.stdout.trim().split('\n').sort()).toEqual([
      'before True',
      'by its whole path True',
      'mixed Permission denied',
      expect.stringMatching(/^(newfstatat|stat) EACCES the caller's folder cannot be seen/),
    ]);
  },
);
