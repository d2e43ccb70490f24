// What the generated tests share: numbers that are the same for the same seed, and programs that answer call by call.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Numbers below `end`, the same for the same seed (xorshift32). */
export function generator(seed: number) {
  let state = seed * 2654435761 + 1;
  const below = (end: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
  return { below, pick: <T>(from: readonly T[]): T => from[below(from.length)] as T };
}
export type Random = ReturnType<typeof generator>;

/** Has a program make calls one by one, each a line of fields, so that the rules can be asked in between. */
export async function answersOf<Call>(
  child: Pick<ChildProcess, 'stdin' | 'stdout' | 'stderr'>,
  calls: readonly Call[],
  fields: (call: Call) => readonly (string | number)[],
  before: (call: Call) => void = () => {},
): Promise<string[]> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const answers: string[] = [];
  for (const call of calls) {
    before(call);
    child.stdin?.write(`${fields(call).join('\t')}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`it ended at ${JSON.stringify(call)}`);
    answers.push(String(value));
  }
  child.stdin?.end();
  return answers;
}

/** The generated tests draw from these seeds. */
export const seeds = Array.from(
  { length: Number(process.env.LAYER_SEEDS ?? 24) },
  (_, i) => Number(process.env.LAYER_FIRST ?? 1) + i,
);
