// A first program, to see whether any can be started.
import { HoldfastError, type HoldfastErrorCode } from '../errors.ts';
import { supervisorIsInMemory, supervisorPath } from '../native/native.ts';
import type { SupportProblem } from '../native/problems.ts';
import { loadedLibraries } from '../native/runtime.ts';
import { inFolder } from '../policy/variables.ts';
import type { Engine } from '../process/engine.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import { normalizeSpawn } from '../spawn/options.ts';

/** What came of one start. */
export interface EngineTrial {
  /** Of `auto`: the one that was chosen. */
  readonly engine?: Engine;
  readonly works: boolean;
  /** From the spawn to the program's first instruction, and to its end. Undefined if it came to none. */
  readonly startMs?: number;
  readonly totalMs?: number;
  readonly problem?: SupportProblem;
}

/**
 * The supervisor itself is a program that is there and needs no other file; by itself it only prints a list. Into a pipe,
 * as 'ignore' is a /dev/null that need not be there.
 */
export function tryEngine(engine: 'auto' | Engine): Promise<EngineTrial> {
  const named = engine === 'auto' ? {} : { engine };
  return new Promise((resolve) => {
    const begin = performance.now();
    const since = () => Math.round((performance.now() - begin) * 100) / 100;
    const failed = (error: unknown) => {
      const code: HoldfastErrorCode = error instanceof HoldfastError ? error.code : 'ERR_HOLDFAST_LAUNCH';
      const message = error instanceof Error ? error.message : String(error);
      resolve({ ...named, works: false, problem: { code, message } });
    };
    try {
      // One in memory has no name that the tree could know it by.
      const [program, argument, libraries] = supervisorIsInMemory()
        ? [process.execPath, '--version', loadedLibraries()]
        : [supervisorPath(), '--table', []];
      // What the engine `kernel` can have, too.
      const defaults = { proc: false, cwd: false };
      const read = [program, ...libraries].map((path) => inFolder(path, ''));
      const policy = { files: { read, metadata: ['/'] }, defaults };
      const stdio = ['pipe', 'pipe', 'pipe'];
      // What the environment asks for is for those who ask for nothing.
      const options = { cwd: '/', env: {}, stdio, policy, ...(engine === 'auto' ? {} : { engine }) };
      const child = new SandboxedProcess(normalizeSpawn(program, [argument], options));
      let startMs = 0;
      child.on('spawn', () => {
        startMs = since();
      });
      child.on('error', failed);
      for (const stream of child.stdio) {
        stream?.on('error', () => {}); // Nobody reads what it prints.
        if (stream && 'resume' in stream) stream.resume();
      }
      child.on('close', (code, signal) => {
        if (code !== 0) return failed(new Error(`a first program ended with ${signal ?? `exit code ${code}`}`));
        const used = child.engine;
        resolve({ ...(used === undefined ? {} : { engine: used }), works: true, startMs, totalMs: since() });
      });
    } catch (error) {
      failed(error);
    }
  });
}
