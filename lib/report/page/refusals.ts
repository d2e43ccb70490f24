// What was refused, by what would allow it: chosen lines become a piece of a policy.
import type { ReportRefusal } from '../data.ts';
import type { Detail } from './detail.ts';
import { button, copy, h, name, say } from './dom.ts';
import { basename, count, duration, plural } from './format.ts';
import { Grid, lead, type Row } from './grid.ts';
import { type Group, type Model, policyOf } from './model.ts';
import { nothing, type Panel, sayFound, searchField, segments } from './panel.ts';

type Show = 'all' | 'suggested' | 'denied' | 'probe';

type Item = { readonly group: Group; readonly refusal?: ReportRefusal };

export function refusals(model: Model, detail: Detail): Panel {
  let query = '';
  let show: Show = 'all';
  const open = new Set<string>();
  const chosen = new Map<string, { field: string; value: string }>();

  const programsOf = (group: Group) =>
    [...new Set(group.refusals.map((refusal) => basename(refusal.program)))].join(', ');

  const grid = new Grid<Item>({
    label: 'Refusals',
    kind: 'refusals',
    tree: true,
    rowHeight: 40,
    columns: [
      { title: 'What would allow it, or why not', kind: 'allows' },
      { title: 'Program', kind: 'program' },
      { title: 'First', kind: 'number first' },
      { title: 'Times', kind: 'number times' },
      { title: h('span', { class: 'sr' }, 'Copy'), kind: 'act' },
    ],
    cells: (row) => {
      const { group, refusal } = row.item;
      const { suggestion } = group;
      if (refusal !== undefined) {
        const what = refusal.path ?? refusal.address ?? refusal.signal ?? '';
        return [
          h(
            'span',
            { class: 'with-lead' },
            lead(row as Row<unknown>),
            h(
              'span',
              { class: 'label' },
              h('span', { class: 'mono' }, refusal.syscall),
              ' ',
              name(refusal.port === undefined ? what : `${what} port ${refusal.port}`, 'mono'),
              h('span', { class: 'quiet' }, ` ${refusal.dry ? 'let by' : (refusal.errno ?? '')}`),
            ),
          ),
          name(basename(refusal.program)),
          duration(refusal.first),
          count(refusal.count),
          '',
        ];
      }
      return [
        h(
          'span',
          { class: 'with-lead' },
          lead(row as Row<unknown>),
          suggestion === undefined
            ? h('span', { class: 'box', 'aria-hidden': 'true' })
            : h('label', { class: 'box' }, check(group)),
          h(
            'span',
            { class: 'label' },
            suggestion === undefined
              ? h(
                  'span',
                  { class: 'tag refused' },
                  group.refusals[0]?.access ?? group.refusals[0]?.syscall ?? 'refused',
                )
              : h('span', { class: `tag ${suggestion.field.split('.').at(-1)}` }, suggestion.field),
            suggestion === undefined ? name(group.why) : name(suggestion.value, 'mono'),
            suggestion === undefined &&
              group.refusals.length === 1 &&
              name(` ${group.refusals[0]?.path ?? group.refusals[0]?.address ?? ''}`, 'mono quiet'),
            group.probe && h('span', { class: 'badge' }, 'probe'),
            group.refusals.every(({ dry }) => dry) && h('span', { class: 'badge' }, 'let by'),
          ),
        ),
        name(programsOf(group)),
        duration(Math.min(...group.refusals.slice(0, 1000).map(({ first }) => first))),
        count(group.count),
        suggestion === undefined
          ? ''
          : button('', () => void copy(policyOf([suggestion]), `${suggestion.field} as policy`), {
              icon: 'copy',
              label: 'Copy as policy',
              kind: 'quiet',
              inRow: true,
            }),
      ];
    },
    toggle: ({ item: { group } }) => {
      if (!open.delete(group.key)) open.add(group.key);
      draw();
    },
    selected: ({ item: { group, refusal } }) =>
      refusal === undefined && group.suggestion !== undefined ? chosen.has(group.key) : undefined,
    select: ({ item: { group, refusal } }) => {
      if (refusal === undefined) choose(group);
    },
    open: ({ key, item: { group, refusal } }) => {
      const one = refusal ?? group.refusals[0];
      if (one === undefined) return;
      grid.mark(key);
      detail.refusal(one, () => {
        grid.mark(undefined);
        grid.focusRow(key);
      });
    },
    empty: () =>
      model.groups.length > 0
        ? nothing('No refusal fits', 'Nothing that was refused fits what is searched and filtered for.')
        : nothing('Nothing was refused', 'Everything that the tree asked for was given to it by its policy.'),
  });

  function check(group: Group): HTMLInputElement {
    const input = h('input', {
      type: 'checkbox',
      'aria-label': `Choose ${group.suggestion?.field} ${group.suggestion?.value}`,
      checked: chosen.has(group.key),
      onchange: () => choose(group),
    });
    return input;
  }

  function choose(group: Group): void {
    if (group.suggestion === undefined) return;
    if (!chosen.delete(group.key)) chosen.set(group.key, group.suggestion);
    grid.refresh();
    drawPolicy();
    say(`${plural(chosen.size, 'line')} chosen`);
  }

  const fits = (group: Group) => {
    if (query !== '' && !group.text.includes(query)) return false;
    if (show === 'suggested') return group.suggestion !== undefined && !group.probe;
    if (show === 'denied') return group.suggestion === undefined;
    return show === 'all' || group.probe;
  };

  const draw = () => {
    const found = model.groups.filter(fits);
    if (query !== '' || show !== 'all') sayFound(found.length, model.groups.length, 'refusals');
    const list: Row<Item>[] = [];
    for (const group of found) {
      const expanded = open.has(group.key);
      list.push({ key: group.key, level: 1, expanded, item: { group } });
      if (!expanded) continue;
      for (const [i, refusal] of group.refusals.entries())
        list.push({ key: `${group.key} ${i}`, level: 2, expanded: undefined, item: { group, refusal } });
    }
    grid.rows = list;
  };

  const text = h('pre', { class: 'code', tabindex: 0, 'aria-label': 'Policy' });
  const copyAll = button('Copy', () => void copy(policyOf(chosen.values()), 'the policy'), {
    icon: 'copy',
    kind: 'primary',
  });
  const all = button('Choose all shown', () => {
    for (const group of model.groups)
      if (group.suggestion !== undefined && fits(group)) chosen.set(group.key, group.suggestion);
    grid.refresh();
    drawPolicy();
    say(`${plural(chosen.size, 'line')} chosen`);
  });
  const no = button('Clear', () => {
    chosen.clear();
    grid.refresh();
    drawPolicy();
    say('Nothing chosen');
  });
  function drawPolicy(): void {
    text.replaceChildren(
      chosen.size === 0
        ? h('span', { class: 'quiet' }, 'Choose lines of the list: they appear here as a piece of a policy.')
        : document.createTextNode(policyOf(chosen.values())),
    );
    copyAll.disabled = chosen.size === 0;
    no.disabled = chosen.size === 0;
  }
  const search = searchField('Search refusals', (value) => {
    query = value;
    draw();
  });
  const amount = (of: Show) => {
    const before = show;
    const text = query;
    show = of;
    query = '';
    const result = model.groups.filter(fits).length;
    show = before;
    query = text;
    return result;
  };
  const bar = h(
    'div',
    { class: 'toolbar' },
    search.element,
    segments<Show>(
      'Which refusals',
      (
        [
          { value: 'all', text: 'All', count: amount('all') },
          { value: 'suggested', text: 'A rule would allow', count: amount('suggested') },
          { value: 'denied', text: 'Denied', count: amount('denied') },
          { value: 'probe', text: 'Probes', count: amount('probe') },
        ] as const
      ).filter(({ value, count: found }) => value === 'all' || found > 0),
      'all',
      (value) => {
        show = value;
        draw();
      },
    ),
  );
  const builder = h(
    'section',
    { class: 'builder', 'aria-labelledby': 'builder-title' },
    h('h2', { id: 'builder-title' }, 'Policy'),
    h('p', { class: 'quiet' }, 'Give a program what it should have, not all that it asked for.'),
    text,
    h('div', { class: 'buttons' }, copyAll, all, no),
  );
  drawPolicy();
  const some = model.groups.some(({ suggestion }) => suggestion !== undefined);
  return {
    element: h('div', {}, bar, h('div', { class: some ? 'split' : '' }, grid.element, some && builder)),
    search: search.input,
    shown: () => {
      draw();
    },
    focus: () => grid.focusFirst(),
    print: (on) => {
      if (on) draw();
      grid.print(on);
    },
  };
}
