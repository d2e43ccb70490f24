// Files and folders: what was read, written, executed, looked at, refused.
import type { Detail } from './detail.ts';
import { button, h, name } from './dom.ts';
import { basename, count, plural } from './format.ts';
import { Grid, lead, type Row } from './grid.ts';
import { type Deed, type Folder, foldersOf, type Kind, kinds, type Model, type Place, tail } from './model.ts';
import { nothing, type Panel, programSelect, sayFound, searchField, segments } from './panel.ts';

type By = 'folder' | 'program';

interface Item {
  readonly folder: Folder;
  readonly title: string;
  readonly program: boolean;
  /** Places below it, itself among them. */
  readonly deeds: () => readonly Deed[];
}

/** So many rows are opened by themselves. */
const AT_FIRST = 40;

const titles: Record<Kind, string> = {
  read: 'Read',
  write: 'Written',
  exec: 'Run',
  other: 'Looked at',
  refused: 'Refused',
};

export function files(model: Model, detail: Detail): Panel {
  const recorded = model.report.accesses !== undefined;
  let query = '';
  let program = '';
  let kind: Kind | 'all' = 'all';
  let by: By = 'folder';
  let roots: { folder: Folder; program: boolean }[] = [];
  /** What is open; and while something is searched for, what is not. */
  const open = new Set<string>();
  const shut = new Set<string>();
  let filtered = false;

  const chosen = (deed: Deed) => (program === '' || deed.program === program) && (kind === 'all' || deed.kind === kind);

  function build(): void {
    filtered = query !== '' || program !== '' || kind !== 'all';
    const found: [Place, readonly Deed[]][] = [];
    for (const place of model.places) {
      if (query !== '' && !place.text.includes(query)) continue;
      const deeds = filtered ? place.deeds.filter(chosen) : place.deeds;
      if (deeds.length > 0) found.push([place, deeds]);
    }
    if (filtered) sayFound(found.length, model.places.length, 'files');
    if (by === 'folder') {
      roots = [{ folder: foldersOf(found), program: false }];
      return;
    }
    const programs = new Map<string, [Place, readonly Deed[]][]>();
    for (const [place, deeds] of found) {
      const own = new Map<string, Deed[]>();
      for (const deed of deeds) {
        const list = own.get(deed.program);
        if (list === undefined) own.set(deed.program, [deed]);
        else list.push(deed);
      }
      for (const [path, list] of own) {
        const places = programs.get(path);
        if (places === undefined) programs.set(path, [[place, list]]);
        else places.push([place, list]);
      }
    }
    roots = [...programs]
      .sort((a, b) => b[1].length - a[1].length)
      .map(([path, places]) => ({ folder: { ...foldersOf(places), name: path, path }, program: true }));
  }

  const sorted = (folder: Folder) =>
    [...folder.children.values()].sort(
      (a, b) => Number(b.children.size > 0) - Number(a.children.size > 0) || (a.name < b.name ? -1 : 1),
    );

  const isOpen = (key: string) => (filtered ? !shut.has(key) : open.has(key));

  interface Waiting {
    readonly folder: Folder;
    readonly level: number;
    readonly prefix: string;
    readonly program: boolean;
  }

  /** A search finds at most so many rows open; the rest is opened by hand. */
  const MANY = 60_000;

  function rows(): Row<Item>[] {
    const list: Row<Item>[] = [];
    const waiting: Waiting[] = [];
    const push = (folders: readonly Folder[], level: number, prefix: string) => {
      for (let i = folders.length - 1; i >= 0; i--)
        waiting.push({ folder: folders[i] as Folder, level, prefix, program: false });
    };
    if (by === 'folder')
      push(
        roots.flatMap(({ folder }) => sorted(folder)),
        1,
        '',
      );
    else for (const { folder } of roots.toReversed()) waiting.push({ folder, level: 1, prefix: '', program: true });
    for (let at = waiting.pop(); at !== undefined && list.length < MANY; at = waiting.pop()) {
      const { name: title, folder } = at.program ? { name: at.folder.name, folder: at.folder } : tail(at.folder);
      const key = at.program ? `program ${folder.path}` : `${at.prefix}${folder.path}`;
      const expanded = folder.children.size === 0 ? undefined : isOpen(key);
      const shownTitle = at.program ? title : at.level === 1 ? `/${title}` : title;
      list.push({
        key,
        level: at.level,
        expanded,
        item: { folder, title: shownTitle, program: at.program, deeds: () => deedsOf(folder) },
      });
      if (expanded) push(sorted(folder), at.level + 1, at.program ? `${folder.path} ` : at.prefix);
    }
    return list;
  }

  const deedsOf = (folder: Folder): Deed[] => (folder.place?.deeds ?? []).filter(chosen);

  /** From the top on, as long as there is room. */
  function openSome(): void {
    for (let round = 0; round < 6; round++) {
      const list = rows();
      let room = AT_FIRST - list.length;
      let opened = false;
      for (const { key, expanded, item } of list) {
        if (expanded !== false || item.folder.children.size > room) continue;
        open.add(key);
        room -= item.folder.children.size;
        opened = true;
      }
      if (!opened) return;
    }
  }

  const grid = new Grid<Item>({
    label: 'Files',
    kind: 'files',
    tree: true,
    rowHeight: 30,
    columns: [{ title: 'Name', kind: 'file' }, ...kinds.map((one) => ({ title: titles[one], kind: `number ${one}` }))],
    rowClass: ({ item }) => (item.folder.children.size > 0 ? 'folder' : 'leaf'),
    cells: (row) => {
      const { folder, title, program: isProgram } = row.item;
      return [
        h(
          'span',
          { class: 'with-lead' },
          lead(row as Row<unknown>),
          h(
            'span',
            { class: 'label' },
            isProgram ? name(basename(title) || '?', 'strong') : name(title, folder.children.size > 0 ? 'strong' : ''),
            isProgram && name(` ${title}`, 'quiet'),
            folder.children.size > 0 && h('span', { class: 'quiet size' }, plural(folder.size, 'file')),
          ),
        ),
        ...kinds.map((one) => (folder.counts[one] === 0 ? h('span', { class: 'sr' }, '0') : count(folder.counts[one]))),
      ];
    },
    toggle: ({ key }) => {
      const set = filtered ? shut : open;
      if (!set.delete(key)) set.add(key);
      draw();
    },
    open: (row) => {
      const { folder } = row.item;
      if (row.expanded !== undefined && folder.place === undefined) {
        const set = filtered ? shut : open;
        if (!set.delete(row.key)) set.add(row.key);
        draw();
        return;
      }
      grid.mark(row.key);
      detail.place(folder.path, row.item.deeds(), () => {
        grid.mark(undefined);
        grid.focusRow(row.key);
      });
    },
    empty: () =>
      model.places.length > 0
        ? nothing('No file fits', 'Nothing that was touched fits what is searched and filtered for.', clear)
        : recorded
          ? nothing('No files', 'The tree touched no file by name.')
          : nothing(
              'Files were not recorded',
              'Start the program with the option record: true to see what it reads and writes. Refusals are shown either way, and there was none on a file.',
            ),
  });

  const draw = () => {
    grid.rows = rows();
  };
  const change = () => {
    shut.clear();
    build();
    draw();
  };

  function clear(): void {
    query = program = search.input.value = '';
    kind = 'all';
    for (const select of bar.querySelectorAll('select')) select.value = '';
    const first = bar.querySelector<HTMLInputElement>('.segments input');
    if (first !== null) first.checked = true;
    change();
    search.input.focus();
  }

  const search = searchField('Search paths', (text) => {
    query = text;
    change();
  });
  const amount = (one: Kind) => model.places.filter(({ deeds }) => deeds.some((deed) => deed.kind === one)).length;
  const programs = [...new Set(model.places.flatMap(({ deeds }) => deeds.map((deed) => deed.program)))].sort();
  const bar = h(
    'div',
    { class: 'toolbar' },
    search.element,
    segments<Kind | 'all'>(
      'What was done',
      [
        { value: 'all', text: 'All', count: model.places.length },
        ...kinds.map((value) => ({ value, text: titles[value], count: amount(value) })).filter((one) => one.count > 0),
      ],
      'all',
      (value) => {
        kind = value;
        change();
      },
    ),
    programSelect(model, programs, (value) => {
      program = value;
      change();
    }),
    h('span', { class: 'spacer' }),
    segments<By>(
      'Group by',
      [
        { value: 'folder', text: 'By folder' },
        { value: 'program', text: 'By program' },
      ],
      'folder',
      (value) => {
        by = value;
        change();
        if (open.size === 0) openSome();
        draw();
      },
    ),
    button('Close all', () => {
      if (filtered) for (const { key, expanded } of grid.rows) if (expanded !== undefined) shut.add(key);
      open.clear();
      draw();
    }),
  );

  let built = false;
  const ready = () => {
    if (built) return;
    built = true;
    build();
    openSome();
    draw();
  };

  const element = h(
    'div',
    {},
    bar,
    !recorded &&
      model.places.length > 0 &&
      h(
        'p',
        { class: 'note' },
        'Only refused files are here: what was read and written is recorded with the option ',
        h('code', {}, 'record: true'),
        '.',
      ),
    grid.element,
  );
  return {
    element,
    search: search.input,
    shown: () => {
      ready();
      grid.draw();
    },
    focus: () => grid.focusFirst(),
    print: (on) => {
      if (on) ready();
      grid.print(on);
    },
  };
}
