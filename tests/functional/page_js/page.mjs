// Drives headless Chromium through the status page and prints what it saw as one line of JSON.
//
//   node page.mjs SCENARIO URL [ARGUMENT]
//
// Where the other side has something to do meanwhile, a scenario says so by a word on a line of standard error.
//
// Every scenario also tells which hosts were asked, what the console said, and what broke the page's policy.

import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {chromium} from 'playwright-core';

const [, , scenario, url, argument] = process.argv;
const ARGUMENTS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const DESKTOP = {width: 1280, height: 900};

const profile = mkdtempSync(join(tmpdir(), 'shoal-page-'));
const browser = await chromium.launchPersistentContext(profile, {executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS, viewport: DESKTOP});
const page = browser.pages()[0] ?? (await browser.newPage());
page.setDefaultTimeout(20_000);
const seen = {hosts: new Set(), console: [], errors: []};
page.on('request', (request) => seen.hosts.add(new URL(request.url()).host));
page.on('console', (message) => message.type() === 'error' && seen.console.push(message.text()));  // warnings are about this driver's own looks at the canvas
page.on('pageerror', (error) => seen.errors.push(error.message));

const text = (selector) => page.locator(selector).first().innerText();

// How many pixels of the first piece map have each of the page's colours.
const mapColours = () => page.evaluate(() => {
  const canvas = document.querySelector('canvas.map');
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => {
    const probe = document.createElement('canvas').getContext('2d');
    probe.fillStyle = style.getPropertyValue(name).trim();
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3).join();
  };
  const names = ['--lan', '--origin', '--local', '--moving', '--claimed', '--none'];
  const wanted = new Map(names.map((name) => [rgb(name), name]));
  const counts = Object.fromEntries(names.map((name) => [name, 0]));
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < data.length; i += 4) {
    const name = data[i + 3] === 255 ? wanted.get([data[i], data[i + 1], data[i + 2]].join()) : undefined;
    if (name) ++counts[name];
  }
  return counts;
});

// Milliseconds until the page is there, three times.
const openings = async (selector) => {
  const ms = [];
  for (let i = 0; i < 3; ++i) {
    const began = Date.now();
    await page.goto(url);
    await page.waitForSelector(selector);
    await page.waitForSelector('.connection.live');
    ms.push(Date.now() - began);
  }
  return ms;
};

// Milliseconds between `count` animation frames, ascending, while the box scrolls by `step` pixels each, or to its end.
const frames = (selector, count, step = 0) => page.locator(selector).first().evaluate((box, {count, step}) => new Promise((resolve) => {
  const times = [];
  let last = performance.now();
  const frame = (now) => {
    times.push(now - last);
    last = now;
    box.scrollTop += step;
    const at_end = step > 0 && box.scrollTop + box.clientHeight >= box.scrollHeight - 1;
    if (times.length < count && !at_end) requestAnimationFrame(frame);
    else resolve(times.slice(1).sort((a, b) => a - b));
  };
  requestAnimationFrame(frame);
}), {count, step});

const scenarios = {
  // A pull begins on this node at "open" and does not end before "finish".
  async click() {
    const out = {};
    await page.goto(url);
    await page.waitForSelector('.connection.live');
    console.error('open');
    await page.waitForSelector('article.pull');
    out.repo = await text('article.pull h3');
    // The map fills: two looks differ, and each colour is there that should be.
    await page.waitForFunction(() => / [1-9]\d* % from the Hub/.test(document.querySelector('canvas.map').getAttribute('aria-label')));
    out.map_before = await mapColours();
    const label = await page.locator('canvas.map').first().getAttribute('aria-label');
    await page.waitForFunction((old) => document.querySelector('canvas.map')?.getAttribute('aria-label') !== old, label);
    out.map_label = await page.locator('canvas.map').first().getAttribute('aria-label');
    out.map_after = await mapColours();
    // Files of the pull, opened and closed by the keyboard.
    const toggle = page.locator('article.pull button').first();
    await toggle.focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('article.pull .file-table tbody tr');
    out.files = await page.locator('article.pull .file-table tbody tr').count();
    out.expanded = await toggle.getAttribute('aria-expanded');
    await page.keyboard.press('Enter');
    out.collapsed = await toggle.getAttribute('aria-expanded');
    // The model is in the list while it comes, and its files can be seen.
    await page.locator('.repo-row button').first().click();
    await page.waitForSelector('.file-row .path');
    // Rates and their range.
    await page.waitForSelector('svg.rates path.area');
    out.rates_label = await page.locator('svg.rates').getAttribute('aria-label');
    await page.click('#range-minutes');
    out.minutes_pressed = await page.locator('#range-minutes').getAttribute('aria-pressed');
    await page.click('#range-seconds');
    // Machines.
    out.machines = await page.locator('#machines tbody tr').count();
    out.machines_up = await text('#machines-up');
    // Events.
    await page.click('#events-trouble');
    out.trouble = await page.locator('#events li').count();
    await page.click('#events-all');
    out.events = await page.locator('#events li').count();
    // Theme: three presses come back, and the colours follow.
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    out.themes = [];
    for (let i = 0; i < 3; ++i) {
      await page.click('#theme');
      out.themes.push([await text('#theme'), await background()]);
    }
    // The keyboard reaches the content at once.
    await page.evaluate(() => {
      // A click leaves its place as the one Tab goes on from: begin at the top of the page.
      const top = document.createElement('span');
      top.tabIndex = -1;
      document.body.prepend(top);
      top.focus();
    });
    await page.keyboard.press('Tab');
    out.first_stop = await page.evaluate(() => document.activeElement.textContent);
    // Everything that can be pressed has a name; landmarks and headings are there.
    out.unnamed = await page.evaluate(() => [...document.querySelectorAll('button, input, [role=img], [tabindex="0"]')]
      .filter((e) => !(e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.labels?.length))
      .map((e) => e.outerHTML.slice(0, 100)));
    out.landmarks = await page.evaluate(() => ['header', 'main', 'footer', 'h1', 'h2'].filter((e) => !document.querySelector(e)));
    // A phone: nothing is wider than the screen.
    await page.setViewportSize({width: 360, height: 740});
    await page.waitForTimeout(300);
    out.phone_names = await page.evaluate(() => Math.min(...[...document.querySelectorAll('.repo-row th')].map((e) => e.clientWidth)));
    out.phone_overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    await page.setViewportSize(DESKTOP);
    // The end of the pull is seen without a reload.
    console.error('finish');
    await page.waitForSelector('.outcome.done', {timeout: 60_000});
    out.announced = await text('#announce');
    // So is the model that came meanwhile, and its files that were opened while they came.
    await page.waitForFunction(() => [...document.querySelectorAll('.repo-row .state')].some((e) => e.textContent === 'here'));
    await page.waitForFunction(() => [...document.querySelectorAll('.file-row .state')].every((e) => e.textContent === 'here'));
    out.model_files = await page.locator('.file-row .path').count();
    await page.fill('#models-search', 'no such repo');
    out.found_none = await page.locator('.repo-row').count();
    await page.fill('#models-search', 'TINY');
    out.found = await page.locator('.repo-row').count();
    return out;
  },

  // The node ends and starts again while the page is open; ARGUMENT is a file that appears when it is to be seen again.
  async restart() {
    await page.goto(url);
    await page.waitForSelector('.connection.live');
    console.error('open');
    await page.waitForSelector('.connection.lost', {timeout: 60_000});
    const lost = await text('#connection-text');
    await page.waitForSelector('.connection.live', {timeout: 60_000});
    await page.waitForFunction((repo) => [...document.querySelectorAll('.repo-row')].some((e) => e.textContent.includes(repo)), argument);
    return {lost};
  },

  // A node with nothing: what this browser on this machine takes at least.
  async empty() {
    const ms = await openings('main');
    return {ms, frames: await frames('main', 60)};
  },

  // A node with many files: how long until the list is there, and whether scrolling keeps up.
  async big() {
    const out = {ms: await openings('.repo-row')};
    out.count = await text('#models-count');
    out.rows = await page.locator('#models tbody tr').count();
    await page.locator('.repo-row button').first().click();
    await page.waitForSelector('.file-row .path');
    out.frames = await frames('#models-scroll', 120, 160);
    out.rows_scrolled = await page.locator('#models tbody tr').count();
    await page.locator('#models-scroll').evaluate((box) => { box.scrollTop = box.scrollHeight; });
    await page.waitForFunction((last) => [...document.querySelectorAll('.repo-row')].some((r) => r.textContent.includes(last)), argument);
    return out;
  },

  // A node with a token: the page asks for it, refuses nothing silently, and works with it.
  async token() {
    await page.goto(url);
    await page.waitForSelector('#token-form:not([hidden])');
    await page.fill('#token', 'wrong');
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    await page.waitForSelector('#token-form:not([hidden])');
    await page.fill('#token', argument);
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
    await page.waitForSelector('.connection.live');
    return {name: await text('#node-name'), form: await page.locator('#token-form').isVisible()};
  },

  // Pictures for a person: ARGUMENT is a directory and a name.
  async picture() {
    for (const [name, width, height, theme] of [['desktop', 1280, 900, 'light'], ['desktop-dark', 1280, 900, 'dark'], ['phone', 390, 844, 'light'], ['phone-dark', 390, 844, 'dark']]) {
      await page.emulateMedia({colorScheme: theme});
      await page.setViewportSize({width, height});
      await page.goto(url);
      await page.waitForSelector('.connection.live');
      await page.waitForTimeout(1500);
      await page.screenshot({path: `${argument}-${name}.png`});
      if (process.env.WHOLE_PAGE) await page.screenshot({path: `${argument}-${name}-whole.png`, fullPage: true});
    }
    return {};
  },
};

try {
  const out = await scenarios[scenario]();
  console.log(JSON.stringify({...out, hosts: [...seen.hosts], console: seen.console, errors: seen.errors}));
} finally {
  await browser.close();
  rmSync(profile, {recursive: true, force: true});
}
