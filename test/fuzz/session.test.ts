/** Some clients of the fuzzer, always the same, and all of the corpus: `npm run fuzz` tries millions (CONTRIBUTING.md). */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { client } from './session/arbitraries';
import { Bench } from './session/bench';
import { readCorpus } from './session/corpus';
import { tryOut } from './session/trial';

async function benchOfTest(): Promise<Bench> {
  const bench = await Bench.start();
  onTestFinished(() => bench[Symbol.asyncDispose]());
  return bench;
}

test('a client that sends anything is answered or refused, others are served, and nothing of it is kept', async () => {
  const bench = await benchOfTest();
  await fc.assert(
    fc.asyncProperty(client, async (steps) => void (await tryOut(bench, steps))),
    { seed: 1, numRuns: 100 },
  );
});

test.each(readCorpus())('the client of the corpus $name is answered or refused', async ({ steps }) => {
  expect(await tryOut(await benchOfTest(), steps)).toBeGreaterThanOrEqual(0);
});
