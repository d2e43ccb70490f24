// Node, and so the tree, in a pid namespace whose numbers are not the machine's. A container without CAP_SYS_ADMIN can make none.
import { expect, test } from 'vitest';
import { isRoot, library, mounting } from '../helpers/places.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';

const prelude = `
import errno, os, signal, time
def step(act):
    try: print(act(), flush=True)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
`;

function lines({ stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

test.runIf(process.getuid?.() === 0)(
  'a group that has no number here is not taken for all processes (only root can make a pid namespace)',
  async () => {
    // Node and the tree belong to a group that was made outside: its number is 0 there.
    const steps = `import os, signal
read, write = os.pipe()
hold, release = os.pipe()
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGUSR1, lambda *_: os._exit(1))
    os.close(release); os.write(write, b'x'); os.read(hold, 1); os._exit(0)
os.read(read, 1)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print(os.getpgrp())
try: os.kill(0, signal.SIGUSR1)
except OSError as error: print(error.errno)
os.close(release)
print(os.waitpid(pid, 0)[1])`;
    const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
spawnSandboxed('/usr/bin/python3', ['-S', '-c', ${JSON.stringify(steps)}], { stdio: ['ignore', 'inherit', 'inherit'] });`;
    const place = ['--wait', 'unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', '"$@"; exit', 'sh'];
    const host = await runBare('setsid', [...place, process.execPath, '--input-type=module', '-e', script]);
    expect(host).toMatchObject({ code: 0, stdout: '0\n3\n0\n', stderr: '' });
  },
);

test.runIf(isRoot)(
  'signals are refused as bare where the kernel would (only root can become another, and make a pid namespace)',
  async () => {
    const script = `
other = os.fork()
if other == 0: os.setpgid(0, 0); time.sleep(60); os._exit(0)
while os.getpgid(other) != other: time.sleep(0.01)
child = os.fork()
if child == 0:
    os.setpgid(0, 0); os.setresuid(65534, 65534, 65534)
    step(lambda: os.kill(other, signal.SIGURG)); step(lambda: os.kill(-other, signal.SIGURG)); step(lambda: os.kill(-1, signal.SIGURG))
    step(lambda: os.kill(-1, 99)); step(lambda: os.kill(-other, 99))
    step(lambda: os.setpriority(os.PRIO_PGRP, other, 19)); step(lambda: os.getpriority(os.PRIO_PGRP, other) == os.getpriority(os.PRIO_PROCESS, 0))
    os._exit(0)
os.waitpid(child, 0); os.kill(other, signal.SIGKILL)
`;
    // Bare in a pid namespace of its own: -1 means everybody.
    const inside = ['--pid', '--fork', '--mount-proc', 'sh', '-c', '"$@"; exit', 'sh', '/usr/bin/python3', '-S', '-c'];
    const bare = await runBare('unshare', [...inside, prelude + script]);
    expect(lines(bare)).toEqual(['EPERM', 'EPERM', 'None', 'EINVAL', 'EINVAL', 'EPERM', 'True']);
    const outcome = await runSandboxed('/usr/bin/python3', ['-S', '-c', prelude + script]);
    expect(outcome.violations.filter(({ syscall }) => /kill|priority/.test(syscall))).toEqual([]);
    expect(lines(outcome)).toEqual(lines(bare));
    // Also where /proc hides other users' processes: who is in a group the supervisor looks up by itself.
    const host = `import { spawnSandboxed } from ${JSON.stringify(library)};
const child = spawnSandboxed('/usr/bin/python3', ['-S', '-c', ${JSON.stringify(prelude + script)}], { stdio: ['ignore', 'inherit', 'inherit'] });
child.on('violation', ({ message }) => console.log(message));`;
    const [unshare = '', ...under] = mounting('mount -t proc -o hidepid=2 proc /proc');
    const hidden = await runBare(unshare, [...under, process.execPath, '--input-type=module', '-e', host]);
    expect(lines(hidden)).toEqual(lines(bare));
  },
);
