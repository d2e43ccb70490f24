// Real programs that the tests run and that a machine may lack. Where CI runs, all of them are there: none is skipped.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';

/** Where a program is: in PATH, or where an environment variable (HOLDFAST_TEST_BUN) says. */
export function tool(name: string): string | undefined {
  const places = [
    process.env[`HOLDFAST_TEST_${name.toUpperCase()}`],
    ...(process.env.PATH ?? '').split(':').map((folder) => join(folder, name)),
    join('/usr/sbin', name),
  ];
  return places.find((path) => {
    try {
      if (path !== undefined) accessSync(path, constants.X_OK);
      return path !== undefined;
    } catch {
      return false;
    }
  });
}

/** `test`, skipped where one of these programs is missing; with `CI` in the environment it runs and fails instead. */
export function testWith(...names: readonly string[]): typeof test {
  const missing = names.filter((name) => tool(name) === undefined);
  return (missing.length > 0 && !process.env.CI ? test.skip : test) as typeof test;
}
