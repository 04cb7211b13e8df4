import { describe, expect, it } from 'vitest';
import { applyFaults, type FaultDeclaration } from '../../../instrumentation/faults';
import { AxiDmaDriver, RUN } from '../../../test/support/axi-dma-driver';
import { recordInMemory } from '../../../test/support/traces';
import { ManualClock } from '../../clock';
import { StreamFifo } from '../../dma';
import { InProcessHost } from '../../host';
import { CardDefinitionError } from '../../pci';
import { registerMap } from '../../registers';
import { AxiDmaCard, type AxiDmaCardOptions } from './card';
import { AXI_DMA_CHANNEL } from './registers';

const [CMPLT, DEC_ERR, SLV_ERR, INT_ERR, SOF, EOF] = [31, 30, 29, 28, 27, 26].map((bit) => 2 ** bit) as number[] &
  Record<'0' | '1' | '2' | '3' | '4' | '5', number>;
const [RESET, CYCLIC] = [1 << 2, 1 << 4];
const [IOC, DLY, ERR] = [1 << 12, 1 << 13, 1 << 14];
const NOWHERE = 0x7000_0000;

function setUp(options: AxiDmaCardOptions = {}, faults: FaultDeclaration[] = []) {
  const clock = new ManualClock();
  const card = new AxiDmaCard({ ...options, clock });
  const events = recordInMemory(card);
  applyFaults(card, faults);
  const host = new InProcessHost(card);
  host.useInterrupts('intx');
  const [mm2s, s2mm] = [new AxiDmaDriver(host, 'MM2S'), new AxiDmaDriver(host, 'S2MM')];
  const source = host.memory.allocate(1 << 16, 4096);
  const target = host.memory.allocate(1 << 16, 4096);
  source.bytes.forEach((_, at) => (source.bytes[at] = at % 251));
  const send = (lengthBytes: number, more = {}) => ({
    ...{ hostAddress: source.iova, lengthBytes, startOfPacket: 1, endOfPacket: 1 },
    ...more,
  });
  const receive = (lengthBytes: number, offset = 0) => ({ hostAddress: target.iova + offset, lengthBytes });
  const start = () => (s2mm.start(), mm2s.start());
  return { card, clock, events, host, mm2s, receive, s2mm, send, source, start, target };
}

const FLAGS = registerMap({ CHANNEL: { offset: 0, registers: AXI_DMA_CHANNEL } })
  .registers.find(({ name }) => name === 'DMASR')!
  .fields.filter(({ name }) => name !== 'SG_INCLD' && name !== 'IRQ_THRESHOLD_STS');
const stateOf = (driver: AxiDmaDriver) => {
  const status = driver.read('DMASR');
  return FLAGS.flatMap(({ name, lsb }) => ((status >>> lsb) & 1 ? [name] : []));
};

describe('a channel of AXI DMA with scatter-gather', () => {
  it('is halted after a reset, with a threshold of 1, and runs to the tail when that is written', () => {
    const { clock, mm2s, s2mm, send, source, receive, start, target } = setUp();
    expect([mm2s.read('DMACR'), mm2s.read('DMASR')].map((value) => value.toString(16))).toEqual(['10002', '10009']);
    start();
    expect(stateOf(mm2s)).toEqual([]);
    s2mm.submit(receive(1000), receive(1000, 1000));
    mm2s.submit(
      send(300, { endOfPacket: 0 }),
      send(400, { startOfPacket: 0, hostAddress: source.iova + 300 }),
      send(50),
    );
    clock.runDue();
    expect([0, 1, 2].map((index) => mm2s.statusOf(index))).toEqual([CMPLT + 300, CMPLT + 400, CMPLT + 50]);
    expect([0, 1].map((index) => s2mm.statusOf(index))).toEqual([CMPLT + SOF + EOF + 700, CMPLT + SOF + EOF + 50]);
    expect(target.bytes.subarray(0, 700)).toEqual(source.bytes.subarray(0, 700));
    expect(target.bytes.subarray(1000, 1050)).toEqual(source.bytes.subarray(0, 50));
    expect([stateOf(mm2s), stateOf(s2mm)]).toEqual([
      ['IDLE', 'IOC_IRQ'],
      ['IDLE', 'IOC_IRQ'],
    ]);
    expect(s2mm.read('CURDESC')).toBe(s2mm.addressOf(1));
  });

  it('spreads a packet over descriptors, and marks where it begins and ends', () => {
    const { clock, mm2s, s2mm, send, receive, start } = setUp();
    start();
    s2mm.submit(receive(400), receive(400, 400), receive(400, 800));
    mm2s.submit(send(1000));
    clock.runDue();
    const statuses = [0, 1, 2].map((index) => s2mm.statusOf(index));
    expect(statuses).toEqual([CMPLT + SOF + 400, CMPLT + 400, CMPLT + EOF + 200]);
  });

  it('goes around its ring, also with the tail where it was, reads no descriptor behind it, and waits for a stream', () => {
    const { clock, events, mm2s, s2mm, send, receive, start } = setUp();
    start();
    for (let round = 0; round < 3; round++) {
      s2mm.submit(...Array.from({ length: 8 }, () => receive(100)));
      mm2s.submit(...Array.from({ length: 8 }, () => send(100)));
      clock.runDue();
      expect([stateOf(mm2s), stateOf(s2mm)].flat()).toEqual(['IDLE', 'IOC_IRQ', 'IDLE', 'IOC_IRQ']);
    }
    mm2s.submit(send(10), send(10));
    clock.runDue();
    const reads = events.flatMap((event) =>
      event.kind === 'dma-read' && event.role === 'descriptor' && event.channel === 'MM2S' ? [event.sizeBytes] : [],
    );
    expect(reads.slice(0, 3)).toEqual([52, 64 * 7 - 12, 52]);
    expect(reads.slice(-2)).toEqual([52, 52]);
    s2mm.submit(receive(100), receive(100), receive(100));
    clock.runDue();
    expect(stateOf(s2mm)).toEqual(['IOC_IRQ']);
  });

  it('takes no notice of the tail while it is halted, nor of CURDESC while it is not', () => {
    const { clock, mm2s, send } = setUp();
    mm2s.submit(send(100));
    mm2s.start();
    clock.runDue();
    expect(mm2s.statusOf(0)).toBe(0);
    mm2s.setPointer('CURDESC', mm2s.addressOf(5));
    expect(mm2s.read('CURDESC')).toBe(mm2s.addressOf(1));
  });

  it('starts with the upper half of the tail, or, with 32 address bits, with the lower', () => {
    for (const addressBits of [32, 40]) {
      const { clock, mm2s, send } = setUp({ addressBits });
      mm2s.start();
      mm2s.prepare(send(100));
      mm2s.write('TAILDESC', mm2s.addressOf(0));
      clock.runDue();
      expect(mm2s.statusOf(0)).toBe(addressBits === 32 ? CMPLT + 100 : 0);
      mm2s.write('TAILDESC_MSB', 0);
      clock.runDue();
      expect(mm2s.statusOf(0)).toBe(CMPLT + 100);
    }
  });

  it('stops when RS is cleared, after the descriptor in hand, and begins again at CURDESC', () => {
    const { clock, mm2s, send } = setUp({ link: { completionLatencyNs: 1000 } });
    mm2s.start();
    mm2s.submit(send(10), send(20), send(30));
    clock.advance(500);
    mm2s.write('DMACR', RUN & ~1);
    expect(stateOf(mm2s)).toEqual([]);
    clock.advance(5000);
    expect(stateOf(mm2s)).toEqual(['HALTED', 'IOC_IRQ']);
    expect([0, 1].map((index) => mm2s.statusOf(index))).toEqual([CMPLT + 10, 0]);
    mm2s.index = 1;
    mm2s.start();
    mm2s.submit(send(20));
    clock.advance(5000);
    expect(mm2s.statusOf(1)).toBe(CMPLT + 20);
  });

  it('runs through a chain again and again in cyclic mode, over what is complete', () => {
    const { clock, mm2s, s2mm, send, receive } = setUp({ link: { bytesPerSecond: 1e9 } });
    s2mm.start(RUN | CYCLIC);
    mm2s.start(RUN | CYCLIC);
    s2mm.submit(...Array.from({ length: 8 }, () => receive(100)));
    mm2s.submit(...Array.from({ length: 8 }, () => send(100)));
    clock.advance(100 * 100 - 50);
    expect(stateOf(mm2s)).toEqual(['IOC_IRQ']);
    expect(mm2s.read('CURDESC')).toBe(mm2s.addressOf(99));
    mm2s.write('DMACR', 0);
    clock.advance(1000);
    expect(stateOf(mm2s)).toContain('HALTED');
  });

  it('takes of a length what its register holds: 20000 bytes are 3616 with 14 bits', () => {
    const { clock, mm2s, s2mm, send, receive, start } = setUp({ lengthBits: 14 });
    start();
    s2mm.submit(receive(16_000));
    mm2s.submit(send(20_000));
    clock.runDue();
    expect([mm2s.statusOf(0), s2mm.statusOf(0)]).toEqual([CMPLT + 3616, CMPLT + SOF + EOF + 3616]);
  });

  it.each<[string, number, (with_: ReturnType<typeof setUp>) => void, FaultDeclaration[]]>([
    ['DMA_INT_ERR', CMPLT + INT_ERR, ({ mm2s, send }) => mm2s.submit(send(0)), []],
    ['DMA_DEC_ERR', CMPLT + DEC_ERR, ({ mm2s, send }) => mm2s.submit(send(10, { hostAddress: NOWHERE })), []],
    [
      'DMA_SLV_ERR',
      CMPLT + SLV_ERR,
      ({ mm2s, send }) => mm2s.submit(send(10)),
      [{ fault: 'dma-failed', reason: 'completer-abort', role: 'data' }],
    ],
    ['SG_INT_ERR', CMPLT + 7, ({ mm2s, send }) => mm2s.submit(send(10, { status: CMPLT + 7 })), []],
    ['SG_DEC_ERR', 0, ({ mm2s }) => mm2s.setPointer('TAILDESC', NOWHERE), []],
    [
      'SG_SLV_ERR',
      0,
      ({ mm2s, send }) => mm2s.submit(send(10)),
      [{ fault: 'dma-failed', reason: 'poisoned', role: 'descriptor' }],
    ],
  ])('halts on %s, and runs only after a reset', (name, status, cause, faults) => {
    const all = setUp({}, faults);
    const { clock, host, mm2s, send } = all;
    if (name === 'SG_DEC_ERR') {
      mm2s.setPointer('CURDESC', NOWHERE);
      mm2s.write('DMACR', RUN);
    } else mm2s.start();
    cause(all);
    clock.runDue();
    const halted = ['HALTED', name, 'ERR_IRQ'];
    expect(stateOf(mm2s)).toEqual(halted);
    expect([mm2s.read('DMACR') & 1, mm2s.statusOf(0), host.interrupts.count()]).toEqual([0, status, 1]);
    expect(mm2s.read('CURDESC')).toBe(name === 'SG_DEC_ERR' ? NOWHERE : mm2s.addressOf(0));
    mm2s.start();
    mm2s.submit(send(10));
    clock.runDue();
    expect(stateOf(mm2s)).toEqual(halted);
    mm2s.write('DMACR', RESET);
    expect([mm2s.read('DMACR'), stateOf(mm2s)]).toEqual([0x1_0002, ['HALTED']]);
    mm2s.start();
    mm2s.submit(send(10));
    clock.runDue();
    expect(stateOf(mm2s)).toEqual(['IDLE', 'IOC_IRQ']);
  });

  it('is reset with the other channel, and what is in the loopback with it', () => {
    const { clock, host, mm2s, s2mm, send, receive, start } = setUp();
    start();
    s2mm.submit(receive(100), receive(100));
    mm2s.submit(send(100), send(50, { endOfPacket: 0 }));
    clock.runDue();
    s2mm.write('DMACR', RESET);
    expect([stateOf(mm2s), stateOf(s2mm)]).toEqual([['HALTED'], ['HALTED']]);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(1);
    start();
    s2mm.submit(receive(100));
    mm2s.submit(send(30));
    clock.runDue();
    expect(s2mm.statusOf(2)).toBe(CMPLT + SOF + EOF + 30);
  });
});

describe('interrupts of AXI DMA', () => {
  it('come after as many packets as the threshold says, and stay until they are acknowledged', () => {
    const { clock, host, mm2s, send } = setUp();
    mm2s.start(0x0003_1001);
    mm2s.submit(send(1), send(1, { endOfPacket: 0 }), send(1));
    clock.runDue();
    expect([stateOf(mm2s), (mm2s.read('DMASR') >>> 16) & 0xff, host.interrupts.count()]).toEqual([['IDLE'], 1, 0]);
    mm2s.submit(send(1));
    clock.runDue();
    expect([stateOf(mm2s), (mm2s.read('DMASR') >>> 16) & 0xff]).toEqual([['IDLE', 'IOC_IRQ'], 3]);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
    mm2s.write('DMASR', IOC);
    host.interrupts.unmaskIntx();
    expect(host.interrupts.count()).toBe(2);
  });

  it('come a time after the last packet: 125 cycles for each unit of the delay', () => {
    const { clock, host, mm2s, send } = setUp({ clockMhz: 125 });
    mm2s.start(0x0203_3001);
    mm2s.submit(send(1));
    clock.advance(1500);
    mm2s.submit(send(1));
    clock.advance(1999);
    expect(host.interrupts.count()).toBe(0);
    clock.advance(1);
    expect([stateOf(mm2s), (mm2s.read('DMASR') >>> 16) & 0xff, host.interrupts.count()]).toEqual([
      ['IDLE', 'DLY_IRQ'],
      3,
      1,
    ]);
    mm2s.write('DMASR', DLY);
    expect(stateOf(mm2s)).toEqual(['IDLE']);
  });

  it('do not come while they are not enabled, and a threshold of 0 is not taken', () => {
    const { clock, host, mm2s, send } = setUp();
    mm2s.start(0x0000_0001);
    expect(mm2s.read('DMACR')).toBe(0x1_0003);
    mm2s.submit(send(1), send(0));
    clock.runDue();
    expect([stateOf(mm2s), host.interrupts.count()]).toEqual([['HALTED', 'DMA_INT_ERR', 'IOC_IRQ', 'ERR_IRQ'], 0]);
    mm2s.write('DMACR', ERR);
    expect(host.interrupts.count()).toBe(1);
  });
});

describe('AXI DMA without scatter-gather', () => {
  it('moves what its registers say when LENGTH is written, and shows how much it has received', () => {
    const { clock, mm2s, s2mm, source, target, host } = setUp({ scatterGather: false });
    for (const [driver, buffer] of [
      [s2mm, target],
      [mm2s, source],
    ] as const) {
      driver.setPointer('ADDRESS', buffer.iova);
      driver.write('LENGTH', 5000);
      driver.write('DMACR', RUN);
      expect(driver.read('DMASR') & 0xffff).toBe(0);
    }
    s2mm.write('LENGTH', 8000);
    mm2s.write('LENGTH', 5000);
    clock.runDue();
    expect([stateOf(mm2s), stateOf(s2mm)].flat()).toEqual(['IDLE', 'IOC_IRQ', 'IDLE', 'IOC_IRQ']);
    expect([s2mm.read('LENGTH'), mm2s.read('LENGTH'), host.interrupts.count()]).toEqual([5000, 5000, 1]);
    expect(target.bytes.subarray(0, 5001)).toEqual(Uint8Array.of(...source.bytes.subarray(0, 5000), 0));
  });

  it('halts on a packet that is longer than LENGTH, and on an address that there is not', () => {
    const { clock, mm2s, s2mm, source, target } = setUp({ scatterGather: false });
    s2mm.setPointer('ADDRESS', target.iova);
    mm2s.setPointer('ADDRESS', source.iova);
    for (const driver of [s2mm, mm2s]) driver.write('DMACR', RUN);
    s2mm.write('LENGTH', 100);
    mm2s.write('LENGTH', 101);
    clock.runDue();
    expect(stateOf(s2mm)).toEqual(['HALTED', 'DMA_INT_ERR', 'ERR_IRQ']);
    mm2s.setPointer('ADDRESS', NOWHERE);
    mm2s.write('LENGTH', 101);
    clock.runDue();
    expect(stateOf(mm2s)).toEqual(['HALTED', 'DMA_DEC_ERR', 'IOC_IRQ', 'ERR_IRQ']);
  });
});

describe('AxiDmaCard', () => {
  it('has the streams of an author in place of the loopback', () => {
    const [sent, received] = [new StreamFifo(1024), new StreamFifo(1024)];
    const { clock, mm2s, s2mm, send, receive, start, target } = setUp({ stream: { sink: sent, source: received } });
    start();
    mm2s.submit(send(10));
    s2mm.submit(receive(100));
    clock.runDue();
    expect(sent.fillBytes).toBe(10);
    received.reserve(0, 3)!.fill(7);
    received.commit(3, true);
    clock.runDue();
    expect([s2mm.statusOf(0), ...target.bytes.subarray(0, 4)]).toEqual([CMPLT + SOF + EOF + 3, 7, 7, 7, 0]);
  });

  it('sees memory only as the driver has synchronised it, if it is not coherent', () => {
    const { card, clock, mm2s, send } = setUp({ coherent: false });
    const synchronise = (address: number, how: 'FOR_DEVICE' | 'FOR_CPU') => {
      mm2s.registers.write('SYNC[0].ADDRESS', BigInt(address));
      mm2s.registers.write('SYNC[0].SIZE', 64);
      mm2s.registers.write(`SYNC[0].${how}`, 1);
    };
    mm2s.prepare(send(10));
    synchronise(mm2s.addressOf(0), 'FOR_DEVICE');
    mm2s.index = 0;
    mm2s.start();
    mm2s.submit(send(10));
    clock.runDue();
    expect([stateOf(mm2s), mm2s.statusOf(0)]).toEqual([['IDLE', 'IOC_IRQ'], 0]);
    synchronise(mm2s.addressOf(0), 'FOR_CPU');
    expect([mm2s.statusOf(0), card.coherence?.counts.neverSynchronised]).toEqual([CMPLT + 10, 10]);
  });

  it('refuses options that no such core has', () => {
    expect(() => new AxiDmaCard({ lengthBits: 27 })).toThrow(CardDefinitionError);
    expect(() => new AxiDmaCard({ addressBits: 16 })).toThrow('addressBits is 16');
  });
});
