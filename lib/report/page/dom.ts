// Elements without markup: whatever a tree has named becomes text, and nothing else.

type Child = Node | string | number | false | null | undefined;
type Props = Record<string, string | number | boolean | undefined | ((event: never) => void)>;

const SVG = 'http://www.w3.org/2000/svg';

/** Attributes that are read by people. */
const read = new Set(['aria-label', 'title', 'placeholder']);

function fill<E extends Element>(element: E, props: Props, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false)
      element.setAttribute(name, read.has(name) ? visible(String(value)) : String(value));
  }
  for (const child of children) {
    if (child instanceof Node) element.append(child);
    else if (typeof child === 'string' || typeof child === 'number') element.append(shown(String(child)));
  }
  return element;
}

/** Attributes by their names; `onclick` and its like are listeners. Text is {@link shown}. */
export const h = <T extends keyof HTMLElementTagNameMap>(tag: T, props: Props = {}, ...children: Child[]) =>
  fill(document.createElement(tag), props, children);

const svg = (tag: string, props: Props, ...children: Child[]) =>
  fill(document.createElementNS(SVG, tag), props, children);

// What is not seen, or changes how what stands around it is seen.
const hidden =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Default_Ignorable_Code_Point}\u00a0\u2000-\u200a\u202f\u205f\u2800\u3000]/u;
/** All of it. */
export const hiddens = new RegExp(hidden.source, 'gu');

const escapeOf = (character: string) => {
  const code = character.codePointAt(0) ?? 0;
  if (character === '\n') return '\\n';
  if (character === '\t') return '\\t';
  return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** As text: what cannot be seen is written as an escape. */
export const visible = (text: string) => text.replace(hiddens, escapeOf);

/** The same as nodes, in which an escape looks different from the same letters in a name. */
export function shown(text: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  if (!hidden.test(text)) {
    fragment.append(text);
    return fragment;
  }
  let at = 0;
  for (const match of text.matchAll(hiddens)) {
    if (match.index > at) fragment.append(text.slice(at, match.index));
    fragment.append(h('span', { class: 'escape' }, escapeOf(match[0])));
    at = match.index + match[0].length;
  }
  fragment.append(text.slice(at));
  return fragment;
}

/** A name or path, kept from turning round what stands beside it. */
export const name = (text: string, kind = '') => h('bdi', { class: `name ${kind}`, dir: 'ltr' }, shown(text));

const paths = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10Zm3.6-1.4L14 14',
  copy: 'M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z',
  check: 'M3 8.5 6.5 12 13 4.5',
  close: 'M4 4l8 8m0-8-8 8',
  plus: 'M8 3.5v9M3.5 8h9',
  minus: 'M3.5 8h9',
  fit: 'M2.5 4v8m11-8v8M5 8h6M6.5 6 4.5 8l2 2m3-4 2 2-2 2',
  light:
    'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6Zm0-3.5v1m0 11v1M1.5 8h1m11 0h1M3.4 3.4l.7.7m7.8 7.8.7.7m0-9.2-.7.7m-7.8 7.8-.7.7',
  dark: 'M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1Z',
  system: 'M2 3h12v8H2zm4 11h4m-2-3v3',
  keys: 'M1.5 4h13v8h-13zM4 6.5h.5m2 0H7m2 0h.5m2 0h.5M5 9.5h6',
  save: 'M8 2.5v7m-3-3 3 3 3-3M2.5 11v2.5h11V11',
  alert: 'M8 2 1.5 13.5h13L8 2Zm0 4.5v3m0 1.8v.2',
} as const;

export type IconName = keyof typeof paths;

export const icon = (which: IconName) =>
  svg('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: paths[which] }));

export const logo = () =>
  svg(
    'svg',
    { class: 'logo', viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    svg('rect', { width: 32, height: 32, rx: 8 }),
    svg('path', {
      d: 'M16 7v18M16 15c-4 0-6-2-6-6M16 15c4 0 6-2 6-6M16 25c-4 0-7-2-8-5M16 25c4 0 7-2 8-5',
    }),
  );

export interface ButtonOptions {
  readonly icon?: IconName;
  readonly kind?: string;
  readonly label?: string;
  readonly title?: string;
  readonly inRow?: boolean;
}

export const button = (text: string, press: (event: MouseEvent) => void, options: ButtonOptions = {}) =>
  h(
    'button',
    {
      type: 'button',
      class: `button ${options.kind ?? ''}`,
      'aria-label': options.label,
      title: options.title ?? (text === '' ? options.label : undefined),
      tabindex: options.inRow ? -1 : undefined,
      onclick: press,
    },
    options.icon && icon(options.icon),
    text !== '' && h('span', {}, text),
  );

let live: HTMLElement | undefined;

export const liveRegion = () => {
  live = h('div', { class: 'sr', role: 'status', 'aria-live': 'polite' });
  return live;
};

/** Says it to who does not see the page. */
export function say(text: string): void {
  if (live !== undefined) live.textContent = text;
}

let toast: HTMLElement | undefined;
let gone = 0;

function tell(text: string): void {
  toast ??= document.body.appendChild(h('div', { class: 'toast', 'aria-hidden': 'true' }));
  toast.textContent = text;
  toast.classList.add('on');
  clearTimeout(gone);
  gone = window.setTimeout(() => toast?.classList.remove('on'), 2200);
  say(text);
}

/** Without a secure context (a page by http) there is no clipboard: then by a selection, the old way. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(`Copied ${what}`);
    return;
  } catch {
    // Below.
  }
  const before = document.activeElement;
  const field = document.body.appendChild(h('textarea', { class: 'sr', 'aria-hidden': 'true', tabindex: -1 }));
  field.value = text;
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  tell(done ? `Copied ${what}` : 'This browser does not let the page copy');
}
