// What a report knows of real trees.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { HoldfastError, type Report, report, reportPage, type SpawnSandboxedOptions, spawnSandboxed } from 'holdfast';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/temp.ts';

const folder = temporaryFolder('report');
const basename = (path: string) => path.slice(path.lastIndexOf('/') + 1);

async function reported(command: string, args: string[], options: SpawnSandboxedOptions = {}): Promise<Report> {
  const cwd = String(options.cwd ?? folder);
  // A shell looks at the folder that PWD names.
  const env = { ...process.env, ...options.env, PWD: cwd };
  const child = spawnSandboxed(command, args, { stdio: 'ignore', ...options, cwd, env });
  child.on('error', () => {});
  const data = await report(child).data();
  expect(JSON.parse(JSON.stringify(data))).toEqual(data);
  expect(data).toMatchObject({ format: 'holdfast-report', version: 1 });
  expect(Object.values(data.dropped)).toEqual([0, 0, 0, 0, 0]);
  return data;
}

/** Every process has ended, after it began, and its parent began before it. */
function consistent(data: Report): void {
  for (const [i, process] of data.processes.entries()) {
    expect(process.id).toBe(i);
    expect(process.end).toBeGreaterThanOrEqual(process.start);
    expect(process.end).toBeLessThanOrEqual(data.duration);
    if (i > 0) expect(process.parent).toBeLessThan(i);
    expect(process.code === null).toBe(process.signal !== null);
  }
}

describe('the data of', () => {
  test('make', async () => {
    const project = join(folder, 'make');
    mkdirSync(join(project, 'out'), { recursive: true });
    writeFileSync(join(project, 'Makefile'), 'all: out/a out/b\nout/%:\n\tsleep 0; cp Makefile $@\n');
    const data = await reported('make', ['-j2', 'all'], {
      cwd: project,
      policy: { files: { write: [join(project, 'out')] } },
    });
    consistent(data);
    expect(data).toMatchObject({
      exitCode: 0,
      signal: null,
      fromStart: true,
      argv: ['make', '-j2', 'all'],
      refusals: [],
    });
    expect(data.processes[0]).toMatchObject({
      parent: null,
      start: 0,
      code: 0,
      execs: [{ at: 0, argv: ['make', '-j2', 'all'] }],
    });
    const copies = data.processes.filter((process) => basename(process.execs.at(-1)?.executable ?? '') === 'cp');
    expect(copies.map(({ execs }) => execs.at(-1)?.argv.slice(1))).toEqual(
      expect.arrayContaining([
        ['Makefile', 'out/a'],
        ['Makefile', 'out/b'],
      ]),
    );
    for (const copy of copies) {
      let at = copy;
      while (at.parent !== null) at = data.processes[at.parent] as typeof at;
      expect(at.id).toBe(0);
    }
    expect(data.usage?.processes).toBe(data.processes.length);
    expect(Object.keys(data.layers ?? {})).toContain('read');
  });

  test('npm run', async () => {
    const project = join(folder, 'npm');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'x', scripts: { build: 'echo one | cat' } }));
    const npm = execFileSync('sh', ['-c', 'readlink -f "$(command -v npm)"'], { encoding: 'utf8' }).trim();
    const data = await reported('npm', ['run', 'build'], {
      cwd: project,
      env: {
        ...process.env,
        HOME: project,
        npm_config_cache: join(project, 'cache'),
        npm_config_update_notifier: 'false',
      },
      policy: {
        files: { read: [project, dirname(dirname(process.execPath)), dirname(dirname(npm))], write: [project] },
      },
    });
    consistent(data);
    expect(data.exitCode).toBe(0);
    const ran = data.processes.flatMap(({ execs }) => execs.map(({ argv }) => argv.join(' ')));
    expect(ran.join('\n')).toContain('echo one | cat');
    expect(ran).toContain('cat');
  });

  test('a pipeline, with what was refused and who was', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, 'x');
    const script = `for i in 1 2 3; do cat ${secret}; done | sort | wc -l; kill -9 $$`;
    const data = await reported('sh', ['-c', script], { policy: { files: { deny: [secret] } } });
    consistent(data);
    expect(data).toMatchObject({ exitCode: null, signal: 'SIGKILL' });
    expect(data.processes[0]).toMatchObject({ code: null, signal: 'SIGKILL' });
    const [refusal, ...more] = data.refusals.filter(({ path }) => path === secret);
    expect(more).toEqual([]);
    expect(refusal).toMatchObject({ path: secret, errno: 'EACCES', count: 3, rule: 'files.deny[0]' });
    expect(refusal?.suggestion).toBeUndefined();
    expect(refusal?.processes.map(({ id }) => data.processes[id]?.code)).toEqual([1, 1, 1]);
  });

  test('a program that fails, and what would have let it', async () => {
    const secret = join(temporaryFolder('elsewhere'), 'file');
    writeFileSync(secret, 'x');
    const data = await reported('cat', [secret]);
    expect(data.exitCode).toBe(1);
    expect(data.refusals).toMatchObject([
      { path: secret, count: 1, suggestion: { field: 'files.read', value: secret } },
    ]);
  });

  test('what was read, written, executed and reached, where that was recorded', async () => {
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    writeFileSync(from, 'x');
    const script = `cp ${from} ${to}; cat ${from} ${from}; cat ${join(folder, 'missing')} /dev/mem`;
    const data = await reported('sh', ['-c', script], { record: true, policy: { files: { write: [to] } } });
    const about = (path: string, access: string) =>
      data.accesses?.filter((one) => one.path === path && one.access === access) ?? [];
    const programs = about(from, 'read').map(({ program }) => basename(program));
    expect(programs.sort()).toEqual(['cat', 'cp']);
    expect(about(from, 'read').find(({ program }) => program.endsWith('cat'))).toMatchObject({
      outcome: 'allowed',
      count: 2,
    });
    expect(about(to, 'write')).toContainEqual(expect.objectContaining({ outcome: 'allowed' }));
    expect(data.accesses).toContainEqual(expect.objectContaining({ access: 'exec', outcome: 'allowed' }));
    expect(data.accesses).toContainEqual(expect.objectContaining({ outcome: 'failed', errno: 'ENOENT' }));
    expect((await reported('true', [])).accesses).toBeUndefined();
  });

  test('what would have been refused', async () => {
    const secret = join(temporaryFolder('elsewhere'), 'file');
    writeFileSync(secret, 'x');
    const data = await reported('cat', [secret], { policy: { mode: 'report' } });
    expect(data.exitCode).toBe(0);
    expect(data.refusals).toMatchObject([
      { path: secret, dry: true, suggestion: { field: 'files.read', value: secret } },
    ]);
  });

  test('a command that cannot be started', async () => {
    const data = await reported('/no/such/program', []);
    expect(data).toMatchObject({ exitCode: null, signal: null, problem: 'ENOENT', processes: [], refusals: [] });
  });

  test('a limit that the tree is killed for', async () => {
    const data = await reported('sh', ['-c', 'while :; do :; done'], { limits: { cpuTime: '50ms' } });
    expect(data.limit).toMatchObject({ name: 'cpuTime', killed: true });
    expect(data.limits).toMatchObject([{ name: 'cpuTime', limit: 50 }]);
    expect(data.limitsReached).toHaveLength(1);
  });

  test('a tree whose beginning nobody recorded says so', async () => {
    const child = spawnSandboxed('sh', ['-c', 'read line; true; /bin/true'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await new Promise<void>((resolve) => child.once('spawn', () => setImmediate(resolve)));
    const recorder = report(child);
    child.stdin.end('go\n');
    const data = await recorder.data();
    expect(data.fromStart).toBe(false);
    expect(data.exitCode).toBe(0);
  });
});

test('an error that nobody listens to is thrown with a report, too', () => {
  const child = spawnSandboxed('true');
  report(child);
  expect(() => child.emit('error', new Error('unheard'))).toThrow('unheard');
});

describe('the page', () => {
  test('is written with the data in it', async () => {
    const child = spawnSandboxed('true', { stdio: 'ignore' });
    const recorder = report(child);
    const file = join(folder, 'page.html');
    await recorder.write(file);
    const html = readFileSync(file, 'utf8');
    expect(html).toBe(await recorder.html());
    const [, json] = /<script type="application\/json" id="report">(.*)<\/script>/.exec(html) ?? [];
    expect(JSON.parse(json as string)).toEqual(await recorder.data());
    await expect(recorder.write(join(folder, 'no/such/folder.html'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is written beside what the tree has planted: through no link, and waiting for no pipe', async () => {
    const at = temporaryFolder('report');
    for (const name of ['w', 'w/f', 'other']) mkdirSync(join(at, name));
    writeFileSync(join(at, 'precious'), 'precious');
    const plant = 'ln -s ../precious w/a; mkfifo w/b; mv w/f w/g; ln -s ../other w/f';
    const child = spawnSandboxed('sh', ['-c', plant], {
      cwd: at,
      policy: { files: { write: ['w'] } },
      stdio: 'ignore',
    });
    const recorder = report(child);
    await Promise.all(['w/a', 'w/b', 'w/f/page'].map((name) => recorder.write(join(at, name))));
    await recorder.write(pathToFileURL(join(at, 'w/b')));
    expect(readFileSync(join(at, 'precious'), 'utf8')).toBe('precious');
    expect(readdirSync(join(at, 'other'))).toEqual([]);
    for (const name of ['w/a', 'w/b', 'w/g/page'])
      expect(readFileSync(join(at, name), 'utf8')).toBe(await recorder.html());
    expect(readdirSync(join(at, 'w')).sort()).toEqual(['a', 'b', 'f', 'g']);
  });

  test('is made of reports only, and of trees only', () => {
    for (const wrong of [undefined, null, {}, { format: 'holdfast-report', version: 2 }]) {
      expect(() => reportPage(wrong as never)).toThrow(expect.objectContaining({ code: 'ERR_HOLDFAST_REPORT' }));
    }
    for (const wrong of [undefined, null, {}, 'sh']) expect(() => report(wrong as never)).toThrow(HoldfastError);
  });
});

test('holdfast run --report writes the page, whatever became of the program', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const run = (file: string, ...command: string[]) =>
    spawnSync(process.execPath, [join(root, 'dist/cli.js'), 'run', '--report', file, '--', ...command], {
      cwd: folder,
      encoding: 'utf8',
    });
  for (const [status, ...command] of [
    [3, 'sh', '-c', 'exit 3'],
    [127, 'no-such-program'],
  ] as const) {
    const file = join(folder, `run-${status}.html`);
    expect(run(file, ...command).status).toBe(status);
    expect(readFileSync(file, 'utf8')).toContain(`"argv":["${command[0]}"`);
  }
  const { status, stderr } = run(join(folder, 'no/such/folder.html'), 'true');
  expect(status).toBe(125);
  expect(stderr).toContain('no/such/folder.html');
});
