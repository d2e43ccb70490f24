// A lesson gives a policy by which the same runs again without a violation, and what was not done in it is refused.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type LearnOptions, type Lesson, learn, lessonBounds, loadPolicy, mergeLesson, type Policy } from 'holdfast';
import { expect, test } from 'vitest';
import { patient } from '../helpers/patience.ts';
import { runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';

const root = join(import.meta.dirname, '../..');

interface Place {
  folder: string;
  /** Where the command runs. */
  cwd: string;
  env: NodeJS.ProcessEnv;
}

function place(files: Record<string, string> = {}): Place {
  const folder = temporaryFolder('learn');
  const cwd = join(folder, 'project');
  const home = join(folder, 'home');
  for (const one of [cwd, home]) mkdirSync(one);
  writeFileSync(join(folder, 'other.txt'), 'not of the lesson');
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(cwd, name, '..'), { recursive: true });
    writeFileSync(join(cwd, name), text);
  }
  return {
    folder,
    cwd,
    env: { PATH: process.env.PATH, HOME: home, LANG: 'C.UTF-8', GIT_CONFIG_NOSYSTEM: '1' },
  };
}

/** As a lesson writes a path: a temporary folder may lie in the home directory. */
const asProposed = (path: string) => (path.startsWith(`${homedir()}/`) ? `$HOME${path.slice(homedir().length)}` : path);

/** What a file has that the lesson was written to, as a policy. */
function written({ cwd }: Place, lesson: Lesson, text?: string): { policy: Policy; text: string } {
  const file = join(cwd, '..', 'policy.jsonc');
  const merged = mergeLesson(text, lesson);
  writeFileSync(file, merged);
  return { policy: loadPolicy(file, { cwd }), text: merged };
}

async function taught(at: Place, script: string, options: LearnOptions = {}): Promise<Lesson> {
  const { cwd, env } = at;
  return learn('sh', ['-ec', script], { cwd, env, stdio: ['ignore', 'ignore', 'inherit'], ...options });
}

const again = ({ cwd, env }: Place, script: string, policy: Policy) =>
  runSandboxed('sh', ['-ec', script], { cwd, env, policy });

async function replays(at: Place, script: string, undo: string): Promise<Policy> {
  const lesson = await taught(at, script);
  expect(lesson.exitCode).toBe(0);
  expect(lesson.truncated).toBe(0);
  const { policy } = written(at, lesson);
  await again(at, undo, { files: { read: ['/'], write: [at.cwd] } });
  const { code, stderr, violations } = await again(at, script, policy);
  expect(violations.filter(({ probe }) => !probe).map(({ message }) => message)).toEqual([]);
  expect([code, stderr.includes('denied')]).toEqual([0, false]);
  const other = await again(at, 'cat ../other.txt', policy);
  expect(other.violations.map(({ path }) => path)).toContain(join(at.folder, 'other.txt'));
  const connects = `${process.execPath} -e "require('node:net').connect(9, '127.0.0.1').on('error', () => process.exit(3))"`;
  const refused = await again(at, connects, policy);
  expect(refused.violations.map(({ syscall, port }) => [syscall, port])).toContainEqual(['connect', 9]);
  return policy;
}

test(
  'git: what a commit needs is given, and nothing else is written',
  async () => {
    const at = place({ 'a.txt': 'a' });
    const script =
      'git init -q . && git add a.txt && git -c user.name=a -c user.email=a@b.c commit -qm one && git log -p > /dev/null';
    const policy = await replays(at, script, 'rm -rf .git');
    expect(policy.files?.write).toEqual([join(at.cwd, '.git')]);
    const writes = await again(at, 'echo x > b.txt', policy);
    expect(writes.violations.map(({ path }) => path)).toEqual([join(at.cwd, 'b.txt')]);
  },
  patient(60_000),
);

test(
  'make: the folder that was built is given',
  async () => {
    const at = place({
      Makefile:
        'build/all: build/a build/b\n\tcat $^ > $@\nbuild/%: src/%\n\tmkdir -p build\n\tcp $< $@.tmp && mv $@.tmp $@\n',
      'src/a': 'a',
      'src/b': 'b',
    });
    const policy = await replays(at, 'make -j2', 'rm -rf build');
    expect(policy.files?.write).toEqual([join(at.cwd, 'build')]);
  },
  patient(60_000),
);

test(
  'npm: a script, and packages from a folder beside the project',
  async () => {
    const at = place({
      'package.json': JSON.stringify({
        name: 'p',
        version: '1.0.0',
        scripts: { build: 'mkdir -p dist && cp package.json dist/' },
      }),
    });
    await replays(at, 'npm run build --silent', 'rm -rf dist');
  },
  patient(90_000),
);

test(
  'python: its caches are where it writes them',
  async () => {
    const at = place({
      'pack/__init__.py': '',
      'pack/one.py':
        'import json, tempfile\nopen("out.json", "w").write(json.dumps([1]))\ntempfile.TemporaryFile().write(b"x"); import os; os.stat(tempfile.gettempdir())',
    });
    const policy = await replays(at, 'python3 -c "import pack.one"', 'rm -rf pack/__pycache__ out.json');
    expect(policy.scratch).toBe(true);
    // The folder of another lesson is another one.
    expect(policy.files?.metadata?.filter((path) => /\/holdfast-\w{6}$/.test(String(path)))).toEqual([]);
    expect(policy.files?.write).toContain(join(at.cwd, 'out.json'));
  },
  patient(60_000),
);

test(
  'vite: a build reads its packages where they are',
  async () => {
    const at = place({
      'index.html': '<script type="module" src="/main.js"></script>',
      'main.js': 'import { one } from "./one.js"; document.title = one;',
      'one.js': 'export const one = "one";',
      'package.json': '{"type": "module"}',
    });
    const policy = await replays(
      at,
      `${process.execPath} ${join(root, 'node_modules/vite/bin/vite.js')} build --logLevel error`,
      'rm -rf dist',
    );
    expect(existsSync(join(at.cwd, 'dist/index.html'))).toBe(true);
    expect(policy.files?.read).toContain(join(root, 'node_modules'));
  },
  patient(120_000),
);

test(
  'a second lesson adds to the first, and the third to nothing',
  async () => {
    const at = place({ 'a.txt': 'a' });
    writeFileSync(join(at.folder, 'more.txt'), 'more');
    const first = await taught(at, 'cat a.txt > one.txt');
    const one = written(at, first, '{\n  // ours\n  "files": { "write": [] },\n}\n');
    expect(one.text).toContain('// ours');
    expect(one.text).toMatch(/\/\/ .*sh 1×.*\n\s*"\$CWD\/one\.txt"/);
    const second = await taught(at, 'cat ../more.txt > two.txt', { policy: one.policy });
    expect(second.proposals.map(({ field, value }) => [field, value])).toEqual([
      ['files.read', asProposed(join(at.folder, 'more.txt'))],
      ['files.write', '$CWD/two.txt'],
    ]);
    const two = written(at, second, one.text);
    expect(two.text).toContain('// ours');
    expect(two.text).toContain('"$CWD/one.txt"');
    const third = await taught(at, 'cat a.txt ../more.txt > two.txt', { policy: two.policy });
    expect(third.proposals).toEqual([]);
    expect(mergeLesson(two.text, third)).toBe(two.text);
  },
  patient(60_000),
);

test(
  'secrets can neither be read in a lesson nor come into its policy',
  async () => {
    const at = place({ '.env': 'TOKEN=1', 'packages/x/.env.local': 'TOKEN=2', 'a.txt': 'a', id_rsa: 'key' });
    const lesson = await taught(at, 'cat .env packages/x/.env.local id_rsa a.txt > /dev/null || true');
    expect(lesson.exitCode).toBe(0);
    const secret = [join(at.cwd, '.env'), join(at.cwd, 'packages/x/.env.local'), join(at.cwd, 'id_rsa')];
    const { policy } = written(at, lesson);
    const reads = lesson.accesses.filter(({ path, access }) => access === 'read' && secret.includes(path ?? ''));
    expect(reads.map(({ outcome }) => outcome)).toEqual(['refused', 'refused', 'refused']);
    for (const path of secret) {
      const { violations } = await again(at, `cat ${path}`, policy);
      expect(violations.map((violation) => violation.path)).toEqual([path]);
    }
    expect((await again(at, 'cat a.txt', policy)).stdout).toBe('a');
  },
  patient(60_000),
);

test(
  'what lies beyond the bounds is refused in the lesson, said, and not proposed',
  async () => {
    const at = place();
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const connect = `${process.execPath} -e "require('node:net').connect(${port}, '127.0.0.1').on('error', () => {}).on('data', () => {})"`;
    const script = `${connect}; echo x > ../outside.txt || true`;
    const lesson = await taught(at, script, { within: { files: { read: ['/'], metadata: ['/'], write: ['.'] } } });
    expect(existsSync(join(at.folder, 'outside.txt'))).toBe(false);
    expect(lesson.proposals).toEqual([]);
    expect(lesson.omissions.map(({ access, target, refused }) => [access, target, refused])).toEqual(
      expect.arrayContaining([
        ['connect', `127.0.0.1 port ${port}`, true],
        ['write', join(at.folder, 'outside.txt'), true],
      ]),
    );
    const wider = await taught(at, script, {
      within: {
        files: { read: ['/'], metadata: ['/'], write: [at.folder] },
        network: { connect: [`127.0.0.1:${port}`] },
      },
    });
    server.close();
    expect(wider.proposals.map(({ field, value }) => [field, value])).toEqual([
      ['files.write', asProposed(join(at.folder, 'outside.txt'))],
      ['network.connect', `127.0.0.1:${port >= 32768 && port < 61000 ? '32768-60999' : port}`],
    ]);
  },
  patient(60_000),
);

test(
  'what the policy denies stays denied, and is not proposed',
  async () => {
    const at = place({ 'a.txt': 'a', 'no/b.txt': 'b' });
    const lesson = await taught(at, 'cat a.txt no/b.txt || true', { policy: { files: { deny: ['no'] } } });
    expect(lesson.omissions.map(({ target, reason }) => [target, reason])).toContainEqual([
      join(at.cwd, 'no/b.txt'),
      expect.stringContaining('files.deny[0]'),
    ]);
    expect(lesson.policy.files?.deny).toContain('no');
  },
  patient(30_000),
);

test(
  'programs are learned where that is asked for: another one is refused',
  async () => {
    const at = place({ 'a.txt': 'a' });
    const lesson = await taught(at, 'cat a.txt', { programs: true });
    const { policy } = written(at, lesson);
    expect(policy.exec).toContainEqual(expect.stringMatching(/\/cat$/));
    expect((await again(at, 'cat a.txt', policy)).violations).toEqual([]);
    const { violations } = await again(at, 'ls . || true', policy);
    expect([...new Set(violations.map(({ access }) => access))]).toEqual(['exec']);
  },
  patient(30_000),
);

test(
  'a name that the tree has chosen adds nothing to the file but itself',
  async () => {
    const at = place();
    const script = `mkdir d && printf x > "$(printf 'd2\\n"/etc",//')" || true; mkdir "$(printf 'x*\\n"/"')"`;
    const lesson = await taught(at, script);
    const { policy } = written(at, lesson);
    const names = policy.files?.write?.map(String) ?? [];
    expect(names.length).toBeGreaterThan(0);
    expect(names.every((name) => name.includes(at.cwd))).toBe(true);
  },
  patient(30_000),
);

test('what is no option of a lesson is refused by name', async () => {
  const wrong = (options: object) => learn('true', [], options as LearnOptions);
  await expect(wrong({ policy: 'compute' })).rejects.toThrow(/options\.policy/);
  await expect(wrong({ programs: 1 })).rejects.toThrow(/options\.programs/);
  await expect(wrong({ record: true })).rejects.toThrow(/options\.record/);
  await expect(wrong({ engine: 'kernel' })).rejects.toThrow(/options\.engine/);
  await expect(wrong({ onProgress: 1 })).rejects.toThrow(/options\.onProgress/);
  await expect(learn('/no/such/program', [], { stdio: 'ignore' })).rejects.toMatchObject({ code: 'ENOENT' });
  expect(readFileSync(join(root, 'docs/learning.md'), 'utf8')).toContain('omissions');
});

test(
  'no unix socket is reached in a lesson unless the bounds name it, and none is proposed by its folder',
  async () => {
    const at = place();
    const server = createServer((socket) => socket.end());
    const path = join(at.cwd, 'tmpAbC123');
    const abstract = `\0holdfast-lesson-${process.pid}`;
    const other = createServer((socket) => socket.end());
    await Promise.all([
      new Promise<void>((done) => server.listen(path, done)),
      new Promise<void>((done) => other.listen(abstract, done)),
    ]);
    let reached = 0;
    for (const one of [server, other]) one.on('connection', () => reached++);
    const script = `for (const path of [${JSON.stringify(path)}, ${JSON.stringify(abstract)}])
  require('node:net').connect(path).on('error', ({ code }) => console.log(code));`;
    const teach = (options: LearnOptions = {}) =>
      learn(process.execPath, ['-e', script], { cwd: at.cwd, env: at.env, stdio: 'ignore', ...options });
    try {
      const lesson = await teach();
      expect(reached).toBe(0);
      expect(lesson.policy.network).toBeUndefined();
      expect(lesson.omissions.filter(({ access }) => access === 'connect').map(({ refused }) => refused)).toEqual([
        true,
        true,
      ]);
      // A name hidden behind another one, in a folder that may be written, is refused as well.
      const moved = `require('node:fs').linkSync(${JSON.stringify(path)}, 'x'); require('node:net').connect(process.cwd() + '/x').on('error', () => {});`;
      await learn(process.execPath, ['-e', moved], { cwd: at.cwd, env: at.env, stdio: 'ignore' });
      expect(reached).toBe(0);
      const bounds = lessonBounds(at.cwd);
      const told = await teach({ within: { ...bounds, network: { ...bounds.network, connect: [`unix:${path}`] } } });
      expect(reached).toBe(1);
      expect(told.policy.network).toEqual({ connect: [`unix:${path}`] });
    } finally {
      server.close();
      other.close();
    }
  },
  patient(30_000),
);

test(
  'a folder that is given does not give the secrets in it: those of now, those that come later, those that links lead to',
  async () => {
    const at = place();
    const home = join(at.folder, 'home');
    const names = ['a', 'b', 'c', 'id_rsa', 'id_ed25519', 'store.p12', '.env'];
    const conf = join(at.folder, 'srv [1]/conf');
    const dotfiles = join(home, 'dotfiles');
    for (const folder of [conf, dotfiles]) {
      mkdirSync(folder, { recursive: true });
      for (const name of names) writeFileSync(join(folder, name), name);
    }
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(dotfiles, 'npmrc'), 'token');
    writeFileSync(join(dotfiles, 'cloud'), 'token');
    symlinkSync('dotfiles/npmrc', join(home, '.npmrc'));
    symlinkSync('../dotfiles/cloud', join(home, '.aws/credentials'));
    const own = process.env.HOME;
    process.env.HOME = home;
    try {
      const of = (folder: string, list: string[]) => list.map((name) => `'${join(folder, name)}'`).join(' ');
      const script = `cat ${of(conf, ['a', 'b', 'c'])} ${of(dotfiles, ['a', 'b', 'c'])}; cat ${of(dotfiles, ['npmrc'])} || true`;
      const lesson = await taught(at, script);
      expect(lesson.exitCode).toBe(0);
      expect(lesson.omissions.map(({ target }) => target)).toContain(join(dotfiles, 'npmrc'));
      const { policy } = written(at, lesson);
      expect(policy.files?.read).not.toContain(dotfiles);
      mkdirSync(join(conf, 'later'));
      writeFileSync(join(conf, 'later/id_rsa'), 'key');
      writeFileSync(join(at.cwd, 'later.p12'), 'key');
      const secrets = [
        ...[...names.slice(3), 'later/id_rsa'].map((name) => join(conf, name)),
        ...[...names.slice(3), 'npmrc', 'cloud'].map((name) => join(dotfiles, name)),
        join(at.cwd, 'later.p12'),
      ];
      const { stdout, violations } = await again(at, `cat ${of('', secrets)} || true`, policy);
      expect([stdout, violations.map(({ path }) => path)]).toEqual(['', secrets]);
      expect((await again(at, `cat ${of(conf, ['a', 'b', 'c'])}`, policy)).stdout).toBe('abc');
      const next = await taught(at, script, { policy: lesson.policy });
      expect([next.proposals, next.denied]).toEqual([[], []]);
    } finally {
      process.env.HOME = own;
    }
  },
  patient(30_000),
);

test(
  'a name with a variable in it is written as what it is, and one that no text can say is said and not proposed',
  async () => {
    const at = place();
    const other = join(at.folder, 'other [1]/$HOME');
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, 'f'), 'content');
    const bytes = `"$(printf '../b\\377d')"`;
    const script = `cat '${join(other, 'f')}'; cat ${bytes}; mkdir out; echo x > out/"$(printf 'b\\377d')"`;
    writeFileSync(Buffer.concat([Buffer.from(`${at.folder}/b`), Buffer.from([0xff]), Buffer.from('d')]), 'raw');
    const lesson = await taught(at, script);
    expect([lesson.exitCode, JSON.stringify(lesson.policy).includes('\uFFFD')]).toEqual([0, false]);
    expect(lesson.omissions.map(({ access, target, reason }) => [access, target, reason])).toEqual([
      ['read', join(at.folder, 'b\uFFFDd'), expect.stringContaining('no UTF-8')],
    ]);
    const { policy } = written(at, lesson);
    expect(policy.files?.read).toEqual([pathToFileURL(join(other, 'f')).href]);
    const { stdout } = await again(at, `cat '${join(other, 'f')}'; rm -r out; mkdir out; echo x > out/y`, policy);
    expect(stdout).toBe('content');
  },
  patient(30_000),
);
