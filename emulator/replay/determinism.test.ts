/** What replay rests on: a card that gets the same stimuli at the same times does the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RandomDriver } from '../../test/support/random-driver';
import { ReferenceCard, type ReferenceCardOptions } from '../cards/reference';
import { ManualClock } from '../clock';
import { readTrace, TraceRecorder, traceOf } from '../trace';
import { replay } from '.';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'ghostcard-replay-'))));
afterAll(() => rmSync(folder, { recursive: true }));

async function record(options: ReferenceCardOptions, seed: number): Promise<string> {
  const path = join(folder, `${seed}.trace`);
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  const recorder = new TraceRecorder(path);
  traceOf(card).record(recorder, { name: 'reference' });
  await new RandomDriver(card, clock, seed).run(400);
  recorder.close();
  card.close();
  return path;
}

describe.each([
  ['as it is', {}],
  ['behind a slow link', { link: { bytesPerSecond: 3e8, completionLatencyNs: 700 } }],
  ['that is not coherent', { coherent: false }],
  ['of 32 address bits', { addressBits: 32 }],
])('the reference card, %s', (name, options) => {
  it.each(Array.from({ length: 10 }, (_, seed) => seed + 100 * name.length))(
    'does in a replay what it did when a driver of seed %d drove it',
    async (seed) => {
      const path = await record(options, seed);
      const result = await replay(path, (environment) => new ReferenceCard({ ...options, ...environment }));
      result.check();
      expect(result.events).toHaveLength(result.total);
      const kinds = new Set(readTrace(path).events.map(({ kind }) => kind));
      for (const kind of ['task', 'dma-read', 'dma-write', 'interrupt', 'state', 'reset'] as const)
        expect(kinds).toContain(kind);
    },
  );
});
