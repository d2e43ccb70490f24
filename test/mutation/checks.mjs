// The checks of the supervisor's sources, and the same sources with a switch in each of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sourcesIn } from '../../.config/rooms.mjs';

const rooms = ['engine', 'families', 'view', 'policy', 'launch', 'call'];

/** The place after the parenthesis that closes the one at `open`, or -1. */
function closing(text, open) {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const c = text[at];
    if (c === '"' || c === "'") {
      const end = new RegExp(`(?:\\\\.|[^\\\\${c}\\n])*${c}`, 'y');
      end.lastIndex = at + 1;
      if (!end.test(text)) return -1;
      at = end.lastIndex - 1;
    } else if (c === '(') depth++;
    else if (c === ')' && --depth === 0) return at + 1;
  }
  return -1;
}

const refusal = /EACCES|EPERM|EXDEV|ELOOP|refus|report\(|mismatch|den(y|ied)|kill|gone\(\)|ESRCH|drop|error/i;
const takesAway = /(?:drop|give_up|confine|strip|restrict|put_on)\w*\(/;

// clang-format begins a function in the first column, and one that stands in a class two further.
const attribute = /(?:__attribute__\(\(.*?\)+ )?/;
const ofFile = /(?!__attribute__|namespace|struct|class|enum|\s|#|\/)[\w:<>*&~ ]*?([\w:~]+)\(/;
const ofClass = / {2}\w[\w:<>*& ]* (\w+)\([^;]*\)(?: const)? \{$/;
const beginning = new RegExp(`^(?:${attribute.source}${ofFile.source}|${ofClass.source})`, 'gm');

/** The function that a place of a source lies in. */
function functionAt(text, at) {
  let name = '';
  for (const [, one, other] of text.slice(0, at).matchAll(beginning)) name = one ?? other;
  return name;
}

/** The checks of one source: where each condition stands, and how it is switched off. */
function checksIn(root, file) {
  const text = readFileSync(join(root, file), 'utf8');
  const found = [];
  const add = (kind, begin, end, inside, boundary) =>
    found.push({ file, kind, line: text.slice(0, begin).split('\n').length, begin, end, inside, boundary });
  for (const match of text.matchAll(/\bif \(/g)) {
    const open = match.index + match[0].length - 1;
    const end = closing(text, open);
    const lineStart = text.lastIndexOf('\n', match.index) + 1;
    if (end < 0 || /\/\/|\bconstexpr\b/.test(text.slice(lineStart, match.index))) continue;
    const inside = text.slice(open + 1, end - 1);
    const after = text.slice(end, end + 240);
    const boundary = refusal.test(after.split('\n').slice(0, 3).join('\n')) || /still_held|contains\(/.test(inside);
    add('condition', open + 1, end - 1, inside, boundary);
  }
  // Steps that take rights away are no conditions, and missing they would be missed as much.
  for (const match of text.matchAll(/^ +((?:drop|give_up|confine|strip|restrict)\w*)\([^;{}]*\);$/gm)) {
    const begin = match.index + match[0].search(/\S/);
    add('step', begin, match.index + match[0].length, match[0].trim(), true);
  }
  for (const match of text.matchAll(/^ +const (?:int|long) (?:error|result) = (.*);$/gm)) {
    const begin = match.index + match[0].length - match[1].length - 1;
    if (takesAway.test(match[1])) add('value', begin, begin + match[1].length, match[1], true);
  }
  found.sort((a, b) => a.begin - b.begin);
  const seen = new Map();
  for (const check of found) {
    const name = `${file}: ${functionAt(text, check.begin)}: ${check.inside.replace(/\s+/g, ' ')}`;
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    check.name = times === 1 ? name : `${name} (${times})`;
  }
  // One inside another (a lambda in a condition) would need its text twice.
  return found.filter(
    (check) => !found.some((other) => other !== check && other.begin <= check.begin && check.end <= other.end),
  );
}

/** What stands in the place of a check. The switch is asked last: it is reached where the check would make a difference. */
function switched({ kind, inside, number }) {
  if (kind === 'step') return `if (!holdfast_mutant(${number})) { ${inside} }`;
  if (kind === 'value') return `holdfast_mutant(${number}) ? 0 : (${inside})`;
  const acts = takesAway.test(inside);
  if (acts && / = /.test(inside)) return inside.replace(/ = (.*)$/s, ` = holdfast_mutant(${number}) ? 0 : ($1)`);
  if (acts) return `!holdfast_mutant(${number}) && (${inside})`;
  const parts = /^([^;{]*;)([\s\S]*)$/.exec(inside);
  if (parts) return `${parts[1]} (${parts[2].trim()}) && !holdfast_mutant(${number})`;
  const declared = /^(?:const )?[\w:]+(?:<[\w:<>*&, ]*>)?[*& ]+(?:const )?(\w+) = /.exec(inside);
  if (declared) return `${inside}; ${declared[1]} && !holdfast_mutant(${number})`;
  return `(${inside}) && !holdfast_mutant(${number})`;
}

export function allChecks(root) {
  const all = rooms.flatMap((room) => sourcesIn(`native/${room}`, /\.cc$/)).flatMap((file) => checksIn(root, file));
  all.sort((a, b) => a.file.localeCompare(b.file) || a.begin - b.begin);
  return all.map((check, i) => ({ ...check, number: i + 1 }));
}

/** One source with all its switches. */
export function withSwitches(root, file, checks) {
  let text = readFileSync(join(root, file), 'utf8');
  for (const check of checks.filter((each) => each.file === file).reverse())
    text = text.slice(0, check.begin) + switched(check) + text.slice(check.end);
  return `#include "../protocol/mutant.h"\n${text}`;
}

export const header = `#pragma once
namespace holdfast { bool holdfast_mutant(unsigned number); }
`;

/**
 * Which check is off stands in a file of that folder; which were reached is noted in another. Not looked for beside the
 * executable: some tests link a supervisor of their own from the same objects, or copy it.
 */
export const implementation = (folder) => `#include "mutant.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
namespace holdfast {
namespace {
unsigned off = 0;
unsigned char* reached = nullptr;
}
__attribute__((constructor)) static void begin() {
  int fd = open(${JSON.stringify(join(folder, 'mutant'))}, O_RDONLY | O_CLOEXEC);
  char text[16] = {};
  if (fd >= 0 && read(fd, text, sizeof text - 1) > 0) off = static_cast<unsigned>(atoi(text));
  if (fd >= 0) close(fd);
  fd = open(${JSON.stringify(join(folder, 'reached'))}, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* at = mmap(nullptr, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) reached = static_cast<unsigned char*>(at);
  close(fd);
}
bool holdfast_mutant(unsigned number) {
  if (reached != nullptr) __atomic_store_n(&reached[number], 1, __ATOMIC_RELAXED);
  return number == off;
}
}
`;
