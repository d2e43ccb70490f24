// What the kernel sends to a process group by itself, since somebody in it did something, passes no rule.
import { expect, test } from 'vitest';
import { engine } from '../helpers/engine.ts';
import { patient } from '../helpers/patience.ts';
import { startHost } from '../lifecycle/host.ts';
import { textOf } from '../lifecycle/tree.ts';

const timeout = patient(60_000);

/**
 * In the group of its maker, with a stopped member, ends a process whose parent has left that group: the group is orphaned
 * then, so the kernel sends SIGHUP and SIGCONT to all who are in it (setpgid(2)).
 */
const orphans = `
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
read, write = os.pipe()
parent = os.fork()
if parent == 0:
    ends = os.fork()
    if ends == 0:
        stopped = os.fork()
        if stopped == 0:
            os.kill(os.getpid(), signal.SIGSTOP); os._exit(0)
        os.waitid(os.P_PID, stopped, os.WSTOPPED | os.WNOWAIT)
        os.read(read, 1); os._exit(0)
    os.setpgid(0, 0); os.write(write, b'x'); os.waitpid(ends, 0); os._exit(0)
os.waitpid(parent, 0)
print('done', flush=True)`;

const bystander = `const heard = [];
for (const signal of ['SIGHUP', 'SIGCONT']) process.on(signal, () => heard.push(signal));`;

test('who runs a program hears nothing of what that makes of its process group', { timeout }, async () => {
  const script = `${bystander}
const options = { stdio: ['ignore', 'pipe', 'inherit'] };
const child = args[0] === 'bare' ? child_process.spawn('/usr/bin/python3', ['-S', '-c', args[1]], options) : spawnSandboxed('/usr/bin/python3', ['-S', '-c', args[1]], options);
child.stdout.pipe(process.stdout);
child.on('close', () => setImmediate(() => say(heard.join(' '))));`;
  const heard = async (how: string) => {
    const host = startHost(`import * as child_process from 'node:child_process';\n${script}`, [how, orphans], {}, [
      'setsid',
      '--wait',
    ]);
    return (await textOf(host.stdout)).trim();
  };
  expect(await heard('bare')).toMatch(/^done\n.*SIGHUP/); // it is what it says
  expect(await heard('sandboxed')).toBe('done');
});

test('its process group is one that it does not lead, so that it can begin a session; and it cannot join Node’s', {
  timeout,
}, async () => {
  const script = `
import errno, os, sys
print(os.getpgrp() not in (os.getpid(), int(sys.argv[1])))
try: os.setpgid(0, int(sys.argv[1]))
except OSError as error: print(errno.errorcode[error.errno])
os.setsid(); print(os.getsid(0) == os.getpid())`;
  const host = startHost(
    `const group = fs.readFileSync('/proc/self/stat', 'latin1').split(' ')[4];
spawnSandboxed('/usr/bin/python3', ['-S', '-c', args[0], group], { stdio: ['ignore', 'inherit', 'inherit'] });`,
    [script],
    {},
    ['setsid', '--wait'],
  );
  expect((await textOf(host.stdout)).trim().split('\n')).toEqual(['True', 'EPERM', 'True']);
});

test.skipIf(engine === 'kernel')(
  'it joins no group but those of its own tree, in a session with a terminal (by the engine kernel the kernel answers: any of its session)',
  { timeout },
  async () => {
    const tries = `
import errno, os, signal, sys, time
def join(pid, group):
    try: os.setpgid(pid, group); print('joined', flush=True)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
first = os.fork()
if first == 0: os.setpgid(0, 0); time.sleep(60)
while os.getpgid(first) != first: time.sleep(0.01)
join(0, int(sys.argv[1])) # a job of somebody else's
join(0, first); print(os.getpgrp() == first)
ended = os.fork()
if ended == 0: os.setpgid(0, 0); os._exit(0)
os.waitid(os.P_PID, ended, os.WEXITED | os.WNOWAIT)
join(0, ended); join(0, int(sys.argv[2])) # back into that of Node
join(0, 2 ** 22 + 1); join(0, -1)
os.kill(first, signal.SIGKILL)`;
    const host = `
import os, pty, sys
def inside():
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0); os.read(0, 1); os._exit(0)
    while os.getpgid(job) != job: pass
    node = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:] + [str(job), str(os.getpgrp())])
    os.kill(job, 9); os._exit(node)
pid, fd = pty.fork()
if pid == 0: inside()
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    os.write(1, data)
os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
    const node = startHost(
      `const child = spawnSandboxed('/usr/bin/python3', ['-S', '-c', args[0], args[1], args[2]], { stdio: ['ignore', 'pipe', 'inherit'] });
child.stdout.pipe(process.stdout);
child.on('violation', ({ syscall, errno, reason }) => say(syscall, errno, reason));`,
      [tries],
      {},
      ['/usr/bin/python3', '-c', host],
    );
    const seen = (await textOf(node.stdout)).trim().split('\r\n');
    const refused = 'setpgid EPERM nobody of that process group is in the tree';
    expect(seen.filter((line) => line !== refused)).toEqual([
      'EPERM',
      'joined',
      'True',
      'joined',
      'joined',
      'EPERM',
      'EINVAL',
    ]);
    expect(seen.filter((line) => line === refused)).toHaveLength(1);
  },
);
