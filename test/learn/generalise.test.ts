// What a person would write for what was asked for: folders in place of files, and nothing that is wider than that.

import { join } from 'node:path';
import { type Access, explain } from 'holdfast';
import { expect, test, vi } from 'vitest';
import { secretsOfHome } from '../../lib/policy/secrets.ts';
import { Generaliser, isMadeUp, type Proposal } from '../../lib/record/generalise.ts';
import { addLines, commentOf } from '../../lib/record/merge.ts';
import { isSecret, secretPlaces } from '../../lib/record/secrets.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const home = '/home/ann';
const cwd = '/home/ann/project';

const access = (kind: Access['access'], path: string, more: Partial<Access> = {}): Access => ({
  access: kind,
  path,
  program: '/usr/bin/tool',
  count: 1,
  first: 0,
  last: 0,
  outcome: 'allowed',
  probe: false,
  ...more,
});
const values = (proposals: readonly Proposal[]) => proposals.map(({ value }) => value).sort();

function learned(kind: 'read' | 'write', paths: (string | [string, Partial<Access>])[], folders: string[] = []) {
  const generaliser = new Generaliser({ cwd, home, isFolder: (path) => folders.includes(path) });
  const omitted: string[] = [];
  const accesses = paths.map((path) => (typeof path === 'string' ? access(kind, path) : access(kind, ...path)));
  const [, proposals] = generaliser[kind](accesses, ({ path }) => omitted.push(path as string));
  return { values: values(proposals), omitted, proposals };
}

test.each([
  ['what a project reads of itself is the project', [`${cwd}/a.c`, `${cwd}/src/b.c`], ['$CWD']],
  ['a file or two stay files', ['/opt/tool/a', '/opt/tool/b'], ['/opt/tool/a', '/opt/tool/b']],
  ['three of one folder are the folder', ['/opt/tool/a', '/opt/tool/b', '/opt/tool/c'], ['/opt/tool']],
  ['folders of folders go on', ['/opt/t/a/1', '/opt/t/a/2', '/opt/t/a/3', '/opt/t/b', '/opt/t/c'], ['/opt/t']],
  [
    'packages are where they are installed',
    ['/opt/x/node_modules/a/i.js', '/opt/x/node_modules/@s/b/i.js'],
    ['/opt/x/node_modules'],
  ],
  ['Python packages, too', ['/opt/v/lib/python3.11/site-packages/six.py'], ['/opt/v/lib/python3.11/site-packages']],
  [
    'names of hashes are their folder',
    [`${home}/.npm/_cacache/content-v2/sha512/ab/cd/0123456789abcdef`],
    ['$HOME/.npm/_cacache/content-v2/sha512'],
  ],
  [
    'home is never given for what lies in it',
    [`${home}/a`, `${home}/b`, `${home}/c`],
    ['$HOME/a', '$HOME/b', '$HOME/c'],
  ],
  [
    'nor what holds secrets',
    [`${home}/.config/a`, `${home}/.config/b`, `${home}/.config/c`],
    ['$HOME/.config/a', '$HOME/.config/b', '$HOME/.config/c'],
  ],
  ['nor /etc', ['/etc/a', '/etc/b', '/etc/c'], ['/etc/a', '/etc/b', '/etc/c']],
  ['what a policy would take for a pattern is a URL', ['/opt/a*b'], ['file:///opt/a*b']],
  ['also in the working directory, as a whole', [`${cwd}/[x]/y`], ['$CWD']],
])('reads: %s', (_, paths, expected) => {
  expect(learned('read', paths).values).toEqual(expected);
});

test('a listed folder of everything is not proposed, and that is said', () => {
  const { values: proposed, omitted } = learned('read', ['/', home, '/opt/tool/lib'], ['/', home, '/opt/tool/lib']);
  expect(proposed).toEqual(['/opt/tool/lib']);
  expect(omitted).toEqual(['/', home]);
});

test.each<[string, (string | [string, Partial<Access>])[], string[]]>([
  ['what was made is given as a whole', [`${cwd}/build`, `${cwd}/build/a.o`, `${cwd}/build/x/b.o`], ['$CWD/build']],
  ['a file that is written stays a file', [`${cwd}/out.log`], ['$CWD/out.log']],
  [
    'a file that is replaced needs its folder',
    [`${cwd}/.git/index`, [`${cwd}/.git/index.lock`, { ofFolder: true }]],
    ['$CWD/.git'],
  ],
  [
    'and in the project itself the project',
    [`${cwd}/package-lock.json`, [`${cwd}/package-lock.json`, { ofFolder: true }]],
    ['$CWD'],
  ],
  [
    'some files of the project are not the project',
    [`${cwd}/a`, `${cwd}/b`, `${cwd}/c`, `${cwd}/d`],
    ['$CWD/a', '$CWD/b', '$CWD/c', '$CWD/d'],
  ],
  ['temporary names are their folder', ['/var/tmp/work/tmpAbC123', '/var/tmp/work/ccXy12Za.o'], ['/var/tmp/work']],
])('writes: %s', (_, paths, expected) => {
  expect(learned('write', paths).values).toEqual(expected);
});

test('a name that is changed in a folder of everything is not proposed', () => {
  const { values: proposed, omitted } = learned('write', [[`${home}/.history`, { ofFolder: true }]]);
  expect(proposed).toEqual([]);
  expect(omitted).toEqual([`${home}/.history`]);
});

test('what is only looked at is proposed where nothing shows it', () => {
  const generaliser = new Generaliser({ cwd, home, isFolder: () => false });
  const looks = ['/opt/a/file', home, '/usr/bin/x', '/srv/data'].map((path) => access('metadata', path));
  expect(values(generaliser.metadata(looks, [cwd, '/usr', '/opt/a']))).toEqual(['/srv/data']);
});

test('addresses are told one by one; what a tree serves itself has another port each time', () => {
  const generaliser = new Generaliser({ cwd, home });
  const omitted: string[] = [];
  const to = (address: string, port?: number, kind: Access['access'] = 'connect') =>
    ({ ...access(kind, ''), path: undefined, address, port }) as unknown as Access;
  expect(
    values(
      generaliser.network(
        'network.connect',
        [
          to('93.184.216.34', 443),
          to('::1', 80),
          to('127.0.0.1', 41234),
          to('127.0.0.1', 41235),
          to('127.0.0.1', 8080),
          to('/run/x/s'),
          to('/var/lib/tool/1234567/s'),
          to('@name'),
          to('/opt/tool/tmpAbC123'),
          to('/tmp/tmpAbC123'),
          to('/run/user/1000/build-123456'),
          to('/opt/a*b'),
          to('@pre*'),
          to('/opt/$HOME/s'),
        ],
        ({ address }) => omitted.push(address as string),
      ),
    ),
  ).toEqual(
    [
      '127.0.0.1:32768-60999',
      '127.0.0.1:8080',
      '93.184.216.34:443',
      '[::1]:80',
      'unix:/opt/tool/tmpAbC123',
      'unix:/run/x/s',
      'unix:/var/lib/tool/1234567/s',
      'unix:@name',
    ].sort(),
  );
  expect(omitted).toEqual(['/tmp/tmpAbC123', '/run/user/1000/build-123456', '/opt/a*b', '@pre*', '/opt/$HOME/s']);
});

test('names that a machine has made up are told from those that people give', () => {
  const made = [
    'tmpAbC123',
    'ccXy12Za.o',
    '0123456789abcdef',
    'build-123456',
    'npm-4711-log',
    '550e8400-e29b-41d4-a716-446655440000',
    'x.pid.31337',
  ];
  const given = [
    'Makefile',
    'main.c',
    'src',
    'README.md',
    'package-lock.json',
    'python3.11',
    'node_modules',
    'libfoo.so.6',
    'index.lock',
    'COMMIT_EDITMSG',
    'en_US.UTF-8',
    'dist',
  ];
  expect(made.filter((name) => !isMadeUp(name))).toEqual([]);
  expect(given.filter(isMadeUp)).toEqual([]);
});

test('secrets are known by their places and by their names', () => {
  const places = secretPlaces(home);
  const secrets = [
    `${home}/.ssh/id_ed25519`,
    `${home}/.ssh`,
    `${home}/.aws/credentials`,
    `${home}/.npmrc`,
    `${cwd}/.env`,
    `${cwd}/packages/x/.env.local`,
    '/etc/shadow',
    '/srv/keys/id_rsa',
    '/run/docker.sock',
    '/srv/a.p12',
  ];
  const others = [
    `${cwd}/.env.example`,
    `${cwd}/.npmrc`,
    `${home}/.sshfoo`,
    '/etc/passwd',
    `${cwd}/src/env.ts`,
    `${cwd}/.environment/x`,
  ];
  expect(secrets.filter((path) => !isSecret(path, places))).toEqual([]);
  expect(others.filter((path) => isSecret(path, places))).toEqual([]);
});

test('lines are added to what is there, which stays to the letter', () => {
  const text = `{
  // mine
  "files": { /* kept */ "read": ["a", "b" /* last */], "write": [
    "x", // why x
  ] },
  "network": {}
}
`;
  const line = (field: string, value: string) => ({ field, value, reason: 'because' });
  const out = addLines(text, [
    line('files.read', 'a'),
    line('files.read', 'c'),
    line('files.write', 'y'),
    line('network.connect', '127.0.0.1:80'),
  ]);
  expect(out).toBe(`{
  // mine
  "files": { /* kept */ "read": ["a", "b", /* last */
    // because
    "c"
  ], "write": [
    "x", // why x
    // because
    "y"
  ] },
  "network": {
    "connect": [
      // because
      "127.0.0.1:80"
    ]
  }
}
`);
  expect(addLines(out, [line('files.read', 'c'), line('files.write', 'y')])).toBe(out);
});

test('no name that a tree has chosen ends a comment or adds a line', () => {
  const evil = 'x\n"/",\r\u2028"/etc"\u2029*/ "/"\u202e\u0000';
  const out = addLines('{}', [{ field: 'files.read', value: evil, reason: `${evil}: 1×` }]);
  const lines = out.split('\n');
  expect(lines.filter((one) => one.includes('1×'))).toHaveLength(1);
  const json = out.replace(/^\s*\/\/.*$/gm, '');
  expect(JSON.parse(json)).toEqual({ files: { read: [evil] } });
  expect(commentOf(evil)).not.toMatch(/[\n\r\u2028\u2029\u202e\0]/);
});

test('a list that is none is not written over', () => {
  expect(() => addLines('{"files": {"read": "x"}}', [{ field: 'files.read', value: '/a', reason: '' }])).toThrow(
    /files\.read/,
  );
});

test('what presets deny of a home directory is a secret to lessons, and the other way round', () => {
  const own = temporaryFolder('home');
  vi.stubEnv('HOME', own);
  const places = secretPlaces(own);
  expect(secretsOfHome.filter((name) => !isSecret(join(own, name, 'in'), places))).toEqual([]);
  // What somebody gives with the whole home directory.
  const policy = { extends: 'node', files: { read: [own], write: [own] } } as const;
  const questions = secretsOfHome.flatMap((name) => [
    { path: join(own, name), cwd: '/usr' },
    { path: join(own, name), access: 'write' as const, cwd: '/usr' },
  ]);
  expect(explain(policy, questions).filter(({ allowed }) => allowed)).toEqual([]);
  expect(explain(policy, { path: join(own, '.holdfast-no-secret'), access: 'write', cwd: '/usr' }).allowed).toBe(true);
  vi.unstubAllEnvs();
});
