// What the five parts of the page share: a bar with a search field and filters above a table.
import { button, h, icon, say, visible } from './dom.ts';
import { basename, count } from './format.ts';
import type { Model } from './model.ts';

export interface Panel {
  readonly element: HTMLElement;
  readonly search?: HTMLInputElement;
  /** It is on the screen now. */
  shown(): void;
  focus(): void;
  print(on: boolean): void;
  /** A key that no row has taken. */
  key?(event: KeyboardEvent): boolean;
}

const PAUSE = 120;

/** Calls `changed` when typing has paused. */
export function searchField(
  label: string,
  changed: (query: string) => void,
): { element: HTMLElement; input: HTMLInputElement } {
  let timer = 0;
  const input = h('input', {
    type: 'search',
    placeholder: label,
    'aria-label': label,
    autocomplete: 'off',
    spellcheck: 'false',
    'aria-keyshortcuts': '/',
    oninput: () => {
      clearTimeout(timer);
      timer = window.setTimeout(() => changed(input.value.trim().toLowerCase()), PAUSE);
    },
  });
  return {
    element: h('div', { class: 'search' }, icon('search'), input, h('kbd', { 'aria-hidden': 'true' }, '/')),
    input,
  };
}

export interface Choice<T> {
  readonly value: T;
  readonly text: string;
  readonly count?: number;
}

/** One of a few: radio buttons that look like a segmented control. */
export function segments<T extends string>(
  label: string,
  choices: readonly Choice<T>[],
  chosen: T,
  changed: (value: T) => void,
): HTMLElement {
  const group = `g${Math.random().toString(36).slice(2)}`;
  return h(
    'div',
    { class: 'segments', role: 'radiogroup', 'aria-label': label },
    ...choices.map(({ value, text, count: amount }) => {
      const input = h('input', {
        type: 'radio',
        name: group,
        checked: value === chosen,
        onchange: () => changed(value),
      });
      return h(
        'label',
        {},
        input,
        h('span', {}, text, amount !== undefined && h('span', { class: 'amount' }, count(amount))),
      );
    }),
  );
}

/** '' for all of them. */
export function programSelect(
  model: Model,
  programs: readonly string[],
  changed: (program: string) => void,
): HTMLElement {
  const select = h(
    'select',
    { 'aria-label': 'Program', onchange: () => changed(select.value) },
    h('option', { value: '' }, 'All programs'),
    ...programs.slice(0, 500).map((path) => {
      const base = visible(basename(path));
      const double = programs.filter((other) => basename(other) === basename(path)).length > 1;
      return h('option', { value: path }, double ? visible(path) : base || `(unknown, ${model.report.command})`);
    }),
  );
  return h('div', { class: 'select' }, select);
}

export const sayFound = (found: number, all: number, what: string) =>
  say(found === all ? `${count(all)} ${what}` : `${count(found)} of ${count(all)} ${what}`);

export const nothing = (title: string, text: string, clear?: () => void): Node =>
  h(
    'div',
    { class: 'nothing' },
    h('p', { class: 'nothing-title' }, title),
    h('p', {}, text),
    clear && button('Clear filters', clear),
  );
