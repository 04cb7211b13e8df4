/** Matching what processors have recorded with what arrives at a card. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { loadNative } from '../../emulator/native';
import { BAR_ADDRESS, FakePlugin } from '../../test/support/observer';
import { RING_RECORDS } from './layout';
import { type DriverAccess, type ObservedCard, Observer, SharedFile } from '.';

const BAR0 = 'vfio-user:/tmp/card0.sock BAR 0';
const SCRATCH = 0x20;
const ADDRESS = BAR_ADDRESS + BigInt(SCRATCH);
/** Nothing that these tests wait for can come. */
const WAIT_MS = 1;

let file: SharedFile;
let plugin: FakePlugin;
let observer: Observer;
let card: ReferenceCard;
let observed: ObservedCard;
let origins: (DriverAccess | undefined)[];

beforeEach(() => {
  file = new SharedFile(loadNative(), { vcpus: 2, ram: [{ address: 0, sizeBytes: 2 ** 20 }] });
  plugin = new FakePlugin(file);
  observer = new Observer(file, WAIT_MS);
  card = new ReferenceCard({ clock: new ManualClock() });
  observed = observer.observe(card, 'card');
  observed.socketPath = '/tmp/card0.sock';
  origins = [];
  observed.onOrigin((access) => origins.push(access));
});
afterEach(() => {
  plugin[Symbol.dispose]();
  observer[Symbol.dispose]();
});

const bar = () => new InProcessHost(card).bar(0);
const programCounters = () => origins.map((access) => access?.pc);

describe('who did an access', () => {
  it('is known at once when a write has been recorded before it arrives', () => {
    plugin.record(BAR0, { address: ADDRESS, value: 7n, pc: 0x1000n, pid: 71, comm: 'driver' });
    bar().write32(SCRATCH, 7);
    expect(origins).toMatchObject([{ pc: 0x1000n, pid: 71, comm: 'driver', isKernel: false }]);
  });

  it('is known before the next access when it is recorded after it has been answered, as reads are', () => {
    const registers = bar();
    const value = registers.read32(SCRATCH);
    expect(origins).toEqual([]);
    plugin.record(BAR0, { address: ADDRESS, value: BigInt(value), isWrite: false, pc: 0x1000n });
    let known: unknown;
    card.inspection.events.subscribe(() => (known ??= [...origins]));
    plugin.record(BAR0, { address: ADDRESS, value: 1n, pc: 0x2000n });
    registers.write32(SCRATCH, 1);
    expect(known).toMatchObject([{ pc: 0x1000n }]);
    expect(programCounters()).toEqual([0x1000n, 0x2000n]);
  });

  it('is known of accesses of two processors, in whatever order they arrive', () => {
    plugin.record(BAR0, { vcpu: 0, address: ADDRESS, value: 1n, pc: 0x100n });
    plugin.record(BAR0, { vcpu: 0, address: ADDRESS, value: 2n, pc: 0x101n });
    plugin.record(BAR0, { vcpu: 1, address: ADDRESS, value: 3n, pc: 0x200n });
    const registers = bar();
    for (const value of [1, 3, 2]) registers.write32(SCRATCH, value);
    expect(programCounters()).toEqual([0x100n, 0x200n, 0x101n]);
    expect(origins.map((access) => access?.vcpu)).toEqual([0, 1, 0]);
  });

  it('is the earlier of two processors when both do the same', () => {
    plugin.record(BAR0, { vcpu: 0, address: ADDRESS, value: 1n, pc: 0x100n, timeNs: 20n });
    plugin.record(BAR0, { vcpu: 1, address: ADDRESS, value: 1n, pc: 0x200n, timeNs: 10n });
    const registers = bar();
    registers.write32(SCRATCH, 1);
    registers.write32(SCRATCH, 1);
    expect(programCounters()).toEqual([0x200n, 0x100n]);
  });

  it('is one and the same for the parts of an access that QEMU divides', () => {
    const value = 0x4444_3333_2222_1111n;
    plugin.record(BAR0, { address: ADDRESS, value, sizeBytes: 8, pc: 0x100n });
    plugin.record(BAR0, { address: ADDRESS, value: 5n, pc: 0x200n });
    const registers = bar();
    registers.write32(SCRATCH, 0x2222_1111);
    registers.write32(SCRATCH + 4, 0x4444_3333);
    registers.write32(SCRATCH, 5);
    expect(programCounters()).toEqual([0x100n, 0x100n, 0x200n]);
  });

  it('is not known, and waited for with a limit, when nobody has recorded it', () => {
    bar().write32(SCRATCH, 1);
    observed.settle();
    expect(origins).toEqual([undefined]);
    expect(observer.unmatched).toBe(1);
  });

  it('is known again after an access that has never arrived', () => {
    plugin.record(BAR0, { address: ADDRESS, value: 1n, pc: 0x100n });
    plugin.record(BAR0, { address: ADDRESS, value: 2n, pc: 0x101n });
    plugin.record(BAR0, { address: ADDRESS, value: 3n, pc: 0x102n });
    const registers = bar();
    registers.write32(SCRATCH, 2);
    registers.write32(SCRATCH, 3);
    expect(programCounters()).toEqual([0x101n, 0x102n]);
    expect(observer.unmatched).toBe(0);
  });

  it('is known of the latest accesses after more than the ring holds', () => {
    for (let i = 0; i <= RING_RECORDS; i++) plugin.record(BAR0, { address: ADDRESS, value: 1n, pc: BigInt(i) });
    plugin.record(BAR0, { address: ADDRESS, value: 2n, pc: 0x999_999n });
    bar().write32(SCRATCH, 2);
    observed.settle();
    expect(programCounters()).toEqual([0x999_999n]);
  });

  it('is not taken from what was done to another card', () => {
    plugin.record('vfio-user:/tmp/card1.sock BAR 0', { address: ADDRESS, value: 1n });
    bar().write32(SCRATCH, 1);
    observed.settle();
    expect(origins).toEqual([undefined]);
  });
});

describe('the file that is shared with the plugin', () => {
  it('says what the plugin needs to know of the machine, and later of its kernel', () => {
    expect(plugin.header('ram0Bytes')).toBe(2 ** 20);
    expect(plugin.header('linearMap')).toBe(0);
    file.kernel = {
      linearMap: 0x1000n,
      currentTask: 0x20n,
      task: { pid: 1, tgid: 2, comm: 3 },
      irqEntry: 4n,
      ...{ ownCode: 5n, ownCodeEnd: 6n, releaseEntry: 7n },
      zvaBytes: 64,
    };
    expect([plugin.header('linearMap'), plugin.header('currentTask')]).toEqual([0x1000, 0x20]);
  });

  it('is refused for more processors than a mark of the shadow can tell apart', () => {
    expect(() => new SharedFile(loadNative(), { vcpus: 9, ram: [] })).toThrow(
      'Cannot observe a guest with 9 processors: the limit is 8.',
    );
  });
});
