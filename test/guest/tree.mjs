// A copy of the tree for another architecture: its own dependencies, binaries and test programs, made by cross compilers.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const compilers = { arm64: 'aarch64-linux-gnu-gcc', x64: 'x86_64-linux-gnu-gcc' };

function run(cwd, command, args) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed with exit code ${status}`);
}

/** What has changed, with its time, without what is gone: what was built of the rest stays. */
function update(from, to) {
  const { stdout, status } = spawnSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], { cwd: from });
  if (status !== 0) throw new Error(`${from} is no git work tree`);
  const names = String(stdout)
    .split('\0')
    .filter((name) => name !== '' && existsSync(join(from, name)));
  const list = join(to, '.copied');
  const copied = existsSync(list) ? readFileSync(list, 'utf8').split('\0') : [];
  const wanted = new Set(names);
  for (const name of copied) if (!wanted.has(name)) rmSync(join(to, name), { force: true });
  writeFileSync(list, names.join('\0'));
  for (const name of names) {
    const source = join(from, name);
    const target = join(to, name);
    const { mtime, size } = statSync(source);
    const there = existsSync(target) ? statSync(target) : undefined;
    if (there?.size === size && there.mtimeMs === mtime.getTime()) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(source, target);
    utimesSync(target, mtime, mtime);
  }
}

function replace(from, to) {
  rmSync(to, { recursive: true, force: true });
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
}

/** Where it is. */
export async function foreignTree(root, arch) {
  const tree = join(root, '.cache/guest', `tree-${arch}`);
  mkdirSync(tree, { recursive: true });
  update(root, tree);
  replace(join(root, 'dist'), join(tree, 'dist'));
  const lock = createHash('sha256')
    .update(readFileSync(join(tree, 'package-lock.json')))
    .digest('hex');
  const stamp = join(tree, 'node_modules/.lock');
  if (!existsSync(stamp) || readFileSync(stamp, 'latin1') !== lock) {
    const machine = [`--cpu=${arch}`, '--os=linux', '--libc=glibc'];
    run(tree, 'npm', ['ci', ...machine, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
    writeFileSync(stamp, lock);
  }
  // What would be published, made where the tree itself lies: once for both.
  run(root, process.execPath, ['native/build.mjs', '--prebuilds', `--arch=${arch}`, '--if-needed']);
  replace(join(root, 'prebuilds'), join(tree, 'prebuilds'));
  // As a build for this machine leaves them (native/build.mjs).
  const release = join(tree, 'build/Release');
  mkdirSync(release, { recursive: true });
  for (const [from, to] of [
    ['holdfast.glibc.node', 'holdfast.node'],
    ['holdfast-supervisor', 'holdfast-supervisor'],
  ])
    copyFileSync(join(tree, `prebuilds/linux-${arch}`, from), join(release, to));
  const objects = join(root, `build/objects-${arch}`);
  if (existsSync(objects)) replace(objects, join(release, 'obj.target/holdfast-supervisor'));
  const { compilePrograms } = await import(pathToFileURL(join(tree, 'test/helpers/compile.mjs')));
  await compilePrograms(join(tree, 'build/test-programs'), compilers[arch]);
  return tree;
}
