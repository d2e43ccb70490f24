// A judge for programs that were handed in: compiles one, runs it on each case by its limits, compares what it prints.
//   node docs/examples/judge.mjs solution.c cases/        (1.in, 1.out, 2.in, 2.out, …)
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { spawnSandboxed } from 'holdfast';

const limits = { cpuTime: '2s', wallTime: '10s', memory: '256MiB', processes: 1, output: '1MiB', coreSize: 0 };

/** Runs to the end; what became of it. */
async function run(command, args, options, input = '') {
  const child = spawnSandboxed(command, args, { stdio: ['pipe', 'pipe', 'pipe'], ...options });
  const output = { stdout: [], stderr: [] };
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => output[name].push(chunk));
  child.stdin.on('error', () => {}); // a program that does not read its input
  child.stdin.end(input);
  let limit;
  child.on('limit', (reached) => {
    limit ??= reached;
  });
  const [code, signal] = await once(child, 'close');
  const text = (name) => Buffer.concat(output[name]).toString();
  return { code, signal, limit, stdout: text('stdout'), stderr: text('stderr') };
}

const same = (one, other) => one.trimEnd().split(/\s*\n/).join('\n') === other.trimEnd().split(/\s*\n/).join('\n');

function verdictOf(result, expected) {
  if (result.limit !== undefined) return `${result.limit.name} exceeded`;
  if (result.signal !== null) return `ended by ${result.signal}`;
  if (result.code !== 0) return `exit code ${result.code}`;
  return same(result.stdout, expected) ? 'ok' : 'wrong answer';
}

const [source, cases] = process.argv.slice(2).map((path) => resolve(path));
if (cases === undefined) {
  console.error('usage: node judge.mjs SOURCE.c CASES');
  process.exit(64);
}
const folder = mkdtempSync(join(tmpdir(), 'judge-'));
try {
  // The compiler is held, too: a source can include any file that it may read.
  const program = join(folder, 'solution');
  const compiled = await run('/usr/bin/gcc', ['-O2', '-o', program, source, '-lm'], {
    cwd: folder,
    policy: { files: { read: ['/usr', '/etc/alternatives', source], write: [folder] }, scratch: true },
    limits: { wallTime: '30s', memory: '1GiB', processes: 20 },
  });
  if (compiled.code !== 0) {
    console.log(`does not compile:\n${compiled.stderr}`);
    process.exitCode = 1;
  } else {
    for (const name of readdirSync(cases)
      .filter((file) => file.endsWith('.in'))
      .sort()) {
      const [input, expected] = [name, name.replace(/\.in$/, '.out')].map((file) =>
        readFileSync(join(cases, file), 'utf8'),
      );
      // Its own file, what every program needs to start, and nothing else: no folder, no network, no other program.
      const result = await run(
        program,
        [],
        { cwd: '/', policy: { files: { read: [program] }, exec: [program] }, limits },
        input,
      );
      const verdict = verdictOf(result, expected);
      console.log(`${name}: ${verdict}`);
      if (verdict !== 'ok') process.exitCode = 1;
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
