// Odd places to start in: each runs Node there and says what came of a start and of checkSupport({ start: true }).
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Support } from 'holdfast';
import { runBare } from './run.ts';

export const library = new URL('../../dist/index.js', import.meta.url).href;
export const isRoot = process.getuid?.() === 0;
/** Root that may make mounts: not everywhere (firejail). */
export const mayMount = isRoot && spawnSync('unshare', ['-m', 'true']).status === 0;

/** What a shell runs as `"$@"`: Node with the script below. */
export interface Place {
  /** A program and its arguments that run Node; the last may be `sh -c '… "$@"' sh`. */
  under?: readonly string[];
  /** Statements that run in Node before the start; `command` starts there what a test asks for. */
  before?: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Node, or what stands in for it. */
  node?: string;
  /** Another place of the library. */
  library?: string;
}

export interface Seen {
  /** `exit 0 …` with the output, or the code of the error. */
  start: string;
  message: string;
  /** The same from checkSupport: `supported`, or the code of the first problem. */
  check: string;
}

const command = 'echo one; (echo two); cat /etc/hostname | (read name) && cd / && echo three';

const script = (before: string, from: string) => `
const say = (value) => require('node:fs').writeSync(1, JSON.stringify(value));
import(${JSON.stringify(from)}).then(async ({ checkSupport, spawnSandboxed }) => {
  ${before}
  const start = await new Promise((resolve) => {
    const policy = { files: { read: ['/etc'] } };
    const child = spawnSandboxed('/bin/sh', ['-c', ${JSON.stringify(command)}], { policy, stdio: [0, 'pipe', 'inherit'] });
    let failed, output = '';
    child.stdout?.on('data', (text) => { output += text; });
    child.on('error', (error) => { failed ??= error; });
    child.on('close', (code, signal) => resolve(failed === undefined ? { start: 'exit ' + (code ?? signal) + ' ' + output.split('\\n').join(' ').trim() } : { start: failed.code, message: failed.message }));
  }).catch((error) => ({ start: error.code, message: error.message }));
  const { problems } = await checkSupport({ start: true });
  say({ message: '', ...start, check: problems[0]?.code ?? 'supported' });
}).catch((error) => say({ start: 'import ' + error.code, message: String(error), check: '' }));`;

export const works: Seen = { start: 'exit 0 one two three', message: '', check: 'supported' };
export const fails = (code: string) => ({ start: code, check: code });

/** How each is given a script. */
const takes = (node: string) => {
  if (node.endsWith('deno')) return ['eval', '--no-lock', '--node-modules-dir=manual', '--ext=cjs'];
  return ['-e'];
};

export async function startIn({
  under = [],
  before = '',
  cwd,
  env,
  node = process.execPath,
  library: from = library,
}: Place): Promise<Seen> {
  const [program = node, ...args] = [...under, node, ...takes(node), script(before, from)];
  const { stdout, code, signal } = await runBare(program, args, { ...(cwd && { cwd }), ...(env && { env }) });
  try {
    return JSON.parse(stdout) as Seen;
  } catch {
    return { start: `nothing (${code ?? signal})`, message: stdout, check: '' };
  }
}

const tree = fileURLToPath(new URL('../../', import.meta.url));

/** What the doctor of a package says there, of each engine. */
export function doctorOf(root: string, ...under: string[]): Support {
  const [program = '', ...line] = [...under, process.execPath, join(root, 'dist/cli.js'), 'doctor', '--json'];
  const env = { ...process.env, HOLDFAST_ENGINE: 'auto' };
  const { stdout, stderr } = spawnSync(program, line, { encoding: 'utf8', cwd: tree, env });
  try {
    return JSON.parse(stdout) as Support;
  } catch {
    throw new Error(`doctor says: ${stdout}${stderr}`);
  }
}

export const doctorIn = (...under: string[]) => doctorOf(tree, ...under);

/** A shell script in a mount namespace of its own that ends with running Node. */
export const mounting = (text: string) => ['unshare', '-m', 'sh', '-ec', `${text}\nexec "$@"`, 'sh'];
/** The same as an ordinary user. */
export const asUser = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
