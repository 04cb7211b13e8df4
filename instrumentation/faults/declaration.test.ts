import { describe, expect, it } from 'vitest';
import { faultyReference } from '../../test/support/faulty-reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { PciCard } from '../../emulator/pci';
import { type DmaError, type RemoteMemory } from '../../emulator/memory';
import { applyFaults, type FaultDeclaration, FaultDeclarationError, wordUnfired } from '.';

/** What a file may hold. */
const declared = (...faults: unknown[]) => faults as FaultDeclaration[];

/** A card that does not name the channels and roles of its DMA. */
class PlainCard extends PciCard {
  constructor(readonly time = new ManualClock()) {
    super({ vendorId: 0x1234, deviceId: 2, classCode: 0, intx: 'A' }, { clock: time });
    this.memoryBar(0, 4096);
  }

  read(iova: number, into: Uint8Array): Promise<void> {
    return this.dma.read(iova, into).promise();
  }
}

describe('a wrong declaration is refused', () => {
  it.each([
    ['no object', 5, /fault 1: a fault is an object such as .*, not 5/],
    ['an unknown kind', { fault: 'interupt-droped' }, /fault is "interupt-droped"; the nearest .*: interrupt-dropped/],
    ['no kind', { vector: 1 }, /fault is missing; .*interrupt-dropped/],
    [
      'an unknown key',
      { fault: 'write-lost', vectr: 1 },
      /\(write-lost\): it has no 'vectr'; what it may have: .*register/,
    ],
    [
      'an occurrence of 0',
      { fault: 'write-lost', occurrence: 0 },
      /occurrence is 0; it must be a whole number from 1 up/,
    ],
    ['an empty range', { fault: 'write-lost', occurrence: { from: 3, to: 2 } }, /occurrence is {"from":3,"to":2}/],
    ['a negative delay', { fault: 'dma-delayed', delayNs: -1 }, /delayNs is -1; it must be a whole number from 0 up/],
    ['no delay', { fault: 'interrupt-delayed' }, /delayNs is missing/],
    ['too long a delay', { fault: 'device-slow', delayNs: 2e9 }, /delayNs is 2000000000; .* to 1000000000/],
    ['two places', { fault: 'write-lost', register: 'ID', bar: 0 }, /register says where; leave out bar and offset/],
    ['an offset of nothing', { fault: 'write-lost', offset: { from: 0 } }, /offset is in a BAR: say which/],
    ['no address', { fault: 'dma-truncated', bytes: 0, iova: { from: 'x' } }, /iova is {"from":"x"}/],
    ['no trigger', { fault: 'surprise-removal' }, /on is missing; it must be one of 'read', .* or atNs must say when/],
    ['two triggers', { fault: 'surprise-removal', on: 'read', atNs: 5 }, /at a time \(atNs\) or on an event \(on\)/],
    ['a trigger it cannot have', { fault: 'interrupt-spurious', on: 'interrupt' }, /on is "interrupt"/],
    [
      'an unknown register',
      { fault: 'write-lost', register: 'H2C[*].DORBELL' },
      /no register .*; the nearest are H2C\[0\].DOORBELL/,
    ],
    [
      'an unknown field',
      { fault: 'field-stuck', field: 'H2C[0].STATUS.BUZY', value: 1 },
      /the nearest are H2C\[0\].STATUS.BUSY/,
    ],
    [
      'a value that does not fit',
      { fault: 'field-stuck', field: 'H2C[0].STATUS.BUSY', value: 2 },
      /value is 2; .*BUSY has 1 bit/,
    ],
    [
      'an unknown channel',
      { fault: 'dma-delayed', delayNs: 1, channel: 'H2C7' },
      /no DMA channel 'H2C7'; the nearest are H2C0, H2C1, C2H0/,
    ],
    ['a vector that there is not', { fault: 'interrupt-dropped', vector: 8 }, /no vector 8; it has 0 to 7/],
    ['a BAR that there is not', { fault: 'write-lost', bar: 1 }, /the card has no BAR 1/],
    ['an offset beyond the BAR', { fault: 'write-lost', bar: 0, offset: { from: '0x4000' } }, /BAR 0 has 16384 bytes/],
  ])('%s', (_, fault, message) => {
    expect(() => faultyReference(declared(fault))).toThrow(FaultDeclarationError);
    expect(() => faultyReference(declared(fault))).toThrow(message);
  });

  it('with its place among the others', () => {
    const faults = declared({ fault: 'write-lost' }, { fault: 'write-lost', register: 'X' });
    expect(() => faultyReference(faults)).toThrow(/^fault 2 \(write-lost\): the card has no register 'X'/);
  });

  it('when two have the same name', () => {
    const faults = declared({ fault: 'write-lost', name: 'a' }, { fault: 'write-lost', name: 'a' });
    expect(() => faultyReference(faults)).toThrow("fault 2 (write-lost): there is a fault 'a' already");
  });

  it('when the card does not name what the fault is about', () => {
    const channel = declared({ fault: 'dma-delayed', delayNs: 1, channel: 'H2C0' });
    expect(() => applyFaults(new PlainCard(), channel)).toThrow(/the card does not name the channels of its DMA/);
    const role = declared({ fault: 'reset-in-transfer' });
    expect(() => applyFaults(new PlainCard(), role)).toThrow(/no DMA of the role data; it has other/);
    const register = declared({ fault: 'write-lost', register: 'STATUS' });
    expect(() => applyFaults(new PlainCard(), register)).toThrow(/no register 'STATUS'; the nearest are config:STATUS/);
  });

  it('when the card has faults already', () => {
    const card = new PlainCard();
    applyFaults(card, []);
    expect(() => applyFaults(card, [])).toThrow('the card has faults already');
  });
});

describe('a fault that has not fired', () => {
  it('says which events it waited for, and how many came', () => {
    using rig = faultyReference([
      { fault: 'write-lost', register: 'H2C[0].DOORBELL', occurrence: 3 },
      { fault: 'interrupt-dropped', vector: 2, occurrence: { every: 2 }, timeNs: { from: 100 } },
      { fault: 'dma-truncated', name: 'short', bytes: 8, channel: 'C2H1', role: 'data', occurrence: 'all' },
      { fault: 'surprise-removal', atNs: 1e9 },
      { fault: 'write-lost', mayNotFire: true, register: 'CONTROL' },
    ]);
    rig.useInterrupts();
    rig.channel('H2C').submit({ hostAddress: rig.host.memory.iova, lengthBytes: 64 });
    rig.trigger(2);
    rig.clock.runDue();
    expect(rig.faulty.unfired.map((fault) => wordUnfired('reference', fault))).toEqual([
      "The fault 'write-lost' of the card 'reference' has not fired: it waited for occurrence 3 of writes to " +
        'H2C[0].DOORBELL; 1 of 29 writes to the card matched',
      "The fault 'interrupt-dropped' of the card 'reference' has not fired: it waited for one in 2 of interrupts of " +
        'vector 2 at device times 100 and above ns; 0 of 1 interrupts matched',
      "The fault 'short' of the card 'reference' has not fired: it waited for any of DMA accesses of role data by C2H1 " +
        'of more than 8 bytes; 0 of 8 DMA accesses matched',
      "The fault 'surprise-removal' of the card 'reference' has not fired: it waited for device time 1000000000 ns",
    ]);
  });
});

describe('a fault at memory that is reached by message', () => {
  it('works: a delayed access is sent later, a corrupted read is corrupted when its data have come', async () => {
    const card = new PlainCard();
    applyFaults(card, [
      { fault: 'dma-corrupted', byte: 1, xor: 0xff, occurrence: 'all' },
      { fault: 'dma-delayed', delayNs: 100 },
    ]);
    new InProcessHost(card, { memoryBytes: 4096 }).enumerate();
    const answers: (() => void)[] = [];
    const memory: RemoteMemory = {
      read: (_, into) => new Promise((done) => answers.push(() => (into.fill(1), done()))),
      write: () => Promise.resolve(),
    };
    const range = { iova: 0x10_0000_0000n, sizeBytes: 4096n, readable: true, writable: true };
    card.inspection.device.mapDma({ ...range, backing: { kind: 'remote', memory } });
    const bytes = new Uint8Array(3);
    const reading = card.read(0x10_0000_0000, bytes);
    card.time.advance(99);
    expect(answers).toHaveLength(0);
    card.time.advance(1);
    answers.forEach((answer) => answer());
    await reading;
    expect([...bytes]).toEqual([1, 0xfe, 1]);
    expect(() => card.read(0, bytes)).toThrow(
      expect.objectContaining({ reason: 'unmapped' } satisfies Partial<DmaError>),
    );
  });

  it('fails a delayed access that the client refuses, or that a reset discards, like any other', async () => {
    const card = new PlainCard();
    applyFaults(card, [{ fault: 'dma-delayed', delayNs: 100, occurrence: 'all' }]);
    const host = new InProcessHost(card, { memoryBytes: 4096 });
    const refused = expect(card.read(0, new Uint8Array(4))).rejects.toMatchObject({ reason: 'unmapped' });
    card.time.advance(100);
    await refused;
    const dropped = expect(card.read(host.memory.iova, new Uint8Array(4))).rejects.toMatchObject({ reason: 'reset' });
    host.reset();
    await dropped;
  });
});
