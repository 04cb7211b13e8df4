/** Opens a browser with a page, prints a line, and waits to be killed. */
import { Browser } from '../support/browser';

async function main(): Promise<void> {
  const browser = await Browser.start(JSON.parse(process.argv[2]!));
  await (await browser.page(400, 300)).evaluate('1 + 1');
  process.stdout.write(`${browser.pid}\n`);
}

void main();
