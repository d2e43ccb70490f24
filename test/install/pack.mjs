// The package as it would be published.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** The tarballs of holdfast and of what it depends on, made in `folder`; holdfast's is the first. */
export function pack(folder) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const packages = [root, ...Object.keys(manifest.dependencies).map((name) => join(root, 'node_modules', name))];
  return packages.map((path) => {
    const line = ['pack', path, '--json', '--ignore-scripts', '--pack-destination', folder];
    const { status, stdout, stderr } = spawnSync('npm', line, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) throw new Error(`npm pack ${path}: ${stderr}`);
    return join(folder, JSON.parse(stdout)[0].filename);
  });
}
