import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { allow, deny, redirect } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { listen, unusedPort } from '../helpers/ports.ts';
import { type Outcome, type RunOptions, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { until } from '../lifecycle/tree.ts';

const timeout = patient(60_000);
// Prints what each step returns, or the name of its error.
const prelude = `
import ctypes, errno, os, signal, socket, struct, sys, threading, time
from socket import *
def step(act):
    try: print(act())
    except OSError as error: print(errno.errorcode[error.errno])
def tcp(host, port, family=AF_INET):
    client = socket.socket(family); client.connect((host, port)); return client.recv(100).decode().strip()
`.replaceAll('socket.socket(', '__import__("socket").socket(');

function python(script: string, options: RunOptions = {}): Promise<Outcome> {
  return runSandboxed('/usr/bin/python3', ['-S', '-c', prelude + script], options);
}

function lines({ stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

/** The interpreter looks for files of its own, too. */
function refusedCalls({ violations }: Outcome) {
  return violations.filter(({ syscall }) => /^(connect|bind|listen|send|socket)/.test(syscall));
}

describe('connect', () => {
  test('reaches what a rule allows and nothing else', { timeout }, async () => {
    const open = await listen({ greeting: 'open\n' });
    const closed = await listen({ greeting: 'closed\n' });
    const outcome = await python(
      `
step(lambda: tcp('127.0.0.1', ${open.port}))
step(lambda: tcp('127.0.0.1', ${closed.port}))
step(lambda: tcp('::ffff:127.0.0.1', ${open.port}, AF_INET6))
step(lambda: tcp('::ffff:127.0.0.1', ${closed.port}, AF_INET6))
step(lambda: tcp('0.0.0.0', ${open.port}))
step(lambda: tcp('0.0.0.0', ${closed.port}))
step(lambda: tcp('::1', ${open.port}, AF_INET6))
`,
      { policy: { network: { connect: [open.address] } } },
    );
    expect(lines(outcome)).toEqual(['open', 'EACCES', 'open', 'EACCES', 'open', 'EACCES', 'EACCES']);
    expect(closed.seen).toBe(0);
    expect(refusedCalls(outcome)[0]).toMatchObject({ syscall: 'connect', address: '127.0.0.1', port: closed.port });
  });

  test('works in a process that lets nobody look into it, once asked about', { timeout }, async () => {
    const open = await listen({ greeting: 'open\n' });
    const asked: (number | undefined)[] = [];
    const outcome = await python(
      `
step(lambda: ctypes.CDLL(None).prctl(${4 /* PR_SET_DUMPABLE */}, 0, 0, 0, 0))
step(lambda: tcp('127.0.0.1', ${open.port}))
datagrams = __import__('socket').socket(type=SOCK_DGRAM)
step(lambda: datagrams.connect(('127.0.0.1', ${open.port})))
step(lambda: datagrams.getpeername())
step(lambda: tcp('127.0.0.1', 1))
`,
      {
        policy: { network: { connect: ['127.0.0.1'] } },
        hooks: (child) => child.onConnect(({ port }) => void asked.push(port)),
      },
    );
    expect(lines(outcome)).toEqual(['0', 'open', 'None', `('127.0.0.1', ${open.port})`, 'ECONNREFUSED']);
    expect(asked).toEqual([open.port, open.port, 1]);
  });

  test('asks a hook, which may allow, deny and redirect', { timeout }, async () => {
    const first = await listen({ greeting: 'first\n' });
    const second = await listen({ greeting: 'second\n' });
    const third = await unusedPort();
    const asked: number[] = [];
    const outcome = await python(
      `
step(lambda: tcp('127.0.0.1', ${first.port}))
step(lambda: tcp('127.0.0.1', ${third}))
step(lambda: tcp('127.0.0.1', ${second.port}))
step(lambda: tcp('::ffff:127.0.0.1', ${third}, AF_INET6))
`,
      {
        hooks: (child) =>
          child.onConnect(async (call) => {
            asked.push(call.port ?? -1);
            if (call.port === third) return redirect({ address: '127.0.0.1', port: second.port });
            return call.port === first.port ? allow() : deny('ECONNREFUSED');
          }),
      },
    );
    expect(lines(outcome)).toEqual(['first', 'second', 'ECONNREFUSED', 'second']);
    expect(asked).toEqual([first.port, third, second.port, third]);
  });

  test('gives the errors that the kernel gives', { timeout }, async () => {
    const port = await unusedPort();
    const outcome = await python(
      `
libc = ctypes.CDLL(None, use_errno=True)
def raw(fd, address, size):
    if libc.connect(fd, address, size) != 0: raise OSError(ctypes.get_errno(), '')
    return 'connected'
client = __import__('socket').socket()
address = struct.pack('=H', AF_INET) + struct.pack('!H', ${port}) + inet_aton('127.0.0.1') + bytes(8)
step(lambda: raw(client.fileno(), address, 16))
step(lambda: raw(client.fileno(), address, 15))
step(lambda: raw(client.fileno(), address, 1))
step(lambda: raw(client.fileno(), address, 129))
step(lambda: raw(client.fileno(), address, -1))
step(lambda: raw(client.fileno(), ctypes.c_void_p(8), 16))
step(lambda: raw(os.open('/dev/null', os.O_RDONLY), address, 16))
step(lambda: raw(99, address, 16))
step(lambda: raw(client.fileno(), struct.pack('=H', AF_UNSPEC) + bytes(14), 16))
`,
      { policy: { network: { connect: ['127.0.0.1'] } } },
    );
    expect(lines(outcome)).toEqual([
      'ECONNREFUSED',
      'EINVAL',
      'EINVAL',
      'EINVAL',
      'EINVAL',
      'EFAULT',
      'ENOTSOCK',
      'EBADF',
      'connected',
    ]);
    expect(refusedCalls(outcome)).toEqual([]);
  });
});

describe('datagrams', () => {
  test('are judged by their address, however it is given', { timeout }, async () => {
    const [port, other] = [await unusedPort(), await unusedPort()];
    const outcome = await python(
      `
def receiver(port):
    fd = __import__('socket').socket(AF_INET, SOCK_DGRAM); fd.bind(('127.0.0.1', port)); fd.setblocking(False); return fd
receivers = [receiver(${port}), receiver(${other})]
sender = __import__('socket').socket(AF_INET, SOCK_DGRAM)
six = __import__('socket').socket(AF_INET6, SOCK_DGRAM)
for port in (${port}, ${other}):
    step(lambda: sender.sendto(b'to', ('127.0.0.1', port)))
    step(lambda: sender.sendmsg([b'me', b'ss'], [], 0, ('127.0.0.1', port)))
    step(lambda: six.sendto(b'six', ('::ffff:127.0.0.1', port)))
# An address without a family is an IPv4 address to sendto().
libc = ctypes.CDLL(None, use_errno=True)
def unspecified(port):
    address = struct.pack('=H', AF_UNSPEC) + struct.pack('!H', port) + inet_aton('127.0.0.1') + bytes(8)
    sent = libc.sendto(sender.fileno(), b'un', 2, 0, address, 16)
    if sent < 0: raise OSError(ctypes.get_errno(), '')
    return sent
step(lambda: unspecified(${port}))
step(lambda: unspecified(${other}))
# A source route would lead elsewhere.
step(lambda: sender.sendmsg([b'x'], [(IPPROTO_IP, 7, bytes([0x83, 7, 4, 127, 0, 0, 2, 0]))], 0, ('127.0.0.1', ${port})))
def all(fd):
    got = []
    try:
        while True: got.append(fd.recv(10).decode())
    except BlockingIOError: return got
print(all(receivers[0]), all(receivers[1]))
`,
      {
        policy: { network: { connect: [`127.0.0.1:${port}`], bind: [`127.0.0.1:${port}`, `127.0.0.1:${other}`] } },
      },
    );
    expect(lines(outcome)).toEqual(
      ['2', '4', '3', 'EACCES', 'EACCES', 'EACCES', '2', 'EACCES', 'EPERM'].concat("['to', 'mess', 'six', 'un'] []"),
    );
    expect(refusedCalls(outcome).map(({ syscall }) => syscall)).toEqual([
      'sendto',
      'sendmsg',
      'sendto',
      'sendto',
      'sendmsg',
    ]);
  });
});

describe('bind and listen', () => {
  test('take only the addresses of the rules', { timeout }, async () => {
    const [port, other] = [await unusedPort(), await unusedPort()];
    const outcome = await python(
      `
def server(*at):
    fd = __import__('socket').socket(); 
    if at: fd.bind(at)
    fd.listen(1); return fd.getsockname()
step(lambda: server('127.0.0.1', ${port}))
step(lambda: server('127.0.0.1', ${other}))
step(lambda: server('0.0.0.0', ${port}))
step(lambda: server())
`,
      { policy: { network: { bind: [`127.0.0.1:${port}`] } } },
    );
    expect(lines(outcome)).toEqual([`('127.0.0.1', ${port})`, 'EACCES', 'EACCES', 'EACCES']);
    expect(refusedCalls(outcome).map(({ syscall }) => syscall)).toEqual(['bind', 'bind', 'listen']);
  });
});

describe('unix sockets', () => {
  const talk = `
def talk(path, kind=SOCK_STREAM):
    server = __import__('socket').socket(AF_UNIX, kind); server.bind(path); server.listen(1)
    client = __import__('socket').socket(AF_UNIX, kind); client.connect(path)
    peer, _ = server.accept(); client.send(b'hello')
    _, uid, gid = struct.unpack('3i', peer.getsockopt(SOL_SOCKET, SO_PEERCRED, 12))
    return peer.recv(9).decode(), client.getpeername(), uid == os.getuid(), gid == os.getgid()
`;

  test('work in a folder that may be written', { timeout }, async () => {
    const folder = temporaryFolder('unix');
    const outcome = await python(
      `${talk}
os.umask(0o077)
step(lambda: talk('${folder}/stream'))
step(lambda: talk('${folder}/packet', SOCK_SEQPACKET))
os.chdir('${folder}')
step(lambda: talk('relative'))
step(lambda: talk('./dotted'))
step(lambda: talk('stream'))
step(lambda: __import__('socket').socket(AF_UNIX).connect('nothing'))
step(lambda: __import__('socket').socket(AF_UNIX).connect('.'))
receiver = __import__('socket').socket(AF_UNIX, SOCK_DGRAM); receiver.bind('datagram')
sender = __import__('socket').socket(AF_UNIX, SOCK_DGRAM)
step(lambda: (sender.sendto(b'to', '${folder}/datagram'), sender.sendmsg([b'me', b'ss'], [], 0, 'datagram')))
step(lambda: (receiver.recv(9), receiver.recv(9)))
print(oct(os.stat('stream').st_mode))
left, right = socketpair(); out, into = os.pipe()
send_fds(left, [b'descriptor'], [into]); _, fds, _, _ = recv_fds(right, 99, 1); os.write(fds[0], b'through')
step(lambda: os.read(out, 99))
`,
      { policy: { files: { read: [folder], write: [folder] } } },
    );
    expect(lines(outcome)).toEqual([
      `('hello', '${folder}/stream', True, True)`,
      `('hello', '${folder}/packet', True, True)`,
      "('hello', 'relative', True, True)",
      "('hello', './dotted', True, True)",
      'EADDRINUSE',
      'ENOENT',
      'ECONNREFUSED',
      '(2, 4)',
      "(b'to', b'mess')",
      '0o140700',
      "b'through'",
    ]);
    expect(refusedCalls(outcome)).toEqual([]);
  });

  test('by an abstract name of any length show their peer who calls', { timeout }, async () => {
    // Of 13 and 25 characters it is as long as an address of the internet, which the supervisor connects to itself.
    const names = [12, 13, 14, 24, 25, 26, 107].map((length) => randomBytes(54).toString('hex').slice(0, length));
    const abstract = names.map((name) => `unix:@${name}`);
    const outcome = await python(
      `
def talk(name, kind=SOCK_STREAM):
    server = __import__('socket').socket(AF_UNIX, kind); server.bind(b'\\0' + name); server.listen(1)
    client = __import__('socket').socket(AF_UNIX, kind); client.connect(b'\\0' + name)
    peer, _ = server.accept()
    return struct.unpack('3i', peer.getsockopt(SOL_SOCKET, SO_PEERCRED, 12)) == (os.getpid(), os.getuid(), os.getgid())
for name in sys.stdin.buffer.read().split(): step(lambda: talk(name)); step(lambda: talk(name, SOCK_SEQPACKET))
`,
      { policy: { network: { connect: abstract, bind: abstract } }, input: names.join(' ') },
    );
    expect(lines(outcome)).toEqual(Array(2 * names.length).fill('True'));
    expect(refusedCalls(outcome)).toEqual([]);
  });

  test('are reached elsewhere by a rule of their own, through links by their real name', { timeout }, async () => {
    const outside = temporaryFolder('outside');
    const inside = temporaryFolder('inside');
    const seen: string[] = [];
    for (const name of ['open', 'closed']) {
      const server = createServer((socket) => {
        seen.push(name);
        socket.on('error', () => {}).end();
      });
      await new Promise<void>((resolve) => server.listen(join(outside, name), resolve));
      server.unref();
    }
    const outcome = await python(
      `
os.symlink('${outside}', '${inside}/link')
def reach(path): __import__('socket').socket(AF_UNIX).connect(path)
for name in ('open', 'closed'):
    step(lambda: reach('${outside}/' + name))
    step(lambda: reach('${inside}/link/' + name))
step(lambda: __import__('socket').socket(AF_UNIX).bind('${outside}/new'))
step(lambda: __import__('socket').socket(AF_UNIX).bind('${inside}/link/new'))
`,
      { policy: { files: { read: [inside], write: [inside] }, network: { connect: [`unix:${outside}/open`] } } },
    );
    expect(lines(outcome)).toEqual(['None', 'None', 'EACCES', 'EACCES', 'EACCES', 'EACCES']);
    await until(
      () => seen.length === 2,
      () => seen.join(),
    ); // the server's own loop has them later
    expect(seen).toEqual(['open', 'open']);
    expect(existsSync(join(outside, 'new'))).toBe(false);
  });

  test('are kept from a rule of theirs by files.deny, unless the rule lies deeper', { timeout }, async () => {
    const folder = temporaryFolder('denied');
    mkdirSync(join(folder, 'kept'));
    for (const name of ['open', 'kept/one', 'kept/two']) {
      const other = createServer((socket) => socket.on('error', () => {}).end());
      await new Promise<void>((resolve) => other.listen(join(folder, name), resolve));
      other.unref();
    }
    const outcome = await python(
      `
make = __import__('socket').socket
for name in ('open', 'kept/one', 'kept/two'): step(lambda: make(AF_UNIX).connect('${folder}/' + name))
for name in ('kept/one', 'kept/two'): step(lambda: make(AF_UNIX, SOCK_DGRAM).sendto(b'x', '${folder}/' + name))
for name in ('new', 'kept/new'): step(lambda: make(AF_UNIX).bind('${folder}/' + name))
`,
      {
        policy: {
          files: { deny: [join(folder, 'kept')] },
          network: { connect: ['unix:/', `unix:${folder}/kept/two`], bind: ['unix:/'] },
        },
      },
    );
    // EPROTOTYPE is the kernel's: those are no datagram sockets.
    expect(lines(outcome)).toEqual(['None', 'EACCES', 'None', 'EACCES', 'EPROTOTYPE', 'None', 'EACCES']);
    expect(outcome.violations.map(({ rule }) => rule)).toEqual(['files.deny[0]', 'files.deny[0]', 'files.deny[0]']);
    expect(existsSync(join(folder, 'kept/new'))).toBe(false);
  });

  test('block one caller only, and a signal ends the wait', { timeout }, async () => {
    const folder = temporaryFolder('unix');
    const outcome = await python(
      `
server = __import__('socket').socket(AF_UNIX); server.bind('${folder}/full'); server.listen(0)
clients = [__import__('socket').socket(AF_UNIX) for _ in range(5)]
def late():
    time.sleep(0.3); print('meanwhile', os.path.exists('${folder}/full'))
    for _ in range(3): server.accept()
thread = threading.Thread(target=late); thread.start()
for client in clients[:3]: client.connect('${folder}/full')
thread.join(); print('connected')
class Alarm(Exception): pass
def alarm(*_): raise Alarm
signal.signal(signal.SIGALRM, alarm); signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    for _ in range(5): __import__('socket').socket(AF_UNIX).connect('${folder}/full')
except Alarm: print('interrupted')
`,
      { policy: { files: { read: [folder], write: [folder] } } },
    );
    expect(lines(outcome)).toEqual(['meanwhile True', 'connected', 'interrupted']);
  });
});
