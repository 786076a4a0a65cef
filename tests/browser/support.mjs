// A running `latchkey dev`, and a browser that may reach nothing but this machine.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = process.env.LATCHKEY_TOOLS || join(ROOT, 'target', 'tools');
const LATCHKEY = resolve(ROOT, process.env.CARGO_TARGET_DIR || 'target', 'debug', 'latchkey');
const BROWSER = join(TOOLS, 'bin', 'chromium');
const require = createRequire(join(TOOLS, 'browser', 'package.json'));

/** Everything that is waited for comes within milliseconds; a machine that is busy with other things may need more. */
const PATIENCE = 20_000;

export const VIEWPORT = { width: 1000, height: 700 };

/** The pictures for the documents, and how large one may be. */
export const IMAGES = join(ROOT, 'docs', 'images');
export const PICTURES = ['portal-light', 'portal-dark', 'refusal', 'studio'];
export const MAX_PICTURE_BYTES = 150_000;

/** A test in the browser; where there is none, it is skipped and says so. */
export function scenario(name, run) {
  test(name, async (context) => {
    if (existsSync(BROWSER)) return run();
    const reason = 'no Chromium (tests/tools/install says why)';
    if (process.env.LATCHKEY_SKIPS) appendFileSync(process.env.LATCHKEY_SKIPS, `${name}: ${reason}\n`);
    else context.skip(reason);
    return undefined;
  });
}

/** The service, and the addresses that it says it has. */
export class Dev {
  static async start() {
    const dev = new Dev();
    dev.folder = mkdtempSync(join(tmpdir(), 'latchkey-browser-'));
    const file = join(dev.folder, 'env');
    // Its standard error goes where ours goes: there is none unless something is wrong.
    dev.process = spawn(LATCHKEY, ['dev', '--json', '--port', '0', '--env-file', file], { stdio: ['ignore', 'pipe', 'inherit'] });
    dev.written = [];
    const lines = createInterface(dev.process.stdout);
    lines.on('line', (line) => dev.written.push(line));
    const failed = once(dev.process, 'error').then(([error]) => Promise.reject(error));
    const ended = once(dev.process, 'exit').then(([code]) => Promise.reject(new Error(`latchkey dev has ended with ${code}`)));
    // Once it serves, how it ends is its own affair.
    failed.catch(() => {});
    ended.catch(() => {});
    await Promise.race([once(lines, 'line'), failed, ended]);
    dev.addresses = JSON.parse(dev.written[0]);
    // NAME='value', as a shell reads it.
    const variables = readFileSync(file, 'utf8').trim().split('\n').map((line) => /^(\w+)='(.*)'$/.exec(line).slice(1));
    dev.environment = { ...process.env, ...Object.fromEntries(variables) };
    return dev;
  }

  get portal() {
    return this.addresses.portal;
  }

  /** Runs another command against it. */
  async run(...args) {
    const { stdout } = await promisify(execFile)(LATCHKEY, args, { env: this.environment });
    return stdout;
  }

  async stop() {
    if (this.process.exitCode === null) {
      this.process.kill('SIGINT');
      await once(this.process, 'exit');
    }
    rmSync(this.folder, { recursive: true });
  }
}

/** One browser for all tests; each test has a context, which shares nothing with others. */
export async function launch() {
  if (!existsSync(BROWSER)) return undefined;
  const { chromium } = require('playwright-core');
  return chromium.launch({
    executablePath: BROWSER,
    headless: true,
    // It makes an empty profile for itself, and no name but this machine's own leads anywhere.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
    ],
  });
}

const isOnThisMachine = (url) => {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && (hostname === '127.0.0.1' || hostname === 'localhost' || hostname.endsWith('.localhost'));
};

/** A person in front of the portal. */
export class Person {
  /** Runs `act` for a person, and then looks at what the browser had to complain about. */
  static async does(browser, dev, options, act) {
    const person = new Person();
    person.dev = dev;
    person.clicks = 0;
    person.complaints = [];
    /** What may come back with an error status: a refusal does. */
    person.refusals = 0;
    person.context = await browser.newContext({ viewport: VIEWPORT, ...options });
    person.context.setDefaultTimeout(PATIENCE);
    person.context.on('request', (request) => {
      if (!isOnThisMachine(request.url())) person.complaints.push(`a request to ${request.url()}`);
    });
    person.context.on('requestfailed', (request) => {
      person.complaints.push(`${request.url().split('?')[0]}: ${request.failure()?.errorText}`);
    });
    person.context.on('weberror', (error) => person.complaints.push(`an error in the script: ${error.error()}`));
    person.context.on('console', (message) => {
      if (!['error', 'warning'].includes(message.type())) return;
      // The browser's way to say that a page came with a status of 400 or more.
      if (person.refusals > 0 && /^Failed to load resource: the server responded with a status of 4/.test(message.text())) person.refusals -= 1;
      else person.complaints.push(`${message.type()}: ${message.text()}`);
    });
    try {
      person.page = await person.context.newPage();
      await act(person);
      assert.deepEqual(person.complaints, []);
    } finally {
      await person.context.close();
    }
  }

  async click(locator) {
    this.clicks += 1;
    await locator.click();
  }

  /** Goes to the portal, which leads to the issuer, and chooses a user there. */
  async signIn(name) {
    await this.page.goto(this.dev.portal);
    await this.click(this.page.getByRole('button', { name }));
    await this.page.waitForURL(this.dev.portal);
  }

  /** What a click on that button opens. */
  async open(name, page = this.page) {
    const opened = this.context.waitForEvent('page');
    await this.click(page.getByRole('button', { name, exact: true }));
    const popup = await opened;
    await popup.waitForLoadState();
    return popup;
  }

  /** As `open`, of what is refused. */
  async isRefused(name) {
    this.refusals += 1;
    return this.open(name);
  }

  card(target) {
    return this.page.getByRole('listitem').filter({ has: this.page.getByRole('heading', { name: target }) });
  }
}

/** Waits until a text is as it is to be, whether it is seen or only read out. */
export const shows = (locator, pattern) => locator.filter({ hasText: pattern }).waitFor({ state: 'attached' });

export const heading = (page) => page.getByRole('heading', { level: 1 }).textContent();

/** The rules of WCAG 2.2 and good practice that a program can check. */
export async function isAccessible(page, what) {
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const { violations, incomplete } = await page.evaluate(() => globalThis.axe.run());
  const told = (results) => results.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(told(violations), [], what);
  assert.deepEqual(told(incomplete.filter(({ id }) => id === 'color-contrast')), [], what);
}

/** Writes a picture for the documents, when that is asked for. A run of the tests changes no file. */
export async function picture(page, name) {
  assert.ok(PICTURES.includes(name), name);
  if (process.env.LATCHKEY_SCREENSHOTS !== '1') return;
  mkdirSync(IMAGES, { recursive: true });
  await page.screenshot({ path: join(IMAGES, `${name}.png`), animations: 'disabled', caret: 'hide' });
}
