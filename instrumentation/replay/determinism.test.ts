/** What replay rests on: a card that gets the same stimuli at the same times does the same. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random, RandomDriver } from '../../test/support/random-driver';
import { ReferenceCard, type ReferenceCardOptions } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { applyFaults, type FaultDeclaration } from '../faults';
import { readTrace, TraceRecorder, traceOf } from '../trace';
import { replay } from '.';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'ghostcard-replay-'))));
afterAll(() => rmSync(folder, { recursive: true }));

async function record(
  options: ReferenceCardOptions,
  seed: number,
  faults: readonly FaultDeclaration[] = [],
): Promise<string> {
  const path = join(folder, `${seed}.trace`);
  const clock = new ManualClock();
  const card = new ReferenceCard({ ...options, clock });
  const recorder = new TraceRecorder(path);
  applyFaults(card, faults);
  traceOf(card).record(recorder, { name: 'reference', faults });
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

const FAULTS: readonly FaultDeclaration[] = [
  { fault: 'interrupt-dropped', occurrence: { every: 5 } },
  { fault: 'interrupt-delayed', occurrence: { every: 3 }, delayNs: 700 },
  { fault: 'interrupt-duplicated', occurrence: { every: 4 }, times: 2, gapNs: 50 },
  { fault: 'interrupt-spurious', on: 'read', register: 'IRQ_STATUS', occurrence: { every: 4 } },
  { fault: 'interrupt-before-write-back', occurrence: { every: 2 }, delayNs: 100 },
  { fault: 'dma-delayed', occurrence: 'all', delayNs: 300 },
  { fault: 'dma-truncated', occurrence: { every: 7 }, bytes: 2 },
  { fault: 'dma-corrupted', occurrence: { every: 5 } },
  { fault: 'dma-duplicated', occurrence: { every: 5 }, delayNs: 10 },
  { fault: 'descriptor-stale', occurrence: { every: 3 } },
  { fault: 'reads-all-ones', register: 'UPTIME_NS', occurrence: { every: 3 }, reads: 2 },
  { fault: 'write-lost', register: 'H2C[*].DOORBELL', occurrence: { every: 4 } },

  { fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 1, occurrence: { every: 3 }, reads: 3 },
  { fault: 'writes-posted', register: 'C2H[*].DOORBELL', occurrence: { every: 3 } },
  { fault: 'reset-in-transfer', occurrence: 2 },
];

describe('a card with faults', () => {
  it.each(FAULTS.map((fault, index) => [fault.fault, fault, index] as const))(
    'has them again in a replay: %s',
    async (_, fault, index) => {
      let fired = 0;
      for (let run = 0; run < 4; run++) {
        const path = await record({}, 5000 + 10 * index + run, [{ ...fault, mayNotFire: true }]);
        fired += readTrace(path).events.filter(({ kind }) => kind === 'fault').length;
        const result = await replay(path, (environment) => new ReferenceCard(environment));
        result.check();
        expect(result.events).toHaveLength(result.total);
      }
      expect(fired).toBeGreaterThan(0);
    },
  );

  it.each([1, 2, 3, 4, 5, 6])('has several at once: %d', async (seed) => {
    const random = new Random(seed);
    const faults = FAULTS.filter(() => random.below(3) === 0).map((fault) => ({ ...fault, mayNotFire: true }));
    const path = await record({}, 6000 + seed, faults);
    const result = await replay(path, (environment) => new ReferenceCard(environment));
    result.check();
    expect(result.events).toHaveLength(result.total);
  });
});
