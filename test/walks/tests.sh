# Somebody who tests a command line tool: each test has a folder of its own, and says what the tool may do.
npm init --yes > /dev/null
npm install $HOLDFAST vitest@4

mkdir fixtures && echo input > fixtures/a.txt
cat > cli.mjs <<'END'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('out', { recursive: true });
copyFileSync('fixtures/a.txt', 'out/a.txt');
if (process.argv[2] === 'bad') writeFileSync('fixtures/a.txt', 'changed');
END
cat > cli.test.mjs <<'END'
import { expect, test } from 'holdfast/vitest';
test('writes only into out/', async ({ sandbox }) => {
  await sandbox.fixture('fixtures');
  const run = await sandbox.run(process.execPath, [new URL('cli.mjs', import.meta.url).pathname], {
    policy: { files: { read: ['fixtures', import.meta.dirname], write: ['out'] } },
  });
  expect(run).toHaveViolated([]);
});
test('is caught when it does not', async ({ sandbox }) => {
  await sandbox.fixture('fixtures');
  const run = await sandbox.run(process.execPath, [new URL('cli.mjs', import.meta.url).pathname, 'bad'], {
    policy: { files: { read: ['fixtures', import.meta.dirname], write: ['out'] } },
  });
  expect(run).not.toHaveViolated([]);
});
END
npx vitest run
