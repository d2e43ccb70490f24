import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compilePolicy, type ExplainQuestion, explain, type FileAccess, type Policy, type Violation } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

/** Numbers as from a generator that is known, so that what fails fails again. */
function random(seed: number) {
  let state = seed >>> 0;
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** A folder with folders, files and links in it, and all names that something can be asked about. */
function world(): { root: string; names: string[] } {
  const root = temporaryFolder('explain');
  const names: string[] = [root];
  for (const one of ['a', 'b', 'c']) {
    for (const two of ['', '/d', '/e']) {
      const folder = join(root, one + two);
      mkdirSync(folder);
      names.push(folder);
      for (const file of ['x', 'y']) writeFileSync(join(folder, file), '');
      copyFileSync('/usr/bin/true', join(folder, 'run'));
      names.push(join(folder, 'x'), join(folder, 'y'), join(folder, 'run'), join(folder, 'none'));
    }
  }
  symlinkSync('../b/e', join(root, 'a/link'));
  symlinkSync('b/x', join(root, 'to-x'));
  names.push(join(root, 'a/link'), join(root, 'a/link/x'), join(root, 'to-x'));
  return { root, names };
}

/** What a program sees that does it. `open` for writing makes what is missing. */
const script = `
import errno, json, os, socket, sys
def act(what):
    kind, name = what[0], what[1]
    try:
        if kind == 'read':
            os.close(os.open(name, os.O_RDONLY))
        elif kind == 'write':
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600))
        elif kind == 'metadata':
            os.stat(name)
        elif kind == 'exec':
            pid = os.fork()
            if pid == 0:
                try: os.execv(name, [name] + what[2:])
                except OSError as e: os._exit(min(e.errno, 255))
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            if status > 0: return errno.errorcode[status]
        elif kind == 'connect':
            s = socket.socket(socket.AF_INET6 if ':' in name else socket.AF_INET); s.connect((name, what[2]))
        elif kind == 'bind':
            s = socket.socket(socket.AF_INET6 if ':' in name else socket.AF_INET); s.bind((name, what[2]))
        elif kind in ('unix-connect', 'unix-bind'):
            s = socket.socket(socket.AF_UNIX)
            (s.connect if kind == 'unix-connect' else s.bind)('\\0' + name[1:] if name[0] == '@' else name)
    except OSError as e:
        return errno.errorcode[e.errno]
    return ''
print(json.dumps([act(what) for what in json.loads(sys.stdin.read())]))
`;

type Act = readonly [kind: string, name: string, ...rest: (string | number)[]];

function questionOf([kind, name, ...rest]: Act): ExplainQuestion {
  if (kind === 'connect' || kind === 'bind')
    return { address: name.includes(':') ? `[${name}]:${rest[0]}` : `${name}:${rest[0]}`, access: kind };
  if (kind === 'unix-connect') return { address: `unix:${name}`, access: 'connect' };
  if (kind === 'unix-bind') return { address: `unix:${name}`, access: 'bind' };
  if (kind === 'exec') return { exec: name, argv: [name, ...(rest as string[])] };
  return { path: name, access: kind as 'read' };
}

/** How often each was compared: what is never allowed, or never refused, shows nothing. */
const counts = { allowed: 0, refused: 0, unreported: 0, byRule: 0 };

async function compare(policy: Policy, cwd: string, acts: readonly Act[]): Promise<void> {
  // Before anything runs: what is made changes what is there.
  const told = explain(
    policy,
    acts.map((act) => ({ ...questionOf(act), cwd })),
  );
  const { stdout, stderr, violations } = await runSandboxed('/usr/bin/python3', ['-c', script], {
    cwd,
    policy,
    input: JSON.stringify(acts),
  });
  const seen = JSON.parse(stdout || `"${stderr}"`) as string[];
  for (const [i, act] of acts.entries()) {
    const { allowed, errno, rule, access, message, reported, path, suggestion } = told[i] as (typeof told)[number];
    const where = `${JSON.stringify(act)} under ${JSON.stringify(policy)}: ${message}`;
    // What is allowed may fail for the file's own sake; then nothing was refused.
    // Where a walk ends before anything is judged, no right is missing.
    const isOf = (one: Violation) => one.access === undefined || one.access === access;
    const violation = violations.find((one) =>
      act[0].startsWith('unix') || path !== undefined
        ? isAt(one, path ?? act[1]) && isOf(one) && one.syscall.includes(callOf(act[0]))
        : one.address === act[1] && one.port === act[2] && isOf(one),
    );
    counts[allowed ? 'allowed' : reported ? 'refused' : 'unreported']++;
    if (!allowed && rule !== undefined) counts.byRule++;
    if (allowed) {
      expect(seen[i], where).not.toBe('EACCES');
      expect(violation, where).toBeUndefined();
    } else {
      expect(seen[i], where).toBe(errno);
      expect(violation === undefined, where).toBe(!reported);
      if (violation === undefined) continue;
      expect(violation, where).toMatchObject({ errno, ...(violation.access !== undefined && { access }) });
      expect(violation.rule, where).toBe(rule);
      expect(violation.suggestion, where).toEqual(suggestion);
    }
  }
}

/** Where nothing is, the name that ends the walk is told: perhaps a folder's. */
const isAt = ({ path, address, access }: Violation, name: string) => {
  const at = path ?? address;
  return at === name || (access === undefined && at !== undefined && name.startsWith(`${at}/`));
};

const callOf = (kind: string) =>
  ({ read: 'open', write: 'open', metadata: 'stat', exec: 'execve', 'unix-connect': 'connect', 'unix-bind': 'bind' })[
    kind
  ] ?? kind;

describe('what explain() says is what happens', () => {
  test('to paths, under policies at random', async () => {
    const { root, names } = world();
    const below = random(7);
    const kinds = {
      metadata: names,
      read: names,
      // What is no program is not executed whatever the policy says; and what is made changes what is there.
      exec: names.filter((name) => /\/(run|none)$/.test(name)),
      write: names,
    };
    const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
    const some = (most: number) => Array.from({ length: below(most + 1) }, () => pick(names));
    for (let round = 0; round < 14; round++) {
      const exec = pick(['none', 'list', 'patterns']);
      const policy: Policy = {
        files: {
          read: [...some(3), '/usr', ...(below(3) === 0 ? [`${root}/*/{x,run}`] : [])],
          write: some(3),
          metadata: some(2),
          deny: [
            ...some(2),
            ...(below(3) === 0 ? [`${root}/**/${pick(['x', 'run', 'none', 'e'])}`] : []),
            ...some(1).map((path) => ({ path, access: [pick<FileAccess>(['read', 'write', 'exec', 'metadata'])] })),
          ],
          ungranted: pick(['EACCES', 'ENOENT']),
        },
        ...(exec === 'list' && { exec: ['/usr', ...some(2)] }),
        ...(exec === 'patterns' && {
          exec: {
            allow: ['/usr', { path: `${root}/**/run`, argv: pick([['ok'], ['**'], ['o?', '**']]) }],
            deny: some(1),
          },
        }),
        defaults: pick([true, { cwd: false }]),
      };
      const acts: Act[] = [];
      for (const kind of ['metadata', 'read', 'exec', 'write'] as const)
        for (let i = 0; i < 10; i++) {
          const name = pick(kinds[kind]);
          if (acts.some(([, other]) => other === name)) continue;
          acts.push(kind === 'exec' ? [kind, name, pick(['ok', 'no'])] : [kind, name]);
        }
      await compare(policy, pick([root, join(root, 'a')]), acts);
      for (const name of readdirSync(root, { recursive: true }) as string[])
        if (name.endsWith('none')) execFileSync('rm', ['-rf', join(root, name)]);
    }
    for (const count of Object.values(counts)) expect(count, JSON.stringify(counts)).toBeGreaterThan(20);
  });

  test('to addresses and unix sockets', async () => {
    const folder = temporaryFolder('sockets');
    const acts: Act[] = [];
    for (const host of ['127.0.0.1', '127.0.0.2', '::1'])
      for (const port of [7, 9, 11]) acts.push(['connect', host, port]);
    for (const host of ['127.0.0.1', '::1']) acts.push(['bind', host, 0]);
    for (const name of ['@name', '@other', join(folder, 'here'), join(folder, 'in/there')]) {
      acts.push(['unix-connect', name], ['unix-bind', name]);
    }
    const connects = ['127.0.0.1:9', '127.0.0.0/8', '[::1]:7-9', '*:11', 'unix:@name', 'unix:@n*', `unix:${folder}`];
    const below = random(11);
    const some = (list: string[]) => list.filter(() => below(3) === 0);
    for (let round = 0; round < 8; round++) {
      const policy: Policy = {
        network: {
          connect: some(connects),
          bind: some(['127.0.0.1:*', '[::1]:0', 'unix:@*', `unix:${folder}/in`]),
          deny: some(['127.0.0.2', '*:7', 'unix:@name', `unix:${folder}/here`]),
        },
        files: { write: below(2) === 0 ? [join(folder, 'in')] : [] },
      };
      mkdirSync(join(folder, 'in'));
      await compare(policy, '/usr', acts);
      execFileSync('rm', ['-rf', join(folder, 'in'), join(folder, 'here')]);
    }
  });

  test('to callers by their descent', async () => {
    const { root } = world();
    const secret = join(root, 'a/x');
    const policy: Policy = {
      files: { read: [root], deny: [{ path: secret, under: ['/usr/bin/env'] }] },
      exec: { allow: ['/usr', { path: join(root, 'b/run'), under: ['/usr/bin/env'] }] },
    };
    const ask = (question: ExplainQuestion) => explain(policy, { ...question, cwd: '/usr' });
    const run = (command: string, args: string[]) => runSandboxed(command, args, { cwd: '/usr', policy });
    expect(ask({ path: secret }).allowed).toBe(true);
    expect(ask({ path: secret, under: ['/usr/bin/env'] })).toMatchObject({ allowed: false, rule: 'files.deny[0]' });
    expect(ask({ exec: join(root, 'b/run') })).toMatchObject({
      allowed: false,
      reason: expect.stringContaining('other callers'),
    });
    expect(ask({ exec: join(root, 'b/run'), under: ['/usr/bin/env'] })).toMatchObject({
      allowed: true,
      rule: 'exec.allow[1]',
    });
    expect((await run('/usr/bin/cat', [secret])).violations).toEqual([]);
    const denied = await run('/usr/bin/env', ['cat', secret]);
    expect(denied.violations).toContainEqual(expect.objectContaining({ rule: 'files.deny[0]', path: secret }));
    expect((await run('/usr/bin/env', [join(root, 'b/run')])).code).toBe(0);
  });
});

describe('of names that lead into the private folder of `tmp: true`', () => {
  test('what explain() says is what happens', async () => {
    const { root } = world();
    const [one, other] = ['one', 'other'].map((name) => `holdfast-explain-${process.pid}-${name}`);
    for (const folder of ['/tmp', '/dev/shm']) writeFileSync(join(folder, one as string), 'the machine’s own');
    symlinkSync(root, `/tmp/${one}-link`);
    symlinkSync(`/tmp/${other}`, join(root, 'into'));
    symlinkSync('/tmp', join(root, 'tmp'));
    try {
      const acts: Act[] = [
        ['metadata', '/tmp'],
        ['read', '/tmp'],
        ['write', `/tmp/${other}`],
        ['read', `/tmp/${other}`],
        ['metadata', `/tmp/./${other}`],
        ['read', join(root, 'into')],
        ['write', join(root, `tmp/${other}-2`)],
        ['read', `/tmp/${one}`],
        ['metadata', `/tmp/${one}-link/a/x`],
        ['write', `/dev/shm/${other}`],
        ['read', `/dev/shm/${one}`],
        ['write', '/tmp/.env'],
        ['metadata', '/tmp/.env'],
        ['read', '/tmp/../etc/hostname'],
        ['read', join(root, 'a/x')],
        ['read', join(root, 'b/x')],
        ['unix-bind', '/tmp/socket'],
        ['unix-connect', '/tmp/socket'],
        ['exec', `/tmp/${other}`],
        ['write', '/var/tmp/file'],
      ];
      const base: Policy = { tmp: true, files: { deny: ['**/.env'] } };
      // What a rule names stays what it is.
      const named: Policy = { ...base, files: { deny: ['**/.env'], read: [join(root, 'a')] } };
      for (const [policy, cwd] of [
        [base, '/usr'],
        [named, '/usr'],
        [{ ...named, exec: ['/usr'] }, '/usr'],
        [{ extends: compilePolicy(named) }, '/usr'],
        // A folder in it that is the working directory is named by that.
        [base, join(root, 'b')],
        [{ ...base, files: { ...base.files, hide: ['/tmp/**/x'], read: ['/tmp', '/dev'] } }, join(root, 'b')],
        [{ ...base, files: { read: ['/'], deny: ['/tmp', `/dev/shm/${one}`] } }, '/usr'],
      ] satisfies [Policy, string][]) {
        const told = explain(
          policy,
          acts.map((act) => ({ ...questionOf(act), cwd })),
        );
        const { stdout, stderr } = await runSandboxed('/usr/bin/python3', ['-c', script], {
          cwd,
          policy,
          input: JSON.stringify(acts),
        });
        expect(stderr).toBe('');
        const refused = (JSON.parse(stdout) as string[]).map((errno, i) =>
          // A program that is none, and no right to execute, look alike.
          acts[i]?.[0] === 'exec' ? told[i]?.allowed === false : errno === told[i]?.errno || errno === 'EACCES',
        );
        expect(refused.map((is, i) => [acts[i], is])).toEqual(acts.map((act, i) => [act, told[i]?.allowed === false]));
        expect(told.filter(({ rule }) => rule === 'tmp').length).toBeGreaterThanOrEqual(10);
      }
    } finally {
      for (const name of [`/tmp/${one}`, `/tmp/${one}-link`, `/dev/shm/${one}`]) rmSync(name);
    }
  });

  test('it says so', () => {
    const ask = (path: string, policy: Policy = { tmp: true }) => explain(policy, { path, cwd: '/usr' });
    const told = ask('/tmp/in/file');
    expect(told).toMatchObject({ allowed: true, rule: 'tmp' });
    expect(told).not.toHaveProperty('exists');
    expect(told.path).toMatch(/\/holdfast-XXXXXX\/tmp\/in\/file$/);
    expect(told.message).toBe('read /tmp/in/file (in the private folder of tmp): allowed by tmp');
    expect(ask('/dev/shm/x').path).toMatch(/\/holdfast-XXXXXX\/shm\/x$/);
    expect(ask('/tmp/x', { extends: 'test' }).rule).toBe('tmp');
    expect(ask('/tmp/x', {}).allowed).toBe(false);
    expect(explain({ tmp: true, exec: ['/usr'] }, { exec: '/tmp/run', cwd: '/usr' })).toMatchObject({
      allowed: false,
      errno: 'EACCES',
      access: 'exec',
    });
  });
});

describe('of what is let by', () => {
  test('explain() says what the violation says, and that it is let by', async () => {
    const { root } = world();
    const policies: Policy[] = [
      { mode: 'report', files: { deny: [join(root, 'b')] } },
      { mode: 'report', exec: ['/usr'], files: { read: [root], deny: [{ path: join(root, 'a/x'), dry: true }] } },
      {
        files: {
          read: [root],
          write: [join(root, 'c')],
          deny: [{ path: join(root, 'c'), access: ['write'], dry: true }],
        },
      },
      { mode: 'report', files: { ungranted: 'ENOENT' } },
    ];
    const acts: Act[] = [
      ['read', join(root, 'a/x')],
      ['metadata', join(root, 'a/y')],
      ['read', join(root, 'b/x')],
      ['read', join(root, 'a/none')],
      ['exec', join(root, 'a/run')],
      ['write', join(root, 'c/x')],
      ['connect', '127.0.0.1', 9],
      ['bind', '127.0.0.1', 0],
      ['unix-connect', '@holdfast-explain-nobody'],
      ['unix-bind', join(root, 'a/socket')],
      ['read', '/proc/1/environ'],
    ];
    let letBy = 0;
    for (const policy of policies) {
      const told = explain(
        policy,
        acts.map((act) => ({ ...questionOf(act), cwd: '/usr' })),
      );
      const { stdout, violations } = await runSandboxed('/usr/bin/python3', ['-c', script], {
        cwd: '/usr',
        policy,
        input: JSON.stringify(acts),
      });
      const seen = JSON.parse(stdout) as string[];
      for (const [i, act] of acts.entries()) {
        const { allowed, dry, errno, rule, access, reported, suggestion, message } = told[i] as (typeof told)[number];
        const where = `${JSON.stringify(act)} under ${JSON.stringify(policy)}: ${message}`;
        const mine = violations.filter(
          (one) =>
            (isAt(one, act[1]) || (one.address === act[1] && one.port === act[2])) &&
            one.syscall.includes(callOf(act[0])),
        );
        expect(
          mine.map((one) => [one.dry, one.errno, one.rule, one.access, one.suggestion]),
          where,
        ).toEqual(
          // Where a walk ends before anything is judged, no right is missing.
          reported ? [[dry, errno, rule, mine[0]?.access && access, suggestion]] : [],
        );
        if (allowed) expect(['EACCES', 'EPERM'], where).not.toContain(seen[i]);
        else expect(seen[i], where).toBe(errno);
        if (dry) letBy++;
        expect(message.includes('let by and reported'), where).toBe(dry === true);
      }
      rmSync(join(root, 'a/socket'), { force: true });
    }
    expect(letBy).toBeGreaterThan(12);
  });

  test('a dry rule is named, and told among those that speak of it', () => {
    const folder = temporaryFolder('dry');
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const deny = [{ path: file, dry: true }];
    expect(explain({ files: { read: [folder], deny } }, { path: file, cwd: '/usr' })).toEqual({
      allowed: true,
      dry: true,
      access: 'read',
      path: file,
      exists: true,
      rule: 'files.deny[0]',
      errno: 'EACCES',
      reported: true,
      considered: [
        { rule: 'files.read[0]', effect: 'allow', path: folder },
        { rule: 'files.deny[0]', effect: 'deny', path: file, dry: true },
      ],
      message: `read ${file}: let by and reported (EACCES if it were enforced): denied by files.deny[0], which is dry`,
    });
    // What is not allowed anyway is refused.
    expect(explain({ files: { deny } }, { path: file, cwd: '/usr' })).toMatchObject({
      allowed: false,
      errno: 'EACCES',
    });
    expect(explain({ mode: 'report' }, { path: file, cwd: '/usr' })).toMatchObject({
      allowed: true,
      dry: true,
      errno: 'EACCES',
      suggestion: { field: 'files.read', value: file },
      message: `read ${file}: let by and reported (EACCES if it were enforced): nothing allows it, files.read: "${file}" would allow it`,
    });
  });
});

describe('explain()', () => {
  test('names the rule, what else speaks of it, and what would help', () => {
    const folder = temporaryFolder('told');
    mkdirSync(join(folder, 'in'));
    writeFileSync(join(folder, 'in/file'), '');
    const policy: Policy = { files: { read: [folder], deny: [{ path: join(folder, 'in'), access: ['write'] }] } };
    const path = join(folder, 'in/file');
    expect(explain(policy, { path, cwd: '/usr' })).toEqual({
      allowed: true,
      access: 'read',
      path,
      exists: true,
      rule: 'files.read[0]',
      considered: [{ rule: 'files.read[0]', effect: 'allow', path: folder }],
      message: `read ${path}: allowed by files.read[0] (${folder})`,
    });
    expect(explain(policy, { path: 'in/file', access: 'write', cwd: folder })).toMatchObject({
      allowed: false,
      rule: 'files.deny[0]',
      errno: 'EACCES',
      reported: true,
      message: `write ${path}: refused with EACCES: denied by files.deny[0] (${folder}/in)`,
    });
    expect(explain(policy, { path: '/var/log', access: 'metadata', cwd: '/usr' })).toMatchObject({
      allowed: false,
      suggestion: { field: 'files.metadata', value: '/var/log' },
      considered: [],
    });
    // Ancestors of what may be read may be looked at.
    expect(explain(policy, { path: join(folder, '..'), access: 'metadata', cwd: '/usr' }).allowed).toBe(true);
    expect(explain(policy, { path: '/proc/1/environ', cwd: '/usr' })).toMatchObject({
      allowed: false,
      errno: 'ENOENT',
      reason: 'a process outside the sandbox',
    });
    expect(explain({}, { address: '127.0.0.1:80' })).toMatchObject({
      allowed: false,
      access: 'connect',
      address: '127.0.0.1',
      port: 80,
      suggestion: { field: 'network.connect', value: '127.0.0.1:80' },
    });
    const compiled = compilePolicy({ files: { read: ['.'] } }, { cwd: folder });
    expect(explain(compiled, { path, cwd: '/usr' }).allowed).toBe(true);
    expect(explain('compute', { exec: '/usr/bin/true', cwd: '/usr' }).allowed).toEqual(expect.any(Boolean));
    const odd = join(folder, 'a\n\u202eb');
    expect(explain(undefined, { path: odd, cwd: '/usr' }).message).toContain('a\\u000a\\u202eb');
  });

  test('a question that means nothing is refused', () => {
    const wrong: [unknown, RegExp][] = [
      [undefined, /must be \{ path, access \}/],
      [{}, /one of path, exec, address, and has none/],
      [{ path: '/a', exec: '/b' }, /and has path, exec/],
      [{ path: '/a', acess: 'read' }, /question\.acess: 'read' is not known.*access/],
      [{ path: '/a', access: 'connect' }, /question\.access/],
      [{ exec: '/a', access: 'read' }, /question\.access/],
      [{ address: '10.0.0.0/8' }, /not one address/],
      [{ address: '*:80' }, /not one address/],
      [{ address: 'localhost:80' }, /names are not resolved/],
      [{ address: 'unix:@a*' }, /not one address/],
      [{ path: '' }, /must be a path/],
      [{ path: 'a\0b' }, /must be a path/],
      [{ path: 5 }, /must be a path/],
      [{ path: '/a', argv: ['b'] }, /question\.argv/],
      [{ path: '/a', under: 'b' }, /question\.under/],
      [{ path: 'https://x', cwd: 3 }, /question\.cwd/],
    ];
    for (const [question, message] of wrong) {
      expect(() => explain({}, question as never), JSON.stringify(question)).toThrow(
        expect.objectContaining({ code: 'ERR_HOLDFAST_INVALID_OPTION', message: expect.stringMatching(message) }),
      );
    }
    expect(() => explain({ files: { reed: [] } } as never, { path: '/' })).toThrow(/reed/);
  });
});

describe('holdfast explain', () => {
  const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
  const holdfast = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'explain', ...args], { encoding: 'utf8' });
    return { status, stdout, stderr };
  };

  test('what is let by is allowed, and said to be', () => {
    const folder = temporaryFolder('let-by');
    const policy = join(folder, 'policy.json');
    writeFileSync(policy, JSON.stringify({ mode: 'report', files: { deny: [{ path: folder, dry: true }] } }));
    const asked = holdfast('--policy', policy, '--read', folder);
    expect(asked.status).toBe(0);
    expect(asked.stdout).toBe(
      `read ${folder}: let by and reported (EACCES if it were enforced): denied by files.deny[0], which is dry\n  deny (dry) files.deny[0] ${folder}\n`,
    );
  });

  test('says it in a line, or as data, and by its exit code', () => {
    const folder = temporaryFolder('command');
    const policy = join(folder, 'policy.json');
    const program = join(folder, 'program');
    copyFileSync('/usr/bin/true', program);
    chmodSync(program, 0o755);
    writeFileSync(
      policy,
      JSON.stringify({ files: { read: [folder] }, exec: { allow: [{ path: program, argv: ['ok'] }] } }),
    );
    expect(holdfast('--policy', policy, '--read', policy)).toEqual({
      status: 0,
      stdout: `read ${policy}: allowed by files.read[0] (${folder})\n  allow files.read[0] ${folder}\n`,
      stderr: '',
    });
    const refused = holdfast('--policy', policy, '--connect', '127.0.0.1:80', '--json');
    expect(refused.status).toBe(1);
    expect(JSON.parse(refused.stdout)).toMatchObject({ allowed: false, address: '127.0.0.1', errno: 'EACCES' });
    expect(holdfast('--policy', policy, '--exec', program, '--', 'ok').status).toBe(0);
    expect(holdfast('--policy', policy, '--exec', program, '--', 'no').status).toBe(1);
    expect(holdfast('--read', 'explain.test.ts', '--cwd', folder).status).toBe(0);
    for (const args of [
      [],
      ['--read', '/a', '--write', '/a'],
      ['--policy', '/nowhere.json', '--read', '/'],
      ['--connect', 'x'],
    ]) {
      const { status, stderr } = holdfast(...args);
      expect([status, stderr.split('\n').length], stderr).toEqual([125, 2]);
      expect(stderr).toMatch(/^holdfast: /);
    }
  });
});
