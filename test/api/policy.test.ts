import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { type Policy, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../lib/policy/addresses.ts';
import { makeRules } from '../../lib/policy/policy.ts';

const own = (policy: Policy | undefined, cwd = '/work') =>
  makeRules(policy, cwd).files.filter((rule) => rule.label !== 'defaults');

describe('a malformed policy is refused before anything starts, naming the field and the value', () => {
  test.each<[unknown, RegExp]>([
    [null, /^policy: null is refused/],
    ['x', /^policy: 'x' is no name of a policy/],
    [{ file: {} }, /^policy\.file: \{\} is not a field of a policy/],
    [{ files: { reed: [] } }, /^policy\.files\.reed: \[\] is not a field/],
    [{ files: [] }, /^policy\.files: \[\] is refused/],
    [{ files: { read: '/usr' } }, /^policy\.files\.read: '\/usr' is refused/],
    [{ files: { read: ['/usr', 5] } }, /^policy\.files\.read\[1\]: 5 is refused: must be a path/],
    [{ files: { read: ['a', 'b', 'foo\0bar'] } }, /^policy\.files\.read\[2\]: 'foo\\x00bar' contains a NUL byte/],
    [{ files: { deny: ['/x\ud800'] } }, /^policy\.files\.deny\[0\]: '\/x\\ud800' cannot be written as UTF-8/],
    [{ files: { deny: ['FILE://host/x'] } }, /^policy\.files\.deny\[0\]: 'FILE:\/\/host\/x' is not a file: URL/],
    [{ exec: [{ [inspect.custom]: () => expect.unreachable() }] }, /^policy\.exec\[0\]\.path: undefined is refused/],
    [{ files: { write: [''] } }, /^policy\.files\.write\[0\]: '' is empty/],
    [{ files: { read: ['http://x/y'] } }, /^policy\.files\.read\[0\]: 'http:\/\/x\/y' is not a file: URL/],
    [{ files: { read: ['~root/x'] } }, /starts with ~/],
    [{ files: { read: ['$HOME/x'] } }, /^policy\.files\.read\[0\]: '\$HOME\/x' has a variable/],
    [{ files: { write: ['/home/$USER'] } }, /has a variable/],
    [{ files: { write: ['/tmp/x-$USER'] } }, /has a variable/],
    [{ files: { deny: [{ path: 'a$' + '{X}b' }] } }, /^policy\.files\.deny\[0\]\.path: .* has a variable/],
    [{ exec: ['$(which git)'] }, /has a variable/],
    [{ files: { read: [' /usr'] } }, /^policy\.files\.read\[0\]: ' \/usr' begins or ends with blanks/],
    [{ files: { read: ['/usr\n'] } }, /begins or ends with blanks/],
    [{ exec: ['/bin/sh', 'git'] }, /^policy\.exec\[1\]: 'git' is a bare name.*: use an absolute path or \.\/git/],
    [{ files: { read: ['file://host/x'] } }, /^policy\.files\.read\[0\]: 'file:\/\/host\/x' is not a file: URL/],
    [{ files: { read: [new URL('http://x/')] } }, /^policy\.files\.read\[0\]: 'http:\/\/x\/' is not a file: URL/],
    [{ files: { read: [`/${'x'.repeat(4096)}`] } }, /^policy\.files\.read\[0\]: .* is longer than a path may be/],
    [{ files: { deny: [{ path: '/x', access: [] }] } }, /^policy\.files\.deny\[0\]/],
    [{ files: { deny: [{ path: 'a\0' }] } }, /^policy\.files\.deny\[0\]\.path: 'a\\x00' contains/],
    [
      { network: { connect: ['localhost:80'] } },
      /^policy\.network\.connect\[0\]: 'localhost:80' is refused: names are not/,
    ],
    [{ network: { connect: ['example.org'] } }, /look it up and write its addresses/],
    [{ network: { bind: ['1.2.3.4:99999'] } }, /^policy\.network\.bind\[0\]: .* its port must be/],
    [{ network: { bind: ['1.2.3.4:9-8'] } }, /its port must be/],
    [{ network: { connect: ['10.0.0.0/33'] } }, /its prefix must be a number of bits from 0 to 32/],
    [{ network: { connect: ['10.0.0.1/8'] } }, /bits set beyond its prefix of 8/],
    [{ network: { connect: ['unix:relative'] } }, /a unix socket is an absolute path/],
    [{ network: { connect: [`unix:@${'x'.repeat(108)}`] } }, /longer than a path .* or an abstract name/],
    [{ network: { bind: [`unix:/${'x'.repeat(4095)}`] } }, /longer than a path/],
    [{ network: { connect: ['fe80::1%eth0'] } }, /zone ids are not supported/],
    [{ network: { connect: ['::1:80'] } }, /write \[::1\]:80 or \[::1:80\]/],
    [{ network: { deny: [{ address: '127.0.0.1:0', operations: ['connect'] }] } }, /nothing can be sent to port 0/],
    [{ network: { connect: ['127.0.0.1:0'] } }, /policy\.network\.connect\[0\].*nothing can be sent to port 0/],
    [{ network: { connect: ['unix:*'] } }, /unix:@\* every abstract one/],
    [{ network: { connect: ['unix:/tmp/*.sock'] } }, /a \* stands only at the end of an abstract name/],
    [{ network: { bind: ['unix:@a*b'] } }, /a \* stands only at the end of an abstract name/],
    [{ network: { connect: [''] } }, /it is not an address/],
    [{ network: { deny: [{ address: 'x' }] } }, /^policy\.network\.deny\[0\]\.address: 'x'/],
    [{ exec: [5] }, /^policy\.exec\[0\]: 5/],
    [{ defaults: 'yes' }, /^policy\.defaults: 'yes'/],
  ])('%j', (policy, message) => {
    const wrong = () => spawnSandboxed('true', [], { policy: policy as Policy });
    expect(wrong).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_POLICY' }));
    expect(wrong).toThrow(message);
  });
});

describe('paths', () => {
  test('are absolute, relative to cwd, or file: URLs', () => {
    expect(
      own({ files: { read: ['/a/../b', 'c', './d/', '.'], write: [pathToFileURL('/e f'), 'file:///g'] } }, '/work').map(
        ({ path }) => path,
      ),
    ).toEqual(['/a/../b', '/work/c', '/work/d', '/work', '/e f', '/g']);
    // What `..` leaves is for those to say who follow the links before it.
    expect(own({ files: { read: ['../x', './a/../y/'] } }, '/work').map(({ path }) => path)).toEqual([
      '/work/../x',
      '/work/./a/../y/',
    ]);
  });

  test('can be more than a call has arguments', () => {
    const read = new Array<string>(500_000).fill('/x');
    expect(own({ files: { read } })).toHaveLength(read.length);
  });

  test('of more than the supervisor takes are refused', () => {
    const read = new Array<string>(20_000).fill(`/${'x'.repeat(4000)}`);
    const wrong = () => own({ files: { read } });
    expect(wrong).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_POLICY' }));
    expect(wrong).toThrow(/^policy: .* is too large: its rules take more than 63 MiB/);
  });

  test('carry their effect, access and field', () => {
    const policy: Policy = {
      files: {
        read: ['/r'],
        write: ['/w'],
        metadata: ['/m'],
        deny: ['/d', { path: '/e', access: ['write', 'exec'] }, { path: '/f', access: ['metadata'] }],
      },
      exec: ['/x'],
    };
    expect(own(policy)).toEqual([
      { effect: 'allow', access: 1, path: '/r', label: 'files.read[0]' },
      { effect: 'allow', access: 2, path: '/w', label: 'files.write[0]' },
      { effect: 'allow', access: 8, path: '/m', label: 'files.metadata[0]' },
      { effect: 'allow', access: 4, path: '/x', label: 'exec[0]' },
      { effect: 'deny', access: 15, path: '/d', label: 'files.deny[0]' },
      { effect: 'deny', access: 6, path: '/e', label: 'files.deny[1]' },
      { effect: 'deny', access: 8, path: '/f', label: 'files.deny[2]' },
    ]);
    expect(makeRules(policy, '/').anyExec).toBe(false);
    expect(makeRules({}, '/').anyExec).toBe(true);
  });
});

describe('defaults', () => {
  test('without a policy are what a program needs, and reading the working directory', () => {
    const { files, defaults } = makeRules(undefined, '/work');
    expect(files).toEqual([{ effect: 'allow', access: 1, path: '/work', label: 'defaults' }]);
    expect(defaults).toContainEqual({ effect: 'allow', access: 1, path: '/usr', label: 'defaults' });
    // A folder is what it is, whatever its name looks like.
    expect(makeRules(undefined, '/a*b').files[0]?.path).toBe('/a*b');
  });

  test('allow no write but to devices that keep nothing', () => {
    const written = (terminal: boolean) =>
      makeRules({}, '/', terminal)
        .defaults.filter((rule) => (rule.access & 2) !== 0)
        .map(({ path, device }) => [path, device]);
    const devices = [
      ['/dev/null', 0x103],
      ['/dev/zero', 0x105],
      ['/dev/full', 0x107],
    ];
    expect(written(false)).toEqual(devices);
    // Its own terminal by name, only if it is given that terminal.
    expect(written(true)).toEqual([...devices, ['/dev/tty', 0x500]]);
  });

  test.each<Policy | undefined>([undefined, {}, { files: { write: ['/x'] } }, { exec: [] }, { defaults: true }])(
    'with %j include reading the working directory, unless that is /',
    (policy) => {
      const reads = (cwd: string) => makeRules(policy, cwd).files.filter((rule) => rule.label === 'defaults');
      expect(reads('/work')).toEqual([{ effect: 'allow', access: 1, path: '/work', label: 'defaults' }]);
      expect(reads('/')).toEqual([]);
    },
  );

  test('can be switched off', () => {
    expect(makeRules({ defaults: false }, '/work')).toMatchObject({ defaults: [], files: [] });
    expect(makeRules({ defaults: false }, '/')).toMatchObject({ defaults: [], files: [] });
  });
});

describe('addresses', () => {
  const one = (text: string) => {
    const [rule] = parseAddress(text);
    if (rule?.kind !== 'internet') throw new Error('not an internet address');
    return { ...rule, bytes: Buffer.from(rule.bytes).toString('hex') };
  };

  test.each([
    ['127.0.0.1:4873', { family: 4, bytes: '7f000001', prefix: 32, portLow: 4873, portHigh: 4873 }],
    ['127.0.0.1', { family: 4, bytes: '7f000001', prefix: 32, portLow: 0, portHigh: 65535 }],
    ['127.0.0.1:*', { family: 4, bytes: '7f000001', prefix: 32, portLow: 0, portHigh: 65535 }],
    ['10.0.0.0/8', { family: 4, bytes: '0a000000', prefix: 8, portLow: 0, portHigh: 65535 }],
    ['10.0.0.0/8:443', { family: 4, bytes: '0a000000', prefix: 8, portLow: 443, portHigh: 443 }],
    ['127.0.0.1:3000-3999', { family: 4, bytes: '7f000001', prefix: 32, portLow: 3000, portHigh: 3999 }],
    ['::1', { family: 6, bytes: `${'0'.repeat(31)}1`, prefix: 128, portLow: 0, portHigh: 65535 }],
    ['[::1]:80', { family: 6, bytes: `${'0'.repeat(31)}1`, prefix: 128, portLow: 80, portHigh: 80 }],
    ['fd00::/8', { family: 6, bytes: `fd${'0'.repeat(30)}`, prefix: 8, portLow: 0, portHigh: 65535 }],
    ['[fd00::/8]:443', { family: 6, bytes: `fd${'0'.repeat(30)}`, prefix: 8, portLow: 443, portHigh: 443 }],
    [
      '[2001:db8::1:2]',
      { family: 6, bytes: '20010db8000000000000000000010002', prefix: 128, portLow: 0, portHigh: 65535 },
    ],
    ['::ffff:1.2.3.4', { family: 4, bytes: '01020304', prefix: 32, portLow: 0, portHigh: 65535 }],
  ])('%s', (text, expected) => {
    expect(one(text)).toMatchObject(expected);
  });

  test('* is every address of both families', () => {
    expect(
      parseAddress('*:443').map((rule) => rule.kind === 'internet' && [rule.family, rule.prefix, rule.portLow]),
    ).toEqual([
      [4, 0, 443],
      [6, 0, 443],
    ]);
  });

  test('unix sockets have a path or an abstract name', () => {
    expect(parseAddress('unix:/run/x.sock')).toEqual([{ kind: 'unix', name: '/run/x.sock' }]);
    expect(parseAddress('unix:@x')).toEqual([{ kind: 'unix', name: '@x' }]);
  });
});
