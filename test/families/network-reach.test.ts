import { createSocket } from 'node:dgram';
import { allow, deny, redirect } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { listen, unusedPort } from '../helpers/ports.ts';
import { type Outcome, type RunOptions, runSandboxed } from '../helpers/run.ts';

// What makes a socket receive or the kernel send, beside the calls that are made for it.
const timeout = patient(60_000);
const prelude = `
import ctypes, errno, os, struct
from socket import *
libc = ctypes.CDLL(None, use_errno=True)
def step(act):
    try: print(act())
    except OSError as error: print(errno.errorcode[error.errno])
def checked(result):
    if result < 0: raise OSError(ctypes.get_errno(), '')
    return result
def dissolve(it): return checked(libc.connect(it.fileno(), struct.pack('=H', AF_UNSPEC) + bytes(14), 16))
def option(it, level, name, value): it.setsockopt(level, name, value); return 'set'
`;

function python(script: string, options: RunOptions = {}): Promise<Outcome> {
  return runSandboxed('/usr/bin/python3', ['-S', '-c', prelude + script], options);
}

function lines({ stdout, stderr }: Outcome): string[] {
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

function refused({ violations }: Outcome, name: string) {
  return violations.filter(({ syscall }) => syscall === name);
}

describe('listening', () => {
  test('is judged by the name that the socket has, however it came by it', { timeout }, async () => {
    const server = await listen({ greeting: 'hi\n' });
    const free = await unusedPort();
    const outcome = await python(
      `
def after(*at):
    it = socket(); 
    if at: it.bind(at)
    it.connect(('127.0.0.1', ${server.port})); it.recv(9)
    it.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack('ii', 1, 0)); dissolve(it)
    it.listen(1); return it.getsockname()[1]
def serve(host, port, family=AF_INET):
    it = socket(family); it.bind((host, port)); it.listen(1); return it.getsockname()[1] == port or port == 0
step(lambda: after())
step(lambda: socket().listen(1))
step(lambda: serve('127.0.0.1', 0))
step(lambda: serve('127.0.0.1', ${free}))
step(lambda: serve('0.0.0.0', 0))
step(lambda: serve('::1', 0, AF_INET6))
it = socket(); it.bind(('127.0.0.1', 0))
step(lambda: (it.listen(1), it.listen(2)))
`,
      { policy: { network: { connect: [server.address], bind: ['127.0.0.1:0'] } } },
    );
    expect(lines(outcome)).toEqual(['EACCES', 'EACCES', 'True', 'EACCES', 'EACCES', 'EACCES', '(None, None)']);
    expect(refused(outcome, 'listen')).toHaveLength(2);
  });

  test('needs no second leave from a hook', { timeout }, async () => {
    const asked: string[] = [];
    const outcome = await python(
      `
it = socket(); it.bind(('127.0.0.1', 0)); it.listen(1); print('listens')
step(lambda: socket().listen(1))
`,
      {
        hooks: (child) =>
          child.onBind((call) => {
            asked.push(call.address);
            return call.address === '127.0.0.1' ? allow() : undefined;
          }),
      },
    );
    expect(lines(outcome)).toEqual(['listens', 'EACCES']);
    expect(asked).toEqual(['127.0.0.1', '0.0.0.0']);
  });
});

test('a UDP client takes a port without a rule, and that is no right to listen', { timeout }, async () => {
  const server = createSocket('udp4').unref();
  server.on('message', (_, from) => server.send('answer', from.port, from.address));
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve));
  const outcome = await python(
    `
def client(host, family=AF_INET, kind=SOCK_DGRAM, port=0):
    it = socket(family, kind); it.bind((host, port)); return it
def ask(it): it.settimeout(20); it.sendto(b'?', ('127.0.0.1', ${server.address().port})); return it.recv(9)
step(lambda: ask(client('0.0.0.0')))
step(lambda: client('::', AF_INET6) and 'bound')
step(lambda: client('0.0.0.0', port=${await unusedPort()}))
step(lambda: client('127.0.0.1'))
step(lambda: client('0.0.0.0', kind=SOCK_STREAM))
step(lambda: client('::', AF_INET6, SOCK_STREAM))
step(lambda: socket().listen(1))
`,
    { policy: { network: { connect: [`127.0.0.1:${server.address().port}`] } } },
  );
  expect(lines(outcome)).toEqual(["b'answer'", 'bound', 'EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES']);
  const denied = await python(`step(lambda: socket(AF_INET, SOCK_DGRAM).bind(('0.0.0.0', 0)))`, {
    policy: { network: { deny: ['*'] } },
  });
  expect(lines(denied)).toEqual(['EACCES']);
});

test('where nothing may be sent, no port is taken to receive', { timeout }, async () => {
  const binds = `
for family, host in (AF_INET, '0.0.0.0'), (AF_INET6, '::'):
    step(lambda: socket(family, SOCK_DGRAM).bind((host, 0)))
`;
  for (const network of [undefined, { connect: ['unix:/run'] }, { connect: ['unix:@*'] }]) {
    const outcome = await python(binds, { policy: { network } });
    expect(lines(outcome)).toEqual(['EACCES', 'EACCES']);
    expect(refused(outcome, 'bind').map(({ message }) => message)).toEqual([
      expect.stringContaining('0.0.0.0:0'),
      expect.stringContaining('[::]:0'),
    ]);
  }
  const hooked = await python(binds, { hooks: (child) => child.onConnect(() => undefined) });
  expect(lines(hooked)).toEqual(['None', 'None']);
});

describe('socket options', () => {
  test('are set if they are on the list, and refused by level and number if not', { timeout }, async () => {
    const outcome = await python(`
four, six, udp = socket(), socket(AF_INET6), socket(AF_INET, SOCK_DGRAM)
for it, level, name in [(four, 1, 2), (four, 1, 9), (four, 1, 15), (four, 6, 1), (four, 6, 4), (six, 41, 26), (udp, 0, 8),
                        (udp, 0, 33), (udp, 17, 104)]:
    step(lambda: option(it, level, name, 1))
for it, level, name in [(four, 0, 51), (four, 0, 4), (four, 0, 19), (four, 1, 25), (four, 1, 26), (four, 1, 36), (four, 1, 50),
                        (four, 1, 9999), (four, 6, 19), (four, 6, 31), (six, 41, 32), (six, 41, 57), (udp, 17, 100), (four, 263, 1),
                        (udp, 0, 39), (udp, 0, 41), (udp, 0, 46), (six, 41, 46), (six, 41, 48), (six, 41, 27)]:
    step(lambda: option(it, level, name, bytes(136)))
`);
    expect(lines(outcome)).toEqual([...Array(9).fill('set'), ...Array(20).fill('ENOPROTOOPT')]);
    const told = refused(outcome, 'setsockopt');
    expect(told).toHaveLength(20);
    expect(told[0]?.reason).toContain('level 0, option 51 ');
  });

  test('that join a group are judged as connecting to it, and a hook hears of them', { timeout }, async () => {
    const asked: string[] = [];
    const outcome = await python(
      `
def four(group): return inet_aton(group) + inet_aton('127.0.0.1')
def group(family, address):
    body = struct.pack('=H', AF_INET) + bytes(2) + inet_aton(address) + bytes(120) if family == AF_INET else \\
        struct.pack('=H', AF_INET6) + bytes(6) + inet_pton(AF_INET6, address) + bytes(104)
    return struct.pack('=IxxxxH', 1, 0)[:8] + body
it, six = socket(AF_INET, SOCK_DGRAM), socket(AF_INET6, SOCK_DGRAM)
step(lambda: option(it, 0, 35, four('224.0.0.251')))
step(lambda: option(it, 0, 35, four('239.1.2.3')))
step(lambda: option(it, 0, 42, group(AF_INET, '239.255.255.250')))
step(lambda: option(it, 0, 42, group(AF_INET, '239.1.2.3')))
step(lambda: option(six, 41, 20, inet_pton(AF_INET6, 'ff02::1:3') + struct.pack('=I', 1)))
step(lambda: option(six, 41, 42, group(AF_INET6, 'ff02::1:3')))
step(lambda: option(it, 0, 35, b''))
`,
      {
        policy: { network: { connect: ['224.0.0.251:5353', '239.255.255.250'] } },
        hooks: (child) =>
          child.onConnect((call) => {
            asked.push(call.address);
          }),
      },
    );
    expect(lines(outcome)).toEqual(['set', 'EACCES', 'set', 'EACCES', 'EACCES', 'EACCES', 'EINVAL']);
    expect(asked).toEqual(['224.0.0.251', '239.1.2.3', '239.255.255.250', '239.1.2.3', 'ff02::1:3', 'ff02::1:3']);
  });
});

test('sending with MSG_FASTOPEN is connecting, and sending', { timeout }, async () => {
  const server = await listen({ greeting: 'hi\n' });
  const script = `
at = ('127.0.0.1', ${server.port})
step(lambda: socket().sendto(b'x', MSG_FASTOPEN, at))
step(lambda: socket().sendmsg([b'x'], [], MSG_FASTOPEN, at))
step(lambda: socket(AF_INET, SOCK_DGRAM).sendto(b'x', MSG_FASTOPEN, at))
`;
  for (const on of ['onConnect', 'onSend'] as const) {
    const outcome = await python(script, {
      policy: { network: { connect: [server.address] } },
      hooks: (child) => child[on](() => deny()),
    });
    expect(lines(outcome)).toEqual(['EACCES', 'EACCES', 'EACCES']);
  }
  expect(server.seen).toBe(0);
});

describe('abstract names', () => {
  const script = `
def serve(name):
    it = socket(AF_UNIX); it.bind(name); it.listen(1); return 'listens'
def autobound():
    it = socket(AF_UNIX); it.bind(''); it.listen(1); return 'listens'
def credentials(kind):
    it = socket(AF_UNIX, kind); it.setsockopt(SOL_SOCKET, SO_PASSCRED, 1)
    try: it.connect('\\0holdfast-nobody')
    except ConnectionRefusedError: pass
    it.listen(1); return 'listens'
name = '\\0holdfast-' + str(os.getpid())
step(lambda: serve(name))
step(lambda: serve((name + '-padded').ljust(108, '\\0')))
step(lambda: serve('\\0other'))
step(autobound)
step(lambda: credentials(SOCK_STREAM))
step(lambda: credentials(SOCK_DGRAM))
`;
  const cases: [string, string[], string[]][] = [
    ['none', [], ['EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES']],
    ['all that begin so', ['unix:@holdfast-*'], ['listens', 'listens', 'EACCES', 'EACCES', 'EACCES', 'EACCES']],
    ['all', ['unix:@*'], ['listens', 'listens', 'listens', 'listens', 'listens', 'ENOTSUP']],
    ['all with a path', ['unix:/', '*'], ['EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES', 'EACCES']],
  ];
  test.each(cases)('are bound and listened on: %s', { timeout }, async (_, bind, expected) => {
    const outcome = await python(script, { policy: { network: { bind, connect: ['unix:@holdfast-nobody'] } } });
    expect(lines(outcome)).toEqual(expected);
  });
});

test('a redirect goes nowhere that a deny rule names', { timeout }, async () => {
  const server = await listen({ greeting: 'hi\n' });
  const outcome = await python(`step(lambda: socket().connect(('127.0.0.1', 9)))`, {
    policy: { network: { deny: [server.address] } },
    hooks: (child) => child.onConnect(() => redirect({ address: '127.0.0.1', port: server.port })),
  });
  expect(lines(outcome)).toEqual(['EACCES']);
  expect(server.seen).toBe(0);
});

test('socket() and socketpair() of wrong arguments answer as the kernel does', { timeout }, async () => {
  const outcome = await python(`
def made(*args): return checked(libc.socket(*args))
def pair(*args): return checked(libc.socketpair(*args, (ctypes.c_int * 2)()))
for call in (made, pair):
    for args in ((2, 75, 0), (2, 1, 17), (2, 2, 6), (10, 4, 0), (2, 5, 0), (99, 1, 0), (2, 1, -1), (2, 1 | 0x100, 0), (1, 75, 0)):
        step(lambda: call(*args))
step(lambda: pair(2, 1, 0))
step(lambda: pair(10, 2, 17))
`);
  const wrong = [
    'EINVAL',
    'EPROTONOSUPPORT',
    'EPROTONOSUPPORT',
    'ESOCKTNOSUPPORT',
    'ESOCKTNOSUPPORT',
    'EAFNOSUPPORT',
    'EINVAL',
    'EINVAL',
    'EINVAL',
  ];
  expect(lines(outcome)).toEqual([...wrong, ...wrong, 'ENOTSUP', 'ENOTSUP']);
});

describe('the length of a prefix', () => {
  // A datagram socket's connect sends nothing: an address that is allowed needs nobody there.
  const probe = `
import errno, socket, sys
for address in sys.argv[1:]:
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM) as one:
        try: one.connect((address, 9)); print('reaches')
        except OSError as error: print('refused' if error.errno in (errno.EACCES, errno.EPERM) else 'reaches')
`;

  test.each<[string, string[], string[]]>([
    ['127.0.0.0/8', ['127.0.0.0', '127.255.255.254'], ['126.255.255.255', '128.0.0.0', '255.0.0.1']],
    ['127.16.0.0/12', ['127.16.0.0', '127.31.255.255'], ['127.15.255.255', '127.32.0.0', '126.16.0.0']],
    ['127.0.0.4/30', ['127.0.0.4', '127.0.0.7'], ['127.0.0.3', '127.0.0.8', '127.1.0.4']],
    ['127.0.0.8/31', ['127.0.0.8', '127.0.0.9'], ['127.0.0.7', '127.0.0.10']],
    ['127.0.0.9/32', ['127.0.0.9'], ['127.0.0.8', '127.0.0.10']],
    ['0.0.0.0/0', ['0.0.0.1', '127.0.0.1', '192.0.2.1'], ['::1', 'fd00::1']],
    ['::/0', ['::1', 'fd00::1'], ['127.0.0.1', '::ffff:127.0.0.1']],
    ['fd00::/8', ['fd00::', 'fdff:ffff::1'], ['fc00::1', 'fe00::1', '::1']],
    ['fd00:0:0:8000::/49', ['fd00:0:0:8000::1', 'fd00:0:0:ffff::1'], ['fd00:0:0:7fff::1', 'fd00:0:1::1']],
    ['fd00::4/126', ['fd00::4', 'fd00::7'], ['fd00::3', 'fd00::8', 'fd00:0:0:1::4']],
    ['::1/128', ['::1'], ['::2', '127.0.0.1']],
  ])('%s', async (prefix, reached, refused) => {
    for (const [policy, ends] of [
      [{ connect: [prefix] }, ['reaches', 'refused']],
      [{ connect: ['*'], deny: [prefix] }, ['refused', 'reaches']],
    ] as const) {
      const addresses = [...reached, ...refused];
      const { stdout, stderr } = await runSandboxed('/usr/bin/python3', ['-S', '-c', probe, ...addresses], {
        policy: { network: policy as never },
      });
      expect(stderr).toBe('');
      const got = stdout.trimEnd().split('\n');
      expect(addresses.map((address, i) => [address, got[i]])).toEqual([
        ...reached.map((address) => [address, ends[0]]),
        ...refused.map((address) => [address, ends[1]]),
      ]);
    }
  });
});
