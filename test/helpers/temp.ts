import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const made: string[] = [];

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // A test took the permissions away from a folder of its own.
    spawnSync('chmod', ['-R', 'u+rwx', folder], { stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  }
}

afterAll(() => {
  for (const folder of made.splice(0)) remove(folder);
});

/** A new folder by its canonical name, which anybody may read; removed after the test file. */
export function temporaryFolder(name = 'test'): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `holdfast-${name}-`)));
  chmodSync(folder, 0o755);
  made.push(folder);
  return folder;
}
