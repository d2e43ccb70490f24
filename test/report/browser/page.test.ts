// The page of reports in a real browser: what it shows, that names are only text, keys alone, both themes, and its size.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { type Report, report, reportPage, spawnSandboxed } from 'holdfast';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import { patient } from '../../helpers/patience.ts';
import { temporaryFolder } from '../../helpers/temp.ts';
import { testWith } from '../../helpers/tools.ts';
import { manyEvents } from '../many.ts';
import { open, picture, program, startBrowser } from './browser.ts';

const folder = temporaryFolder('report-page');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const test = testWith('chromium'); // Debian's package chromium
let browser: Browser;

beforeAll(async () => {
  if (program !== undefined) browser = await startBrowser(folder);
});
afterAll(() => browser?.close());

async function recorded(
  name: string,
  command: string,
  args: string[],
  files: Record<string, string> = {},
  policy = {},
): Promise<string> {
  const cwd = join(folder, name);
  mkdirSync(cwd, { recursive: true });
  for (const [file, text] of Object.entries(files)) writeFileSync(join(cwd, file), text);
  const child = spawnSandboxed(command, args, { cwd, stdio: 'ignore', policy, env: { ...process.env, PWD: cwd } });
  child.on('error', () => {});
  const file = join(folder, `${name}.html`);
  await report(child).write(file);
  return file;
}

function written(name: string, data: Report): string {
  const file = join(folder, `${name}.html`);
  writeFileSync(file, reportPage(data));
  return file;
}

const focused = (page: Page) => page.evaluate(() => document.activeElement?.textContent ?? '');
const rowTexts = (page: Page) => page.locator('.panel:not([hidden]) .body [role=row]').allTextContents();
const text = (page: Page) => page.locator('body').innerText();

/** What axe knows to look at, in the state in which the page is: all of it, or its colours. */
async function accessible(page: Page, colours: boolean): Promise<void> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const violations = await page.evaluate(async (only) => {
    type Found = { id: string; help: string; nodes: { html: string; failureSummary: string }[] };
    const { axe: run } = window as unknown as { axe: { run(options: object): Promise<{ violations: Found[] }> } };
    const result = await run.run(only ? { runOnly: ['color-contrast'] } : {});
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
  }, colours);
  expect(violations).toEqual([]);
}

const makefile = 'all: a b\na b:\n\t@sleep 0.02; cat Makefile > $@; cat secret; true\n';

test('shows a tree of make: who made whom, what was refused and what would allow it', async () => {
  const files = { Makefile: makefile, secret: 'x' };
  const secret = join(folder, 'make/secret');
  const file = await recorded('make', 'make', ['-j2'], files, {
    files: { write: [join(folder, 'make')], deny: [secret] },
  });
  const { page, complaints } = await open(browser, file);
  expect(await page.title()).toContain('make');
  expect(await page.locator('h1').innerText()).toBe('make -j2');
  expect(await page.locator('.pill').innerText()).toBe('Succeeded');
  const rows = await rowTexts(page);
  expect(rows[0]).toContain('make');
  expect(rows.filter((row) => row.startsWith('sleep'))).toHaveLength(2);
  expect(await page.locator('[role=treegrid] .mark').count()).toBeGreaterThan(0);
  await picture(page, folder, 'make');
  await page.getByRole('tab', { name: 'Refusals' }).click();
  expect((await rowTexts(page)).join()).toContain('files.deny[0]');
  await page.locator('.panel:not([hidden]) .body [role=row]').first().click();
  expect(await page.locator('aside').innerText()).toContain(secret);
  expect(complaints).toEqual([]);
});

test('shows a pipeline and a command that fails', async () => {
  const file = await recorded('pipeline', 'sh', ['-c', 'ls | sort | uniq -c; cat /etc/shadow; exit 3']);
  const { page, complaints } = await open(browser, file, { colorScheme: 'dark' });
  expect(await page.locator('.pill').innerText()).toBe('Exit code 3');
  await page.getByRole('tab', { name: 'Refusals' }).click();
  await page.locator('.panel:not([hidden]) .body input[type=checkbox]').first().check();
  expect(JSON.parse(await page.locator('.builder pre').innerText())).toEqual({ files: { read: ['/etc/shadow'] } });
  await picture(page, folder, 'pipeline');
  await page.getByRole('tab', { name: 'Processor time' }).click();
  expect(await text(page)).toContain('Peak memory');
  expect(complaints).toEqual([]);
  const failed = await open(browser, await recorded('nothing', '/no/such/program', []));
  expect(await failed.page.locator('.pill').innerText()).toBe('Could not start: ENOENT');
  for (let i = 1; i <= 5; i++) await failed.page.keyboard.press(String(i));
  expect(failed.complaints).toEqual([]);
});

const hostile = [
  '</script><img src=x onerror=alert(1)><script>alert(2)</script>',
  '<!--<script>',
  '"\'`$' + '{alert(3)}&lt;b&gt;$&$1',
  'a\u202efdp.exe\u2066\u200b',
  '\u0007\u001b[31mred\u0000\u2028\u2029',
  '\ud800',
  ' two  spaces\u3164\u00a0',
  '__proto__',
  'constructor',
  'file:///etc/passwd',
  'javascript:alert(4)',
];

const hidden = /[\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\u00a0\p{Zl}\p{Zp}]|(?![\n\t])\p{Cc}/u;

test('shows hostile names as text only, and what hides in them as escapes', async () => {
  const base = manyEvents(10);
  const evil = hostile.map((name, i) => `/srv/${name}/${hostile[(i + 1) % hostile.length]}`);
  const data: Report = {
    ...base,
    command: hostile[0] as string,
    argv: hostile,
    problem: undefined,
    signal: hostile[0] as string,
    exitCode: null,
    processes: base.processes.map((process, i) => ({
      ...process,
      executable: evil[i] as string,
      execs: [{ at: process.start, executable: evil[i] as string, argv: hostile, argvCut: true }],
      signal: hostile[0] as string,
    })),
    accesses: base.accesses?.map((access, i) => ({
      ...access,
      path: evil[i],
      program: evil[i] as string,
      rule: hostile[0],
      access: hostile[i] as string,
    })),
    refusals: hostile.flatMap((name, i) => [
      {
        ...(base.refusals[0] as Report['refusals'][0]),
        path: evil[i],
        message: name,
        reason: name,
        program: name,
        suggestion: { field: 'files.read', value: name },
      },
      {
        ...(base.refusals[0] as Report['refusals'][0]),
        path: undefined,
        address: name,
        port: i,
        message: name,
        reason: name,
        program: name,
        suggestion: undefined,
      },
    ]),
    warnings: hostile,
    hookErrors: hostile,
  };
  const html = reportPage(data);
  const json = html.slice(html.indexOf('id="report">'));
  expect(json.slice(0, json.indexOf('</script>'))).not.toMatch(/[<&\p{Bidi_Control}\p{Cc}\u200b\p{Zl}\p{Zp}]/u);
  const { page, complaints } = await open(browser, written('hostile', data));
  const elements = new Set<string>();
  for (let i = 1; i <= 5; i++) {
    await page.keyboard.press(String(i));
    const all = await page.evaluate(() => [...document.querySelectorAll('#app *')].map(({ localName }) => localName));
    for (const name of all) elements.add(name);
    const shown = await text(page);
    expect(shown).not.toMatch(hidden);
    const row = page.locator('.panel:not([hidden]) .body [role=row]').first();
    if (i < 5) {
      await row.focus();
      await page.keyboard.press('Enter');
      expect(await page.locator('aside').innerText()).not.toMatch(hidden);
      await page.keyboard.press('Escape');
    }
  }
  for (const never of ['img', 'script', 'iframe', 'b', 'object', 'form']) expect([...elements]).not.toContain(never);
  const attributes = await page.evaluate(() =>
    [...document.querySelectorAll('#app *')].flatMap((element) => [...element.attributes].map(({ name }) => name)),
  );
  expect(attributes.filter((name) => /^on|^srcdoc$|^style$/.test(name) && name !== 'style')).toEqual([]);
  expect(await page.locator('h1').innerText()).toContain('</script><img src=x onerror=alert(1)>');
  expect(await page.locator('h1 .escape').first().innerText()).toBe('\\u202e');
  await page.keyboard.press('4');
  await page.getByRole('button', { name: 'Choose all shown' }).click();
  const policy = await page.locator('.builder pre').innerText();
  expect(policy).not.toMatch(hidden);
  expect((JSON.parse(policy) as { files: { read: string[] } }).files.read.sort()).toEqual(hostile.toSorted());
  expect(complaints).toEqual([]);
});

test('lets nothing in that is not its own: no request, no script, no style', async () => {
  const file = written('closed', manyEvents(10));
  const [, policy = ''] = /Content-Security-Policy" content="([^"]*)"/.exec(readFileSync(file, 'utf8')) ?? [];
  expect(policy).toMatch(
    /^default-src 'none'; script-src 'sha256-[\w+/=]+'; style-src 'sha256-[\w+/=]+'; img-src data:; /,
  );
  expect(policy).not.toContain('unsafe');
  const { page } = await open(browser, file);
  const outcome = await page.evaluate(async () => {
    const blocked: string[] = [];
    addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
    const script = document.createElement('script');
    script.append('window.ran = true');
    const style = document.createElement('style');
    style.textContent = 'body { display: none }';
    const image = new Image();
    image.src = 'http://127.0.0.1:9/x.png';
    document.body.append(script, style, image);
    const fetched = await fetch('http://127.0.0.1:9/').then(
      () => 'fetched',
      () => 'refused',
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { blocked: blocked.sort(), fetched, ran: 'ran' in window, display: getComputedStyle(document.body).display };
  });
  expect(outcome).toEqual({
    blocked: ['connect-src', 'img-src', 'require-trusted-types-for', 'style-src-elem'],
    fetched: 'refused',
    ran: false,
    display: 'block',
  });
});

test('gives its data back as JSON, and takes no markup from anywhere', async () => {
  const data = manyEvents(10);
  const { page, complaints } = await open(browser, written('data', data));
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Save the data as JSON' }).click(),
  ]);
  expect(download.suggestedFilename()).toBe('holdfast-report.json');
  expect(JSON.parse(readFileSync(await download.path(), 'utf8'))).toEqual(data);
  expect(complaints).toEqual([]);
  const refused = await page.evaluate(() => {
    try {
      document.body.innerHTML = '<b>x</b>';
      return false;
    } catch {
      return true;
    }
  });
  expect(refused).toBe(true);
});

test.each(['light', 'dark'] as const)(
  'axe finds nothing to complain of: %s',
  async (colorScheme) => {
    const { page } = await open(
      browser,
      written('axe', {
        ...manyEvents(200),
        exitCode: 2,
        warnings: ['something'],
        hookErrors: ['else'],
        limits: [{ name: 'memory', limit: 1e6, of: 'tree', held: 'sampled', exact: false }],
      }),
      { colorScheme, reducedMotion: 'reduce' },
    );
    for (let i = 1; i <= 5; i++) {
      await page.keyboard.press(String(i));
      await accessible(page, colorScheme === 'dark');
      const row = page.locator('.panel:not([hidden]) .body [role=row]').first();
      if ((await row.count()) > 0) {
        await row.focus();
        await page.keyboard.press('Enter');
        await accessible(page, colorScheme === 'dark');
        await page.keyboard.press('Escape');
      }
    }
    await page.keyboard.press('?');
    await accessible(page, colorScheme === 'dark');
  },
  patient(60_000),
);

test('can be used by keys alone', async () => {
  const { page, complaints, context } = await open(browser, written('keys', manyEvents(300)));
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // By Tab alone: skip link, three buttons, copy, tabs, search, filters, program, zoom, then one row.
  await press('Tab');
  expect(await focused(page)).toBe('Skip to the rows');
  await press('Enter');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('row');
  const first = await focused(page);
  await press('ArrowDown');
  expect(await focused(page)).not.toBe(first);
  await press('ArrowUp', 'ArrowLeft');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-expanded'))).toBe('false');
  expect(await rowTexts(page)).toHaveLength(1);
  await press('ArrowRight', 'End');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-rowindex'))).toBe('301');
  await press('Enter');
  expect(await page.locator('aside').isVisible()).toBe(true);
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('detail-title');
  await press('Escape');
  expect(await page.locator('aside').isVisible()).toBe(false);
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-rowindex'))).toBe('301');
  // Zoom and way through time.
  const before = await page.locator('.range').innerText();
  await press('+', '+');
  const zoomed = await page.locator('.range').innerText();
  expect(zoomed).not.toBe(before);
  await press('Shift+ArrowLeft');
  expect(await page.locator('.range').innerText()).not.toBe(zoomed);
  await press('0');
  expect(await page.locator('.range').innerText()).toBe(before);
  // Files: search, into the rows, clear.
  await press('2', '/');
  await page.keyboard.type('file-7.c');
  await expect.poll(() => rowTexts(page).then((rows) => rows.at(-1))).toContain('file-7.c');
  await press('ArrowDown');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('row');
  await press('/', 'Escape');
  await expect.poll(() => rowTexts(page).then((rows) => rows.length)).toBeGreaterThan(5);
  // Refusals: choose two, copy them.
  await press('4', 'ArrowDown', ' ', 'ArrowDown', ' ');
  await page.getByRole('button', { name: 'Copy', exact: true }).focus();
  await press('Enter');
  await expect.poll(() => page.locator('.toast').innerText()).toBe('Copied the policy');
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect((JSON.parse(copied) as { files: { read: string[] } }).files.read).toHaveLength(2);
  // Tabs by arrows; theme; keys.
  await press('4', 'ArrowRight');
  expect(await page.evaluate(() => document.activeElement?.id)).toBe('tab-usage');
  await press('t', 't');
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('dark');
  await press('?');
  expect(await page.locator('dialog').isVisible()).toBe(true);
  await press('Escape');
  // Everything that Tab meets can be seen to have the focus.
  await press('1');
  for (let i = 0; i < 25; i++) {
    await press('Tab');
    const seen = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      const box = element.getBoundingClientRect();
      return {
        tag: element.localName,
        name: element.getAttribute('aria-label') ?? element.textContent,
        width: box.width,
      };
    });
    expect(seen.tag === 'body' || (seen.width > 0 && seen.name !== null)).toBe(true);
  }
  expect(complaints).toEqual([]);
});

test(
  'stays usable with 50,000 processes, 50,000 files and 5,000 refusals',
  async () => {
    const { page, complaints } = await open(browser, written('many', manyEvents(50_000)));
    const elements = () => page.evaluate(() => document.querySelectorAll('*').length);
    expect(await page.locator('.tab-figure').first().innerText()).toBe('50,000');
    expect(await elements()).toBeLessThan(2500);
    // How many steps of a walk are done while the page is given so many frames: a page that freezes does few of them.
    const steps = await page.evaluate(async () => {
      const grid = document.querySelector('.panel:not([hidden]) .body [role=row]') as HTMLElement;
      grid.focus();
      let done = 0;
      for (let frame = 0; frame < 60; frame++) {
        const before = document.activeElement?.getAttribute('aria-rowindex');
        document.activeElement?.dispatchEvent(
          new KeyboardEvent('keydown', { key: frame % 10 === 9 ? 'PageDown' : 'ArrowDown', bubbles: true }),
        );
        await new Promise((resolve) => requestAnimationFrame(resolve));
        if (document.activeElement?.getAttribute('aria-rowindex') !== before) done++;
      }
      return done;
    });
    expect(steps / 60).toBe(1);
    await page.keyboard.press('End');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-rowindex'))).toBe('50001');
    expect(await elements()).toBeLessThan(2500);
    await page.keyboard.press('/');
    await page.keyboard.type('file-49999.c');
    await expect.poll(() => page.locator('[role=status]').innerText()).toMatch(/^1 of 50,000/);
    await page.keyboard.press('Escape');
    await page.keyboard.press('2');
    await page.getByRole('radio', { name: 'By program' }).check();
    await page.keyboard.press('/');
    await page.keyboard.type('.c');
    await expect
      .poll(() => page.locator('.panel:not([hidden]) [role=treegrid]').getAttribute('aria-rowcount').then(Number))
      .toBeGreaterThan(50_000);
    await page.mouse.wheel(0, 900_000);
    await expect.poll(() => rowTexts(page).then((rows) => rows.length)).toBeGreaterThan(10);
    expect(await elements()).toBeLessThan(2500);
    await page.keyboard.press('Escape');
    for (const key of ['3', '4', '5', '1']) await page.keyboard.press(key);
    expect(complaints).toEqual([]);
  },
  patient(90_000),
);

test('is one for narrow screens, and for paper', async () => {
  const file = written('narrow', manyEvents(200));
  const { page, complaints } = await open(browser, file, {
    viewport: { width: 390, height: 844 },
    colorScheme: 'dark',
    hasTouch: true,
  });
  for (let i = 1; i <= 5; i++) {
    await page.keyboard.press(String(i));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(wide).toBeLessThanOrEqual(0);
    await picture(page, folder, `narrow-${i}`);
  }
  await page.emulateMedia({ media: 'print' });
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')));
  expect(
    await page
      .locator('.panel')
      .evaluateAll((all) => all.filter((one) => (one as HTMLElement).offsetHeight > 0).length),
  ).toBe(5);
  expect(await page.locator('.timeline .body [role=row]').count()).toBe(200);
  await page.evaluate(() => dispatchEvent(new Event('afterprint')));
  expect(complaints).toEqual([]);
});
