// Whether everything native compiles for aarch64 too, without making anything: quicker than `npm run build:prebuilds`, which
// does it in CI.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sourcesIn } from './rooms.mjs';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
const compiler = process.arch === 'arm64' ? 'g++' : 'aarch64-linux-gnu-g++';
const flags = [
  '-std=c++20',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-D_GNU_SOURCE',
  '-fno-exceptions',
  '-fno-rtti',
  '-fsyntax-only',
];
const nodeHeaders = join(dirname(dirname(realpathSync(process.execPath))), 'include/node');
const addonFlags = [
  '-DNAPI_VERSION=9',
  '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  '-I',
  nodeHeaders,
  '-I',
  'node_modules/node-addon-api',
];
const sources = sourcesIn('native', /\.cc$/).filter((path) => !path.endsWith('/x86_64.cc'));

const queue = [...sources];
let failed = 0;
const worker = async () => {
  for (let source = queue.pop(); source !== undefined; source = queue.pop()) {
    const code = await new Promise((resolve, reject) => {
      const child = spawn(compiler, [...flags, ...(source.startsWith('native/addon') ? addonFlags : []), source], {
        stdio: 'inherit',
      });
      child.on('error', reject);
      child.on('close', resolve);
    });
    if (code !== 0) failed += 1;
  }
};
try {
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
} catch (error) {
  console.error(
    `${compiler}: ${error.message}. On Debian: apt-get install g++-aarch64-linux-gnu libc6-dev-arm64-cross`,
  );
  process.exit(1);
}
console.log(`aarch64: ${sources.length} sources, ${failed} do not compile`);
process.exitCode = failed === 0 ? 0 : 1;
