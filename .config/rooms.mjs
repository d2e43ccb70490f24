// The rooms of native/ and lib/, from the top floor down: the one place where their order stands. What lies in a room
// may include what lies in it or below it, never what lies above. Run as a program it checks that, and that
// docs/internals.md names every room in this order.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** native/: the supervisor's tower. */
export const tower = [
  'supervisor',
  'engine',
  'limits',
  'families',
  'view',
  'policy',
  'channel',
  'launch',
  'call',
  'paths',
  'syscalls',
  'protocol',
  'arch',
];

/** native/addon stands beside the tower, on these alone. */
const addon = ['addon', 'paths', 'protocol'];

/** lib/: a file beside the rooms is a floor of its own. */
const lib = [
  'cli',
  'guard',
  'vitest',
  'testing',
  'index.ts',
  'report',
  'support',
  'record',
  'run',
  'explain',
  'spawn',
  'process',
  'limits',
  'hooks',
  'policy',
  'native',
  'errors.ts',
];

/** Every source below `folder`, relative to the root. */
export function sourcesIn(folder, pattern) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourcesIn(path, pattern);
    return pattern.test(entry.name) ? [path] : [];
  });
}

function check() {
  const problems = [];
  const look = (top, floors, pattern, includes) => {
    const floorOf = (path) => floors.indexOf(relative(top, path).split(sep)[0]);
    for (const source of sourcesIn(top, pattern)) {
      const own = floorOf(source);
      if (own < 0) {
        if (top !== 'native') problems.push(`${source}: lies in no room (.config/rooms.mjs has them)`);
        continue;
      }
      for (const [, name] of readFileSync(join(root, source), 'utf8').matchAll(includes)) {
        const target = normalize(join(dirname(source), name));
        if (!existsSync(join(root, target))) problems.push(`${source}: ${name} is not there`);
        else if (floorOf(target) < 0) problems.push(`${source}: ${target} lies outside the rooms below it`);
        else if (floorOf(target) < own) problems.push(`${source}: ${target} lies above it`);
      }
    }
  };
  const quoted = /^#include "([^"]+)"/gm;
  look('native', tower, /\.(cc|h|def)$/, quoted);
  look('native', addon, /\.(cc|h|def)$/, quoted);
  look('lib', lib, /\.ts$/, /(?:from|import) '(\.[^']+)'/g);
  for (const name of readdirSync(join(root, 'native'))) {
    if (statSync(join(root, 'native', name)).isDirectory() && !tower.includes(name) && name !== 'addon')
      problems.push(`native/${name}: no such room (.config/rooms.mjs has them)`);
  }
  const page = readFileSync(join(root, 'docs/internals.md'), 'utf8');
  const named = (list, prefix) => {
    const places = list.map((room) => page.indexOf(`\n| \`${prefix}${room}${room.includes('.') ? '' : '/'}\` |`));
    const missing = list.filter((_, i) => places[i] < 0);
    for (const room of missing) problems.push(`docs/internals.md: has no row for ${prefix}${room}`);
    if (missing.length === 0 && places.some((place, i) => i > 0 && place < places[i - 1]))
      problems.push(`docs/internals.md: the rooms of ${prefix} stand in another order than in .config/rooms.mjs`);
  };
  named(tower, 'native/');
  named(lib, 'lib/');
  for (const problem of problems) console.error(problem);
  console.log(`rooms: ${tower.length + 1} in native/, ${lib.length} floors in lib/, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) check();
