/** Who did an access, in a trace: places are numbered, and named when it is known what they are called. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ManualClock } from '../emulator/clock';
import { PciCard } from '../emulator/pci';
import { TraceCards } from './analysis';
import { type DriverAccess, type Observer } from './observer';
import { Origins, RecordedOrigins } from './origins';
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
function startRecording(file: string): void {
  recorder = new TraceRecorder(join(folder, file), { payloads: 'none' });
  recording = traceOf(new SilentCard()).record(recorder, { name: 'card', faults: [], isMmapDisabled: true });
}
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'origins-'));
  startRecording('a.trace');
});
afterEach(() => rmSync(folder, { recursive: true }));

const access = (pc: bigint, returnAddress = 0n) =>
  ({ pid: 71, comm: 'driver', pc, returnAddress, isKernel: false }) as DriverAccess;

/** Code is called by its address. */
const places = {
  resolve: (addresses: readonly CodeAddress[]) =>
    Promise.resolve(addresses.map(({ pc }) => ({ address: `code ${pc}`, inlinedInto: [] }))),
} as unknown as Places;

function originsOfGuest(): { origins: Origins; record: (access: DriverAccess) => void } {
  const origins = Origins.of({} as Observer);
  origins.places = places;
  const record = (access: DriverAccess): void => RecordedOrigins.of(recorder).record(recording, origins.of(access));
  return { origins, record };
}

function recorded(): { names: (string | undefined)[]; places: number } {
  recorder.close();
  const { events } = readTrace(recorder.path);
  const cards = TraceCards.of(events);
  const numbers = events.flatMap((event) => (event.kind === 'origin' ? [event.place] : []));
  return { names: numbers.map((place) => cards.place(place)?.name), places: new Set(numbers).size };
}

it('each place has a number for all its accesses, and its name once it is asked for', async () => {
  const { origins, record } = originsOfGuest();
  for (const pc of [1n, 2n, 1n]) record(access(pc));
  await origins.name(recorder);
  record(access(2n));
  record(access(3n));
  expect(recorded()).toEqual({ names: ['code 1', 'code 2', 'code 1', 'code 2', undefined], places: 3 });
});

it('a later trace of the same guest has the names from the start', async () => {
  const { origins, record } = originsOfGuest();
  record(access(1n));
  await origins.name(recorder);
  recorder.close();
  startRecording('b.trace');
  record(access(1n));
  expect(recorded().names).toEqual(['code 1']);
});

it('a trace says why code has no name', async () => {
  const { origins, record } = originsOfGuest();
  origins.places = { resolve: () => Promise.reject(new Error('the guest has ended')) } as unknown as Places;
  record(access(1n));
  await origins.name(recorder);
  expect(recorded().names).toEqual([undefined]);
  const marks = readTrace(recorder.path).events.flatMap((event) => (event.kind === 'mark' ? event.text : []));
  expect(marks).toEqual(['not all code can be named: the guest has ended']);
});

it('what looks like ever new callers of one address is one place after a while', () => {
  const { record } = originsOfGuest();
  for (let caller = 0n; caller < 1000n; caller++) record(access(1n, caller));
  expect(recorded().places).toBeLessThan(50);
});
