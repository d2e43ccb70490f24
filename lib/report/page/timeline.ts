// Processes over time: who made whom, what each ran, how long, and where calls were refused.
import type { Detail } from './detail.ts';
import { status } from './detail.ts';
import { button, h, name } from './dom.ts';
import { basename, count, duration, instant } from './format.ts';
import { Grid, lead, type Row } from './grid.ts';
import type { Model, Proc } from './model.ts';
import { nothing, type Panel, programSelect, sayFound, searchField, segments } from './panel.ts';

type Show = 'all' | 'failed' | 'refused';

/** So many programs have a colour of their own. */
const HUES = 6;
/** The least that can be seen at once, in milliseconds. */
const CLOSEST = 0.05;

interface Item {
  readonly process: Proc;
  /** It stands here for those below it only. */
  readonly faint: boolean;
}

export function timeline(model: Model, detail: Detail): Panel & { goTo(process: Proc): void } {
  const { span } = model;
  let query = '';
  let program = '';
  let show: Show = 'all';
  let from = 0;
  let to = span;
  const closed = new Set<Proc>();
  const hues = new Map(model.programs.slice(0, HUES).map(({ path }, i) => [path, i]));
  const hue = (path: string) => `hue-${hues.get(path) ?? 'other'}`;

  const place = (ms: number) => ((ms - from) / (to - from)) * 100;
  const axis = h('div', { class: 'axis', 'aria-hidden': 'true' });

  function lane({ process }: Item): HTMLElement {
    const { data, end, refusals } = process;
    const element = h('div', { class: 'lane' });
    const left = Math.max(-1, Math.min(101, place(data.start)));
    const right = Math.max(-1, Math.min(101, place(end)));
    element.append(h('span', { class: 'sr' }, `from ${duration(data.start)} for ${duration(end - data.start)}`));
    if (right >= 0 && left <= 100) {
      const bar = h('div', { class: `bar ${process.failed ? 'failed' : ''} ${data.end === null ? 'open' : ''}` });
      bar.style.left = `${left}%`;
      bar.style.width = `${Math.max(0, right - left)}%`;
      const runs = [{ at: data.start, executable: data.executable, forked: true }, ...data.execs];
      for (const [i, run] of runs.entries()) {
        const begin = place(run.at);
        const until = place(runs[i + 1]?.at ?? end);
        if (until < 0 || begin > 100 || (until === begin && i < runs.length - 1)) continue;
        const piece = h('div', {
          class: `piece ${hue(run.executable)} ${'forked' in run && runs.length > 1 ? 'forked' : ''}`,
        });
        const whole = Math.max(right - left, 0.0001);
        piece.style.left = `${((Math.max(begin, left) - left) / whole) * 100}%`;
        piece.style.width = `${((Math.min(until, right) - Math.max(begin, left)) / whole) * 100}%`;
        bar.append(piece);
      }
      element.append(bar);
      const label = h('span', { class: 'lane-label', 'aria-hidden': 'true' }, duration(end - data.start));
      if (right < 88) label.style.left = `calc(${Math.max(right, 0)}% + 8px)`;
      else if (left > 12) label.style.right = `calc(${100 - left}% + 6px)`;
      else {
        label.classList.add('inside');
        label.style.left = `calc(${Math.max(left, 0)}% + 8px)`;
      }
      element.append(label);
    }
    for (const { refusal, at } of refusals.slice(0, 40)) {
      const x = place(at);
      if (x < 0 || x > 100) continue;
      const mark = h('span', { class: `mark ${refusal.probe ? 'probe' : ''}`, 'aria-hidden': 'true' });
      mark.style.left = `${x}%`;
      element.append(mark);
    }
    return element;
  }

  const grid = new Grid<Item>({
    label: 'Processes over time',
    kind: 'timeline',
    tree: true,
    rowHeight: 32,
    columns: [
      { title: 'Process', kind: 'process' },
      { title: h('div', { class: 'lane' }, h('span', { class: 'sr' }, 'Time'), axis), kind: 'time' },
    ],
    rowClass: ({ item }) => (item.faint ? 'faint' : ''),
    cells: (row) => {
      const { process } = row.item;
      const forked = process.data.execs.length === 0;
      return [
        h(
          'span',
          { class: 'with-lead' },
          lead(row as Row<unknown>),
          h('span', { class: `dot ${hue(process.program)}`, 'aria-hidden': 'true' }),
          h(
            'span',
            { class: 'label' },
            name(process.title, forked ? 'forked' : 'strong'),
            forked && h('span', { class: 'quiet' }, ' fork'),
            name(process.rest === '' ? '' : ` ${process.rest}`, 'quiet mono'),
          ),
          process.refusals.length > 0 &&
            h(
              'span',
              { class: 'badge refused', title: 'Kinds of calls that were refused' },
              count(process.refusals.length),
              h('span', { class: 'sr' }, ' refused'),
            ),
          process.failed && status(process),
        ),
        lane(row.item),
      ];
    },
    toggle: ({ item: { process } }) => {
      if (!closed.delete(process)) closed.add(process);
      draw();
    },
    open: ({ key, item: { process } }) => open(key, process),
    key: (event) => zoomKey(event),
    empty: () =>
      model.processes.length === 0
        ? nothing('No process', 'The command did not start, so there is nothing to show.')
        : nothing('No process fits', 'Nothing that ran fits what is searched and filtered for.', clear),
  });

  function open(key: string, process: Proc): void {
    grid.mark(key);
    detail.process(process, () => {
      grid.mark(undefined);
      grid.focusRow(key);
    });
  }

  function rows(): Row<Item>[] {
    const filtered = query !== '' || program !== '' || show !== 'all';
    const wanted = new Set<Proc>();
    const found = new Set<Proc>();
    if (filtered) {
      for (const process of model.processes) {
        if (query !== '' && !process.text.includes(query)) continue;
        if (
          program !== '' &&
          process.program !== program &&
          !process.data.execs.some((exec) => exec.executable === program)
        )
          continue;
        if (show === 'failed' && !process.failed) continue;
        if (show === 'refused' && process.refusals.length === 0) continue;
        found.add(process);
        for (let at: Proc | undefined = process; at !== undefined && !wanted.has(at); at = at.parent) wanted.add(at);
      }
      sayFound(found.size, model.processes.length, 'processes');
    }
    const list: Row<Item>[] = [];
    const waiting = model.roots.toReversed();
    for (let process = waiting.pop(); process !== undefined; process = waiting.pop()) {
      if (filtered && !wanted.has(process)) continue;
      const children = filtered ? process.children.filter((child) => wanted.has(child)) : process.children;
      const expanded = children.length === 0 ? undefined : !closed.has(process);
      list.push({
        key: String(process.data.id),
        level: process.level,
        expanded,
        item: { process, faint: filtered && !found.has(process) },
      });
      if (expanded) for (let i = children.length - 1; i >= 0; i--) waiting.push(children[i] as Proc);
    }
    return list;
  }

  const draw = () => {
    grid.rows = rows();
  };

  function clear(): void {
    query = program = search.input.value = '';
    show = 'all';
    for (const select of bar.querySelectorAll('select')) select.value = '';
    const first = bar.querySelector<HTMLInputElement>('.segments input');
    if (first !== null) first.checked = true;
    draw();
    search.input.focus();
  }

  // The window of time.

  const canvas = h('canvas', {});
  const brush = h('div', { class: 'brush' }, h('i', { class: 'left' }), h('i', { class: 'right' }));
  const overview = h('div', { class: 'overview', 'aria-hidden': 'true' }, canvas, brush);
  const range = h('output', { class: 'range' });

  function drawAxis(): void {
    const width = axis.clientWidth || 600;
    const about = ((to - from) / width) * 90;
    const power = 10 ** Math.floor(Math.log10(about));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= about) ?? power * 10;
    axis.replaceChildren();
    for (let i = Math.ceil(from / step); i * step <= to; i++) {
      const x = place(i * step);
      const tick = h('span', {}, x > 94 ? '' : instant(+(i * step).toPrecision(12), step, to));
      tick.style.left = `${x}%`;
      axis.append(tick);
    }
    grid.element.style.setProperty('--tick', `${(step / (to - from)) * 100}%`);
    grid.element.style.setProperty('--shift', `${place(Math.ceil(from / step) * step)}%`);
  }

  function drawOverview(): void {
    const width = overview.clientWidth;
    const height = overview.clientHeight;
    if (width === 0) return;
    const scale = devicePixelRatio || 1;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const context = canvas.getContext('2d');
    if (context === null) return;
    const alive = new Float64Array(width + 2);
    const refused = new Uint8Array(width + 1);
    const column = (ms: number) => Math.max(0, Math.min(width, Math.floor((ms / span) * width)));
    for (const { data, end } of model.processes) {
      const first = column(data.start);
      alive[first] = (alive[first] ?? 0) + 1;
      const last = column(end) + 1;
      alive[last] = (alive[last] ?? 0) - 1;
    }
    for (const refusal of model.report.refusals) if (!refusal.probe) refused[column(refusal.first)] = 1;
    let most = 1;
    let now = 0;
    const heights = new Float64Array(width + 1);
    for (let x = 0; x <= width; x++) {
      now += alive[x] ?? 0;
      heights[x] = now;
      if (now > most) most = now;
    }
    const style = getComputedStyle(canvas);
    context.scale(scale, scale);
    context.beginPath();
    context.moveTo(0, height);
    for (let x = 0; x <= width; x++) {
      const y = height - 2 - ((heights[x] ?? 0) / most) * (height - 12);
      context.lineTo(x, y);
      context.lineTo(x + 1, y);
    }
    context.lineTo(width, height);
    context.fillStyle = style.fill;
    context.fill();
    context.strokeStyle = style.stroke;
    context.lineWidth = 1;
    context.stroke();
    context.fillStyle = style.color;
    for (let x = 0; x <= width; x++) if (refused[x]) context.fillRect(x - 0.75, 2, 1.5, 5);
  }

  function look(begin: number, end: number): void {
    const wide = Math.max(CLOSEST, Math.min(span, end - begin));
    from = Math.max(0, Math.min(span - wide, begin));
    to = from + wide;
    brush.style.left = `${(from / span) * 100}%`;
    brush.style.width = `${((to - from) / span) * 100}%`;
    overview.classList.toggle('zoomed', to - from < span * 0.999);
    range.textContent =
      to - from < span * 0.999 ? `${instant(from, 0.01, to)} – ${instant(to, 0.01, to)}` : duration(span);
    drawAxis();
    grid.refresh();
  }

  const zoom = (factor: number, around = (from + to) / 2) =>
    look(around - (around - from) * factor, around + (to - around) * factor);
  const pan = (part: number) => look(from + (to - from) * part, to + (to - from) * part);

  function zoomKey(event: KeyboardEvent): boolean {
    switch (event.key) {
      case '+':
      case '=':
        zoom(0.5);
        return true;
      case '-':
        zoom(2);
        return true;
      case '0':
        look(0, span);
        return true;
      case 'ArrowLeft':
        if (!event.shiftKey) return false;
        pan(-0.25);
        return true;
      case 'ArrowRight':
        if (!event.shiftKey) return false;
        pan(0.25);
        return true;
    }
    return false;
  }

  overview.addEventListener('pointerdown', (event) => {
    const box = overview.getBoundingClientRect();
    const timeAt = (x: number) => Math.max(0, Math.min(span, ((x - box.left) / box.width) * span));
    const begin = timeAt(event.clientX);
    const target = event.target as HTMLElement;
    const before = { from, to };
    const zoomed = to - from < span * 0.999;
    const how = target.classList.contains('left')
      ? 'left'
      : target.classList.contains('right')
        ? 'right'
        : target === brush && zoomed
          ? 'move'
          : 'new';
    overview.setPointerCapture(event.pointerId);
    event.preventDefault();
    const move = (moved: PointerEvent) => {
      const now = timeAt(moved.clientX);
      if (how === 'move') look(before.from + now - begin, before.to + now - begin);
      else if (how === 'left') look(Math.min(now, before.to - CLOSEST), before.to);
      else if (how === 'right') look(before.from, Math.max(now, before.from + CLOSEST));
      else if (Math.abs(moved.clientX - event.clientX) > 3) look(Math.min(begin, now), Math.max(begin, now));
    };
    const up = () => {
      overview.removeEventListener('pointermove', move);
      overview.removeEventListener('pointerup', up);
      overview.removeEventListener('pointercancel', up);
    };
    overview.addEventListener('pointermove', move);
    overview.addEventListener('pointerup', up);
    overview.addEventListener('pointercancel', up);
  });
  overview.addEventListener('dblclick', () => look(0, span));
  grid.element.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const box = axis.getBoundingClientRect();
      const around = from + ((event.clientX - box.left) / box.width) * (to - from);
      zoom(event.deltaY > 0 ? 1.25 : 0.8, Math.max(from, Math.min(to, around)));
    },
    { passive: false },
  );

  const failed = model.processes.filter((process) => process.failed).length;
  const refused = model.processes.filter(({ refusals }) => refusals.length > 0).length;
  const search = searchField('Search processes and arguments', (text) => {
    query = text;
    draw();
  });
  const bar = h(
    'div',
    { class: 'toolbar' },
    search.element,
    segments<Show>(
      'Which processes',
      [
        { value: 'all', text: 'All', count: model.processes.length },
        { value: 'failed', text: 'Failed', count: failed },
        { value: 'refused', text: 'Refused', count: refused },
      ],
      'all',
      (value) => {
        show = value;
        draw();
      },
    ),
    programSelect(
      model,
      model.programs.map(({ path }) => path),
      (value) => {
        program = value;
        draw();
      },
    ),
    h('span', { class: 'spacer' }),
    h(
      'div',
      { class: 'zoom', role: 'group', 'aria-label': 'Zoom' },
      range,
      button('', () => zoom(2), { icon: 'minus', label: 'Zoom out', kind: 'quiet' }),
      button('', () => zoom(0.5), { icon: 'plus', label: 'Zoom in', kind: 'quiet' }),
      button('', () => look(0, span), { icon: 'fit', label: 'Show the whole time', kind: 'quiet' }),
    ),
  );
  const legend = h(
    'ul',
    { class: 'legend', 'aria-label': 'Colours' },
    ...model.programs
      .slice(0, HUES)
      .map(({ path, count: amount }) =>
        h(
          'li',
          {},
          h('span', { class: `dot ${hue(path)}`, 'aria-hidden': 'true' }),
          name(basename(path) || '?'),
          h('span', { class: 'quiet' }, count(amount)),
        ),
      ),
    model.programs.length > HUES && h('li', {}, h('span', { class: 'dot hue-other', 'aria-hidden': 'true' }), 'others'),
    model.refused > 0 && h('li', {}, h('span', { class: 'mark static', 'aria-hidden': 'true' }), 'refused'),
  );

  const redraw = () => {
    drawOverview();
    look(from, to);
  };
  addEventListener('holdfast-theme', () => element.offsetParent !== null && drawOverview());
  const element = h('div', {}, bar, h('div', { class: 'above' }, legend, overview), grid.element);
  // By the window, or by details that open beside it.
  let width = 0;
  new ResizeObserver(() => {
    if (element.clientWidth === width || element.clientWidth === 0) return;
    width = element.clientWidth;
    redraw();
  }).observe(element);

  return {
    element,
    search: search.input,
    shown: () => {
      if (grid.rows.length === 0) draw();
      redraw();
    },
    focus: () => grid.focusFirst(),
    print: (on) => {
      if (on) {
        draw();
        redraw();
      }
      grid.print(on);
    },
    key: zoomKey,
    goTo: (process) => {
      for (let up = process.parent; up !== undefined; up = up.parent) closed.delete(up);
      if (!grid.rows.some(({ item }) => item.process === process)) {
        query = program = search.input.value = '';
        show = 'all';
        for (const select of bar.querySelectorAll('select')) select.value = '';
        const first = bar.querySelector<HTMLInputElement>('.segments input');
        if (first !== null) first.checked = true;
      }
      draw();
      const key = String(process.data.id);
      grid.focusRow(key);
      open(key, process);
    },
  };
}
