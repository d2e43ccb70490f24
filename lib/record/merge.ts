// Lines put into the text of a policy, which keeps everything that stands in it: order, comments, spaces.
import { applyEdits, findNodeAtLocation, getNodeValue, modify, type Node, parseTree } from 'jsonc-parser';
import { HoldfastError } from '../errors.ts';

/** A line that is to stand in a list. */
export interface Line {
  /** `files.read` */
  readonly field: string;
  readonly value: unknown;
  /** Beside it, as a comment. */
  readonly reason: string;
}

const formattingOptions = { insertSpaces: true, tabSize: 2, eol: '\n' };
const parseOptions = { allowTrailingComma: true, disallowComments: false };

/** What a comment may be made of: no text that somebody chose may end it. */
export function commentOf(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .slice(0, 300);
}

function listIn(text: string, field: string): Node | undefined {
  const root = parseTree(text, [], parseOptions);
  return root && findNodeAtLocation(root, field.split('.'));
}

/** The text with an empty list where there is none. */
function withList(text: string, field: string): string {
  if (listIn(text, field) !== undefined) return text;
  return applyEdits(text, modify(text, field.split('.'), [], { formattingOptions }));
}

/** As a person writes it; texts have no line ends of their own in JSON. */
const onOneLine = (value: unknown) => JSON.stringify(value, undefined, 1).replace(/\n\s*/g, ' ');

/** Whether a comma stands between two places, outside of comments. */
function hasComma(between: string): boolean {
  return between.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n\r]*/g, '').includes(',');
}

function put(text: string, field: string, lines: readonly Line[], made: boolean): string {
  const list = listIn(text, field);
  if (list?.type !== 'array') {
    throw new HoldfastError(
      'ERR_HOLDFAST_INVALID_POLICY',
      `policy.${field}: is no list that lines could be added to: make it one`,
    );
  }
  const start = text.lastIndexOf('\n', list.offset) + 1;
  const indent = /^[ \t]*/.exec(text.slice(start))?.[0] ?? '';
  const inner = `${indent}  `;
  const end = list.offset + list.length - 1;
  const last = list.children?.at(-1);
  let before = text.slice(0, end);
  if (last !== undefined) {
    const behind = last.offset + last.length;
    if (!hasComma(text.slice(behind, end))) before = `${text.slice(0, behind)},${text.slice(behind, end)}`;
  }
  const added = lines.map(({ value, reason }) => `${inner}// ${commentOf(reason)}\n${inner}${onOneLine(value)}`);
  return `${made ? before : before.trimEnd()}\n${added.join(',\n')}\n${indent}${text.slice(end)}`;
}

/** Adds lines to their lists. What is there already stays as it is; a value that stands in its list is not added again. */
export function addLines(text: string, lines: readonly Line[]): string {
  const fields = [...new Set(lines.map(({ field }) => field))];
  for (const field of fields) {
    const own = lines.filter((line) => line.field === field);
    const made = listIn(text, field) === undefined;
    text = withList(text, field);
    const there = new Set(listIn(text, field)?.children?.map((node) => JSON.stringify(getNodeValue(node))));
    const missing = own.filter(({ value }) => !there.has(JSON.stringify(value)));
    if (missing.length > 0) text = put(text, field, missing, made);
  }
  return text;
}

/** Sets a value that is not there yet. */
export function setValue(text: string, field: string, value: unknown): string {
  if (listIn(text, field) !== undefined) return text;
  return applyEdits(text, modify(text, field.split('.'), value, { formattingOptions }));
}
