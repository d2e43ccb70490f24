// Builds test/programs/*.c once before the tests.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compilePrograms } from './compile.mjs';

const built = fileURLToPath(new URL('../../build/test-programs/', import.meta.url));

/** Where the program made from test/programs/NAME.c is. */
export function program(name: string): string {
  return join(built, name);
}

export default (): Promise<void> => compilePrograms(built);
