import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type SandboxedProcess, type SpawnSandboxedOptions, spawnSandboxed, type Violation } from 'holdfast';

export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  violations: Violation[];
}

export interface RunOptions extends SpawnSandboxedOptions {
  /** Called in the same tick as the spawn: the place for hooks. */
  hooks?: (child: SandboxedProcess) => void;
  /** What the program reads; without it, standard input is empty. */
  input?: string | Uint8Array;
}

function text(stream: Readable | null | undefined): { value: string } {
  const collected = { value: '' };
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    collected.value = Buffer.concat(chunks).toString();
  });
  return collected;
}

function outcome(
  child: Pick<ChildProcess, 'stdin' | 'stdout' | 'stderr'>,
  on: (event: 'error' | 'close', listener: (...args: never[]) => void) => unknown,
  input: RunOptions['input'],
  violations: Violation[],
): Promise<Outcome> {
  const stdout = text(child.stdout);
  const stderr = text(child.stderr);
  // A program that ends without reading its input is not an error of the test.
  child.stdin?.on('error', () => {}).end(input ?? '');
  return new Promise((resolve, reject) => {
    on('error', reject);
    on('close', (code: number | null, signal: NodeJS.Signals | null) =>
      resolve({ code, signal, stdout: stdout.value, stderr: stderr.value, violations }),
    );
  });
}

/** Runs a program without any sandbox: the twin that shows what it does on plain Linux. */
export function runBare(
  command: string,
  args: readonly string[] = [],
  { input, ...options }: SpawnOptions & Pick<RunOptions, 'input'> = {},
): Promise<Outcome> {
  const child = spawn(command, args, options);
  return outcome(child, child.on.bind(child) as never, input, []);
}

/** Runs a program in a sandbox and gathers what came of it, with every violation. */
export function runSandboxed(
  command: string,
  args: readonly string[] = [],
  { hooks, input, ...options }: RunOptions = {},
): Promise<Outcome> {
  const child = spawnSandboxed(command, args, options);
  const violations: Violation[] = [];
  child.on('violation', (violation) => violations.push(violation));
  hooks?.(child);
  return outcome(child as never, child.on.bind(child) as never, input, violations);
}
