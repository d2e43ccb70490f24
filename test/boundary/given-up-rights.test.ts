// What a process has given up does not come back in what is done for it. As root; an ordinary user has nothing to give.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { steps } from '../helpers/steps.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from '../lifecycle/host.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const isRoot = process.getuid?.() === 0;
const prelude = `${steps}
import resource, signal, socket
def call(number, *args):
    if libc.syscall(number, *args) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
def prctl(*args):
    if libc.prctl(*args, *[0] * (5 - len(args))) < 0: raise OSError(ctypes.get_errno(), '')
    return 'done'
def child(*acts):
    if os.fork() == 0:
        try:
            for act in acts: act()
        except OSError as error: print('failed', error.errno, flush=True)
        os._exit(0)
    os.wait()
def capset(keep):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0); data = (ctypes.c_uint32 * 6)(*[keep, keep, keep, 0, 0, 0])
    if libc.capset(header, data) != 0: raise OSError(ctypes.get_errno(), '')
`;

/** Files of another user, who lets nobody in. */
function others(): string {
  const folder = temporaryFolder('rights');
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'own'), { mode: 0o700 });
  writeFileSync(join(folder, 'own/inner'), 'INNER');
  writeFileSync(join(folder, 'secret'), 'SECRET', { mode: 0o600 });
  writeFileSync(join(folder, 'for-group'), 'GROUP', { mode: 0o640 });
  for (const name of ['own', 'own/inner', 'secret']) chownSync(join(folder, name), 1234, 1234);
  chownSync(join(folder, 'for-group'), 0, 4321);
  return folder;
}

async function sameAsBare(script: string, wanted: RegExp): Promise<string> {
  const one = async (run: typeof runBare | typeof runSandboxed) => {
    const folder = others();
    const text = `${prelude}\nos.chdir('${folder}')\n${script}`;
    const outcome = await run(python, ['-S', '-c', text], {
      policy: { files: { read: [...(policyFor().files?.read ?? []), folder], write: [folder, '/dev/null'] } },
    });
    return { code: outcome.code, stdout: outcome.stdout, stderr: outcome.stderr };
  };
  const bare = await one(runBare);
  expect(bare).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(wanted) });
  expect(await one(runSandboxed)).toEqual(bare);
  return bare.stdout;
}

// What a shell can do about them: read one, make one, remove one.
const tries =
  'cat secret; echo > own/new && echo MADE; rm -f own/inner && echo REMOVED; cat for-group; echo; echo over';
const shell = `lambda: os.execv('/bin/sh', ['sh', '-c', 'exec 2>&1; ${tries}'])`;

describe.skipIf(!isRoot)('as root (an ordinary user has no rights to give up)', () => {
  test('by the bounding set, and the exec after it', async () => {
    await sameAsBare(
      `child(lambda: prctl(24, 1), lambda: prctl(24, 2), ${shell})\nchild(${shell})`,
      /Permission denied[\s\S]*SECRETMADE\nREMOVED/,
    );
  });

  test('by secure bits: an exec by root gives nothing (SECBIT_NOROOT)', async () => {
    await sameAsBare(`child(lambda: prctl(28, 1), ${shell})\nchild(${shell})`, /SECRET/);
  });

  test('for a while by capset, and for ever with the bounding set', async () => {
    await sameAsBare(
      `child(lambda: capset(0xc0), lambda: step('open', lambda: open('secret').read()), ${shell})`,
      /open Permission denied/,
    );
  });

  test('ambient capabilities come and go', async () => {
    const become = 'lambda: prctl(8, 1), lambda: os.setgroups([]), lambda: os.setresgid(65534, 65534, 65534), ';
    const ids = 'lambda: os.setresuid(65534, 65534, 65534), lambda: capset(2)';
    await sameAsBare(
      `child(${become}${ids}, lambda: prctl(47, 2, 1), ${shell})
child(${become}${ids}, lambda: prctl(47, 2, 1), lambda: prctl(47, 4), ${shell})
child(${become}${ids}, ${shell})`,
      /SECRET/,
    );
  });

  test('an exec asks as the caller: what lies in a closed folder is neither there nor missing', async () => {
    await sameAsBare(
      `
for name, interpreter in (('to-missing', 'own/missing'), ('to-there', 'own/inner')):
    with open(name, 'w') as script: script.write('#!' + os.path.abspath(interpreter) + '\\n')
    os.chmod(name, 0o755)
os.chmod('own/inner', 0o755)
names = ['own/inner', 'own/missing', 'own/missing/deeper', 'to-missing', 'to-there', 'missing']
execs = [lambda name=name: step(name, lambda: os.execv(name, [name])) for name in names]
child(lambda: prctl(24, 1), lambda: prctl(24, 2), lambda: os.setresuid(65534, 65534, 65534), *execs)
child(lambda: libc.setfsuid(65534), *execs)`,
      /own\/missing Permission denied/,
    );
  });

  test('by changing ids, of the file system alone too, and back', async () => {
    const look = `lambda: step('look', lambda: open('secret').read())`;
    await sameAsBare(
      `
child(lambda: libc.setfsuid(65534), ${look}, lambda: libc.setfsuid(0), ${look})
child(lambda: os.seteuid(65534), ${look}, lambda: os.seteuid(0), ${look})
child(lambda: os.setresuid(65534, 65534, 0), ${look}, lambda: os.setresuid(0, 0, 0), ${look})
child(lambda: os.setresuid(65534, 65534, 65534), ${look}, ${shell})
child(lambda: os.setresuid(-1, 0, -1), ${look}, lambda: os.setresuid(1234, 1234, 1234), ${look})`,
      /look Permission denied\nlook SECRET/,
    );
  });

  test('by threads and children each for themselves', async () => {
    await sameAsBare(
      `
import threading
def thread():
    call(${process.arch === 'x64' ? 117 : 147}, 65534, 65534, 65534)  # setresuid of this thread alone
    step('thread', lambda: open('secret').read())
    child(lambda: step('its child', lambda: open('secret').read()))
t = threading.Thread(target=thread); t.start(); t.join()
step('main', lambda: open('secret').read())
child(lambda: step('child', lambda: open('secret').read()))`,
      /thread Permission denied\nits child Permission denied\nmain SECRET\nchild SECRET/,
    );
  });

  test('supplementary groups', async () => {
    const look = `lambda: step('group', lambda: open('for-group').read())`;
    const user = 'lambda: os.setresgid(65534, 65534, 65534), lambda: os.setresuid(65534, 65534, 65534)';
    await sameAsBare(
      `
child(lambda: os.setgroups([4321]), ${user}, ${look})
child(lambda: os.setgroups([4321]), lambda: child(lambda: os.setgroups([]), ${user}, ${look}), ${user}, ${look})
child(lambda: os.setgroups([]), ${user}, ${look})`,
      /group GROUP\ngroup Permission denied\ngroup GROUP\ngroup Permission denied/,
    );
  });

  test('supplementary groups at a unix socket and at shared memory', async () => {
    await sameAsBare(
      `server = socket.socket(socket.AF_UNIX); server.bind('own/socket'); server.listen()
os.chmod('own', 0o755); os.chown('own/socket', 0, 4321); os.chmod('own/socket', 0o660)
shmget, shmat, shmctl = ${process.arch === 'x64' ? '29, 30, 31' : '194, 196, 195'}
segment = libc.syscall(shmget, 0x48460, 4096, 0o1660)
status = (ctypes.c_int * 40)(); libc.syscall(shmctl, segment, 2, status)
status[2] = 4321; libc.syscall(shmctl, segment, 1, status)
def look(groups):
    os.setgroups(groups); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
    step('socket', lambda: socket.socket(socket.AF_UNIX).connect('own/socket'))
    step('shared', lambda: call(shmget, 0x48460, 4096, 0o600) and 'found')
for groups in ([4321], [], [1, 2, 4321], [1]): child(lambda: look(groups))
child(lambda: os.setresuid(65534, 65534, 65534), lambda: step('remove', lambda: call(shmctl, segment, 0, 0)))
step('still there', lambda: call(shmget, 0x48460, 4096, 0) and 'found')
step('remove', lambda: call(shmctl, segment, 0, 0))`,
      /socket None\nshared found\nsocket Permission denied[\s\S]*remove Operation not permitted\nstill there found\nremove done/,
    );
  });

  test('capabilities over processes of others, by a root that keeps its ids', async () => {
    await sameAsBare(
      `read, write = os.pipe()
other = os.fork()
if other == 0: os.setgroups([]); os.setresgid(1234, 1234, 1234); os.setresuid(1234, 1234, 1234); os.write(write, b'x'); signal.pause()
os.read(read, 1)
def attack():
    step('kill', lambda: os.kill(other, 0)); step('pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(other), 0))
    step('nice', lambda: os.setpriority(os.PRIO_PROCESS, other, os.getpriority(os.PRIO_PROCESS, 0)))
child(lambda: capset(0), attack)
child(lambda: capset(1 << 5), lambda: step('with CAP_KILL', lambda: os.kill(other, 0)))
os.kill(other, signal.SIGKILL); os.waitpid(other, 0)`,
      /^kill Operation not permitted\npidfd Operation not permitted\n/,
    );
  });

  test('over other processes of the tree', async () => {
    const seen = await sameAsBare(
      `
read, write = os.pipe()
sibling = os.fork()
if sibling == 0: os.read(read, 1); os._exit(0)
def attack():
    step('kill', lambda: os.kill(sibling, signal.SIGKILL)); step('kill 0', lambda: os.kill(sibling, 0))
    step('group', lambda: os.killpg(sibling, 0))
    step('pidfd', lambda: signal.pidfd_send_signal(os.pidfd_open(sibling), signal.SIGKILL))
    step('prlimit', lambda: resource.prlimit(sibling, resource.RLIMIT_NOFILE, (10, 10)))
    step('nice', lambda: os.setpriority(os.PRIO_PROCESS, sibling, 5))
    step('affinity', lambda: os.sched_setaffinity(sibling, {0})); step('batch', lambda: os.sched_setscheduler(sibling, os.SCHED_BATCH, os.sched_param(0)))
    step('environ', lambda: len(open(f'/proc/{sibling}/environ').read()) > 0); step('maps', lambda: len(open(f'/proc/{sibling}/maps').read()) > 0)
    step('exe', lambda: os.readlink(f'/proc/{sibling}/exe') != ''); step('fd', lambda: os.listdir(f'/proc/{sibling}/fd') != [])
    step('cwd', lambda: os.listdir(f'/proc/{sibling}/cwd') != [])
os.setpgid(sibling, sibling)
child(lambda: os.setresuid(65534, 65534, 65534), attack)
step('alive', lambda: os.waitpid(sibling, os.WNOHANG)); os.write(write, b'x'); print(os.waitpid(sibling, 0)[1])`,
      /^kill Operation not permitted\nkill 0 Operation not permitted/,
    );
    expect(seen.match(/Operation not permitted|Permission denied/g)?.length).toBe(13);
  });

  test('to the other end of a unix socket', async () => {
    await sameAsBare(
      `
import struct
server = socket.socket(socket.AF_UNIX); server.bind('socket'); os.chmod('socket', 0o777); server.listen()
def connect():
    s = socket.socket(socket.AF_UNIX); s.connect('socket'); s.recv(1)
if os.fork() == 0:
    os.setresgid(1234, 1234, 1234); os.setresuid(65534, 65534, 65534); connect(); os._exit(0)
peer = server.accept()[0]; print(struct.unpack('iii', peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:]); peer.send(b'x'); os.wait()`,
      /\(65534, 1234\)/,
    );
  });

  test('by names that only the ids of the file system reach', async () => {
    await sameAsBare(
      `
def listen(name, uid):
    server = socket.socket(socket.AF_UNIX); server.bind(name); os.chmod(name, 0o600); os.chown(name, uid, uid); server.listen(9); return server
servers = [listen('theirs', 1234), listen('ours', 0)]
datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); datagram.bind('box'); os.chmod('box', 0o600); os.chown('box', 1234, 1234)
os.chown('.', 1234, 1234)
def bind(name): socket.socket(socket.AF_UNIX).bind(name); s = os.stat(name); return (s.st_uid, s.st_gid)
def all(who):
    step(who + ' theirs', lambda: socket.socket(socket.AF_UNIX).connect('theirs'))
    step(who + ' ours', lambda: socket.socket(socket.AF_UNIX).connect('ours'))
    step(who + ' send', lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'box'))
    step(who + ' bind', lambda: bind(who))
all('root')
libc.setfsgid(1234); libc.setfsuid(1234); all('fsuid')
libc.setfsuid(0); libc.setfsgid(0); all('back')
# Another's file system ids, which are none of its own, by capabilities that it has kept (PR_SET_KEEPCAPS).
child(lambda: prctl(8, 1), lambda: os.setresuid(65534, 65534, 65534), lambda: capset(0xc0),
    lambda: libc.setfsgid(1234), lambda: libc.setfsuid(1234), lambda: all('kept'))`,
      /fsuid theirs None\nfsuid ours Permission denied\nfsuid send 1\nfsuid bind \(1234, 1234\)[\s\S]*kept theirs None\nkept ours Permission denied\nkept send 1\nkept bind \(1234, 1234\)/,
    );
  });

  // The supervisor itself has what Node was started with, and such a command has nothing of it after its exec.
  test('a command of an ordinary user has none of the capabilities that Node has', async () => {
    const folder = others();
    const user = ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'];
    const caps = ['--inh-caps', '+dac_override,+chown,+setuid', '--ambient-caps', '+dac_override,+chown,+setuid'];
    const script = `
const child = spawnSandboxed('/bin/sh', ['-c', args[0]], { cwd: '/', stdio: ['ignore', 'inherit', 'inherit'], policy: { files: { ...policy.files, read: [...policy.files.read, args[1]], write: [args[1], '/dev/null'] } } });
child.on('close', (code) => { say('end', code); process.exit(); });`;
    const host = startHost(
      script,
      [`exec 2>&1; cd ${folder}; ${tries}; chown 1000 own; grep Cap.*f /proc/self/status`, folder],
      {},
      [...user, ...caps],
    );
    let printed = '';
    host.stdout?.on('data', (data) => (printed += data));
    await new Promise((resolve) => host.on('close', resolve));
    expect(printed).toMatch(/over\n[\s\S]*CapEff:\t0{16}\n[\s\S]*end 0/);
    expect(printed.match(/denied|not permitted/g)).toHaveLength(5);
  });
});

describe('capabilities', () => {
  // Why each is left is said in docs/security.md.
  const left = ['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'net_bind_service'];
  const bits: Record<string, number> = {
    ...{ chown: 0, dac_override: 1, fowner: 3, fsetid: 4, kill: 5, setgid: 6, setuid: 7, setpcap: 8 },
    net_bind_service: 10,
  };

  test('of the command and what it starts are no more than it may keep', async () => {
    const look = `grep -E 'Cap(Eff|Prm|Inh|Amb)' /proc/self/status; sh -c 'exec grep -E "Cap(Eff|Prm|Inh|Amb)" /proc/self/status; true'`;
    const bare = await runBare('/bin/sh', ['-c', look]);
    const held = await runSandboxed('/bin/sh', ['-c', look], { policy: policyFor() });
    const sets = (text: string) =>
      [...text.matchAll(/Cap(\w+):\t(\w+)/g)].map(([, name, hex]) => ({ name, mask: BigInt(`0x${hex}`) }));
    const mayKeep = left.reduce((mask, name) => mask | (1n << BigInt(bits[name] ?? 63)), 0n);
    const had = sets(bare.stdout);
    expect(sets(held.stdout)).toHaveLength(8);
    for (const [index, { name, mask }] of sets(held.stdout).entries())
      expect(`${name} ${mask}`).toBe(`${name} ${name === 'Amb' ? 0n : (had[index]?.mask ?? 0n) & mayKeep}`);
  });

  // In a network namespace of its own, so that a hole here changes nothing of the machine.
  test.skipIf(!isRoot)('do not set up a network interface (only root can make a namespace to try it in)', async () => {
    const attack = `
import os, socket, struct
def up(mark):
    s = socket.socket(16, socket.SOCK_RAW, 0); s.bind((0, 0))
    body = struct.pack('BxHiII', 0, 0, 1, 1, 1)  # ifinfomsg: lo, IFF_UP
    s.send(struct.pack('IHHII', 16 + len(body), 16, 5, 1, 0) + body)  # RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK
    answer = s.recv(9999); print(mark, struct.unpack('i', answer[16:20])[0], flush=True)
up('command')
if os.fork() == 0: up('child'); os._exit(0)
os.wait()`;
    const script = `
const child = spawnSandboxed(${JSON.stringify(python)}, ['-S', '-c', args[0]], { stdio: ['ignore', 'inherit', 'inherit'], policy: { ...policy, network: { connect: ['*'] } } });
child.on('close', (code) => { say('end', code); process.exit(); });`;
    const printed = async (child: ReturnType<typeof startHost>) => {
      let text = '';
      child.stdout?.on('data', (data) => (text += data));
      await new Promise((resolve) => child.on('close', resolve));
      return text;
    };
    const bare = await runBare('unshare', ['-n', python, '-S', '-c', attack]);
    expect(bare.stdout).toBe('command 0\nchild 0\n');
    expect(await printed(startHost(script, [attack], {}, ['unshare', '-n']))).toBe('command -1\nchild -1\nend 0\n');
  });

  test('real-time scheduling, memory locks, limits and leases are none of theirs', async () => {
    const held = await runSandboxed(
      python,
      [
        '-S',
        '-c',
        `${prelude}
import fcntl
step('fifo', lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)))
step('nice', lambda: os.setpriority(os.PRIO_PROCESS, 0, -5))
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE); resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
def raised():
    try: return resource.setrlimit(resource.RLIMIT_NOFILE, (65, 65))
    except ValueError as error: return error
print(raised())
resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096)); step('lock', lambda: call(${process.arch === 'x64' ? 151 : 230}, 3))
step('io', lambda: call(${process.arch === 'x64' ? 251 : 30}, 1, 0, 1 << 13))`,
      ],
      { policy: policyFor() },
    );
    expect(held.stderr).toBe('');
    expect(held.stdout).toBe(
      'fifo Operation not permitted\nnice Permission denied\nnot allowed to raise maximum limit\nlock Cannot allocate memory\nio Operation not permitted\n',
    );
  });
});
