// Notes which checks each test reaches: a line of JSON per test in the file that HOLDFAST_MUTATION_LEARN names.
import { appendFileSync, openSync, readSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RunnerTestCase, RunnerTestFile } from 'vitest';
import { VitestTestRunner } from 'vitest/runners';

// Without objects of options: some tests put fields on every object.
const reached = openSync(fileURLToPath(new URL('../../build/Release/reached', import.meta.url)), 'r+');
const none = Buffer.alloc(1 << 16);
const bytes = Buffer.alloc(1 << 16);

export default class extends VitestTestRunner {
  private began = 0;

  /** What was reached since the last time; forgotten then. */
  private take(): number[] {
    const numbers: number[] = [];
    readSync(reached, bytes, 0, bytes.length, 0);
    bytes.forEach((byte, number) => {
      if (byte !== 0) numbers.push(number);
    });
    writeSync(reached, none, 0, none.length, 0);
    return numbers;
  }

  private note(file: string, name: string, state: string, milliseconds: number): void {
    const line = { file, name, state, milliseconds, numbers: this.take() };
    appendFileSync(process.env.HOLDFAST_MUTATION_LEARN as string, `${JSON.stringify(line)}\n`);
  }

  // Before the first test and after the last one, what hooks of the whole file reach, and what ends late.
  override onBeforeTryTask(test: RunnerTestCase): void {
    super.onBeforeTryTask(test);
    this.note(test.file.name, '', 'between', 0);
    this.began = performance.now();
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    super.onAfterRunTask(test);
    const names: string[] = [];
    for (
      let at: RunnerTestCase | RunnerTestCase['suite'] | RunnerTestFile = test;
      at && at !== test.file;
      at = at.suite
    )
      names.unshift(at.name);
    this.note(test.file.name, names.join(' '), test.result?.state ?? 'run', performance.now() - this.began);
  }

  override async onAfterRunSuite(suite: Parameters<VitestTestRunner['onAfterRunSuite']>[0]): Promise<void> {
    await super.onAfterRunSuite(suite);
    this.note(suite.file.name, '', 'between', 0);
  }
}
