// A real browser for the page of reports: Debian's chromium, which has no sandbox of its own when root starts it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { tool } from '../../helpers/tools.ts';

/** Where the pictures go that are looked at by eye; nowhere if it is not said. */
const pictures = process.env.HOLDFAST_TEST_PICTURES;

export const program = tool('chromium');

export function startBrowser(home: string): Promise<Browser> {
  // Where the user has no home that can be written to, chromium's crash handler does not start, and neither does it.
  const env = { ...process.env, HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home } as Record<string, string>;
  return chromium.launch({
    executablePath: program as string,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    env,
  });
}

export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page said or asked for that it should not. */
  readonly complaints: string[];
}

/** Opens a file, and hears of every error, message and request. */
export async function open(
  browser: Browser,
  file: string,
  options: BrowserContextOptions = {},
  tab = '',
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const url = pathToFileURL(file).href;
  page.on('console', (message) => complaints.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(`error: ${error.stack ?? error.message}`));
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (request.url().split('#')[0] !== url && !/^(data|blob):/.test(request.url()))
      complaints.push(`request: ${request.url()}`);
  });
  await page.goto(tab === '' ? url : `${url}#${tab}`);
  await page.waitForSelector('[role=tab]');
  return { page, context, complaints };
}

export async function picture(page: Page, folder: string, name: string): Promise<void> {
  await page.screenshot({
    path: join(pictures !== undefined && existsSync(pictures) ? pictures : folder, `${name}.png`),
  });
}
