/** Recorded runs of real drivers in a guest, replayed without either: the cards do the same again. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ReferenceCardOptions } from '../../emulator/cards/reference';
import { type FaultDeclaration } from '../../instrumentation/faults';
import { replay } from '../../instrumentation/replay';
import { readTrace, type Trace, TraceRecorder } from '../../instrumentation/trace';
import { reference, runApp, startRig } from '../support/rig';

const FAULTS: readonly FaultDeclaration[] = [
  { fault: 'interrupt-delayed', occurrence: { every: 2 }, delayNs: 200_000 },
  { fault: 'dma-delayed', occurrence: { every: 3 }, delayNs: 50_000 },
];
const CARDS: readonly {
  readonly name: string;
  readonly options: ReferenceCardOptions;
  readonly faults?: readonly FaultDeclaration[];
  readonly apps: readonly string[];
}[] = [
  { name: 'plain', options: {}, apps: ['gc-loopback', 'gc-reset', 'gc-irq'] },
  { name: 'errors', options: { addressBits: 32 }, apps: ['gc-errors'] },
  { name: 'slow', options: { link: { bytesPerSecond: 1e9, completionLatencyNs: 2000 } }, apps: ['gc-loopback'] },
  { name: 'incoherent', options: { coherent: false }, apps: ['gc-loopback'] },
  { name: 'faulty', options: {}, faults: FAULTS, apps: ['gc-loopback'] },
];

let folder: string;
let trace: Trace;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-replay-'));
  const recorder = new TraceRecorder(join(folder, 'run.trace'));
  const cards = CARDS.map(({ name, options, faults = [] }) => ({ name, make: reference(options), faults }));
  const rig = await startRig({ cards, recorder });
  try {
    for (const { name, apps } of CARDS) {
      await rig.bind(name, 'vfio-pci');
      for (const app of apps) await runApp(rig, name, [app]);
    }
    rig.severLink('plain');
  } finally {
    await rig.close();
    recorder.close();
  }
  trace = readTrace(recorder.path);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.each(CARDS)('the card $name does the same in a replay as for $apps', async ({ name, options }) => {
  const result = await replay(trace, reference(options), { card: name });
  result.check();
  expect(result.events).toHaveLength(result.total);
  expect(result.events.some(({ kind }) => kind === 'dma-write')).toBe(true);
  expect(result.events.some(({ kind }) => kind === 'interrupt')).toBe(true);
});
