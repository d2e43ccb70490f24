import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { deny } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { isRoot } from '../helpers/places.ts';
import { type Outcome, type RunOptions, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const timeout = patient(60_000);
const prelude = `
import ctypes, errno, os, resource, signal, subprocess, sys, threading, time
def step(act):
    try: print(act(), flush=True)
    except OSError as error: print(errno.errorcode[error.errno], flush=True)
`;

const python = (script: string, options: RunOptions = {}) =>
  runSandboxed('/usr/bin/python3', ['-S', '-c', prelude + script], options);

function lines({ stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

/** Whether a supervisor of ours has CAP_SYS_PTRACE: only then the kernel is told that a process lets nobody look. */
const looksIntoAny = () => {
  const effective = /^CapEff:\s+([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 19n) & 1n) === 1n;
};

const refusedCalls = ({ violations }: Outcome) =>
  violations.filter(({ syscall }) => /kill|pidfd|sigqueue|priority|prlimit|getpgid|prctl|fcntl/.test(syscall));

describe('signals', () => {
  test('within the tree do what they do without a sandbox', { timeout }, async () => {
    const script = `
signal.signal(signal.SIGUSR1, lambda *_: print('usr1', flush=True))
step(lambda: signal.raise_signal(signal.SIGUSR1))
step(lambda: os.kill(os.getpid(), signal.SIGUSR1))
step(lambda: os.kill(0, signal.SIGUSR1))
step(lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
step(lambda: (lambda info: (info.si_pid == os.getpid(), info.si_code))(signal.sigwaitinfo([signal.SIGUSR2])))
child = subprocess.Popen(['sleep', '60'])
step(lambda: os.kill(child.pid, 0))
step(lambda: os.kill(child.pid, signal.SIGTERM)); print(child.wait())
child = subprocess.Popen(['sleep', '60']); pidfd = os.pidfd_open(child.pid)
step(lambda: signal.pidfd_send_signal(pidfd, signal.SIGINT)); print(child.wait())
step(lambda: signal.pidfd_send_signal(pidfd, signal.SIGINT))
step(lambda: signal.pidfd_send_signal(0, signal.SIGINT))
group = subprocess.Popen(['sh', '-c', 'sleep 60 & sleep 60 & wait'], start_new_session=True); time.sleep(0.2)
step(lambda: os.killpg(group.pid, signal.SIGKILL)); print(group.wait())
# A child that has ended and that nobody has waited for is still there.
child = subprocess.Popen(['true']); os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
step(lambda: os.kill(child.pid, signal.SIGTERM)); step(lambda: os.close(os.pidfd_open(child.pid)))
step(lambda: os.getpgid(child.pid) == os.getpgid(0)); print(child.wait())
step(lambda: os.kill(child.pid, 0))
stopped = subprocess.Popen(['sleep', '60']); os.kill(stopped.pid, signal.SIGSTOP)
print(os.WIFSTOPPED(os.waitpid(stopped.pid, os.WUNTRACED)[1])); os.kill(stopped.pid, signal.SIGCONT); stopped.kill(); print(stopped.wait())
step(lambda: os.kill(os.getpid(), 65))
`;
    const bare = await runBare('/usr/bin/python3', ['-S', '-c', prelude + script], { detached: true });
    const outcome = await python(script, { detached: true });
    expect(lines(outcome)).toEqual(lines(bare));
    expect(refusedCalls(outcome)).toEqual([]);
  });

  test('do not leave it', { timeout }, async () => {
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(bystander, 'spawn');
    const outcome = await python(`
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(number, *args) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
step(lambda: os.kill(${bystander.pid}, signal.SIGTERM))
step(lambda: os.kill(${bystander.pid}, 0))
step(lambda: os.kill(${process.pid}, signal.SIGTERM))
step(lambda: os.kill(os.getppid(), signal.SIGKILL))
step(lambda: os.killpg(os.getpgid(${process.pid}), signal.SIGTERM))
step(lambda: os.pidfd_open(${bystander.pid}))
step(lambda: libc.tgkill(${bystander.pid}, ${bystander.pid}, signal.SIGTERM))
step(lambda: os.kill(-1, signal.SIGTERM))
step(lambda: os.kill(4194303, signal.SIGTERM))
`);
    const printed = lines(outcome);
    expect(printed.slice(0, 4)).toEqual(['EPERM', 'EPERM', 'EPERM', 'EPERM']);
    expect(printed.slice(5)).toEqual(['EPERM', '-1', 'ESRCH', 'ESRCH']);
    expect(refusedCalls(outcome)[0]).toMatchObject({ syscall: 'kill', errno: 'EPERM' });
    expect(bystander.exitCode ?? bystander.signalCode).toBe(null);
    bystander.kill();
  });

  test('can be refused by a hook', { timeout }, async () => {
    const seen: unknown[] = [];
    const outcome = await python(
      `
child = subprocess.Popen(['sleep', '60'])
step(lambda: os.kill(child.pid, signal.SIGTERM))
step(lambda: os.kill(child.pid, signal.SIGKILL))
print(child.wait())
`,
      {
        hooks: (child) =>
          child.onSignal((call) => {
            seen.push(call.signal);
            if (call.signal === 'SIGTERM') return deny('EPERM');
          }),
      },
    );
    expect(lines(outcome)).toEqual(['EPERM', 'None', '-9']);
    expect(seen).toEqual(['SIGTERM', 'SIGKILL']);
    expect(refusedCalls(outcome)).toMatchObject([
      { syscall: 'kill', signal: 'SIGTERM', targetPid: expect.any(Number), errno: 'EPERM' },
    ]);
  });

  test('go to nobody else where who was meant has ended while a hook thinks', { timeout }, async () => {
    const outcome = await python(
      `
child = subprocess.Popen(['sleep', '60'])
waiting = threading.Thread(target=child.wait); waiting.start()
# Of its own number nothing is left when the hook has thought: 0 would be the sender's own group.
step(lambda: os.kill(child.pid, signal.SIGCONT))
waiting.join()
`,
      {
        hooks: (child) =>
          child.onSignal(async (call) => {
            process.kill(call.targetPid, 'SIGKILL');
            while (existsSync(`/proc/${call.targetPid}`)) await setTimeout(5);
          }),
      },
    );
    expect(lines(outcome)).toEqual(['ESRCH']);
  });

  test('to a thread of another process are the thread’s own', { timeout }, async () => {
    const script = `
libc = ctypes.CDLL(None, use_errno=True)
read, write = os.pipe()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
child = os.fork()
if child == 0:
    def wait():
        os.write(write, str(threading.get_native_id()).encode())
        info = (ctypes.c_int * 32)(); mask = ctypes.c_uint64(1 << (signal.SIGUSR1 - 1))
        # Not by libc, which says SI_USER of both.
        step(lambda: (libc.syscall(${process.arch === 'x64' ? 128 : 137}, ctypes.byref(mask), info, None, 8), info[2]))
    thread = threading.Thread(target=wait); thread.start(); thread.join(); os._exit(0)
thread = int(os.read(read, 32))
step(lambda: libc.tgkill(child, thread, signal.SIGUSR1) or os.waitpid(child, 0)[1])
`;
    const outcome = await python(script);
    expect(lines(outcome).sort()).toEqual(['(10, -6)', '0']); // SI_TKILL
  });

  test('do not leave the tree by a descriptor that somebody outside has sent', { timeout }, async () => {
    const folder = temporaryFolder('pidfd');
    const server = spawn('/usr/bin/python3', [
      '-S',
      '-c',
      `${prelude}
import array, socket
hits = []
for number in (signal.SIGUSR1, signal.SIGCONT): signal.signal(number, lambda *_: hits.append(1))
server = socket.socket(socket.AF_UNIX); server.bind('${folder}/socket'); server.listen(); print('ready', flush=True)
one = server.accept()[0]
one.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.pidfd_open(os.getpid())]))])
one.recv(1); print('hits', len(hits), flush=True)
`,
    ]);
    const said: string[] = [];
    server.stdout.on('data', (text) => said.push(String(text)));
    const closed = once(server, 'close');
    await once(server.stdout, 'data');
    const outcome = await python(
      `
import array, socket
libc = ctypes.CDLL(None, use_errno=True)
def send(*args):
    if libc.syscall(424, *args) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
one = socket.socket(socket.AF_UNIX); one.connect('${folder}/socket')
_, control, _, _ = one.recvmsg(1, 64); fd = array.array('i', control[0][2])[0]
info = (ctypes.c_int * 32)(signal.SIGUSR1, 0, -1)
step(lambda: send(fd, signal.SIGUSR1, None, 0))
step(lambda: send(fd, signal.SIGCONT, None, 0))
step(lambda: send(fd, signal.SIGUSR1, info, 0))
step(lambda: send(fd, 0, None, 0))
# Not even asked about, as bare: information of another signal, or of one that only the kernel sends.
step(lambda: send(fd, signal.SIGCONT, info, 0))
info[2] = 0; step(lambda: send(fd, signal.SIGUSR1, info, 0))
one.send(b'x')
`,
      { policy: { network: { connect: [`unix:${folder}`] } } },
    );
    await closed;
    expect(lines(outcome)).toEqual(['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EINVAL', 'EPERM']);
    expect(refusedCalls(outcome)).toHaveLength(4);
    expect(said.join('')).toBe('ready\nhits 0\n');
  });

  test('by a descriptor reach the group that it leads', { timeout }, async () => {
    const script = `
libc = ctypes.CDLL(None, use_errno=True)
def send(*args):
    if libc.syscall(424, *args) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
child = subprocess.Popen(['sleep', '60']); fd = os.pidfd_open(child.pid)
# PIDFD_SIGNAL_PROCESS_GROUP (linux/pidfd.h), since Linux 6.9
step(lambda: send(fd, 0, None, 4)); step(lambda: send(fd, 0, None, 0)); step(lambda: send(fd, 0, None, 5))
if os.getpid() != os.getpgid(0): step(lambda: send(-10000, 9, None, 4)); step(lambda: send(-10001, 9, None, 4))
child.kill(); child.wait()
group = subprocess.Popen(['sh', '-c', 'sleep 60 & echo; wait'], start_new_session=True, stdout=subprocess.PIPE)
group.stdout.readline(); fd = os.pidfd_open(group.pid)
step(lambda: send(fd, 15, None, 4)); print(group.wait(), group.stdout.read())
`;
    const bare = await runBare('/usr/bin/python3', ['-S', '-c', prelude + script]);
    const outcome = await python(script);
    expect(lines(outcome)).toEqual(lines(bare));
    expect(refusedCalls(outcome)).toEqual([]);
  });

  test('to everybody and to one’s group are told apart by hooks', { timeout }, async () => {
    const targets: number[] = [];
    const outcome = await python(
      `for target in (-1, 0, os.getpid()): step(lambda: os.kill(target, 0))\nprint(os.getpgid(0), os.getpid())`,
      { hooks: (child) => child.onSignal(({ targetPid }) => void targets.push(targetPid)) },
    );
    const [group, pid] = (lines(outcome).at(-1) ?? '').split(' ').map(Number);
    expect(targets).toEqual([-1, -(group as number), pid]);
  });

  test('by a descriptor that stands for oneself mean one’s group to hooks, too', { timeout }, async () => {
    const targets: number[] = [];
    const outcome = await python(
      `
libc = ctypes.CDLL(None, use_errno=True)
os.setsid() if os.getpid() != os.getpgid(0) else None
for flags in (0, 4): print(libc.syscall(424, -10001, signal.SIGURG, None, flags), flush=True)
`,
      { hooks: (child) => child.onSignal(({ targetPid }) => void targets.push(Math.sign(targetPid))) },
    );
    const said = lines(outcome);
    expect(said).toHaveLength(2);
    // Linux 6.9 has PIDFD_SIGNAL_PROCESS_GROUP, and 6.15 PIDFD_SELF; the supervisor needs only the first.
    expect(targets).toEqual(said[1] === '0' ? [1, -1] : [1]);
  });
});

describe('calls on other processes', () => {
  test('reach those of the tree only', { timeout }, async () => {
    const own = getPriority();
    const [nice, nicer] = [own + 5, own + 7]; // whoever runs this may have given way already
    // Another user's outside; 0 would be one's own. Who is not root has no other, and asks of one that has no processes.
    const other = isRoot ? 65533 : 0x7ffffffd;
    const theirs = isRoot ? spawn('sleep', ['60'], { uid: other }) : undefined;
    const outcome = await python(`
child = subprocess.Popen(['sleep', '60'])
step(lambda: os.setpriority(os.PRIO_PROCESS, child.pid, ${nice})); step(lambda: os.getpriority(os.PRIO_PROCESS, child.pid))
step(lambda: os.sched_setaffinity(child.pid, os.sched_getaffinity(child.pid)))
step(lambda: resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (100, 200)) is not None)
step(lambda: resource.prlimit(child.pid, resource.RLIMIT_NOFILE))
step(lambda: os.sched_getscheduler(child.pid)); step(lambda: os.getsid(child.pid) == os.getsid(0))
child.kill(); child.wait()
step(lambda: os.getpriority(os.PRIO_PROCESS, child.pid))
step(lambda: os.setpriority(os.PRIO_PROCESS, ${process.pid}, ${nice}))
step(lambda: resource.prlimit(${process.pid}, resource.RLIMIT_NOFILE))
step(lambda: os.getpgid(${process.pid}))
step(lambda: os.setpriority(os.PRIO_USER, ${other}, ${nice})); step(lambda: os.getpriority(os.PRIO_USER, 0x7ffffffe))
step(lambda: os.setpriority(os.PRIO_PGRP, os.getpgid(0), ${nice})); step(lambda: os.getpriority(os.PRIO_PROCESS, 0))
step(lambda: os.getpriority(os.PRIO_PGRP, 0))
step(lambda: os.setpriority(os.PRIO_USER, os.getuid(), ${nicer})); step(lambda: os.getpriority(os.PRIO_USER, 0))
`);
    theirs?.kill('SIGKILL');
    expect(lines(outcome)).toEqual([
      'None',
      String(nice),
      'None',
      'True',
      '(100, 200)',
      '0',
      'True',
      'ESRCH',
      'EPERM',
      'EPERM',
      'EPERM',
      isRoot ? 'EPERM' : 'ESRCH',
      'ESRCH',
      'None',
      String(nice),
      String(nice),
      'None',
      String(nicer),
    ]);
    expect(refusedCalls(outcome).length).toBe(isRoot ? 4 : 3);
    // The group is this process's too, and so is the user: nobody outside has been changed.
    expect(getPriority()).toBe(own);
  });

  test('nor are the CPU clocks of others read or waited for', { timeout }, async () => {
    const outcome = await python(`
libc = ctypes.CDLL(None, use_errno=True)
def clock(pid): return ~pid << 3 | 2
def timer(pid):
    if libc.syscall(${process.arch === 'x64' ? 222 : 107}, clock(pid), None, ctypes.byref(ctypes.c_int())) != 0: raise OSError(ctypes.get_errno(), '')
    return 'made'
child = subprocess.Popen(['sleep', '60'])
for pid in (os.getpid(), child.pid, ${process.pid}, 4194303):
    step(lambda: time.clock_gettime(clock(pid)) >= 0); step(lambda: timer(pid))
child.kill()
`);
    expect(lines(outcome)).toEqual(['True', 'made', 'True', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL', 'EINVAL']);
    // Of who is not there the kernel says the same.
    const refused = outcome.violations.map(({ syscall }) => syscall);
    expect(refused).toEqual(['timer_create', 'clock_gettime', 'timer_create']);
  });

  test('nor does a descriptor send its signals elsewhere', { timeout }, async () => {
    const outcome = await python(`
import fcntl, struct
read, write = os.pipe()
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, os.getpid()))
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, ${process.pid}))
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, -os.getpgid(0)))
# The group has members outside: only the caller is told. In a pid namespace without a session of its own it has no number (0): nobody.
print(fcntl.fcntl(read, fcntl.F_GETOWN) == (os.getpid() if os.getpgid(0) else 0))
child = subprocess.Popen(['sleep', '60'], start_new_session=True)
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, child.pid)); print(fcntl.fcntl(read, fcntl.F_GETOWN) == child.pid)
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, -child.pid)); print(fcntl.fcntl(read, 16, bytes(8)) == struct.pack('ii', 2, child.pid))
child.kill(); child.wait()
step(lambda: fcntl.fcntl(read, fcntl.F_SETOWN, child.pid))
step(lambda: fcntl.fcntl(999, fcntl.F_SETOWN, 1)); step(lambda: fcntl.fcntl(read, 0x7fff, 0))
for kind, who in ((1, os.getpid()), (0, threading.get_native_id()), (2, os.getpgid(0)), (1, ${process.pid}), (7, os.getpid())):
    step(lambda: len(fcntl.fcntl(read, 15, struct.pack('ii', kind, who))))
libc = ctypes.CDLL(None, use_errno=True)
print(libc.prctl(4, 0, 0, 0, 0), libc.prctl(3, 0, 0, 0, 0))
`);
    expect(lines(outcome)).toEqual(
      [
        '0',
        'EPERM',
        '0',
        'True',
        '0',
        'True',
        '0',
        'True',
        'ESRCH',
        'EBADF',
        'EINVAL',
        '8',
        '8',
        '8',
        'EPERM',
        'EINVAL',
      ].concat(looksIntoAny() ? '0 0' : '0 1'),
    );
    expect(refusedCalls(outcome).length).toBe(3);
  });

  test('nor does a terminal send them to its foreground process group', { timeout }, async () => {
    const outcome = await python(
      `
import fcntl
read, write = os.pipe()
step(lambda: fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK))
print(fcntl.fcntl(read, fcntl.F_GETFL) == os.O_ASYNC | os.O_NONBLOCK)
step(lambda: fcntl.fcntl(os.openpty()[1], fcntl.F_SETFL, os.O_ASYNC))
step(lambda: fcntl.ioctl(os.openpty()[1], 0x5452, bytes([1, 0, 0, 0])))  # FIOASYNC
`,
      { policy: { scratch: true } },
    );
    // Where the supervisor cannot look at the descriptor (pidfd_getfd) it is refused to pipes as well.
    expect([
      ['0', 'True', 'EPERM', 'EPERM'],
      ['EPERM', 'False', 'EPERM', 'EPERM'],
    ]).toContainEqual(lines(outcome));
  });
});
