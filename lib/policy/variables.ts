// Variables at the start of paths in a policy that is kept as data: what they stand for, and where they are refused.
import { existsSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { didYouMean } from './nearest.ts';
import { isPattern } from './pattern.ts';

const names = ['CWD', 'HOME', 'TMP', 'PACKAGE'] as const;
type Name = (typeof names)[number];

const known = names.map((name) => `$${name}`);

/** Why a text with a variable in it is refused where none is expanded. */
export function unexpanded(text: string): string {
  return /\$\{?(?:CWD|HOME|TMP|PACKAGE)(?!\w)/.test(text)
    ? 'which only definePolicy() and loadPolicy() expand, at the start of a path'
    : 'which only shells expand: use process.env';
}

/** Why a text cannot be expanded: the sentence goes behind the field and the value. */
export class VariableProblem extends Error {}

/** What variables stand for. */
export interface VariableOptions {
  /** An absolute path. Without it `$CWD` stays a relative path, so that it is the command's working directory. */
  cwd: string | undefined;
  /** An absolute path. Default: the nearest folder with a package.json, from `cwd` upwards. */
  package: string | undefined;
}

function packageFolder(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) break;
  }
  throw new VariableProblem(`has $PACKAGE, and no folder from ${from} upwards has a package.json: give \`package\``);
}

export class Variables {
  readonly #options: VariableOptions;
  readonly #values = new Map<Name, string>();

  constructor(options: VariableOptions) {
    this.#options = options;
  }

  #value(name: Name): string {
    const { cwd } = this.#options;
    switch (name) {
      case 'CWD':
        return cwd ?? '.';
      case 'HOME':
        return homedir();
      case 'TMP':
        return tmpdir();
      case 'PACKAGE':
        return this.#options.package ?? packageFolder(cwd ?? process.cwd());
    }
  }

  #folder(name: Name): string {
    let value = this.#values.get(name);
    if (value === undefined) {
      value = this.#value(name);
      if (!isAbsolute(value) && value !== '.') {
        throw new VariableProblem(`has $${name}, which is '${value}' here, and no absolute path`);
      }
      this.#values.set(name, value);
    }
    return value;
  }

  /** @throws {VariableProblem} */
  path(text: string): string {
    // A URL means what it says.
    if (/^file:/i.test(text)) return text;
    if (text === '~' || text.startsWith('~/')) return this.#joined('HOME', text.slice(1));
    const [, braced, word = '', rest = ''] = /^\$(\{?)([A-Za-z_]\w*)\}?(.*)$/s.exec(text) ?? [];
    if (word === '') {
      if (!/(?<![\w\\])\$\{?(?:CWD|HOME|TMP|PACKAGE)(?!\w)/.test(text)) return text;
      throw new VariableProblem('has a variable in the middle: variables are for the start of a path');
    }
    const name = names.find((one) => one === word);
    if (name === undefined) {
      const meant = didYouMean(`$${word}`, known);
      throw new VariableProblem(`starts with $${word}, which is no variable. Known is ${known.join(', ')}${meant}`);
    }
    if (braced === '{') throw new VariableProblem(`is refused: write $${name} without braces`);
    if (rest !== '' && !rest.startsWith('/')) {
      throw new VariableProblem(`is refused: behind $${name} comes / or nothing`);
    }
    return this.#joined(name, rest);
  }

  /** Of an address: a unix socket's path. @throws {VariableProblem} */
  address(text: string): string {
    return text.startsWith('unix:') && !text.startsWith('unix:@') ? `unix:${this.#plain(text.slice(5))}` : text;
  }

  /** Without quoting: an address has no wildcards but of its own. */
  #plain(text: string): string {
    const path = this.path(text);
    return path.startsWith('file:') ? decodeURIComponent(path.slice('file://'.length)) : path;
  }

  #joined(name: Name, rest: string): string {
    const folder = this.#folder(name);
    // Everything on the machine, because somebody did not choose a folder, is nobody's intent.
    if (folder === '/' && /^\/*$/.test(rest)) {
      throw new VariableProblem(`stands for / here: write '/' if all of the machine is meant`);
    }
    return inFolder(folder, rest);
  }
}

/** `rest` (empty, or from a `/` on) in a folder, whatever characters that has. */
export function inFolder(folder: string, rest: string): string {
  const base = folder === '/' && rest !== '' ? '' : folder;
  if (!/[*?[\]{}\\$~]|^\s|\s$/.test(base)) return base + rest;
  if (isPattern(rest)) return base.replace(/[*?[\]{}\\$]/g, '\\$&') + rest;
  return pathToFileURL(base + rest).href;
}
