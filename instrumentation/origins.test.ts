/** Who did an access, in a trace: places are numbered, and named when it is known what they are called. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../emulator/clock';
import { PciCard } from '../emulator/pci';
import { TraceCards } from './analysis';
import { type DriverAccess } from './observer';
import { Origins } from './origins';
import { type CodeAddress, type Places } from './symbols';
import { type CardRecording, readTrace, TraceRecorder, traceOf } from './trace';

class SilentCard extends PciCard {
  constructor() {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0 }, { clock: new ManualClock() });
  }
}

let folder: string;
let recorder: TraceRecorder;
let recording: CardRecording;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'origins-'));
  recorder = new TraceRecorder(join(folder, 'a.trace'), { payloads: 'none' });
  recording = traceOf(new SilentCard()).record(recorder, { name: 'card', faults: [], isMmapDisabled: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

const access = (pc: bigint, returnAddress = 0n) =>
  ({ pid: 71, comm: 'driver', pc, returnAddress, isKernel: false }) as DriverAccess;

/** Code is called by its address. */
const places = {
  resolve: (addresses: readonly CodeAddress[]) =>
    Promise.resolve(addresses.map(({ pc }) => ({ address: `code ${pc}`, inlinedInto: [] }))),
} as unknown as Places;

function recorded(): { names: (string | undefined)[]; places: number } {
  recorder.close();
  const { events } = readTrace(recorder.path);
  const cards = TraceCards.of(events);
  const origins = events.flatMap((event) => (event.kind === 'origin' ? [event.place] : []));
  return { names: origins.map((place) => cards.place(place)?.name), places: new Set(origins).size };
}

it('each place has a number for all its accesses, and its name once it is asked for', async () => {
  const origins = Origins.of(recorder);
  for (const pc of [1n, 2n, 1n]) origins.record(recording, access(pc));
  await origins.name(places);
  origins.record(recording, access(2n));
  origins.record(recording, access(3n));
  expect(recorded()).toEqual({ names: ['code 1', 'code 2', 'code 1', 'code 2', undefined], places: 3 });
});

it('what looks like ever new callers of one address is one place after a while', () => {
  const origins = Origins.of(recorder);
  for (let caller = 0n; caller < 1000n; caller++) origins.record(recording, access(1n, caller));
  expect(recorded().places).toBeLessThan(50);
});
