/** Errors that a card tells in memory: what is said of those that nobody has loaded there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { loadNative } from '../../emulator/native';
import { PciCard } from '../../emulator/pci';
import { registerBlock, registerMap } from '../../emulator/registers';
import { FakePlugin } from '../../test/support/observer';
import { checksOf } from '../checks';
import { Observer, SharedFile } from '../observer';
import { ERRORS } from '../observer/layout';
import { traceOf } from '../trace';
import { RaceDetector } from './detector';

const REGISTERS = registerMap({
  DOORBELL: { offset: 0, access: 'rw' },
  STATUS: { offset: 4, access: 'ro', fields: { LATE: { bits: [0], role: 'error' } } },
});
const STATUS = 4;
const DESCRIPTOR = registerBlock({
  ADDRESS: { offset: 0, width: 64, access: 'rw' },
  LENGTH: { offset: 8, access: 'rw' },
  STATUS: { offset: 12, access: 'ro', fields: { DONE: [0], BAD: { bits: [3, 1], role: 'error' } } },
});
const BLOCK = registerBlock({
  INDEX: { offset: 0, access: 'ro' },
  STATUS: { offset: 4, access: 'ro', fields: { BAD: { bits: [0], role: 'error' } } },
});
const RING = 0x4000;
const WRITE_BACK = 0x5000;

class TellingCard extends PciCard {
  readonly registers = this.registerBar(0, REGISTERS);
  readonly #as = this.dmaChannel('TX', {
    doorbells: ['DOORBELL'],
    layouts: { 'descriptor': { fields: DESCRIPTOR }, 'write-back': { fields: BLOCK } },
  });
  readonly #descriptors = this.#as('descriptor');
  readonly #writeBack = this.#as('write-back');

  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x12_00_00 }, { clock: new ManualClock() });
  }

  /** Writes the status of a descriptor. */
  complete(slot: number, status: number): void {
    void this.#descriptors.write32(RING + 16 * slot + 12, status);
  }

  tell(status: number): void {
    void this.#writeBack.write(WRITE_BACK, Uint8Array.of(1, 0, 0, 0, status, 0, 0, 0));
  }
}

let file: SharedFile;
let plugin: FakePlugin;
let observer: Observer;
let card: TellingCard;
let host: InProcessHost;

beforeEach(() => {
  file = new SharedFile(loadNative(), { vcpus: 1, ram: [{ address: 0, sizeBytes: 2 ** 20 }] });
  plugin = new FakePlugin(file);
  observer = new Observer(file, 1);
  card = new TellingCard();
  const errors = new RaceDetector(file).watch(card, 'card', observer.observe(card, 'card'));
  checksOf(card).lookAtErrors(errors);
  host = new InProcessHost(card, { memoryIova: 0, memoryBytes: 2 ** 20 });
});
afterEach(() => {
  plugin[Symbol.dispose]();
  observer[Symbol.dispose]();
});

const ring = (): void => host.bar(0).write32(0, 1);

/** What is said when the driver has used the card once more and has gone. */
function noticed(): string[] {
  ring();
  checksOf(card).driverLeft('the command ./driver has ended');
  return traceOf(card).notices.map(({ text }) => text);
}

describe('an error that a card tells in memory', () => {
  it('is reported if nobody has loaded it when the driver goes, with its field', () => {
    card.complete(0, 1);
    card.complete(1, 0x4);
    card.tell(1);
    expect(noticed()).toEqual([
      'TX has told an error in memory at 0.000 us: STATUS 0x4 (BAD=2) at 0x401c (descriptor). The driver has accessed the ' +
        'card since, but nobody has read it there, nor in a register, and now the command ./driver has ended. Look at the ' +
        'status of what is complete, and at why something is not when a wait times out [error-unread]',
    ]);
  });

  it('is reported when the card is reset', () => {
    card.complete(0, 2);
    ring();
    host.reset('flr');
    expect(traceOf(card).notices).toHaveLength(1);
  });

  it.each<[string, () => void]>([
    ['has been loaded', () => plugin.load(RING + 12)],
    ['has been loaded with what lies beside it', () => plugin.load(RING + 8, 8)],
    ['is told in another place too, and has been loaded there', () => (card.tell(1), plugin.load(WRITE_BACK + 4))],
    ['is told again in a place where the driver does not look', () => (plugin.load(RING + 12), card.tell(1))],
    [
      'has been read in a register',
      () => {
        card.registers.set('STATUS.LATE', 1);
        host.bar(0).read32(STATUS);
        card.tell(1);
      },
    ],
  ])('is not reported if it %s', (_, act) => {
    card.complete(0, 2);
    act();
    expect(noticed()).toEqual([]);
  });

  it('is not reported to a driver that has not accessed the card since', () => {
    ring();
    card.complete(0, 2);
    checksOf(card).driverLeft('the command ./driver has ended');
    expect(traceOf(card).notices).toEqual([]);
  });

  it('is reported to a driver that has looked at an earlier one', () => {
    card.complete(0, 2);
    plugin.load(RING + 12);
    ring();
    card.complete(1, 2);
    expect(noticed()).toEqual([expect.stringContaining('at 0x401c (descriptor)')]);
  });

  it('is not a new one while the card goes on telling it', () => {
    card.tell(1);
    plugin.load(WRITE_BACK + 4);
    card.tell(1);
    expect(noticed()).toEqual([]);
  });

  it('is of the driver that it was told to', () => {
    card.complete(0, 2);
    expect(noticed()).toHaveLength(1);
    expect(noticed()).toHaveLength(1);
    expect(checksOf(card).counts).toMatchObject([{ kind: 'error-unread', times: 1, subjects: ['TX'] }]);
  });

  it('is looked after if there are not too many', () => {
    for (let slot = 0; slot < 2 * ERRORS; slot++) card.complete(slot, 2);
    for (let slot = 0; slot < ERRORS; slot++) plugin.load(RING + 16 * slot + 12);
    expect(noticed()).toEqual([]);
  });
});
