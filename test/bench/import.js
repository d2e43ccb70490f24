// What `import 'holdfast'` adds to a program's start: by the clock inside a new process, so Node's own start is not in it.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { median } from './report.js';

const here = fileURLToPath(new URL('.', import.meta.url));

function importOf(specifier, count) {
  const program = `const from = performance.now(); await import('${specifier}'); console.log(performance.now() - from)`;
  const line = ['--input-type=module', '-e', program];
  return () => median(Array.from({ length: count }, () => Number(execFileSync(process.execPath, line, { cwd: here }))));
}

export const imports = (few) => [
  {
    name: 'import',
    title: "import 'holdfast'",
    unit: 'ms',
    subjects: {
      "import 'node:child_process'": importOf('node:child_process', few(10)),
      holdfast: importOf('holdfast', few(10)),
    },
    compare: [{ of: 'holdfast', to: "import 'node:child_process'" }],
  },
];
