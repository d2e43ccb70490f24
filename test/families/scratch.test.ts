// policy.scratch: a folder for temporary files, and terminals, of one sandbox's own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnSandboxed } from 'holdfast';
import { afterEach, describe, expect, test } from 'vitest';
import { runBare, runSandboxed } from '../helpers/run.ts';
import { temporaryFolder } from '../helpers/temp.ts';
import { policyFor, python } from '../lifecycle/tree.ts';

const isRoot = process.getuid?.() === 0;
/** aarch64 has only the calls that take a folder's descriptor. */
const older = process.arch === 'x64';
const before = process.env.TMPDIR;
afterEach(() => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});

describe('a temporary folder', () => {
  test('is the command’s alone, named by TMPDIR, and gone at the end', async () => {
    process.env.TMPDIR = temporaryFolder('scratch');
    const script =
      'file=$(mktemp) && echo "$TMPDIR $(dirname $file) $(stat -c %a "$TMPDIR")"; rmdir "$TMPDIR" || ls -d "$TMPDIR"';
    const line = ['-c', script];
    const runs = await Promise.all([
      runSandboxed('sh', line, { policy: { scratch: true } }),
      runSandboxed('sh', line, { policy: { scratch: true }, env: { PATH: process.env.PATH, TMPDIR: '/nowhere' } }),
    ]);
    const folders = runs.map(({ stdout }) => {
      const [folder = '', made, mode] = stdout.split('\n')[0]?.split(' ') ?? [];
      expect([made, mode]).toEqual([folder, '700']);
      expect(stdout.split('\n')[1]).toBe(folder);
      expect(existsSync(folder)).toBe(false);
      return folder;
    });
    expect(folders[0]).not.toBe(folders[1]);
    expect(readdirSync(process.env.TMPDIR)).toEqual([]);
    // Its own name is not the tree's.
    expect(runs[0]?.violations).toMatchObject([{ syscall: older ? 'rmdir' : 'unlinkat', path: folders[0] }]);
  });

  test('of another sandbox is closed', async () => {
    const one = spawnSandboxed('sh', ['-c', 'echo secret > "$TMPDIR/file"; echo "$TMPDIR/file"; read line'], {
      policy: { scratch: true },
    });
    const [file] = (await once(createInterface({ input: one.stdout }), 'line')) as [string];
    const two = await runSandboxed('cat', [file], { policy: { scratch: true } });
    expect(two).toMatchObject({ code: 1, stdout: '', violations: [{ path: file }] });
    one.stdin.end();
    await new Promise((resolve) => one.on('close', resolve));
    expect(existsSync(file)).toBe(false);
  });

  test('is removed whatever is in it, and nothing that it only points to', async () => {
    const kept = temporaryFolder('kept');
    process.env.TMPDIR = temporaryFolder('scratch');
    mkdirSync(join(kept, 'inner'));
    writeFileSync(join(kept, 'inner/file'), 'kept');
    const script = `cd "$TMPDIR"; mkdir -p a/b/c; touch a/b/c/file; ln -s ${kept} link; ln -s ${kept}/inner a/b/link; chmod 0 a/b/c a/b a`;
    const { code, stderr } = await runSandboxed('sh', ['-c', script], { policy: { scratch: true } });
    expect([code, stderr]).toEqual([0, '']);
    expect(readdirSync(process.env.TMPDIR)).toEqual([]);
    expect(readFileSync(join(kept, 'inner/file'), 'utf8')).toBe('kept');
    expect(statSync(join(kept, 'inner')).mode & 0o777).toBe(0o755);
  });

  test('is removed with many folders, closed ones among them, names that are no text, and any depth', async () => {
    process.env.TMPDIR = temporaryFolder('scratch');
    const script = `import os
os.chdir(os.environ['TMPDIR'])
for i in range(200): os.makedirs(f'many/{i}/inner'); open(f'many/{i}/inner/file', 'w').close()
os.makedirs(b'odd-\\xff/in\\nner'); os.symlink('/', b'odd-\\xff/link'); os.mkfifo('fifo')
os.mkdir('closed'); os.mkdir('closed/inner'); open('closed/inner/.moved-0', 'w').close(); os.mkdir('.moved-0'); os.mkdir('.moved-1')
for i in range(60): os.mkdir('d' * 200); os.chdir('d' * 200)
open('deepest', 'w').close(); os.chdir(os.environ['TMPDIR'])
os.chmod(b'odd-\\xff', 0); os.chmod('closed/inner', 0); os.chmod('closed', 0); os.chmod('.', 0)`;
    const child = spawnSandboxed(python, ['-S', '-c', script], { policy: { ...policyFor(), scratch: true } });
    const told: unknown[] = [];
    child.on('warning', (warning) => told.push(warning));
    child.stderr.on('data', (chunk) => told.push(String(chunk)));
    await new Promise((resolve) => child.on('close', resolve));
    expect(told).toEqual([]);
    expect(readdirSync(process.env.TMPDIR)).toEqual([]);
  });

  test('whose name was given to something else stays, and a warning says so', async () => {
    const place = temporaryFolder('scratch');
    process.env.TMPDIR = place;
    mkdirSync(join(place, 'victim'));
    const policy = { scratch: true, files: { read: [place], write: [place] } };
    const child = spawnSandboxed('sh', ['-c', 'mv "$TMPDIR" "$TMPDIR.away" && mv -T victim "$TMPDIR"'], {
      policy,
      cwd: place,
    });
    const warnings: unknown[] = [];
    child.on('warning', ({ rule, message }) => warnings.push([rule, message]));
    await new Promise((resolve) => child.on('close', resolve));
    expect(warnings).toEqual([['scratch', expect.stringMatching(/could not be removed: it was replaced/)]]);
    expect(readdirSync(place)).toHaveLength(2);
  });

  test('is there for descendants as long as they are', async () => {
    const child = spawnSandboxed('sh', ['-c', '(sleep 0.2; echo late > "$TMPDIR/late" && cat "$TMPDIR/late") & '], {
      descendants: 'wait',
      policy: { scratch: true },
    });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    await new Promise((resolve) => child.on('close', resolve));
    expect(text).toBe('late\n');
  });

  test('that cannot be made is an error with a code, and there is no command', async () => {
    const place = temporaryFolder('scratch');
    process.env.TMPDIR = join(place, 'missing');
    const child = spawnSandboxed('true', [], { policy: { scratch: true } });
    const events: unknown[] = [];
    child.on('spawn', () => events.push('spawn'));
    child.on('error', (error) => events.push((error as NodeJS.ErrnoException).code, error.message));
    await new Promise((resolve) => child.on('close', resolve));
    expect(events).toEqual(['ERR_HOLDFAST_LAUNCH', expect.stringMatching(/policy\.scratch.*missing.*ENOENT.*TMPDIR/)]);
  });

  test('is made for nothing where there is no command', async () => {
    process.env.TMPDIR = temporaryFolder('scratch');
    const child = spawnSandboxed('/nowhere/program', [], { policy: { scratch: true } });
    child.on('error', () => {});
    await new Promise((resolve) => child.on('close', resolve));
    expect(() => spawnSandboxed('true', [], { policy: { scratch: true }, uid: 'root' as never })).toThrow(TypeError);
    while (readdirSync(process.env.TMPDIR).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  test.skipIf(!isRoot)('is the user’s that the command runs as (only root can run it as another)', async () => {
    const { stdout } = await runSandboxed('sh', ['-c', 'stat -c "%u %g" "$TMPDIR"; mktemp > /dev/null && echo made'], {
      policy: { scratch: true },
      uid: 65534,
      gid: 65534,
      cwd: '/',
    });
    expect(stdout).toBe('65534 65534\nmade\n');
  });

  test('is an option that is true or false', () => {
    const policy = { scratch: 'yes' as never };
    expect(() => spawnSandboxed('true', [], { policy })).toThrow(/policy\.scratch: 'yes' .*true or false/);
  });
});

describe('terminals', () => {
  const policy = { ...policyFor(temporaryFolder('terminals')), scratch: true };
  const files = { ...policy.files, write: ['/dev/null'] };
  const prelude = `
import errno, os, sys
def step(name, act):
    try: print(name, act(), flush=True)
    except OSError as error: print(name, errno.errorcode[error.errno], flush=True)
def show(name): os.close(os.open(name, os.O_RDWR | os.O_NOCTTY)); return 'opened'
`;

  test('that the tree makes are its own, by their names too', async () => {
    const script = `${prelude}
master, slave = os.openpty(); name = os.ttyname(slave)
step('name', lambda: show(name)); step('stat', lambda: os.stat(name).st_rdev == os.fstat(slave).st_rdev)
if os.fork() == 0: step('child', lambda: show(name)); os._exit(0)
os.wait(); step('mode', lambda: os.chmod(name, 0o666)); os.close(slave); os.close(master)
step('over', lambda: show(name))`;
    const held = await runSandboxed(python, ['-c', script], { policy: { ...policy, files } });
    expect(held.stderr).toBe('');
    expect(held.stdout).toBe('name opened\nstat True\nchild opened\nmode EACCES\nover ENOENT\n');
    expect(held.violations).toMatchObject([{ syscall: older ? 'chmod' : 'fchmodat' }]);
  });

  test('are opened by their masters too, and as /dev/tty of who has them', async () => {
    const script = `${prelude}import fcntl, termios
master, slave = os.openpty(); name = os.ttyname(slave)
step('peer', lambda: os.ttyname(fcntl.ioctl(master, 0x5441, os.O_RDWR | os.O_NOCTTY)) == name)
step('no master', lambda: fcntl.ioctl(slave, 0x5441, os.O_RDWR))
step('closed', lambda: fcntl.ioctl(0, 0x5441, os.O_RDWR))
if os.fork() == 0:
    os.setsid(); fcntl.ioctl(slave, termios.TIOCSCTTY, 0); step('tty', lambda: os.write(os.open('/dev/tty', os.O_RDWR), b'x')); os._exit(0)
os.wait()`;
    const held = await runSandboxed(python, ['-c', script], { policy: { ...policy, files } });
    const bare = await runBare(python, ['-c', script]);
    expect(bare.stdout).toContain('peer True');
    expect(held).toMatchObject({ stdout: bare.stdout, stderr: '', violations: [] });
  });

  test('of others are closed, also under a number that was the tree’s', async () => {
    const own = `${prelude}
master, slave = os.openpty(); name = os.ttyname(slave); print(name, flush=True)
os.close(slave); os.close(master); other = sys.stdin.readline().strip()
step('its number', lambda: show(name)); step('other', lambda: show(other))`;
    const child = spawnSandboxed(python, ['-c', own], { policy: { ...policy, files } });
    const violations: unknown[] = [];
    child.on('violation', ({ path }) => violations.push(path));
    const lines = createInterface({ input: child.stdout });
    const [name] = (await once(lines, 'line')) as [string];
    // Numbers are given again, the lowest first.
    const outside = spawn(python, [
      '-c',
      `import os, sys
made = []
while not made or ${JSON.stringify(name)} not in made: made.append(os.ttyname(os.openpty()[1]))
print(os.ttyname(os.openpty()[1]), flush=True); sys.stdin.read()`,
    ]);
    const [other] = (await once(createInterface({ input: outside.stdout }), 'line')) as [string];
    const rest: string[] = [];
    lines.on('line', (line: string) => rest.push(line));
    child.stdin.end(`${other}\n`);
    await new Promise((resolve) => child.on('close', resolve));
    outside.stdin.end();
    expect(rest).toEqual(['its number EACCES', 'other EACCES']);
    expect(violations).toEqual([name, other]);
  });

  test('are not there without the option', async () => {
    const { violations } = await runSandboxed(python, ['-c', 'import os\ntry: os.openpty()\nexcept OSError: pass'], {
      policy: { files },
    });
    expect(violations).toContainEqual(expect.objectContaining({ path: expect.stringMatching(/ptmx$/) }));
  });

  test('do for script, and a folder for tmux', async () => {
    const typed = 'script -qec "tty; stty size" "$TMPDIR/typescript" < /dev/null | tr -d "\\r"';
    const held = await runSandboxed('sh', ['-c', typed], { policy: { ...policy, files } });
    expect(held.stdout).toMatch(/^\/dev\/pts\/\d+\n\d+ \d+\n$/);
    // The session lives until it is killed: a client that asks a server in its last moments waits for ever, bare too.
    const tmux = 'tmux -S "$TMPDIR/s" -f /dev/null';
    const session = 'echo seen > $TMPDIR/out; tmux -S $TMPDIR/s wait -S x; exec sleep 100';
    const script = `${tmux} new-session -d "${session}"; ${tmux} wait x; cat "$TMPDIR/out"; ${tmux} kill-server`;
    const all = await runSandboxed('sh', ['-c', script], {
      policy: { ...policy, files },
      env: { ...process.env, TERM: 'xterm', SHELL: '/bin/sh' },
    });
    expect(all.stdout).toBe('seen\n');
  });
});
