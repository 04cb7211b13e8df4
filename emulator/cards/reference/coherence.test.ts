/** The reference card without hardware coherence: what a driver that forgets to synchronise gets, every time. */
import { describe, expect, it } from 'vitest';
import { ChannelDriver } from '../../../test/support/reference-driver';
import { ManualClock } from '../../clock';
import { SYNC_ERRORS } from '../../dma';
import { type HostBuffer, InProcessHost } from '../../host';
import { ReferenceCard } from './card';
import { DESCRIPTOR_BYTES, ERROR_CODES } from './layout';
import { REFERENCE_REGISTERS } from './registers';

const SIZE = 256;

function setUp({ coherent = false } = {}) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock, coherent });
  const host = new InProcessHost(card);
  const registers = host.registers(0, REFERENCE_REGISTERS);
  const driver = new ChannelDriver(host, 'H2C');
  const reader = new ChannelDriver(host, 'C2H');
  const data = host.memory.allocate(SIZE);
  const target = host.memory.allocate(SIZE);
  data.bytes.fill(0x11);

  const synchronise = (how: 'FOR_DEVICE' | 'FOR_CPU', { iova, bytes }: Pick<HostBuffer, 'iova' | 'bytes'>) => {
    registers.write('SYNC[0].ADDRESS', BigInt(iova));
    registers.write('SYNC[0].SIZE', bytes.length);
    registers.write(`SYNC[0].${how}`, 1);
    return registers.read('SYNC[0].STATUS');
  };
  /** Data to the card, as a driver that knows its duties does it, but for what it is told to forget. */
  const send = (forget?: 'data' | 'descriptor') => {
    driver.prepare({ hostAddress: data.iova, lengthBytes: SIZE });
    if (forget !== 'data') synchronise('FOR_DEVICE', data);
    if (forget !== 'descriptor') synchronise('FOR_DEVICE', driver.ring);
    driver.doorbell();
    clock.runDue();
  };
  return { card, clock, data, driver, host, reader, registers, send, synchronise, target };
}

const memoryOf = (card: ReferenceCard) => card.memory.subarray(0, SIZE);

describe('a reference card that is not coherent', () => {
  it('says so in its capabilities, also after resets; a coherent card does not', () => {
    for (const coherent of [false, true]) {
      const { registers, host } = setUp({ coherent });
      const bit = () => (registers.read('CAPABILITIES') >>> 24) & 1;
      expect(bit()).toBe(coherent ? 0 : 1);
      registers.write('CONTROL', 1);
      expect(bit()).toBe(coherent ? 0 : 1);
      host.reset('flr');
      expect(bit()).toBe(coherent ? 0 : 1);
    }
  });

  it('moves what has been synchronised', () => {
    const { card, data, driver, send } = setUp();
    send();
    expect(memoryOf(card)).toEqual(data.bytes);
    expect(driver.state).toMatchObject({ halted: false, completed: 1 });
    expect(card.coherence?.counts).toMatchObject({ neverSynchronised: 0, stale: 0 });
  });

  it('moves the text of its poison when data were never synchronised, and the old data when they were once', () => {
    const { card, data, registers, send } = setUp();
    send('data');
    expect(Buffer.from(memoryOf(card)).toString()).toBe('NOT SYNCHRONISED'.repeat(SIZE / 16));
    expect(registers.read('SYNC[0].NEVER_SYNCED')).toBe(SIZE);
    send();
    data.bytes.fill(0x22);
    for (let time = 1; time <= 3; time++) {
      send('data');
      expect(memoryOf(card).every((byte) => byte === 0x11)).toBe(true);
      expect(registers.read('SYNC[0].STALE')).toBe(time * SIZE);
    }
    expect(registers.read('SYNC[0].BAD_READ_ADDRESS')).toBe(BigInt(data.iova));
  });

  it('finds no descriptor that it owns where the ring was not synchronised', () => {
    const { clock, driver, send, synchronise } = setUp();
    send('descriptor');
    expect(driver.state).toMatchObject({ halted: true, errorCode: ERROR_CODES.NOT_OWNED, errorIndex: 0 });
    synchronise('FOR_DEVICE', driver.ring);
    driver.clearError();
    clock.runDue();
    expect(driver.state).toMatchObject({ halted: false, completed: 1 });
  });

  it('keeps data, descriptor and write-back block to itself until they are synchronised for the processor', () => {
    const { clock, reader, send, synchronise, target } = setUp();
    send();
    reader.prepare({ hostAddress: target.iova, lengthBytes: SIZE });
    synchronise('FOR_DEVICE', reader.ring);
    reader.doorbell();
    clock.runDue();
    expect(reader.state.completed).toBe(1);
    expect(target.bytes.every((byte) => byte === 0)).toBe(true);
    expect(reader.ring32(0, 0) & 1).toBe(1);
    expect(reader.writeback.view.getUint32(0, true)).toBe(0);
    for (const buffer of [target, reader.ring, reader.writeback]) synchronise('FOR_CPU', buffer);
    expect(target.bytes.every((byte) => byte === 0x11)).toBe(true);
    expect(reader.ring32(0, 0) & 1).toBe(0);
    expect(reader.writeback.view.getUint32(0, true)).toBe(1);
  });

  it('forgets what was synchronised in every reset', () => {
    for (const reset of ['soft', 'flr'] as const) {
      const { card, driver, host, registers, send } = setUp();
      send();
      if (reset === 'soft') registers.write('CONTROL', 1);
      else host.reset('flr');
      driver.setUp();
      send('data');
      expect(Buffer.from(memoryOf(card)).toString()).toContain('NOT SYNCHRONISED');
    }
  });

  it('reports a synchronisation that could not be done, and the first one if there are several', () => {
    const { registers, synchronise } = setUp();
    const nowhere = { iova: 0xf_0000_0000, bytes: new Uint8Array(1) };
    expect(synchronise('FOR_DEVICE', nowhere)).toBe(2 | (SYNC_ERRORS.BAD_ADDRESS << 8));
    expect(synchronise('FOR_CPU', { iova: 0, bytes: new Uint8Array(0) })).toBe(2 | (SYNC_ERRORS.BAD_ADDRESS << 8));
    expect(registers.read('SYNC[0].ERROR_ADDRESS')).toBe(0xf_0000_0000n);
    registers.write('SYNC[0].STATUS', 2);
    expect(registers.read('SYNC[0].STATUS')).toBe(0);
    expect(synchronise('FOR_CPU', { iova: 0, bytes: new Uint8Array(0) })).toBe(2 | (SYNC_ERRORS.BAD_SIZE << 8));
  });

  it('refuses to synchronise more than its view holds', () => {
    const host = new InProcessHost(new ReferenceCard({ coherent: false }), { memoryBytes: 257 << 20 });
    const registers = host.registers(0, REFERENCE_REGISTERS);
    registers.write('SYNC[0].ADDRESS', BigInt(host.memory.iova));
    registers.write('SYNC[0].SIZE', 257 << 20);
    registers.write('SYNC[0].FOR_DEVICE', 1);
    expect(registers.read('SYNC[0].STATUS')).toBe(2 | (SYNC_ERRORS.VIEW_FULL << 8));
  });
});

describe('a coherent reference card', () => {
  it('needs no synchronising, and takes it without any effect', () => {
    const { card, data, driver, send, synchronise } = setUp({ coherent: true });
    expect(card.coherence).toBeUndefined();
    send('data');
    send('descriptor');
    expect(memoryOf(card)).toEqual(data.bytes);
    expect(driver.ring32(1, 0) & 1).toBe(0);
    expect(synchronise('FOR_DEVICE', { iova: 0xf_0000_0000, bytes: new Uint8Array(DESCRIPTOR_BYTES) })).toBe(0);
  });
});
