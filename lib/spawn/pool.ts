import { HoldfastError } from '../errors.ts';
import { platformProblem } from '../native/native.ts';
import { shown } from '../policy/check.ts';
import { ReadySupervisors } from '../process/ready.ts';
import { SandboxedProcess } from '../process/sandboxed-process.ts';
import { normalizeSpawn } from './options.ts';
import type { spawnSandboxed } from './spawn.ts';

/** Milliseconds that a command runs before the supervisor that it has taken is replaced, unless it ends before. */
const REPLACE_AFTER = 20;

/** Options of {@link createSandboxPool}. */
export interface SandboxPoolOptions {
  /** How many supervisors wait for a command, 1 to 64. */
  size: number;
}

/**
 * Supervisors that wait for a command, so that a spawn need not start one. Each serves one command and is replaced then.
 * Made by {@link createSandboxPool}.
 */
export class SandboxPool {
  /** How many supervisors there are to be. */
  readonly size: number;
  readonly #ready: ReadySupervisors;
  #closed = false;

  /** @internal Use {@link createSandboxPool}. */
  constructor(size: number) {
    this.size = size;
    this.#ready = new ReadySupervisors(size);
  }

  /** How many supervisors wait now. At 0 a spawn starts one, as {@link spawnSandboxed} does. */
  get waiting(): number {
    return this.#ready.count;
  }

  /** As {@link spawnSandboxed}, with the same arguments, result and errors. Throws once the pool is closed. */
  readonly spawn = ((command: string, argsOrOptions?: unknown, options?: unknown) => {
    if (this.#closed) throw new HoldfastError('ERR_HOLDFAST_POOL_CLOSED', 'the pool is closed: it spawns nothing more');
    const child = new SandboxedProcess({ ...normalizeSpawn(command, argsOrOptions, options), ready: this.#ready });
    // The replacement's start is not to hold up the command's own, nor the whole of a short one.
    child.once('spawn', () => setTimeout(() => this.#ready.fill(), REPLACE_AFTER).unref());
    child.once('close', () => setImmediate(() => this.#ready.fill()));
    return child;
  }) as typeof spawnSandboxed;

  /** Ends the supervisors that wait. Commands that run are not concerned. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#ready.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Starts supervisors ahead of their commands. `pool.spawn` takes one of them where it can, and then takes about as long
 * as a bare spawn. They do not keep Node alive, and end with it.
 * @throws {HoldfastError} `ERR_HOLDFAST_INVALID_OPTION`, `ERR_HOLDFAST_UNSUPPORTED_PLATFORM`, `ERR_HOLDFAST_NATIVE_MISSING`.
 */
export function createSandboxPool(options: SandboxPoolOptions): SandboxPool;
export function createSandboxPool(options: unknown): SandboxPool {
  const given: Record<string, unknown> =
    typeof options === 'object' && options !== null ? { __proto__: null, ...options } : {};
  for (const name of Object.keys(given)) {
    if (name === 'size') continue;
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `options.${name}: ${shown(given[name])} is not an option of a pool. Known is size`,
    );
  }
  const { size } = given;
  if (!Number.isInteger(size) || (size as number) < 1 || (size as number) > 64) {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_OPTION',
      `options.size: ${shown(size)} must be a number from 1 to 64`,
    );
  }
  const problem = platformProblem();
  if (problem !== undefined) throw new HoldfastError('ERR_HOLDFAST_UNSUPPORTED_PLATFORM', problem);
  return new SandboxPool(size as number);
}
