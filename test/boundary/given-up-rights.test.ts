// What a process has given up does not come back in what is done for it. As root; an ordinary user has nothing to give.
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const isRoot = process.getuid?.() === 0;
const prelude = `
import ctypes, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS, as in every tree
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, os.strerror(error.errno), flush=True)
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
});
