// A table of any length: only what is on the screen has elements. The page scrolls, the table does not; arrow keys walk it
// (https://www.w3.org/WAI/ARIA/apg/patterns/treegrid/), and the row that has the focus keeps its element wherever it is.
import { h } from './dom.ts';

export interface Row<T> {
  readonly key: string;
  readonly level: number;
  /** Undefined where there is nothing to open. */
  readonly expanded: boolean | undefined;
  readonly item: T;
}

export interface Column {
  readonly title: string | Node;
  readonly kind: string;
}

export interface GridOptions<T> {
  readonly label: string;
  readonly kind: string;
  readonly columns: readonly Column[];
  readonly rowHeight: number;
  readonly tree: boolean;
  /** One for each column. */
  cells(row: Row<T>): (Node | string)[];
  rowClass?(row: Row<T>): string;
  toggle?(row: Row<T>): void;
  open(row: Row<T>): void;
  /** What Space does. */
  select?(row: Row<T>): void;
  selected?(row: Row<T>): boolean | undefined;
  key?(event: KeyboardEvent, row: Row<T>): boolean;
  readonly empty: () => Node;
}

/** Above and below the screen. */
const MARGIN = 8;
/** Of a table that is printed. */
const PRINTED = 400;

export class Grid<T> {
  readonly element: HTMLElement;
  readonly #options: GridOptions<T>;
  readonly #head: HTMLElement;
  readonly #body: HTMLElement;
  readonly #empty = h('div', { class: 'empty', hidden: true });
  readonly #more = h('p', { class: 'more', hidden: true });
  #rows: readonly Row<T>[] = [];
  readonly #shown = new Map<number, HTMLElement>();
  #active = 0;
  #opened: string | undefined;
  #frame = 0;
  #printing = false;

  constructor(options: GridOptions<T>) {
    this.#options = options;
    const cells = options.columns.map(({ title, kind }) =>
      h('div', { role: 'columnheader', class: `cell ${kind}` }, title),
    );
    this.#head = h('div', { role: 'rowgroup', class: 'head' }, h('div', { role: 'row', class: 'row' }, ...cells));
    this.#body = h('div', { role: 'rowgroup', class: 'body' });
    this.element = h(
      'div',
      { class: `table ${options.kind}` },
      h(
        'div',
        {
          role: options.tree ? 'treegrid' : 'grid',
          class: 'grid',
          'aria-label': options.label,
          'aria-colcount': options.columns.length,
          'aria-multiselectable': options.select === undefined ? undefined : 'true',
        },
        this.#head,
        this.#body,
      ),
      this.#empty,
      this.#more,
    );
    this.element.style.setProperty('--row', `${options.rowHeight}px`);
    this.#body.addEventListener('click', (event) => this.#clicked(event));
    this.#body.addEventListener('keydown', (event) => this.#pressed(event));
    this.#body.addEventListener('focusin', (event) => {
      const at = this.#indexOf(event.target);
      if (at !== undefined && at !== this.#active) this.#activate(at);
    });
    addEventListener('scroll', () => this.draw(), { passive: true });
    addEventListener('resize', () => this.draw());
  }

  get rows(): readonly Row<T>[] {
    return this.#rows;
  }

  get head(): HTMLElement {
    return this.#head;
  }

  /** Other rows. The focus stays with its row, or where that is gone, with its place. */
  set rows(rows: readonly Row<T>[]) {
    const key = this.#rows[this.#active]?.key;
    const focused = this.#body.contains(document.activeElement);
    this.#rows = rows;
    const same = key === undefined ? -1 : rows.findIndex((row) => row.key === key);
    this.#active = same >= 0 ? same : Math.min(this.#active, Math.max(rows.length - 1, 0));
    this.#clear();
    const grid = this.#head.parentElement;
    grid?.setAttribute('aria-rowcount', String(rows.length + 1));
    this.#body.style.height = `${rows.length * this.#options.rowHeight}px`;
    this.#empty.hidden = rows.length > 0;
    if (grid !== null) grid.hidden = rows.length === 0;
    if (rows.length === 0) this.#empty.replaceChildren(this.#options.empty());
    this.#drawNow();
    if (focused) this.#focus(false);
  }

  /** The same rows, drawn anew. */
  refresh(): void {
    const focused = this.#body.contains(document.activeElement);
    this.#clear();
    this.#drawNow();
    if (focused) this.#focus(false);
  }

  /** Marks the row whose details are shown. */
  mark(key: string | undefined): void {
    this.#opened = key;
    for (const [at, element] of this.#shown) element.classList.toggle('opened', this.#rows[at]?.key === key);
  }

  focusRow(key: string): void {
    const at = this.#rows.findIndex((row) => row.key === key);
    if (at < 0) return;
    this.#activate(at);
    this.#focus(true);
  }

  focusFirst(): void {
    if (this.#rows.length > 0) this.#focus(true);
  }

  draw(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawNow();
    });
  }

  print(on: boolean): void {
    this.#printing = on;
    this.#clear();
    const rest = this.#rows.length - PRINTED;
    this.#more.hidden = !on || rest <= 0;
    if (on && rest > 0) {
      this.#more.textContent = `The first ${PRINTED} of ${this.#rows.length} rows. Filter before printing to see others.`;
    }
    this.#drawNow();
  }

  #clear(): void {
    this.#shown.clear();
    this.#body.replaceChildren();
  }

  #drawNow(): void {
    if (this.element.offsetParent === null && !this.#printing) return;
    const { rowHeight } = this.#options;
    let first = 0;
    let last = Math.min(this.#rows.length, PRINTED);
    if (!this.#printing) {
      const top = this.#body.getBoundingClientRect().top;
      first = Math.max(0, Math.floor(-top / rowHeight) - MARGIN);
      last = Math.min(this.#rows.length, Math.ceil((innerHeight - top) / rowHeight) + MARGIN);
    }
    for (const [at, element] of this.#shown) {
      if (at >= first && at < last) continue;
      if (at === this.#active) continue;
      element.remove();
      this.#shown.delete(at);
    }
    for (let at = first; at < last; at++) this.#show(at);
    if (this.#active < this.#rows.length) this.#show(this.#active);
  }

  #show(at: number): void {
    const row = this.#rows[at];
    if (row === undefined || this.#shown.has(at)) return;
    const { tree, rowHeight, columns } = this.#options;
    const cells = this.#options.cells(row);
    const selected = this.#options.selected?.(row);
    const element = h(
      'div',
      {
        role: 'row',
        class: `row ${this.#options.rowClass?.(row) ?? ''} ${row.key === this.#opened ? 'opened' : ''}`,
        'aria-rowindex': at + 2,
        'aria-level': tree ? row.level : undefined,
        'aria-expanded': tree && row.expanded !== undefined ? String(row.expanded) : undefined,
        'aria-selected': selected === undefined ? undefined : String(selected),
        tabindex: at === this.#active ? 0 : -1,
        'data-at': at,
      },
      ...cells.map((cell, i) => h('div', { role: 'gridcell', class: `cell ${columns[i]?.kind ?? ''}` }, cell)),
    );
    if (!this.#printing) element.style.transform = `translateY(${at * rowHeight}px)`;
    this.#buttons(element, at === this.#active);
    this.#shown.set(at, element);
    // In the order of the rows: readers and Tab go by it.
    let next: Element | null = null;
    for (const other of this.#body.children) {
      if (Number((other as HTMLElement).dataset.at) > at) {
        next = other;
        break;
      }
    }
    this.#body.insertBefore(element, next);
  }

  /** Only those of the row that has the focus are met by Tab. */
  #buttons(row: HTMLElement, active: boolean): void {
    for (const button of row.querySelectorAll<HTMLElement>('button, input')) button.tabIndex = active ? 0 : -1;
  }

  #activate(at: number): void {
    const before = this.#shown.get(this.#active);
    if (before !== undefined) {
      before.tabIndex = -1;
      this.#buttons(before, false);
    }
    this.#active = at;
    this.#show(at);
    const now = this.#shown.get(at);
    if (now !== undefined) {
      now.tabIndex = 0;
      this.#buttons(now, true);
    }
  }

  #focus(scroll: boolean): void {
    this.#show(this.#active);
    if (scroll) this.#reveal();
    this.#shown.get(this.#active)?.focus({ preventScroll: true });
  }

  /** Between what sticks at the top and the end of the screen. */
  #reveal(): void {
    const { rowHeight } = this.#options;
    const top = this.#body.getBoundingClientRect().top + this.#active * rowHeight;
    const low = this.#head.getBoundingClientRect().bottom;
    if (top < low) scrollBy(0, top - low);
    else if (top + rowHeight > innerHeight - 12) scrollBy(0, top + rowHeight - innerHeight + 12);
    this.#drawNow();
  }

  #go(at: number): void {
    if (this.#rows.length === 0) return;
    this.#activate(Math.max(0, Math.min(this.#rows.length - 1, at)));
    this.#focus(true);
  }

  #indexOf(target: EventTarget | null): number | undefined {
    const row = target instanceof Element ? target.closest<HTMLElement>('[data-at]') : null;
    return row === null ? undefined : Number(row.dataset.at);
  }

  #clicked(event: MouseEvent): void {
    const at = this.#indexOf(event.target);
    const row = at === undefined ? undefined : this.#rows[at];
    if (at === undefined || row === undefined) return;
    const target = event.target as Element;
    if (target.closest('button, a, input, label') !== null) return;
    if (String(getSelection() ?? '') !== '') return;
    this.#activate(at);
    this.#shown.get(at)?.focus({ preventScroll: true });
    if (target.closest('.twisty') !== null) this.#options.toggle?.(row);
    else this.#options.open(row);
  }

  #pressed(event: KeyboardEvent): void {
    const row = this.#rows[this.#active];
    if (row === undefined) return;
    const inRow = event.target instanceof HTMLElement && event.target.dataset.at === undefined;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { rowHeight } = this.#options;
    const page = Math.max(1, Math.floor((innerHeight - this.#head.getBoundingClientRect().bottom) / rowHeight) - 1);
    const done = () => event.preventDefault();
    switch (event.key) {
      case 'ArrowDown':
        this.#go(this.#active + 1);
        return done();
      case 'ArrowUp':
        this.#go(this.#active - 1);
        return done();
      case 'PageDown':
        this.#go(this.#active + page);
        return done();
      case 'PageUp':
        this.#go(this.#active - page);
        return done();
      case 'Home':
        this.#go(0);
        return done();
      case 'End':
        this.#go(this.#rows.length - 1);
        return done();
      case 'ArrowRight':
        if (event.shiftKey) break;
        if (row.expanded === false) this.#options.toggle?.(row);
        else if (row.expanded === true) this.#go(this.#active + 1);
        return done();
      case 'ArrowLeft':
        if (event.shiftKey) break;
        if (row.expanded === true) this.#options.toggle?.(row);
        else {
          let at = this.#active;
          while (at > 0 && (this.#rows[at]?.level ?? 1) >= row.level) at--;
          if ((this.#rows[at]?.level ?? 1) < row.level) this.#go(at);
        }
        return done();
      case 'Enter':
        if (inRow) return;
        this.#options.open(row);
        return done();
      case ' ':
        if (inRow) return;
        if (this.#options.select !== undefined) this.#options.select(row);
        else if (row.expanded !== undefined) this.#options.toggle?.(row);
        return done();
    }
    if (!inRow && this.#options.key?.(event, row)) done();
  }
}

/** The mark that opens and closes a row, at the depth of its level. */
export function lead(row: Row<unknown>, atMost = 14): HTMLElement {
  const element = h('span', { class: `lead ${row.expanded === undefined ? '' : 'twisty'}`, 'aria-hidden': 'true' });
  element.style.setProperty('--level', String(Math.min(row.level - 1, atMost)));
  if (row.expanded !== undefined) element.classList.toggle('down', row.expanded);
  return element;
}
