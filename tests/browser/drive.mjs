// A browser at the end of a pipe: one JSON order a line on stdin, one JSON answer a line on stdout.
// usage: node drive.mjs PATH_TO_PLAYWRIGHT CHROMIUM
import { createInterface } from 'node:readline';

const [library, chromium] = process.argv.slice(2);
const playwright = await import(library);
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const browser = await (playwright.default ?? playwright).chromium.launch({ executablePath: chromium, headless: true, args: FLAGS });
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
const faults = []; // of the page: exceptions, refused by its policy, what it could not load
page.on('pageerror', e => faults.push(e.message));
page.on('console', m => { if (m.type() === 'error' && !/status of 40[13]/.test(m.text())) faults.push(m.text()); });

// As the developer tools do it: the page's policy forbids eval to everyone else.
const tools = await page.context().newCDPSession(page);
async function evaluate(expression) {
  const { result, exceptionDetails } = await tools.send('Runtime.evaluate', { expression, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

const orders = {
  open: ({ url }) => page.goto(url),
  text: ({ at }) => page.textContent(at),
  texts: ({ at }) => page.locator(at).allTextContents(),
  click: ({ at }) => page.click(at),
  fill: ({ at, value }) => page.fill(at, value),
  press: ({ key }) => page.keyboard.press(key),
  // until the expression, in the page, is true
  until: async ({ js, timeout_ms = 20000 }) => {
    for (const end = Date.now() + timeout_ms; !await evaluate(js); await page.waitForTimeout(100)) {
      if (Date.now() > end) throw new Error('waited in vain');
    }
  },
  js: ({ js }) => evaluate(js),
  look: async ({ width = 1280, height = 900, scheme = 'light' }) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
  },
  shot: ({ path, whole = true }) => page.screenshot({ path, fullPage: whole }).then(() => true),
  faults: () => faults,
};
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  let answer;
  try {
    answer = { ok: (await orders[order.do](order)) ?? null };
  } catch (error) {
    answer = { error: String(error.message).split('\n')[0] };
  }
  if (order.do === 'open') answer = answer.error ? answer : { ok: true };
  console.log(JSON.stringify(answer));
}
await browser.close();
