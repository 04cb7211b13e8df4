/** A card with its instruments whose driver is observed: who did an access is known wherever the access is reported. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ReferenceCard } from '../emulator/cards/reference';
import { ManualClock } from '../emulator/clock';
import { InProcessHost } from '../emulator/host';
import { loadNative } from '../emulator/native';
import { BAR_ADDRESS, FakePlugin } from '../test/support/observer';
import { FittedCard } from './fitted-card';
import { Observer, SharedFile } from './observer';
import { Origins } from './origins';
import { type CodeAddress, type Places } from './symbols';
import { type CardNotice, describeTrace, traceOf } from './trace';

const BAR0 = 'vfio-user:/tmp/card0.sock BAR 0';
const STATUS = 0x1004;
const SCRATCH = 0x0c;
/** Nothing that these tests wait for can come. */
const WAIT_MS = 1;

/** Code is called by its address. */
const places = {
  resolve: (addresses: readonly CodeAddress[]) =>
    Promise.resolve(addresses.map(({ pc }) => ({ address: `code ${pc}`, inlinedInto: [] }))),
} as unknown as Places;

let observer: Observer;
let plugin: FakePlugin;
let fitted: FittedCard;
let notices: string[];
beforeEach(() => {
  const file = new SharedFile(loadNative(), { vcpus: 1, ram: [{ address: 0, sizeBytes: 2 ** 20 }] });
  plugin = new FakePlugin(file);
  observer = new Observer(file, WAIT_MS);
  notices = [];
  const onNotice = ({ text }: CardNotice): void => void notices.push(text);
  fitted = new FittedCard({ observer: { on: observer, name: 'card' }, onNotice }, loadNative());
  fitted.fit((environment) => new ReferenceCard(environment), new ManualClock());
  fitted.observed!.socketPath = '/tmp/card0.sock';
});
afterEach(() => {
  fitted.close();
  plugin[Symbol.dispose]();
  observer[Symbol.dispose]();
});

/** What a driver does is recorded by the plugin, if it is known who does it. */
function driver() {
  const bar = new InProcessHost(fitted.card).bar(0);
  const record = (offset: number, value: number, isWrite: boolean, pc?: bigint): void => {
    if (pc === undefined) return;
    plugin.record(BAR0, {
      ...{ address: BAR_ADDRESS + BigInt(offset), value: BigInt(value), isWrite },
      ...{ pc, pid: 71, comm: 'driver' },
    });
  };
  return {
    read: (offset: number, pc?: bigint) => record(offset, bar.read32(offset), false, pc),
    write: (offset: number, value: number, pc?: bigint) => {
      record(offset, value, true, pc);
      bar.write32(offset, value);
    },
  };
}

const lastAccesses = (last: number): string[] =>
  describeTrace(traceOf(fitted.card), { last, withoutConfig: true })
    .slice(-last)
    .map((line) => line.replace(/^ *\d+\.\d+ us {2}/, ''));

it('the last accesses of a card say who did them, by name once that is known', async () => {
  const { read, write } = driver();
  const origins = Origins.of(observer);
  origins.places = places;
  write(SCRATCH, 1, 1n);
  read(STATUS, 2n);
  read(STATUS, 3n);
  fitted.observed!.settle();
  await origins.name();
  write(SCRATCH, 2, 1n);
  write(SCRATCH, 3, 4n);
  expect(lastAccesses(4)).toEqual([
    'write SCRATCH 0x00000001  by code 1 (driver, process 71)',
    'read H2C[0].STATUS 0x00000000  (2 times)  last by code 3 (driver, process 71)',
    'write SCRATCH 0x00000002  by code 1 (driver, process 71)',
    'write SCRATCH 0x00000003  by 0x4 (driver, process 71)',
  ]);
});

it('an access that nobody has recorded is by nobody, and those before it keep theirs', () => {
  const { write } = driver();
  write(SCRATCH, 1, 1n);
  write(SCRATCH, 2);
  fitted.observed!.settle();
  expect(lastAccesses(2)).toEqual([
    'write SCRATCH 0x00000001  by 0x1 (driver, process 71)',
    'write SCRATCH 0x00000002',
  ]);
});

it('the notice of a stalled driver names the code that last polled, while that still runs', async () => {
  vi.useFakeTimers();
  try {
    const { read } = driver();
    Origins.of(observer).places = places;
    for (let i = 0; i < 200; i++) {
      read(STATUS, 5n);
      await vi.advanceTimersByTimeAsync(10);
    }
  } finally {
    vi.useRealTimers();
  }
  expect(notices).toEqual([expect.stringContaining(', last by code 5 (driver, process 71), always 0x00000000.')]);
});
