import { describe, expect, it } from 'vitest';
import {
  type CardEnvironment,
  type DmaChannelDeclaration,
  InProcessHost,
  ManualClock,
  PciCard,
  registerBlock,
  registerMap,
} from '../../emulator';
import { recordInMemory } from '../../test/support/traces';
import { traceStats } from '.';

const CHANNEL = registerBlock({
  DOORBELL: { offset: 0, access: 'wo' },
  CONTROL: { offset: 4, access: 'rw', fields: { RUN: [0] } },
});
const ENGINE = registerMap({ CH: { offset: 0, stride: 0x10, count: 11, registers: CHANNEL } });
const USER = registerMap({ SCRATCH: { offset: 0, access: 'rw' } });

interface Options extends CardEnvironment {
  readonly hasUserRegisters: boolean;
  readonly declares?: (channel: number) => DmaChannelDeclaration;
}

/** Reads host memory and interrupts, a microsecond after its doorbell. */
class Engine extends PciCard {
  constructor({ hasUserRegisters, declares, ...environment }: Options) {
    super({ vendorId: 0x1234, deviceId: 0x4799, classCode: 0x120000, msix: { bar: 2, vectors: 11 } }, environment);
    if (hasUserRegisters) this.registerBar(0, USER);
    const registers = this.registerBar(1, ENGINE);
    for (let channel = 0; channel < 11; channel++) {
      const name = `CH${channel}`;
      const port = declares
        ? this.dmaChannel(name, declares(channel))('data')
        : this.dmaAs({ channel: name, role: 'data' });
      const work = () => {
        void port.read(0x1000, new Uint8Array(4));
        this.interrupts.signal(channel);
      };
      const block = registers.block('CH', channel);
      block.onWrite('DOORBELL', () => this.clock.after(1000, work));
      block.onWrite('CONTROL', ({ value }) => value & 1 && this.clock.after(1000, work));
    }
  }
}

/** The channels whose doorbells were answered, with the latencies. */
function latenciesOf(options: Options, drive: (write: (offset: number, value: number) => void) => void) {
  const clock = new ManualClock();
  const card = new Engine({ ...options, clock });
  const events = recordInMemory(card);
  const host = new InProcessHost(card, { memoryIova: 0x1000 });
  host.useInterrupts('msix', 11);
  drive((offset, value) => {
    host.bar(1).write32(offset, value);
    clock.advance(300);
  });
  clock.advance(10_000);
  return traceStats({ events }).cards[0]!.latencies.map(({ channel, device }) => [channel, device.count, device.max]);
}

const DOORBELL = (channel: number) => channel * 0x10;
const CONTROL = (channel: number) => channel * 0x10 + 4;

describe('the doorbells of a channel', () => {
  it('are found by their names whether registers are in one BAR or in two', () => {
    for (const hasUserRegisters of [false, true]) {
      const latencies = latenciesOf({ hasUserRegisters }, (write) => {
        write(DOORBELL(0), 1);
        write(DOORBELL(1), 1);
      });
      expect(latencies).toEqual([
        ['CH0', 1, 1000],
        ['CH1', 1, 1000],
      ]);
    }
  });

  it('are not those of a channel whose number goes on', () => {
    const latencies = latenciesOf({ hasUserRegisters: false }, (write) => {
      write(DOORBELL(10), 1);
      write(DOORBELL(1), 1);
    });
    expect(latencies).toEqual([
      ['CH10', 1, 1000],
      ['CH1', 1, 1000],
    ]);
  });

  it('are the declared ones of a card that declares them, with the value that starts', () => {
    const declares = (channel: number) => ({ doorbells: [`CH[${channel}].CONTROL.RUN`] });
    const latencies = latenciesOf({ hasUserRegisters: true, declares }, (write) => {
      write(CONTROL(0), 1);
      write(CONTROL(1), 1);
      write(CONTROL(0), 0); // stops
      write(DOORBELL(3), 1); // is none by the declaration
    });
    expect(latencies).toEqual([
      ['CH0', 1, 1000],
      ['CH1', 1, 1000],
    ]);
  });
});
