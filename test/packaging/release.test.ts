// What publishes the package: nothing that somebody else can change under it, and no right that a job does not need.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const folder = fileURLToPath(new URL('../../.github/workflows', import.meta.url));
const workflows = readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')] as const);

test.each(workflows)('%s takes actions by their commits, and no secret', (_, text) => {
  const used = [...text.matchAll(/uses: (\S+)/g)].map((match) => match[1] as string);
  expect(used.length).toBeGreaterThan(0);
  for (const action of used) expect(action).toMatch(/^\.\/|@[0-9a-f]{40}$/);
  expect(text).not.toMatch(/secrets\.|NODE_AUTH_TOKEN|pull_request_target/);
  expect(text).toMatch(/^permissions:\n {2}contents: read$/m);
});

test('only the job that publishes may prove who it is, after all others', () => {
  const release = workflows.find(([name]) => name === 'release.yml')?.[1] ?? '';
  const [before = '', publish = ''] = release.split(/^ {2}publish:$/m);
  expect(before).not.toContain('id-token');
  expect(publish).toContain('id-token: write');
  expect(publish).toMatch(/needs: \[ci, build, try\]/);
  expect(publish).toMatch(/npm publish \S+ --provenance/);
  for (const needed of ['build:prebuilds', 'check:reproducible', 'lint:publish', 'sha256sum -c SHA256SUMS'])
    expect(before).toContain(needed);
});
