// Addresses: connected to, bound, refused.
import type { Detail } from './detail.ts';
import { h, name } from './dom.ts';
import { basename, count } from './format.ts';
import { Grid, type Row } from './grid.ts';
import type { Endpoint, Model } from './model.ts';
import { nothing, type Panel, sayFound, searchField, segments } from './panel.ts';

type Show = 'all' | 'allowed' | 'refused';

export function network(model: Model, detail: Detail): Panel {
  let query = '';
  let show: Show = 'all';
  const recorded = model.report.accesses !== undefined;

  const grid = new Grid<Endpoint>({
    label: 'Connections',
    kind: 'network',
    tree: false,
    rowHeight: 36,
    columns: [
      { title: 'Address', kind: 'address' },
      { title: 'Port', kind: 'number port' },
      { title: 'What', kind: 'what' },
      { title: 'Program', kind: 'program' },
      { title: 'Calls', kind: 'number calls' },
      { title: 'Outcome', kind: 'outcome' },
    ],
    cells: ({ item }) => {
      const programs = [...new Set(item.deeds.map((deed) => basename(deed.program)))];
      const failed = item.deeds.filter((deed) => deed.outcome === 'failed').map((deed) => deed.errno ?? 'failed');
      const outcome =
        item.refused === 0
          ? failed.length === item.deeds.length
            ? h('span', { class: 'badge' }, failed[0])
            : h('span', { class: 'badge good' }, 'allowed')
          : h(
              'span',
              { class: 'badge bad' },
              item.refused === item.count ? 'refused' : `${count(item.refused)} refused`,
            );
      return [
        name(item.address, 'mono'),
        item.port === undefined ? h('span', { class: 'quiet' }, '–') : String(item.port),
        [...new Set(item.deeds.map(({ access }) => access))].join(', '),
        name(programs.join(', ')),
        count(item.count),
        outcome,
      ];
    },
    open: ({ key, item }) => {
      grid.mark(key);
      detail.place(key, item.deeds, () => {
        grid.mark(undefined);
        grid.focusRow(key);
      });
    },
    empty: () =>
      model.endpoints.length > 0
        ? nothing('No address fits', 'No connection fits what is searched and filtered for.')
        : recorded
          ? nothing('No connections', 'The tree neither connected to anything nor listened anywhere.')
          : nothing(
              'Connections were not recorded',
              'Start the program with the option record: true to see them. Refusals are shown either way, and there was none.',
            ),
  });

  const draw = () => {
    const found = model.endpoints.filter(
      (item) =>
        (query === '' || item.text.includes(query)) &&
        (show === 'all' || (show === 'refused' ? item.refused > 0 : item.refused < item.count)),
    );
    if (query !== '' || show !== 'all') sayFound(found.length, model.endpoints.length, 'addresses');
    grid.rows = found.map(
      (item): Row<Endpoint> => ({
        key:
          item.port === undefined
            ? item.address
            : item.address.includes(':')
              ? `[${item.address}]:${item.port}`
              : `${item.address}:${item.port}`,
        level: 1,
        expanded: undefined,
        item,
      }),
    );
  };
  const search = searchField('Search addresses and programs', (text) => {
    query = text;
    draw();
  });
  const refused = model.endpoints.filter((item) => item.refused > 0).length;
  const bar = h(
    'div',
    { class: 'toolbar' },
    search.element,
    segments<Show>(
      'Outcome',
      [
        { value: 'all', text: 'All', count: model.endpoints.length },
        {
          value: 'allowed',
          text: 'Allowed',
          count: model.endpoints.filter((item) => item.refused < item.count).length,
        },
        { value: 'refused', text: 'Refused', count: refused },
      ],
      'all',
      (value) => {
        show = value;
        draw();
      },
    ),
  );
  return {
    element: h('div', {}, bar, grid.element),
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
