/** The code of a card runs in the process that serves it, and decides neither how that ends nor what it prints. */
import { expect, test } from 'vitest';
import { VfioUserClient, words } from '../support/vfio-user-client';
import { cardFile, serving, startServing } from './serve-process';
import { until } from './serving';

const CONFIG = 7;
const COMMAND_REGISTER = 4;

test.each(['process.exit(0);', "process.on('exit', () => { process.exitCode = 0; }); process.exit(0);"])(
  'a card whose constructor does %s does not make the command succeed',
  async (body) => {
    const { ended, standardError } = startServing(cardFile(`made() { ${body} }`));
    expect((await ended).exitCode).toBe(125);
    expect(standardError()).toMatch(/A card called process\.exit\(0\)\..*planted\.js/s);
  },
);

test('a hook that calls process.exit() is an error of the model, and the card is served on', async () => {
  const served = await serving(cardFile('go() { process.exit(0); }'));
  await using client = await VfioUserClient.connect(served.socketPath);
  await client.regionWrite(CONFIG, COMMAND_REGISTER, Uint8Array.of(6, 0));
  await expect(client.regionWrite(0, 0, words(1))).rejects.toThrow('EIO');
  await until('the error to be printed', () =>
    served.texts.some((text) => /process\.exit\(0\).*planted\.js/s.test(text)),
  );
  expect(await client.regionRead(0, 0, 4)).toHaveLength(4);
  expect(served.process.exitCode).toBeNull();
});

test('what a card prints on standard output goes to standard error', async () => {
  const body = "made() { process.stdout.write('by the stream\\n'); console.log('by the console'); }";
  const served = await serving(cardFile(body)); // which reads each line as JSON
  served.process.kill('SIGTERM');
  await served.ended;
  expect(served.events).toContain('listening');
  expect(served.standardError()).toMatch(/by the stream\nby the console\n/);
});
