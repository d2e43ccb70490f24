// What is known of one row, beside the table.
import type { ReportRefusal } from '../data.ts';
import { button, copy, h, name, shown } from './dom.ts';
import { basename, bytes, commandLine, count, duration, plural } from './format.ts';
import { type Deed, type Model, type Proc, policyOf, whyOf } from './model.ts';

type Entry = readonly [string, Node | string | undefined];

const list = (...entries: Entry[]) =>
  h(
    'dl',
    { class: 'facts' },
    ...entries.flatMap(([term, value]) =>
      value === undefined || value === '' ? [] : [h('dt', {}, term), h('dd', {}, value)],
    ),
  );

const heading = (text: string) => h('h3', {}, text);

const at = duration;

const span = ({ first, last }: { first: number; last: number }) =>
  first === last ? `at ${duration(first)}` : `${duration(first)} to ${duration(last)}`;

export const status = ({ data, failed }: Proc) => {
  if (data.end === null) return h('span', { class: 'badge' }, 'still there');
  if (data.signal !== null) return h('span', { class: 'badge bad' }, data.signal);
  return h('span', { class: `badge ${failed ? 'bad' : ''}` }, `exit ${data.code ?? '?'}`);
};

export class Detail {
  readonly element: HTMLElement;
  readonly #title = h('h2', { id: 'detail-title', tabindex: -1 });
  readonly #body = h('div', { class: 'detail-body' });
  readonly #model: Model;
  readonly #goTo: (process: Proc) => void;
  #closed: (() => void) | undefined;

  constructor(model: Model, goTo: (process: Proc) => void) {
    this.#model = model;
    this.#goTo = goTo;
    this.element = h(
      'aside',
      {
        class: 'detail',
        'aria-labelledby': 'detail-title',
        hidden: true,
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            this.close();
          }
        },
      },
      h(
        'div',
        { class: 'detail-head' },
        this.#title,
        button('', () => this.close(), { icon: 'close', label: 'Close details', kind: 'quiet' }),
      ),
      this.#body,
    );
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  /** @param closed Called when it is closed: gives the focus back. */
  show(title: Node, parts: (Node | false | undefined)[], closed: () => void): void {
    this.#title.replaceChildren(title);
    this.#body.replaceChildren(...parts.filter((part): part is Node => part instanceof Node));
    this.#body.scrollTop = 0;
    this.#closed = closed;
    this.element.hidden = false;
    document.documentElement.classList.add('has-detail');
    this.#title.focus({ preventScroll: true });
  }

  close(): void {
    if (this.element.hidden) return;
    this.element.hidden = true;
    document.documentElement.classList.remove('has-detail');
    const closed = this.#closed;
    this.#closed = undefined;
    closed?.();
  }

  process(process: Proc, closed: () => void): void {
    const { data } = process;
    const { usage } = data;
    const chain: Proc[] = [];
    for (let up = process.parent; up !== undefined && chain.length < 12; up = up.parent) chain.unshift(up);
    const link = (other: Proc) =>
      button(`${other.title} (${other.data.pid})`, () => this.#goTo(other), { kind: 'link' });
    const children = process.children.slice(0, 50);
    this.show(
      h('span', {}, name(process.title), ' ', status(process)),
      [
        list(
          ['Process', `${data.pid}`],
          ['Started', `${at(data.start)} after the command`],
          ['Lived', data.end === null ? 'until after the report' : duration(process.end - data.start)],
          [
            'Processor',
            usage && `${duration(usage.userTime + usage.systemTime)} (${duration(usage.systemTime)} in the kernel)`,
          ],
          ['Peak memory', usage && bytes(usage.peakMemory)],
          ['Read', usage && bytes(usage.bytesRead)],
          ['Written', usage && bytes(usage.bytesWritten)],
        ),
        heading(data.execs.length > 1 ? 'Ran, one after the other' : 'Ran'),
        data.execs.length === 0
          ? h(
              'p',
              { class: 'quiet' },
              'Executed nothing itself: it runs what its maker ran, ',
              name(data.executable),
              '.',
            )
          : h(
              'ol',
              { class: 'execs' },
              ...data.execs.map((exec) =>
                h(
                  'li',
                  {},
                  h(
                    'div',
                    { class: 'exec-head' },
                    name(exec.executable, 'mono'),
                    h('span', { class: 'quiet' }, at(exec.at)),
                  ),
                  h(
                    'pre',
                    { class: 'code', tabindex: 0, 'aria-label': `Arguments of ${basename(exec.executable)}` },
                    shown(commandLine(exec.argv)),
                    exec.argvCut && h('span', { class: 'quiet' }, ' … and more'),
                  ),
                ),
              ),
            ),
        data.execs.length > 0 &&
          button('Copy command', () => void copy(commandLine(data.execs.at(-1)?.argv ?? []), 'the command'), {
            icon: 'copy',
          }),
        chain.length > 0 && heading('Made by'),
        chain.length > 0 && h('ul', { class: 'plain' }, ...chain.map((one) => h('li', {}, link(one)))),
        children.length > 0 && heading(`Made ${plural(process.children.length, 'process', 'processes')}`),
        children.length > 0 && h('ul', { class: 'plain' }, ...children.map((one) => h('li', {}, link(one)))),
        process.refusals.length > 0 && heading('Was refused'),
        ...process.refusals.slice(0, 50).map(({ refusal }) => this.#refusal(refusal)),
      ],
      closed,
    );
  }

  place(title: string, deeds: readonly Deed[], closed: () => void): void {
    const refusals = deeds.flatMap(({ refusal }) => (refusal === undefined ? [] : [refusal]));
    const others = deeds.filter(({ refusal }) => refusal === undefined);
    this.show(
      name(title, 'mono wrap'),
      [
        button('Copy name', () => void copy(title, 'the name'), { icon: 'copy' }),
        others.length > 0 && heading('Who did what'),
        others.length > 0 &&
          h(
            'ul',
            { class: 'deeds' },
            ...others
              .toSorted((a, b) => b.count - a.count)
              .slice(0, 200)
              .map((deed) =>
                h(
                  'li',
                  {},
                  h('span', { class: `tag ${deed.kind}` }, deed.access),
                  h(
                    'span',
                    {},
                    name(basename(deed.program)),
                    h(
                      'span',
                      { class: 'quiet' },
                      ` ${count(deed.count)} ×, ${span(deed)}${deed.outcome === 'failed' ? `, ${deed.errno ?? 'failed'}` : ''}${deed.rule === undefined ? '' : `, by ${deed.rule}`}`,
                    ),
                  ),
                ),
              ),
          ),
        refusals.length > 0 && heading('Refused'),
        ...refusals.slice(0, 50).map((refusal) => this.#refusal(refusal)),
      ],
      closed,
    );
  }

  refusal(refusal: ReportRefusal, closed: () => void): void {
    this.show(
      h('span', {}, refusal.access ?? refusal.syscall, refusal.dry ? ' let by' : ' refused'),
      [
        this.#refusal(refusal, true),
        list(
          ['System call', refusal.syscall],
          ['Path', refusal.path === undefined ? undefined : name(refusal.path, 'mono wrap')],
          ['To', refusal.to === undefined ? undefined : name(refusal.to, 'mono wrap')],
          ['Address', refusal.address === undefined ? undefined : name(refusal.address, 'mono wrap')],
          ['Port', refusal.port === undefined ? undefined : String(refusal.port)],
          ['Signal', refusal.signal],
          [refusal.dry ? 'Otherwise' : 'The program saw', refusal.errno],
          ['Decided by', refusal.rule ?? refusal.reason ?? 'nothing in the policy allows it'],
          ['Hook to ask', refusal.hook],
          ['Program', name(refusal.program, 'mono wrap')],
          ['Times', `${count(refusal.count)}, ${span(refusal)}`],
        ),
        refusal.processes.length > 0 && heading('Processes'),
        h(
          'ul',
          { class: 'plain' },
          ...refusal.processes.flatMap(({ id }) => {
            const process = this.#model.processes[id];
            if (process === undefined) return [];
            return [
              h(
                'li',
                {},
                button(`${process.title} (${process.data.pid})`, () => this.#goTo(process), { kind: 'link' }),
              ),
            ];
          }),
        ),
      ],
      closed,
    );
  }

  #refusal(refusal: ReportRefusal, whole = false): HTMLElement {
    const { suggestion } = refusal;
    return h(
      'div',
      { class: 'refusal' },
      h(
        'p',
        {},
        shown(
          whole
            ? refusal.message
            : `${refusal.access ?? refusal.syscall} of ${refusal.path ?? refusal.address ?? refusal.signal ?? refusal.syscall}: ${refusal.errno ?? 'refused'}`,
        ),
      ),
      h(
        'p',
        { class: 'quiet' },
        refusal.probe ? 'A look at what exists and is not granted: programs mostly do without. ' : '',
        suggestion === undefined ? shown(whyOf(refusal)) : 'What would allow it:',
      ),
      suggestion !== undefined &&
        h(
          'div',
          { class: 'suggestion' },
          h('code', {}, `${suggestion.field}: `, shown(JSON.stringify(suggestion.value))),
          button('', () => void copy(policyOf([suggestion]), `${suggestion.field} as policy`), {
            icon: 'copy',
            label: `Copy ${suggestion.field} as policy`,
            kind: 'quiet',
          }),
        ),
    );
  }
}
