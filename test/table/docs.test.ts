import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { render, renderModule } from '../../docs/generate-syscalls.mjs';
import { readTable } from '../helpers/table.ts';

test('docs/syscalls.md says what the table says (npm run build:native, then node docs/generate-syscalls.mjs)', () => {
  const page = readFileSync(new URL('../../docs/syscalls.md', import.meta.url), 'utf8');
  expect(page).toBe(render(readTable()));
});

test('lib/policy/syscall-table.ts says what the table says', () => {
  const module = readFileSync(new URL('../../lib/policy/syscall-table.ts', import.meta.url), 'utf8');
  expect(module).toBe(renderModule(readTable()));
});
