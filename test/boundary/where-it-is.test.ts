// The supervisor remembers where a process is, as long as nobody can have changed that unseen, and stands there itself.
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSandboxPool, type SandboxedProcess, spawnSandboxed, type Violation } from 'holdfast';
import { expect, test } from 'vitest';
import { program } from '../helpers/build-programs.ts';
import { type RunOptions, runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { python } from '../lifecycle/tree.ts';

function places(): string {
  const folder = temporaryFolder('where');
  for (const [at, name] of ['a', 'b', 'c'].entries()) {
    mkdirSync(join(folder, name, 'sub'), { recursive: true });
    for (const mark of ['mark', 'sub/mark']) writeFileSync(join(folder, name, mark), 'x'.repeat(at + 1));
    symlinkSync('x'.repeat(at + 1), join(folder, name, 'link'));
  }
  return folder;
}

const system = ['/proc', '/dev', '/etc'];
const files = (folder: string) => ({ read: [...system, folder], write: [folder] });
const granted = (folder: string): RunOptions => ({ policy: { files: files(folder) } });

// Each is another way to answer: going on, performing, asking, leaving to the kernel.
test.each<[string, (folder: string) => RunOptions]>([
  ['granted as a whole', granted],
  [
    'with a rule inside, so that opens are performed',
    (folder) => ({
      policy: { files: { ...files(folder), deny: [join(folder, 'kept/denied')] } },
    }),
  ],
  [
    'with hooks on what looks',
    (folder) => ({
      ...granted(folder),
      hooks: (child) => {
        child.onOpen(() => {});
        child.onStat(() => {});
        child.onReadlink(() => {});
      },
    }),
  ],
  ['where everything may be looked at', (folder) => ({ policy: { files: { ...files(folder), metadata: ['/'] } } })],
])('a program sees by relative names what it sees bare: %s', async (_, options) => {
  const folder = places();
  const bare = await runBare(program('where_it_is'), [folder]);
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  expect(bare.stdout.split('\n').length).toBeGreaterThan(40);
  const held = await runSandboxed(program('where_it_is'), [folder], options(folder));
  expect({ ...held, violations: [] }).toEqual(bare);
  expect(held.violations).toEqual([]);
});

test('the supervisor of a pool sees the same', async () => {
  const folder = places();
  const bare = await runBare(program('where_it_is'), [folder]);
  const pool = createSandboxPool({ size: 1 });
  const child = pool.spawn(program('where_it_is'), [folder], {
    policy: { files: { ...files(folder), deny: [join(folder, 'kept/denied')] } },
  });
  let said = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  await pool.close();
  expect({ code, said }).toEqual({ code: 0, said: bare.stdout });
});

test('threads that look while another one moves all of them are not taken for being elsewhere', async () => {
  const folder = places();
  const args = ['150', join(folder, 'a'), join(folder, 'b')];
  const held = await runSandboxed(program('race_where'), args, granted(folder));
  expect(held).toEqual({ code: 0, signal: null, stdout: '1200 looks or more\n', stderr: '', violations: [] });
});

/** A program of Python that answers one line for each line. */
function talk(folder: string, script: string, policy: RunOptions['policy']) {
  const child: SandboxedProcess = spawnSandboxed(python, ['-S', '-u', '-c', `import os, sys\n${script}`], {
    cwd: folder,
    policy,
  });
  const violations: Violation[] = [];
  child.on('violation', (violation) => violations.push(violation));
  let said = '';
  let heard = () => {};
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.endsWith('\n')) heard();
  });
  const ask = async (line: string) => {
    const answered = new Promise<void>((resolve) => {
      heard = resolve;
    });
    child.stdin?.write(`${line}\n`);
    await answered;
    const answer = said.trim();
    said = '';
    return answer;
  };
  const end = () => {
    child.stdin?.end();
    return new Promise((resolve) => child.on('close', resolve));
  };
  return { ask, end, violations };
}

const looks = `
def size(name):
    try: return os.stat(name).st_size
    except OSError as error: return -error.errno
def opened(name):
    try:
        with open(name, 'rb') as file: return len(file.read())
    except OSError as error: return -error.errno
for line in sys.stdin:
    name = line.strip()
    print(size(name), opened(name))
`;

test('what somebody outside moves is judged by the name that it has now', async () => {
  const folder = places();
  const { ask, end, violations } = talk(join(folder, 'a'), looks, {
    files: { read: [...system, join(folder, 'a')] },
  });
  expect(await ask('mark')).toBe('1 1');
  expect(await ask('sub/mark')).toBe('1 1');
  renameSync(join(folder, 'a'), join(folder, 'moved'));
  expect(await ask('mark')).toBe('-13 -13');
  expect(await ask('sub/mark')).toBe('-13 -13');
  expect(await ask('nothing')).toBe('-2 -2');
  expect(violations.map(({ path }) => path)).toContain(join(folder, 'moved/mark'));
  // Another folder by the old name is not where the program is.
  mkdirSync(join(folder, 'a'));
  writeFileSync(join(folder, 'a/mark'), 'xxxxx');
  expect(await ask('mark')).toBe('-13 -13');
  expect(await ask(join(folder, 'a/mark'))).toBe('5 5');
  renameSync(join(folder, 'a'), join(folder, 'other'));
  renameSync(join(folder, 'moved'), join(folder, 'a'));
  expect(await ask('mark')).toBe('1 1');
  await end();
});

test('a folder that a link leads to is judged by its own name', async () => {
  const folder = places();
  mkdirSync(join(folder, 'given'));
  renameSync(join(folder, 'b'), join(folder, 'given/b'));
  symlinkSync('given/b', join(folder, 'b'));
  const { ask, end } = talk(join(folder, 'given'), `os.chdir('../b')\n${looks}`, {
    files: { read: [...system, join(folder, 'given')], metadata: [folder] },
  });
  expect(await ask('mark')).toBe('2 2');
  expect(await ask('../b/mark')).toBe('2 2');
  expect(await ask('../../a/mark')).toBe('1 -13');
  await end();
});

test('where a folder may not be walked through, nothing in it is found', async () => {
  const folder = places();
  const script = `
os.chdir('a')
print(os.stat('mark').st_size)
folder = os.open('.', os.O_RDONLY)
os.fchmod(folder, 0o600)
for name in ('mark', 'sub/mark', 'nothing'):
    for act in (os.stat, lambda name: os.close(os.open(name, os.O_RDONLY)), os.readlink):
        try: act(name); print(name, 'there')
        except OSError as error: print(name, error.errno)
os.fchmod(folder, 0o700)
`;
  const args = ['-S', '-c', `import os\n${script}`];
  const bare = await runBare(python, args, { cwd: folder });
  expect(bare).toMatchObject({ code: 0, stderr: '' });
  const held = await runSandboxed(python, args, { cwd: folder, ...granted(folder) });
  expect({ ...held, violations: [] }).toEqual(bare);
});
