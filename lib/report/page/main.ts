// The page: what the tree was, five parts of what it did, and the keys that lead through them.
import type { Report } from '../data.ts';
import { Detail } from './detail.ts';
import { button, copy, h, icon, liveRegion, logo, say, shown, visible } from './dom.ts';
import { files } from './files.ts';
import { basename, commandLine, count, date, duration, plural } from './format.ts';
import { type Model, modelOf } from './model.ts';
import { network } from './network.ts';
import type { Panel } from './panel.ts';
import { refusals } from './refusals.ts';
import { themeSwitch } from './theme.ts';
import { timeline } from './timeline.ts';
import { usage } from './usage.ts';

const SINGLE_KEYS = 'holdfast-report-keys';

function outcome({ report }: Model): HTMLElement {
  const { exitCode, signal, problem, limit } = report;
  if (problem !== undefined) return h('span', { class: 'pill bad' }, `Could not start: ${problem}`);
  if (limit?.killed) return h('span', { class: 'pill bad' }, `Killed: limit ${limit.name}`);
  if (signal !== null) return h('span', { class: 'pill bad' }, `Ended by ${signal}`);
  return h(
    'span',
    { class: `pill ${exitCode === 0 ? 'good' : 'bad'}` },
    exitCode === 0 ? 'Succeeded' : `Exit code ${exitCode}`,
  );
}

const placesWith = (model: Model, kind: 'read' | 'write') =>
  model.places.filter(({ deeds }) => deeds.some((deed) => deed.kind === kind)).length;

function summary(model: Model): string {
  const { report, processes, programs, refused, letBy } = model;
  if (processes.length === 0) return 'Nothing ran.';
  const parts = [
    `Ran ${plural(processes.length, 'process', 'processes')} of ${plural(programs.length, 'program')} in ${duration(report.duration)}.`,
  ];
  if (report.accesses !== undefined) {
    const reached = model.endpoints.filter((endpoint) => endpoint.refused < endpoint.count).length;
    parts.push(
      `Read ${plural(placesWith(model, 'read'), 'file')}, wrote ${plural(placesWith(model, 'write'), 'file')}, ${reached === 0 ? 'connected to nothing' : `used ${plural(reached, 'address', 'addresses')}`}.`,
    );
  }
  if (refused > 0) parts.push(`${plural(refused, 'call was', 'calls were')} refused.`);
  else if (letBy === 0) parts.push('Nothing was refused.');
  if (letBy > 0)
    parts.push(`${plural(letBy, 'call')} would have been refused, and ${letBy === 1 ? 'was' : 'were'} let by.`);
  return parts.join(' ');
}

function notices({ report }: Model): HTMLElement[] {
  const { dropped, fromStart, problem } = report;
  const list: string[] = [];
  if (!fromStart && problem === undefined)
    list.push('The recording began after the start: what was before is not here.');
  if (dropped.processes > 0)
    list.push(`${plural(dropped.processes, 'process is', 'processes are')} missing: there were too many.`);
  if (dropped.refusals > 0)
    list.push(`${plural(dropped.refusals, 'refusal is', 'refusals are')} missing: there were too many different ones.`);
  if (dropped.accesses > 0)
    list.push(
      `${plural(dropped.accesses, 'call is', 'calls are')} not among the files and addresses: there were too many different ones.`,
    );
  if (dropped.arguments > 0)
    list.push(`Of ${plural(dropped.arguments, 'program')} the arguments are missing: they were too long together.`);
  if (dropped.messages > 0) list.push(`${plural(dropped.messages, 'message is', 'messages are')} missing.`);
  return list.map((text) => h('p', { class: 'notice' }, icon('alert'), text));
}

function helpDialog(singleKeys: { on: boolean; set(on: boolean): void }): HTMLDialogElement {
  const keys: [string, string][] = [
    ['1 … 5', 'The five parts'],
    ['/', 'Search'],
    ['↑ ↓ Home End PgUp PgDn', 'Walk the rows'],
    ['← →', 'Close and open a row; go to what it belongs to'],
    ['Enter', 'Details of a row'],
    ['Space', 'Choose a refusal; open a row'],
    ['+ − 0', 'Zoom the timeline in, out, to the whole'],
    ['Shift ← →', 'Move along the timeline'],
    ['Ctrl and wheel', 'Zoom the timeline at the pointer'],
    ['T', 'Theme'],
    ['Esc', 'Close details; clear a search'],
    ['?', 'This list'],
  ];
  const dialog = h(
    'dialog',
    { class: 'help', 'aria-labelledby': 'help-title' },
    h('h2', { id: 'help-title' }, 'Keys'),
    h(
      'dl',
      {},
      ...keys.flatMap(([key, text]) => [
        h(
          'dt',
          {},
          ...key.split(' ').map((one) => (/^(…|and|wheel)$/.test(one) ? h('span', {}, one) : h('kbd', {}, one))),
        ),
        h('dd', {}, text),
      ]),
    ),
    h(
      'label',
      { class: 'check' },
      h('input', {
        type: 'checkbox',
        checked: singleKeys.on,
        onchange: (event: Event) => singleKeys.set((event.target as HTMLInputElement).checked),
      }),
      'Keys without a modifier work everywhere on the page',
    ),
    h(
      'div',
      { class: 'buttons' },
      button('Close', () => dialog.close(), { kind: 'primary' }),
    ),
  );
  return dialog;
}

function start(report: Report): void {
  const model = modelOf(report);
  const app = document.getElementById('app') as HTMLElement;
  const line = commandLine(report.argv);
  document.title = `${visible(basename(report.argv[0] ?? report.command))}: holdfast report`;

  const theme = themeSwitch();
  const detail = new Detail(model, (process) => {
    select(0, false);
    time.goTo(process);
  });
  const time = timeline(model, detail);
  const { usage: used } = report;
  const parts: { id: string; title: string; figure: string; bad?: boolean; panel: Panel }[] = [
    { id: 'processes', title: 'Processes', figure: count(model.processes.length), panel: time },
    {
      id: 'files',
      title: report.accesses === undefined ? 'Files refused' : 'Files',
      figure: count(model.places.length),
      panel: files(model, detail),
    },
    { id: 'network', title: 'Addresses', figure: count(model.endpoints.length), panel: network(model, detail) },
    {
      id: 'refusals',
      title: 'Refusals',
      figure: count(model.refused + model.letBy),
      bad: model.refused > 0,
      panel: refusals(model, detail),
    },
    {
      id: 'usage',
      title: 'Processor time',
      figure: used === undefined ? '–' : duration(used.userTime + used.systemTime),
      panel: usage(model),
    },
  ];
  const tabs = parts.map(({ id, title, figure, bad }, i) =>
    h(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${id}`,
        'aria-controls': `panel-${id}`,
        'aria-keyshortcuts': String(i + 1),
        class: bad ? 'tab bad' : 'tab',
        onclick: () => select(i, false),
      },
      h('span', { class: 'tab-figure' }, figure),
      h('span', { class: 'tab-title' }, title),
    ),
  );
  const panels = parts.map(({ id, panel }) =>
    h(
      'section',
      {
        role: 'tabpanel',
        id: `panel-${id}`,
        'aria-labelledby': `tab-${id}`,
        class: 'panel',
        'data-title': parts.find((part) => part.id === id)?.title ?? '',
        hidden: true,
      },
      panel.element,
    ),
  );
  let current = -1;
  function select(at: number, focus: boolean): void {
    const part = parts[at];
    if (part === undefined) return;
    if (at !== current) {
      detail.close();
      current = at;
      for (const [i, tab] of tabs.entries()) {
        tab.setAttribute('aria-selected', String(i === at));
        tab.tabIndex = i === at ? 0 : -1;
        (panels[i] as HTMLElement).hidden = i !== at;
      }
      const low = (panels[at] as HTMLElement).getBoundingClientRect().top;
      if (low < 0) scrollBy(0, low);
      // Its details may lie over what stands beside its table.
      document.documentElement.classList.toggle('beside', part.id === 'refusals');
      part.panel.shown();
      try {
        history.replaceState(null, '', `#${part.id}`);
      } catch {
        // A page without an address of its own.
      }
    }
    if (focus) tabs[at]?.focus();
  }
  const tablist = h(
    'div',
    {
      role: 'tablist',
      class: 'tabs',
      'aria-label': 'What it did',
      onkeydown: (event: KeyboardEvent) => {
        const to = { ArrowRight: current + 1, ArrowLeft: current - 1, Home: 0, End: tabs.length - 1 }[event.key];
        if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) {
          if (event.key !== 'ArrowDown') return;
          event.preventDefault();
          parts[current]?.panel.focus();
          return;
        }
        event.preventDefault();
        select((to + tabs.length) % tabs.length, true);
      },
    },
    ...tabs,
  );

  let singleKeysOn = true;
  try {
    singleKeysOn = localStorage.getItem(SINGLE_KEYS) !== 'off';
  } catch {
    // Then they are on.
  }
  const help = helpDialog({
    on: singleKeysOn,
    set: (on) => {
      singleKeysOn = on;
      try {
        localStorage.setItem(SINGLE_KEYS, on ? 'on' : 'off');
      } catch {
        // For this time only.
      }
    },
  });
  const save = () => {
    const url = URL.createObjectURL(new Blob([JSON.stringify(report, undefined, 1)], { type: 'application/json' }));
    const link = h('a', { href: url, download: 'holdfast-report.json' });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    say('Saved the data');
  };

  app.append(
    h(
      'a',
      {
        class: 'skip',
        href: '#main',
        onclick: (event: Event) => {
          event.preventDefault();
          parts[current]?.panel.focus();
        },
      },
      'Skip to the rows',
    ),
    h(
      'header',
      { class: 'top' },
      h('div', { class: 'brand' }, logo(), h('span', {}, 'holdfast'), h('span', { class: 'quiet' }, 'report')),
      h(
        'div',
        { class: 'actions' },
        button('', save, { icon: 'save', label: 'Save the data as JSON', kind: 'quiet' }),
        button('', () => help.showModal(), { icon: 'keys', label: 'Keys', kind: 'quiet' }),
        theme.element,
      ),
    ),
    h(
      'main',
      { id: 'main' },
      h(
        'div',
        { class: 'hero' },
        h(
          'p',
          { class: 'meta' },
          outcome(model),
          h('span', {}, date(report.started)),
          h('span', {}, duration(report.duration)),
          report.engine && h('span', {}, `engine ${report.engine}`),
          h('span', {}, `holdfast ${report.holdfast}`),
        ),
        h(
          'div',
          { class: 'command' },
          h('h1', { class: 'mono' }, shown(line.length > 600 ? `${line.slice(0, 600)}…` : line)),
          button('', () => void copy(line, 'the command'), { icon: 'copy', label: 'Copy command', kind: 'quiet' }),
        ),
        h('p', { class: 'summary' }, summary(model)),
        ...notices(model),
      ),
      tablist,
      ...panels,
    ),
    detail.element,
    help,
    liveRegion(),
  );

  addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    const target = event.target as HTMLElement;
    const typing = target.matches?.('input:not([type=checkbox], [type=radio]), textarea, select');
    const part = parts[current];
    if (event.key === 'Escape') {
      if (detail.isOpen) detail.close();
      else if (typing && target === part?.panel.search) {
        part.panel.search.value = '';
        part.panel.search.dispatchEvent(new Event('input'));
        part.panel.focus();
      }
      return;
    }
    if (typing && event.key === 'ArrowDown' && target === part?.panel.search) {
      part.panel.focus();
      event.preventDefault();
      return;
    }
    if (typing || !singleKeysOn) return;
    if (/^[1-5]$/.test(event.key)) select(Number(event.key) - 1, true);
    else if (event.key === '/') {
      part?.panel.search?.focus();
      part?.panel.search?.select();
    } else if (event.key === '?') help.showModal();
    else if (event.key === 't' || event.key === 'T') theme.next();
    else if (!part?.panel.key?.(event)) return;
    event.preventDefault();
  });

  // What sticks at the top is as high as its bar.
  const measure = () => {
    const bar = panels[current]?.querySelector<HTMLElement>('.toolbar');
    if (bar != null) document.documentElement.style.setProperty('--bar', `${bar.offsetHeight}px`);
  };
  new ResizeObserver(measure).observe(tablist);
  for (const panel of panels) {
    const bar = panel.querySelector('.toolbar');
    if (bar !== null) new ResizeObserver(measure).observe(bar);
  }

  const print = (on: boolean) => {
    document.documentElement.classList.toggle('printing', on);
    for (const { panel } of parts) panel.print(on);
  };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => {
    print(false);
    parts[current]?.panel.shown();
  });

  const asked = parts.findIndex(({ id }) => `#${id}` === location.hash);
  select(asked < 0 ? 0 : asked, false);
}

const data = document.getElementById('report')?.textContent ?? '';
start(JSON.parse(data) as Report);
