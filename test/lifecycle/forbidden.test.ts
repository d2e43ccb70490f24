// Where a container, a host or another sandbox forbids what holdfast needs: one error that says what, and no command.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { patient } from '../helpers/patience.ts';
import { isRoot } from '../helpers/places.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { startHost } from './host.ts';
import { python } from './tree.ts';

const tries = `
const write = [...policy.files.write, args[0].replace(/[^/]*$/, '')]; // so that it could run
const child = spawnSandboxed('sh', ['-c', 'echo ran > ' + args[0]], { policy: { files: { ...policy.files, write } } });
const events = [];
child.on('spawn', () => events.push('spawn'));
child.on('error', (error) => events.push(error.code, error.message));
child.on('exit', () => events.push('exit'));
child.on('close', () => say(JSON.stringify(events)));
`;

async function attempt(under: readonly string[], script = tries): Promise<{ events: string[]; ran: boolean }> {
  const marker = join(temporaryFolder('forbidden'), 'ran');
  // Where one is asked for, that one would be tried alone.
  const host = startHost(script, [marker], { env: { ...process.env, HOLDFAST_ENGINE: 'auto' } }, under);
  const [said] = await Promise.all([text(host.stdout as NodeJS.ReadableStream), once(host, 'close')]);
  return { events: JSON.parse(said) as string[], ran: existsSync(marker) };
}

test.each([
  ['ptrace', 'ERR_HOLDFAST_PTRACE', /ptrace is not allowed here.*EPERM/],
  ['seccomp', 'ERR_HOLDFAST_SECCOMP', /refuses a seccomp filter.*EPERM/],
])('%s is forbidden: %s', async (what, code, message) => {
  const { events, ran } = await attempt([program('life_forbid'), what]);
  expect(events).toEqual([code, expect.stringMatching(message)]);
  expect(ran).toBe(false);
});

test('a listener is there already: every hold is a stop then, or so it is said where one was asked for', async () => {
  const under = [program('life_forbid'), 'listener'];
  const asking = (engine: string) =>
    tries
      .replace('{ policy:', `{ engine: '${engine}', policy:`)
      .replace("push('spawn')", "push('spawn', child.engine)")
      .replace('error.message', 'error.message, error.engine');
  expect(await attempt(under, asking('auto'))).toEqual({ events: ['spawn', 'ptrace', 'exit'], ran: true });
  const { events, ran } = await attempt(under, asking('notify'));
  expect(events).toEqual([
    'ERR_HOLDFAST_LISTENER',
    expect.stringMatching(/listener is there already.*EBUSY/),
    'notify',
  ]);
  expect(ran).toBe(false);
});

test('capset is forbidden: root is refused rather than started with its rights, others have none to give up', async () => {
  const { events, ran } = await attempt([program('life_forbid'), 'capset']);
  if (process.getuid?.() === 0)
    expect(events).toEqual(['ERR_HOLDFAST_CAPABILITIES', expect.stringContaining('capset is refused here')]);
  else expect(events).toEqual(['spawn', 'exit']);
  expect(ran).toBe(process.getuid?.() !== 0);
});

test.runIf(isRoot).each<[string, string[]]>([
  ['nothing is', []],
  ['prctl() on them is', ['ambient']],
  ['prctl() on them and capset() are: it does not start', ['ambient', 'capset']],
])(
  'an ordinary user is given ambient capabilities, and of forbidden calls %s (only root can give any)',
  async (_, calls) => {
    const some = '+chown,+setuid,+net_bind_service';
    const user = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    const given = [...user, '--inh-caps', some, '--ambient-caps', some];
    const script = `
const child = spawnSandboxed('grep', ['^Cap[PEA]', '/proc/self/status'], { policy: { files: { read: ['/usr'] } }, cwd: '/' });
let said = '';
child.stdout.on('data', (text) => { said += text; });
child.on('error', (error) => { said = error.code; });
child.on('close', () => say(said));
`;
    const host = startHost(script, [], {}, [...given, program('refuse_calls'), ...calls, '--']);
    const [said] = await Promise.all([text(host.stdout as NodeJS.ReadableStream), once(host, 'close')]);
    const none = ['Prm', 'Eff', 'Amb'].map((set) => `Cap${set}:\t${'0'.repeat(16)}`).join('\n');
    expect(said.trim()).toBe(calls.length === 2 ? 'ERR_HOLDFAST_CAPABILITIES' : none);
  },
);

// A socket that is looked at is borrowed then. What the supervisor would keep of it, its peer would wait for.
test('pidfd_getfd is forbidden: a socket that was borrowed is closed when its owner closes it', {
  timeout: patient(60_000),
}, async () => {
  const folder = temporaryFolder('forbidden');
  const script = `
import fcntl, os, socket
def closed(end, peer):
    end.close(); peer.settimeout(10)
    try: return peer.recv(1) == b''
    except OSError as error: return error.strerror
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    with socket.socket(socket.AF_UNIX, kind) as listening:
        listening.bind(str(kind)); listening.listen(1)
        end = socket.socket(socket.AF_UNIX, kind); end.connect(str(kind)); peer, _ = listening.accept()
        print('connect', closed(end, peer))
for name, act in {
    'owner': lambda end: fcntl.fcntl(end, fcntl.F_SETOWN, os.getpid()),
    'credentials': lambda end: end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1),
    'send': lambda end: end.sendmsg([b''], [], 0, None),
}.items():
    end, peer = socket.socketpair(); act(end); print(name, closed(end, peer))
`;
  const host = startHost(
    `
const child = spawnSandboxed('/usr/bin/python3', ['-S', '-c', args[1]], { cwd: args[0], policy: { files: { read: [args[0]], write: [args[0]] } } });
let said = '';
for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => { said += text; });
child.on('error', (error) => { said += error.code; });
child.on('close', () => say(JSON.stringify(said)));
`,
    [folder, script],
    {},
    [program('refuse_calls'), 'pidfd_getfd', '--'],
  );
  const [said] = await Promise.all([text(host.stdout as NodeJS.ReadableStream), once(host, 'close')]);
  const done = ['connect', 'connect', 'owner', 'credentials', 'send'].map((name) => `${name} True\n`).join('');
  expect(JSON.parse(said)).toBe(done);
});

// Names, contents, attributes, descriptors by bounce and exec all read the caller's memory, readlink and stat write it. Root's
// tree changes its ids half-way: what is read then is a process of somebody else.
test('process_vm_readv is forbidden: memory is read and written in another way, also of who has changed its ids', {
  timeout: patient(120_000),
}, async () => {
  const folder = temporaryFolder('forbidden');
  const script = `
import ctypes, os, socket, subprocess
libc = ctypes.CDLL(None)
name = ctypes.create_string_buffer(b'here')
def sees_tagged(): return libc.syscall(${process.arch === 'x64' ? 269 : 48}, -100, ctypes.c_void_p(ctypes.addressof(name) | 0xa5 << 56), 4) == 0
def show():
    print('tagged', sees_tagged() == is_address)  # aarch64 ignores the highest byte where it was asked to
    print(os.stat('here').st_size, os.readlink('link'), open('link').read(), os.path.exists('missing'))
    print(subprocess.run(['/bin/echo', 'from', 'a', 'child'], capture_output=True, text=True).stdout.strip())
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        try: s.connect(('127.0.0.1', 9))
        except OSError as error: print(error.strerror)
is_address = libc.prctl(55, 1, 0, 0, 0) == 0  # PR_SET_TAGGED_ADDR_CTRL
open('here', 'w').write('contents'); os.symlink('here', 'link'); os.chmod('.', 0o755)
show()
if os.getuid() == 0:
    if os.fork() == 0:
        os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        show(); os._exit(0)
    os.wait()
    show()
`;
  const host = startHost(
    `policy.files.write.push(args[0]);
const child = spawnSandboxed(args[2], ['-u', '-c', args[1]], { policy, cwd: args[0], stdio: ['ignore', 'inherit', 'inherit'] });
child.on('violation', ({ syscall, path }) => { if (syscall !== 'connect') say(syscall, path); });
child.on('close', (...end) => say(...end));`,
    [folder, script, python],
    {},
    [program('life_forbid'), 'memory'],
  );
  const [said] = await Promise.all([text(host.stdout as NodeJS.ReadableStream), once(host, 'close')]);
  const shown = ['tagged True', '8 here contents False', 'from a child', 'Permission denied'];
  const times = process.getuid?.() === 0 ? 3 : 1;
  expect(said.trim().split('\n')).toEqual([...Array.from({ length: times }, () => shown).flat(), '0']);
});

test('a sandbox inside a sandbox that holds calls: ERR_HOLDFAST_PTRACE, and what the kernel alone cannot do', async () => {
  const { events, ran } = await attempt(
    [],
    `
const inner = ${JSON.stringify(tries)};
if (args[1] === 'inner') {
  new Function('spawnSandboxed', 'policy', 'args', 'say', inner)(spawnSandboxed, policy, args, say);
} else {
  const line = [process.argv[1], args[0], 'inner'];
  spawnSandboxed(process.execPath, line, { stdio: 'inherit', policy: { files: { read: ['/'], write: ['/tmp'] } } });
}
`,
  );
  expect(events).toEqual(['ERR_HOLDFAST_PTRACE', expect.stringContaining("The engine 'kernel' needs no ptrace")]);
  expect(ran).toBe(false);
});

test('a descriptor that cannot be handed over is a refusal that is told', async () => {
  // A listener's way, whatever else there is.
  const host = startHost(
    `
// In no folder that is granted as a whole: there the program's own open would go on.
const child = spawnSandboxed(args[0], ['read', args[0]], { engine: 'notify', cwd: '/', policy: { files: { read: ['/'] } }, stdio: 'pipe' });
child.on('violation', ({ syscall, path, errno, reason }) => say(syscall, errno, reason));
child.stdout.on('data', (data) => say('' + data));`,
    [program('second_wall')],
    {},
    [program('life_forbid'), 'handing'],
  );
  const [said] = await Promise.all([text(host.stdout as NodeJS.ReadableStream), once(host, 'close')]);
  expect(said).toContain('EPERM\n');
  expect(said).toMatch(/open(at)? EPERM what was opened could not be handed over: EPERM/);
});
