import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds the library as `npm run build` does, somewhere else: other tests may be reading ours. */
export function buildLibrary(folder: string): void {
  const run = (program: string, ...args: string[]) =>
    execFileSync(process.execPath, [join(root, 'node_modules', program), ...args], {
      cwd: root,
      stdio: 'pipe',
      env: { ...process.env, HOLDFAST_DIST: folder },
    });
  run('typescript/bin/tsc', '-p', root, '--outDir', folder);
  run('rolldown/bin/cli.mjs', '-c', '.config/rolldown.mjs');
}
