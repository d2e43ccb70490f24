// Node, and so the tree, in a pid namespace whose numbers are not the machine's. A container without CAP_SYS_ADMIN can make none.
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { isRoot, library, mounting } from '../helpers/places.ts';
import { type Outcome, runBare, runSandboxed } from '../helpers/run.ts';
import { startHost } from '../lifecycle/host.ts';
import { textOf } from '../lifecycle/tree.ts';

const prelude = `
import errno, os, signal, time
def step(act):
    try: print(act(), flush=True)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
`;

/** In a session with a terminal: only there the tree is in Node's process group. */
const terminal = 'import os, pty, sys; os._exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
const atTerminal = ['/usr/bin/python3', '-c', terminal];
const inNamespace = ['unshare', '--pid', '--fork', '--mount-proc'];

function lines({ stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

test.runIf(process.getuid?.() === 0)(
  'a group that has no number here is signalled, and not taken for all processes (only root can make a pid namespace)',
  async () => {
    // Node and the tree belong to a group that was made outside: its number is 0 there.
    const steps = `import os, signal
read, write = os.pipe()
hold, release = os.pipe()
def start(own):
    pid = os.fork()
    if pid == 0:
        if own: os.setpgid(0, 0)
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(1))
        os.close(release); os.write(write, b'x'); os.read(hold, 1); os._exit(0)
    os.read(read, 1)
    return pid
member, other = start(False), start(True)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
print(os.getpgrp())
try: os.kill(0, signal.SIGUSR1)
except OSError as error: print(error.errno)
print(os.waitpid(member, 0)[1])
os.close(release)
print(os.waitpid(other, 0)[1])`;
    const script = `import { spawnSandboxed } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
spawnSandboxed('/usr/bin/python3', ['-S', '-c', ${JSON.stringify(steps)}], { stdio: ['ignore', 'inherit', 'inherit'] });`;
    const place = [...atTerminal, ...inNamespace, 'sh', '-c', '"$@"; exit', 'sh'];
    const [first = '', ...line] = [...place, process.execPath, '--input-type=module', '-e', script];
    const host = await runBare(first, line);
    expect(host).toMatchObject({ code: 0, stdout: '0\r\n256\r\n0\r\n', stderr: '' });
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

// What getpgid(2) has of such a group is 0 (pid_namespaces(7)).
test.runIf(isRoot)(
  'hooks hear of such a group as 0, and can give it another signal (only root can make a pid namespace)',
  { timeout: patient(60_000) },
  async () => {
    const script = `import os, signal, subprocess
heard = lambda number, _: print('heard', number, flush=True)
for number in (signal.SIGUSR1, signal.SIGUSR2): signal.signal(number, heard)
print(os.getpgid(0), flush=True)
child = subprocess.Popen(['sleep', '60'])
print(os.kill(0, signal.SIGUSR1), flush=True)
print(child.wait(), flush=True)
print(os.getpriority(os.PRIO_PGRP, 0), flush=True)
other = subprocess.Popen(['sleep', '60'], start_new_session=True)
print(os.kill(0, signal.SIGUSR1), flush=True); print(other.poll(), flush=True); other.kill()
`;
    const host = startHost(
      `process.on('SIGUSR1', () => say('the host hears', 'USR1')).on('SIGUSR2', () => say('the host hears', 'USR2'));
for (const verdict of [undefined, holdfast.redirect({ signal: 'SIGUSR2' })]) {
  const child = spawnSandboxed('/usr/bin/python3', ['-S', '-c', args[0]], { stdio: ['ignore', 'inherit', 'inherit'] });
  child.onSignal(({ targetPid }) => { if (targetPid <= 0) say('target', targetPid); return verdict; });
  await new Promise((resolve) => child.on('close', resolve));
}`,
      [script],
      {},
      [...atTerminal, ...inNamespace],
    );
    const told = (number: number) => [
      '0',
      'target 0',
      `heard ${number}`,
      'None',
      `-${number}`,
      '0',
      'target 0',
      `heard ${number}`,
      'None',
      'None',
    ];
    expect((await textOf(host.stdout)).trim().split('\r\n')).toEqual([...told(10), ...told(12)]);
  },
);
