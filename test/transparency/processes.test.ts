// What programs see of other processes, and of themselves: the same answers bare and held.
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const isRoot = process.getuid?.() === 0;
const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
const number = (x64: number, arm64: number) => (process.arch === 'x64' ? x64 : arm64);
const prelude = `
import ctypes, errno, fcntl, os, pty, resource, select, signal, struct, sys, termios, threading, time
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, as in every tree
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, errno.errorcode[error.errno], flush=True)
def call(number, *args):
    ctypes.set_errno(0)
    if (result := libc.syscall(number, *args)) < 0: raise OSError(ctypes.get_errno(), '')
    return result
ioprio_get, ioprio_set = ${number(252, 31)}, ${number(251, 30)}
pidfd_send_signal, unshare = 424, ${number(272, 97)}
`;

async function same(script: string, wanted: RegExp, options: { policy?: object; cwd?: string } = {}) {
  const args = ['-S', '-c', prelude + script];
  const shown = ({ code, signal, stdout, stderr }: Awaited<ReturnType<typeof runBare>>) => ({
    code,
    signal,
    stdout,
    stderr,
  });
  const bare = await runBare(python, args, { env, detached: true, ...options });
  expect(bare).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(wanted) });
  const held = await runSandboxed(python, args, { env, detached: true, policy: policyFor(), ...options });
  expect(shown(held)).toEqual(shown(bare));
  return held;
}

// All that is asked of another process by its number.
const questions = `
def ask(pid):
    step('getpgid', lambda: os.getpgid(pid) > 0); step('getsid', lambda: os.getsid(pid) > 0)
    step('getpriority', lambda: os.getpriority(os.PRIO_PROCESS, pid)); step('setpriority', lambda: os.setpriority(os.PRIO_PROCESS, pid, 3))
    step('getaffinity', lambda: len(os.sched_getaffinity(pid)) > 0); step('setaffinity', lambda: os.sched_setaffinity(pid, {0}))
    step('getscheduler', lambda: os.sched_getscheduler(pid)); step('getparam', lambda: os.sched_getparam(pid))
    step('setscheduler', lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0))); step('setparam', lambda: os.sched_setparam(pid, os.sched_param(0)))
    step('interval', lambda: os.sched_rr_get_interval(pid) >= 0)
    step('prlimit', lambda: len(resource.prlimit(pid, resource.RLIMIT_NOFILE))); step('set prlimit', lambda: len(resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))))
    step('ioprio_get', lambda: call(ioprio_get, 1, pid) >= 0)
    step('kill', lambda: os.kill(pid, 0)); step('SIGTERM', lambda: os.kill(pid, signal.SIGTERM)); step('bad signal', lambda: os.kill(pid, 65))
    step('pidfd', lambda: os.close(os.pidfd_open(pid)))
`;
const ended = 'if pid == 0: os._exit(0)\nos.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)\n';

describe('another process', () => {
  test('that has ended and is not waited for is still there', async () => {
    await same(
      `${questions}
pid = os.fork()
${ended}ask(pid)
step('group', lambda: os.killpg(os.getpgid(pid), 0)); fd = os.pidfd_open(pid); step('by pidfd', lambda: signal.pidfd_send_signal(fd, signal.SIGTERM))
print(os.waitpid(pid, 0)[1])
step('kill', lambda: os.kill(pid, 0)); step('by pidfd', lambda: signal.pidfd_send_signal(fd, signal.SIGTERM)); step('getpgid', lambda: os.getpgid(pid))`,
      /^getpgid True\n[\s\S]*kill None\nSIGTERM None\nbad signal EINVAL\npidfd None/,
    );
  });

  test('is there while it is just ending', async () => {
    // Each child ends at another moment between the calls; none may answer that it does not exist.
    await same(
      `
failed = 0
for i in range(400):
    read, write = os.pipe(); pid = os.fork()
    if pid == 0: os.write(write, b'x'); os._exit(0)
    os.read(read, 1); os.close(read); os.close(write)
    for k in range(i % 40 * 50): pass
    for act in (lambda: os.kill(pid, 0), lambda: os.kill(pid, signal.SIGCONT), lambda: os.close(os.pidfd_open(pid)), lambda: os.getpgid(pid),
                lambda: os.getpriority(os.PRIO_PROCESS, pid), lambda: os.sched_getaffinity(pid), lambda: open(f'/proc/{pid}/stat').read()):
        try: act()
        except OSError as error: failed += 1; print(error)
    os.waitpid(pid, 0)
print('failed', failed)`,
      /^failed 0\n$/,
    );
  });

  test('cannot have a negative number', async () => {
    await same(
      `${questions}\nfor pid in (-1, -2**31): ask(pid) if pid != -1 else [step('affinity', lambda: os.sched_getaffinity(-1)),
    step('get', lambda: os.getpriority(os.PRIO_PROCESS, -1)), step('set', lambda: os.setpriority(os.PRIO_PROCESS, -1, 0)), step('limit', lambda: resource.prlimit(-1, 7)),
    step('ioprio', lambda: call(ioprio_get, 1, -1)), step('ioprio', lambda: call(ioprio_set, 1, -1, 0)), step('policy', lambda: os.sched_getscheduler(-1)), step('sid', lambda: os.getsid(-1))]
step('which', lambda: os.getpriority(-1, 0)); step('which', lambda: os.setpriority(3, 0, 0)); step('io', lambda: call(ioprio_get, 0, 0))
step('unshare', lambda: call(unshare, ctypes.c_long(-1))); step('unshare', lambda: call(unshare, 0x10000)); step('signal', lambda: call(pidfd_send_signal, 99, 0, None, 0))`,
      /affinity ESRCH\nget ESRCH/,
    );
  });

  test('is meant by its directory in /proc, too', async () => {
    await same(
      `
pid = os.fork()
if pid == 0: time.sleep(60)
step('self', lambda: call(pidfd_send_signal, os.open('/proc/self', os.O_RDONLY), 0, None, 0))
fd = os.open(f'/proc/{pid}', os.O_RDONLY)
step('child', lambda: call(pidfd_send_signal, fd, signal.SIGTERM, None, 0)); print(os.waitpid(pid, 0)[1])
step('gone', lambda: call(pidfd_send_signal, fd, 0, None, 0))
for name in ('/proc', '/proc/self/task', '/usr', '/proc/self/stat'): step(name, lambda: call(pidfd_send_signal, os.open(name, os.O_RDONLY), 0, None, 0))`,
      /^self 0\nchild 0\n15\ngone ESRCH\n\/proc EBADF/,
    );
  });

  test('belongs to a group and to a user', async () => {
    await same(
      `
base = os.getpriority(os.PRIO_PROCESS, 0); prio = lambda which, who: os.getpriority(which, who) - base
pids = []
for group in (0, 1):
    pid = os.fork()
    if pid == 0:
        if group: os.setpgid(0, 0)
        os.nice(group + 1); time.sleep(60)
    pids.append(pid)
while [prio(os.PRIO_PROCESS, pid) for pid in pids] != [1, 2]: time.sleep(0.01)
for who in (0, pids[1], 2**22): step('group', lambda: prio(os.PRIO_PGRP, who))
step('set', lambda: os.setpriority(os.PRIO_PGRP, pids[1], base + 9)); step('set', lambda: os.setpriority(os.PRIO_PGRP, 0, base + 5))
print([prio(os.PRIO_PROCESS, pid) for pid in [0] + pids])
step('io', lambda: call(ioprio_set, 2, pids[1], 3 << 13)); step('io', lambda: call(ioprio_get, 1, pids[1]))
for pid in pids: os.kill(pid, signal.SIGKILL)`,
      /group 0\ngroup 2\ngroup ESRCH\nset None\nset None\n\[5, 5, 9\]/,
    );
  });
});

describe.skipIf(!isRoot)('as root (an ordinary user cannot change its ids)', () => {
  test('after seteuid, calls on a process of that user work, and on others do not', async () => {
    await same(
      `${questions}
def start(uid):
    read, write = os.pipe(); pid = os.fork()
    if pid == 0: os.setresuid(uid, uid, uid); os.write(write, b'x'); time.sleep(60)
    os.read(read, 1); return pid
theirs, other = start(65534), start(1234)
os.seteuid(65534)
for pid in (theirs, other): ask(pid)
os.seteuid(0); os.kill(other, 9)
print(os.waitpid(theirs, 0)[1])`,
      /setscheduler None\nsetparam None[\s\S]*setscheduler EPERM/,
    );
  });

  test('a child that has ended under another user may be asked, not signalled', async () => {
    await same(
      `pid = os.fork()
${ended}os.setresuid(65534, 65534, 65534)
step('kill', lambda: os.kill(pid, 0)); step('set', lambda: os.setpriority(os.PRIO_PROCESS, pid, 3)); step('get', lambda: os.getpriority(os.PRIO_PROCESS, pid))
step('limit', lambda: resource.prlimit(pid, resource.RLIMIT_CORE)); step('pidfd', lambda: os.close(os.pidfd_open(pid)))`,
      /^kill EPERM\nset EPERM\nget \d+\nlimit EPERM\npidfd None/,
    );
  });

  test('truncate after the ids have changed', async () => {
    const folder = temporaryFolder('truncate');
    await same(
      `
import shutil
os.umask(0); shutil.rmtree('${folder}/d', True); os.mkdir('${folder}/d'); os.chdir('${folder}/d')
for change in (lambda: os.seteuid(65534), lambda: os.setresuid(65534, 65534, 65534)):
    if os.fork() == 0:
        change(); open('file', 'w').close(); step('grow', lambda: os.truncate('file', 1000)); print(os.stat('file').st_size)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); signal.signal(signal.SIGXFSZ, lambda *_: print('SIGXFSZ', flush=True))
        step('to the limit', lambda: os.truncate('file', 2000)); step('beyond', lambda: os.truncate('file', 2001)); step('shrink', lambda: os.truncate('file', 5))
        print(os.stat('file').st_size); os.mkdir('sub'); step('folder', lambda: os.truncate('sub', 1)); os.rmdir('sub'); os.remove('file'); os._exit(0)
    os.wait()`,
      /^grow None\n1000\nto the limit None\nSIGXFSZ\nbeyond EFBIG\nshrink None\n5\nfolder EISDIR\ngrow None/,
      { policy: { files: { ...policyFor(folder).files, write: [folder] } } },
    );
  });
});

test('a subreaper gets the orphans of its descendants', async () => {
  await same(
    `
parent = os.getpid(); step('set', lambda: libc.prctl(36, 1, 0, 0, 0))
value = ctypes.c_int(); libc.prctl(37, ctypes.byref(value), 0, 0, 0); print(value.value, flush=True)
read, write = os.pipe()
child = os.fork()
if child == 0:
    if os.fork() == 0:
        os.read(read, 1); print(os.getppid() == parent, flush=True); os._exit(7)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True); os.write(write, b'x'); pid, status = os.wait(); print(pid != child, status)
step('nobody is left', os.wait)
libc.prctl(36, 0, 0, 0, 0); libc.prctl(37, ctypes.byref(value), 0, 0, 0); print(value.value)`,
    /^set 0\n1\n0\nTrue\nTrue 1792\nnobody is left ECHILD\n0\n$/,
  );
});

test('a terminal of its own becomes the controlling one of a new session', async () => {
  const folder = temporaryFolder('terminal');
  const files = { ...policyFor(folder).files, write: ['/dev/ptmx', '/dev/pts', '/dev/tty', '/dev/null'] };
  await same(
    `
for argument in (0, 1):
    master, slave = os.openpty(); name = os.ttyname(slave)
    if os.fork() == 0:
        step('not a leader', lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, argument))
        os.setsid(); step('none', lambda: os.open('/dev/tty', os.O_RDWR))
        step('take', lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, argument)); step('again', lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, argument))
        step('has', lambda: os.write(os.open('/dev/tty', os.O_RDWR), b'hello')); step('group', lambda: os.tcgetpgrp(slave) == os.getpid())
        # Bare, root takes another session's with 1: that needs CAP_SYS_ADMIN, which no tree has.
        if (argument == 0 or os.getuid() != 0) and os.fork() == 0:
            os.setsid(); step('steal', lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, argument)); os._exit(0)
        if argument == 0 or os.getuid() != 0: os.wait()
        os._exit(0)
    os.wait(); print(os.read(master, 99)); os.close(slave); os.close(master)`,
    /not a leader EPERM\nnone ENXIO\ntake 0\nagain 0\nhas 5\ngroup True\nsteal EPERM/,
    { policy: { files: { ...files, read: [...(files.read ?? []), '/dev'] } }, cwd: folder },
  );
});
