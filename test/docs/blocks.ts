// The fenced blocks of README and docs/, and what they presume: a small project, and the names that the text around a block has given.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as holdfast from 'holdfast';
import { patient } from '../helpers/patience.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Block {
  /** `docs/api.md:47` */
  at: string;
  language: string;
  text: string;
}

const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith('.md'),
);

const all: Block[] = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map((match) => ({
    at: `${page}:${text.slice(0, match.index).split('\n').length}`,
    language: match[1] ?? '',
    text: match[2] ?? '',
  }));
});

const forVitest = ({ text }: Block) => text.includes("from 'holdfast/vitest'");

export const blocks = all.filter((block) => !forVitest(block));

/** Tests: test/testing/frameworks runs them in a vitest of their own. */
export const vitestBlocks = all.filter(forVitest);

/** Files of the project that blocks are about. */
export const projectFiles: Readonly<Record<string, string>> = {
  Makefile: 'all:\n\techo made > dist/made || echo made > build/made\n',
  'package.json': '{ "name": "project", "version": "1.0.0" }\n',
  'src/main.c': 'int main(void) { return 0; }\n',
  'src/.env': 'SECRET=1\n',
  'bin/lint': '#!/bin/sh\nexit 0\n',
  submission: '#!/bin/sh\necho 3\n',
};

/** What a name stands for that a block uses and does not declare. */
const given: Readonly<Record<string, string>> = {
  project: 'process.cwd()',
  policy: "{ files: { read: ['.'], write: ['out', 'dist'] } }",
  child: `spawnSandboxed('sh', ['-c', 'echo ready; read line'], {
  policy: { files: { read: ['.'], write: ['out', 'src'], metadata: ['/'] } },
});
setTimeout(() => child.stdin.end(), ${patient(300)})`,
  ask: 'async (...call) => call.length > 0',
  command: "'true'",
  args: '[]',
  file: "'src/main.c'",
  files: "['src/main.c']",
  given: "{ cwd: '.', reject: false }",
};

/** Types that the library exports. */
const types = [...readFileSync(join(root, 'lib/index.ts'), 'utf8').matchAll(/export (type )?\{([^}]*)\}/g)].flatMap(
  ([, all, names = '']) =>
    names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && (all !== undefined || name.startsWith('type ')))
      .map((name) => name.replace(/^type /, '')),
);

const isUsed = (name: string, code: string) => new RegExp(`(?<![\\w.$'"-])${name}(?![\\w'":-])`).test(code);
const isDeclared = (name: string, code: string) =>
  new RegExp(
    `(?:const|let|class|function|type|interface)\\s+(?:\\{[^}=]*\\b)?${name}\\b|import\\s[^;]*\\b${name}\\b|\\b${name}\\s*=>|\\((?:[^()]*, ?)?${name}(?:,[^()]*)?\\)\\s*=>`,
  ).test(code);

/** A block of types as a module; what it declares must be what the library exports under that name. */
export function asTypes({ at, text }: Block): string {
  const used = types.filter((name) => isUsed(name, text));
  const declared = used.filter((name) => isDeclared(name, text));
  const imported = used.filter((name) => !declared.includes(name));
  return [
    `// ${at}`,
    `import type { ${imported.join(', ')} } from 'holdfast';`,
    text,
    // What is shown leaves `readonly` out.
    'type Missing<Real, Shown> = Exclude<keyof Real, keyof Shown>;',
    ...declared.map(
      (name) =>
        `export const shown${name} = {} as ${name} satisfies import('holdfast').${name};
export const all${name}: never[] = [] as Missing<import('holdfast').${name}, ${name}>[];`,
    ),
    ...(declared.includes('Policy')
      ? ['files', 'network', 'syscalls'].map(
          (field) =>
            `export const all_${field}: never[] = [] as Missing<NonNullable<import('holdfast').Policy['${field}']>, NonNullable<Policy['${field}']>>[];`,
        )
      : []),
  ].join('\n');
}

/** The block as a module that runs by itself. */
export function asModule({ text }: Block): string {
  const code = text.replace(/^\s*(?:\/\/.*)$/gm, '');
  const missing = Object.keys(given).filter((name) => isUsed(name, code) && !isDeclared(name, code));
  const prelude = missing.map((name) => `const ${name} = ${given[name]};`);
  const all = `${prelude.join('\n')}\n${code}`;
  const imported = Object.keys(holdfast).filter((name) => isUsed(name, all) && !isDeclared(name, all));
  if (imported.length > 0) prelude.unshift(`import { ${imported.join(', ')} } from 'holdfast';`);
  // A call that is decided just then is not looked into; and what is taken from it is what a program begins with.
  if (missing.includes('child') && /child\.(inspect|restrict)\(/.test(code))
    prelude.push("await once(child.stdout, 'data');");
  if (isUsed('once', `${all}${prelude.join()}`) && !isDeclared('once', all))
    prelude.unshift("import { once } from 'node:events';");
  return `${prelude.join('\n')}\n${text}`;
}

/**
 * Commands that are not run here, each with what runs them. The rest is run as it stands in the project, `npx holdfast` being
 * the built command.
 */
export const elsewhere: Readonly<Record<string, string>> = {
  'npm install holdfast': 'npm run test:install',
  'npm ci && npm run demo': '.ci/run',
  'npm test': '.ci/run',
  'npm run bench -- --docs': 'test/bench: rewrites the page, by hand',
  'npm run build:native': '.ci/run',
  'node docs/generate-syscalls.mjs': 'test/table/documented',
  'npm test -- test/table': '.ci/run',
  'npm run test:native -- filter': '.ci/run',
  'mkdir "$group/app" && echo $$ > "$group/app/cgroup.procs" && exec node server.js':
    'test/lifecycle/control-group, in the guest',
  'sudo apt-get install libseccomp-dev': 'a package of the system',
};
/** Lines that begin so: long commands of the project itself, and Chromium's (test/transparency/tmp-programs). */
export const elsewhereBeginning = [
  'HOME=/tmp npx holdfast run --tmp',
  'g++ -std=c++20 -O2',
  'native/launch/filter.cc',
  '/tmp/filter_choice',
];
