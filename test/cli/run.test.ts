// `holdfast run`, as it is installed.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin.holdfast);
const { FORCE_COLOR, NO_COLOR, PWD, ...plain } = process.env;

interface Settings {
  env?: NodeJS.ProcessEnv;
  input?: string;
  cwd?: string;
}

function run(args: string[], { env, ...settings }: Settings = {}) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [cli, 'run', ...args], {
    encoding: 'utf8',
    cwd: temporaryFolder('cli'),
    env: { ...plain, ...env },
    ...settings,
  });
  return { status, signal, stdout, stderr };
}

const sh = (script: string) => ['--', 'sh', '-c', script];

describe('holdfast run', () => {
  test("gives the program this one's streams, and says nothing of its own where nothing was refused", () => {
    const { status, stdout, stderr } = run(sh('cat; echo err >&2; exit 5'), { input: 'in' });
    expect({ status, stdout, stderr }).toEqual({ status: 5, stdout: 'in', stderr: 'err\n' });
  });

  test("takes what follows the program's name for the program's, with and without --", () => {
    expect(run(['printf', '%s ', '--read', '-q', '--', 'x']).stdout).toBe('--read -q -- x ');
    expect(run(['--', 'printf', '%s ', '-v']).stdout).toBe('-v ');
  });

  test('tells each kind of refusal once, with the flag that would allow it; that flag allows it', () => {
    const folder = temporaryFolder('cli');
    const file = join(folder, "a 'b");
    writeFileSync(file, 'content');
    const cat = 'cat "$F" 2>/dev/null; cat "$F" 2>/dev/null; true';
    const refused = run(sh(cat), { env: { F: file } });
    expect(refused.status).toBe(0);
    expect(refused.stderr.split('\n')).toEqual([
      'holdfast: 2 calls refused',
      expect.stringMatching(/^ {2}read {2}\/.*\/a 'b {2}\/usr\/bin\/\S*cat\S* ×2 {2}--read '\/.*'$/),
      '',
    ]);
    const flag = /--read .*$/m.exec(refused.stderr)?.[0] ?? '';
    const line = `"$NODE" "$CLI" run ${flag} -- sh -c '${cat}'`;
    const given = spawnSync('sh', ['-c', line], {
      encoding: 'utf8',
      env: { ...plain, F: file, NODE: process.execPath, CLI: cli },
    });
    expect([given.stdout, given.stderr]).toEqual(['contentcontent', '']);
  });

  test('--write, --deny, --look, --connect and --exec are rules of the policy', () => {
    const cwd = temporaryFolder('cli');
    for (const name of ['out', 'in']) mkdirSync(join(cwd, name));
    writeFileSync(join(cwd, 'in/secret'), 'secret');
    expect(run(['--write', 'out', ...sh('echo x > out/file')], { cwd })).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(cwd, 'out/file'), 'utf8')).toBe('x\n');
    const denied = run(['--deny', 'in', ...sh('cat in/secret')], { cwd });
    expect([denied.status, denied.stdout]).toEqual([1, '']);
    expect(denied.stderr).toContain('files.deny[0]');
    expect(run(['--exec', '/bin/true', ...sh('ls')], { cwd }).status).toBe(126);
    expect(run(['--look', '/root', ...sh('test -d /root')], { cwd }).status).toBe(0);
    const port = 'exec 3<>/dev/tcp/127.0.0.1/1';
    expect(run(['--', 'bash', '-c', port], { cwd }).stderr).toContain('--connect 127.0.0.1:1');
    expect(run(['--connect', '127.0.0.1:1', '--', 'bash', '-c', port], { cwd }).stderr).toContain('refused');
  });

  test('paths are those of the shell it is typed in, also with --cwd', () => {
    const cwd = temporaryFolder('cli');
    for (const name of ['out', 'work', 'work/out']) mkdirSync(join(cwd, name));
    const { status, stdout } = run(
      ['--cwd', 'work', '--write', 'out', ...sh('pwd; echo x > ../out/file && ! echo x > out/file')],
      { cwd },
    );
    expect([status, stdout]).toEqual([0, `${join(cwd, 'work')}\n`]);
    expect([existsSync(join(cwd, 'out/file')), existsSync(join(cwd, 'work/out/file'))]).toEqual([true, false]);
  });

  test('--policy takes files and names, which add up with flags', () => {
    const cwd = temporaryFolder('cli');
    mkdirSync(join(cwd, 'out'));
    writeFileSync(
      join(cwd, 'policy.json'),
      JSON.stringify({ files: { read: ['/etc/shadow'] }, defaults: { cwd: false } }),
    );
    expect(run(['--policy', './policy.json', '-w', 'out', ...sh('echo x > out/file')], { cwd }).status).toBe(0);
    expect(run(['--policy', 'compute', 'cat', join(cwd, 'policy.json')], { cwd }).status).toBe(1);
    expect(run(['--policy', 'strict', 'cat'], { cwd }).status).toBe(128 + 31);
    for (const [name, text] of [
      ['./no-such.json', 'no-such.json'],
      ['nosuch', "'nosuch'"],
    ] as const) {
      const wrong = run(['--policy', name, 'true'], { cwd });
      expect([wrong.status, wrong.stdout]).toEqual([125, '']);
      expect(wrong.stderr).toMatch(/^holdfast: /);
      expect(wrong.stderr).toContain(text);
    }
    writeFileSync(join(cwd, 'broken.json'), '{"files": {"raed": []}}');
    const broken = run(['--policy', 'broken.json', 'true'], { cwd });
    expect([broken.status, broken.stderr]).toEqual([125, expect.stringContaining('raed')]);
  });

  test('the environment is passed on, or the plain part of it', () => {
    const env = { TOKEN: 'secret', OTHER: 'x' };
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a shell's
    const script = sh('echo "$TOKEN,$OTHER,$NEW,${PATH:+path}"');
    expect(run(script, { env }).stdout).toBe('secret,x,,path\n');
    expect(run(['--clear-env', '-e', 'OTHER', '-e', 'NEW=a=b', ...script], { env }).stdout).toBe(',x,a=b,path\n');
  });

  test('--timeout and --limit end it, and that is told', () => {
    const late = run(['--timeout', '100ms', 'sleep', '300']);
    expect([late.status, late.stderr]).toEqual([143, 'holdfast: Command timed out after 100 ms: sleep 300\n']);
    const long = run(['--limit', 'wallTime=100ms', '-q', 'sleep', '300']);
    expect([long.status, long.stderr]).toEqual([137, expect.stringContaining('limits.wallTime')]);
  });

  test.each([
    ['a program that is not there', ['/no/such/program'], 127],
    ['a file that cannot be executed', ['/etc/passwd'], 126],
    ['a signal', sh('kill -TERM $$'), 143],
    ['no program', [], 125],
    ['an option that does not exist', ['--raed', '/', 'true'], 125],
    ['a time that is none', ['--timeout', 'soon', 'true'], 125],
    ['a limit that is none', ['--limit', 'memory', 'true'], 125],
    ['a limit that does not exist', ['--limit', 'memroy=1', 'true'], 125],
    ['an address that is none', ['--connect', 'nowhere', 'true'], 125],
    ['a summary that cannot be written', ['--summary', '/proc/no/such', '--json', 'true'], 125],
  ])('%s', (_, args, status) => {
    const outcome = run(args);
    expect(outcome).toMatchObject({ status, stdout: '' });
    if (status < 128) expect(outcome.stderr).not.toBe('');
    expect(outcome.stderr).not.toContain('    at ');
  });

  test('a folder of PATH that may not be looked into has no say in that', () => {
    const closed = temporaryFolder('closed');
    writeFileSync(join(closed, 'is-there'), '#!/bin/sh\n', { mode: 0o755 });
    const env = { PATH: `${closed}:/usr/bin:/bin` };
    chmodSync(closed, 0);
    try {
      expect(run(['no-such-program'], { env }).status).toBe(127);
    } finally {
      chmodSync(closed, 0o755);
    }
    const options = ['--read', '/', '--deny', closed];
    expect(run([...options, 'no-such-program'], { env }).status).toBe(127);
    expect(run([...options, 'is-there'], { env }).status).toBe(126);
    expect(run([...options, 'true'], { env }).status).toBe(0);
  });

  test('--json tells what came of it as one line', () => {
    const { status, stdout, stderr } = run(['--json', ...sh('echo out; cat /etc/shadow 2>/dev/null')]);
    expect([status, stdout]).toEqual([1, 'out\n']);
    expect(stderr.split('\n')).toHaveLength(2);
    const told = JSON.parse(stderr);
    expect(told).toMatchObject({
      version: 1,
      status: 1,
      command: 'sh',
      exitCode: 1,
      signal: null,
      failed: true,
      violationsOmitted: 0,
    });
    expect(told.violations).toContainEqual(expect.objectContaining({ path: '/etc/shadow', errno: 'EACCES' }));
    expect(told.usage.processes).toBe(2);
    const wrong = JSON.parse(run(['--json', '--policy', 'nosuch', 'true']).stderr);
    expect(wrong).toMatchObject({ version: 1, status: 125, error: { code: 'ERR_HOLDFAST_INVALID_POLICY' } });
  });

  test('--summary writes it elsewhere; --quiet leaves refusals out; --verbose tells each at once', () => {
    const cwd = temporaryFolder('cli');
    const script = sh('cat /etc/shadow 2>/dev/null');
    expect(run(['--summary', 'told', ...script], { cwd }).stderr).toBe('');
    expect(readFileSync(join(cwd, 'told'), 'utf8')).toContain('--read /etc/shadow');
    expect(run(['--quiet', ...script]).stderr).toBe('');
    expect(run(['--quiet', '--verbose', ...script]).stderr).toMatch(
      /^refused \S*cat\S* \(\d+\): openat \/etc\/shadow: EACCES/,
    );
  });

  test('colours are for terminals', () => {
    const script = sh('cat /etc/shadow 2>/dev/null');
    expect(run(script).stderr).not.toContain('\x1b');
    expect(run(script, { env: { FORCE_COLOR: '1' } }).stderr).toContain('\x1b[');
    expect(run(script, { env: { NO_COLOR: '1' } }).stderr).not.toContain('\x1b');
  });

  test('names of files cannot speak to the terminal', () => {
    const folder = temporaryFolder('cli');
    const script = sh('cat "$(printf "/etc/\\033[31m\\nx")" "$D/$(printf "\\033[31m\\nx")" 2>/dev/null');
    writeFileSync(join(folder, '\x1b[31m\nx'), '');
    const { stderr } = run(['--all', ...script], { env: { D: folder } });
    expect(stderr).toContain('\\u001b[31m\\u000ax');
    expect(stderr).not.toContain('\x1b');
  });

  test('signals go to the program, which says how it ends', async () => {
    const script = 'trap "echo got; exit 7" TERM HUP USR1 USR2 INT; echo ready; while :; do sleep 0.05; done';
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT'] as const) {
      // In a session of its own no terminal has it in its foreground.
      const child = spawn(process.execPath, [cli, 'run', ...sh(script)], {
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true,
      });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        if (text === '') child.kill(signal);
        text += chunk;
      });
      const [code] = await once(child, 'close');
      expect([code, text]).toEqual([7, 'ready\ngot\n']);
    }
  });

  test('ends with its program, not with what reads its output', () => {
    const line = `"$NODE" "$CLI" run -- yes | head -1`;
    const { stdout, status } = spawnSync('sh', ['-c', line], {
      encoding: 'utf8',
      env: { ...plain, NODE: process.execPath, CLI: cli },
    });
    expect([stdout, status]).toEqual(['y\n', 0]);
  });

  test('--tmp gives a folder for temporary files; --dry-run lets by what would be refused, and tells it', () => {
    expect(run(['--tmp', ...sh('echo x > "$(mktemp)"')])).toMatchObject({ status: 0, stderr: '' });
    const file = join(temporaryFolder('cli'), 'file');
    writeFileSync(file, 'content');
    const dry = run(['--dry-run', 'cat', file]);
    expect([dry.status, dry.stdout]).toEqual([0, 'content']);
    expect(dry.stderr).toContain('holdfast: 1 call let by that would be refused\n');
    expect(dry.stderr).toContain(`--read ${file}`);
  });

  test('--report writes a page of what it did; where that cannot be written, it is told', () => {
    const cwd = temporaryFolder('cli');
    const script = sh('cat /etc/shadow 2>/dev/null; exit 4');
    expect(run(['--report', 'page.html', '-q', ...script], { cwd })).toMatchObject({ status: 4, stderr: '' });
    const page = readFileSync(join(cwd, 'page.html'), 'utf8');
    expect(page).toMatch(/^<!doctype html>/i);
    expect(page).toContain('/etc/shadow');
    const lost = run(['--report', 'no/such/folder/page.html', '-q', ...script], { cwd });
    expect([lost.status, lost.stderr]).toEqual([125, expect.stringContaining('no/such/folder/page.html')]);
  });

  test('--help says what the exit codes are', () => {
    const { status, stdout } = run(['--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Exit code: .*128\+n.*126.*127 .*\n125/);
  });
});

describe('what is written at the end', () => {
  const planted = (plant: string, at: string) => `rm -rf w/out; ${plant}; ls ${at} 2>/dev/null`;
  test.each([
    ['--summary', 'ln -s ../precious w/out'],
    ['--summary', 'mkfifo w/out'],
    ['--report', 'ln -s ../precious w/out'],
    ['--report', 'mkfifo w/out'],
    ['--report', 'mv w/f w/g; ln -s ../other w/f'],
  ])('%s goes where it was to go, whatever the program does there: %s', (flag, plant) => {
    const cwd = temporaryFolder('cli');
    for (const folder of ['w', 'w/f', 'other']) mkdirSync(join(cwd, folder));
    writeFileSync(join(cwd, 'precious'), 'precious');
    const out = plant.startsWith('mv') ? 'w/f/out' : 'w/out';
    const { status, stderr } = run(
      [flag, out, '--write', 'w', ...sh(planted(plant, '/root/x /etc/shadow; cat precious /etc/shadow'))],
      { cwd },
    );
    expect([status, stderr.includes('holdfast: ENOENT')]).toEqual([1, false]);
    expect(readFileSync(join(cwd, 'precious'), 'utf8')).toBe('precious');
    expect(readdirSync(join(cwd, 'other'))).toEqual([]);
    const written = join(cwd, out.replace('w/f', 'w/g'));
    expect(lstatSync(written).isFile()).toBe(true);
    expect(readFileSync(written, 'utf8')).toContain('/etc/shadow');
    expect(readdirSync(join(cwd, 'w')).filter((name) => name.startsWith('.holdfast'))).toEqual([]);
  });

  test('a descriptor that is named is written to; a folder that is not there is told before the start', () => {
    const cwd = temporaryFolder('cli');
    const line = `"$NODE" "$CLI" run --summary /dev/fd/3 -- cat /etc/shadow 3> log 2> err; echo more >> log`;
    spawnSync('sh', ['-c', `echo before > log; ${line}`], { cwd, env: { ...plain, NODE: process.execPath, CLI: cli } });
    expect(readFileSync(join(cwd, 'log'), 'utf8')).toMatch(/^holdfast: 1 call refused\n.*\/etc\/shadow.*\nmore\n$/s);
    // Whoever else writes there goes on behind it.
    const shared = `exec 2> both; "$NODE" "$CLI" run --summary /dev/stderr -- cat /etc/shadow; echo more >&2`;
    spawnSync('sh', ['-c', shared], { cwd, env: { ...plain, NODE: process.execPath, CLI: cli } });
    expect(readFileSync(join(cwd, 'both'), 'utf8')).toMatch(
      /^cat: .*\nholdfast: 1 call refused\n.*\/etc\/shadow.*\nmore\n$/s,
    );
    const { status, stdout, stderr } = run(['--report', 'no/such/page.html', ...sh('echo started')], { cwd });
    expect([status, stdout]).toEqual([125, '']);
    expect(stderr).toContain('ENOENT');
  });
});
