// C++: clang-format and clang-tidy over native/ and test/native. --write formats in place and stops there.
import { spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn, tower } from './rooms.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

function run(tool, args) {
  const { status, error } = spawnSync(tool, args, { stdio: 'inherit' });
  if (error) {
    console.error(`${tool}: ${error.message}. On Debian and Ubuntu: apt-get install ${tool}`);
    process.exit(1);
  }
  if (status !== 0) process.exit(1);
}

const formatted = ['native', 'test/native'].flatMap((folder) => sourcesIn(folder, /\.(cc|h)$/));
if (process.argv.includes('--write')) {
  run('clang-format', ['-i', ...formatted]);
  process.exit(0);
}
run('clang-format', ['--dry-run', '--Werror', ...formatted]);

// The addon's sources include Node's headers, which are not ours to lint; the compiler's own warnings watch over them.
const sources = tower.flatMap((room) => sourcesIn(`native/${room}`, /\.cc$/));
const queue = sources.filter((source) => !source.endsWith(process.arch === 'x64' ? 'aarch64.cc' : 'x86_64.cc'));
let failed = false;
// How far the analyzer follows a function. Its own 225,000 take three times as long, in functions whose last paths differ
// by nothing.
const analyzer = ['-Xclang', '-analyzer-config', '-Xclang', 'max-nodes=50000'];
const worker = async () => {
  for (let source = queue.pop(); source !== undefined; source = queue.pop()) {
    const args = [
      '--quiet',
      '--config-file=.clang-tidy',
      source,
      '--',
      '-std=c++20',
      '-D_GNU_SOURCE',
      '-fno-exceptions',
      ...analyzer,
    ];
    const [output, code] = await new Promise((resolve, reject) => {
      const tidy = spawn('clang-tidy', args, { stdio: ['ignore', 'pipe', 'ignore'] });
      let text = '';
      tidy.stdout.on('data', (chunk) => (text += chunk));
      tidy.on('error', reject);
      tidy.on('close', (status) => resolve([text, status]));
    });
    if (code !== 0) {
      failed = true;
      console.log(output);
    }
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, worker)).catch((error) => {
  console.error(`clang-tidy: ${error.message}. On Debian and Ubuntu: apt-get install clang-tidy`);
  failed = true;
});
process.exitCode = failed ? 1 : 0;
