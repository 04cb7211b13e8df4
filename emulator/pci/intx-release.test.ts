import { describe, expect, test } from 'vitest';
import { LineCard } from '../../test/support/line-card';
import { DEVICE_CONTROL, INITIATE_FLR, INTERRUPT_DISABLE, MEMORY_SPACE, TestBus } from '../../test/support/pci-bus';
import { ManualClock } from '../clock';
import { registerMap } from '../registers';
import { PciCard } from './card';
import { type CardEvent } from './card-events';
import { IntxRelease } from './intx-release';
import { Irq, Region } from './vfio-layout';

const BAR0 = 0x10;
const COMMAND = 0x04;
const BASE = 0xfe80_0000;
const PORTS = registerMap({ DATA: { offset: 0, access: 'rw' } }, { sizeBytes: 16 });
const PAGE = registerMap({ DATA: { offset: 0, access: 'rw' } });

/** A card behind the stage, with BAR 0 at BASE, and what its observers see. */
function released() {
  const card = new LineCard({ clock: new ManualClock() });
  const release = new IntxRelease(card);
  const bus = new TestBus(release);
  const events: CardEvent[] = [];
  const stale: (number | undefined)[] = [];
  bus.setConfig(BAR0, BASE, 4);
  bus.command(MEMORY_SPACE);
  const [sink] = bus.connect(Irq.INTX);
  release.onStale = () => stale.push(release.expectRead());
  card.inspection.events.subscribe((event) => events.push(event));
  const last = release.layout.regions[0]!.sizeBytes - 1;
  return { card, bus, release, sink: sink!, events, stale, last };
}

describe('a line that the card takes down', () => {
  test('is stale until the client unmasks it', () => {
    const { card, bus, release, stale, last } = released();
    card.drive(true);
    expect([release.isNeeded, stale]).toEqual([false, []]);
    card.drive(false);
    expect([release.isNeeded, stale]).toEqual([true, [BASE + last]]);
    bus.irq('unmask', Irq.INTX);
    expect([release.isNeeded, release.expectRead()]).toEqual([false, undefined]);
  });

  test('is not stale when the client had not been triggered', () => {
    const { card, bus, stale } = released();
    bus.command(MEMORY_SPACE | INTERRUPT_DISABLE);
    card.drive(true);
    card.drive(false);
    expect(stale).toEqual([]);
  });

  test('is stale while Interrupt Disable is set, too', () => {
    const { card, bus, release } = released();
    card.drive(true);
    bus.command(MEMORY_SPACE | INTERRUPT_DISABLE);
    card.drive(false);
    expect(release.isNeeded).toBe(true);
  });

  test('asserted again before the client unmasks it is no longer stale, and triggers once more', () => {
    const { card, bus, release, sink } = released();
    card.drive(true);
    card.drive(false);
    card.drive(true);
    expect(release.isNeeded).toBe(false);
    bus.irq('unmask', Irq.INTX);
    expect(sink.triggers).toBe(2);
  });

  test('cannot be released while the BARs are not decoded, and can be when they are again', () => {
    const { card, bus, release, stale, last } = released();
    card.drive(true);
    bus.setConfig(COMMAND, 0, 2);
    card.drive(false);
    expect([release.expectRead(), stale]).toEqual([undefined, [undefined]]);
    bus.setConfig(BAR0, BASE + 0x10_0000, 4);
    bus.setConfig(COMMAND, MEMORY_SPACE, 2);
    expect(release.expectRead()).toBe(BASE + 0x10_0000 + last);
  });

  test('by a function-level reset can be released where the client still has the BARs, also once it decodes them again', () => {
    const { card, bus, release, last } = released();
    card.drive(true);
    bus.setConfig(DEVICE_CONTROL, INITIATE_FLR, 2);
    expect([bus.config(BAR0, 4), release.expectRead()]).toEqual([0, BASE + last]);
    bus.command(MEMORY_SPACE);
    expect(release.expectRead()).toBe(BASE + last);
  });

  test('by a reset can be released where the client still has the BARs', () => {
    const { card, release, last } = released();
    card.drive(true);
    release.reset();
    expect(release.expectRead()).toBe(BASE + last);
  });
});

describe('the read that releases a line', () => {
  test('does not reach the card, once', () => {
    const { card, bus, release, events, last } = released();
    card.drive(true);
    card.drive(false);
    release.expectRead();
    events.length = 0;
    bus.read(0, last, 1);
    expect(events).toEqual([]);
    bus.read(0, last, 1);
    expect(events).toMatchObject([{ kind: 'read', region: 0, offset: last }]);
  });

  test('leaves all other reads to the card, and every read once it is no longer expected', () => {
    const { card, bus, release, events, last } = released();
    card.drive(true);
    card.drive(false);
    release.expectRead();
    events.length = 0;
    bus.read(0, last - 3, 4);
    bus.read(0, 0, 1);
    bus.read(Region.CONFIG, last & 0xfff, 1);
    release.readDone();
    bus.read(0, last, 1);
    expect(events.filter(({ kind }) => kind === 'read')).toHaveLength(4);
  });
});

test('the byte is in no I/O BAR and not in the MSI-X table, which the client answers itself', () => {
  class TableCard extends PciCard {
    readonly ports = this.registerBar(0, PORTS, { io: true });
    readonly registers = this.registerBar(1, PAGE);

    constructor() {
      const msix = { bar: 1, vectors: 4, tableOffset: 0xfc0, pbaOffset: 0xf00 };
      super({ vendorId: 0x1234, deviceId: 2, classCode: 0x12_00_00, intx: 'A', msix }, { clock: new ManualClock() });
    }

    drive(asserted: boolean): void {
      this.interrupts.setIntx(asserted);
    }
  }
  const card = new TableCard();
  const release = new IntxRelease(card);
  const bus = new TestBus(release);
  bus.setConfig(BAR0, 0x1000, 4);
  bus.setConfig(BAR0 + 4, BASE, 4);
  bus.command(MEMORY_SPACE);
  bus.connect(Irq.INTX);
  card.drive(true);
  card.drive(false);
  expect(release.expectRead()).toBe(BASE + 0xfbf);
});
