/** A small card for the tests of the matchers: START sets DONE after 10 us, interrupts and copies a buffer. */
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';

export const CONTROL = registerMap({
  CTRL: { offset: 0x00, access: 'rw', fields: { START: [0] } },
  STATUS: {
    offset: 0x04,
    access: 'ro',
    fields: { DONE: [0], BUSY: [1], MODE: { bits: [5, 4], values: { MEMORY: 0, LOOPBACK: 1 } } },
  },
  ADDRESS: { offset: 0x08, width: 64, access: 'rw' },
  LENGTH: { offset: 0x10, access: 'rw' },
  LANE: { offset: 0x100, stride: 0x10, count: 2, registers: { ERRORS: { offset: 0, access: 'rw' } } },
});
const SECOND = registerMap({
  STATUS: { offset: 0x00, access: 'rw', fields: { ALARM: [0] } },
  LEDS: { offset: 0x04, access: 'rw' },
});

export class TestCard extends PciCard {
  readonly control = this.registerBar(0, CONTROL);

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00, msix: { bar: 4, vectors: 4 } }, environment);
    this.control.onWrite('CTRL', () => this.clock.after(10_000, () => this.#finish()));
  }

  #finish(): void {
    const bytes = new Uint8Array(this.control.get('LENGTH'));
    const iova = Number(this.control.get('ADDRESS'));
    try {
      if (bytes.length > 0) this.dma.read(iova, bytes);
      bytes.reverse();
      if (bytes.length > 0) this.dma.write(iova, bytes);
    } catch {
      // The error is in the trace.
    }
    this.control.set('STATUS.DONE', 1);
    this.interrupts.signal(1);
  }
}

/** Has a second BAR with registers, one of which has the name of one in the first. */
export class TwoBarCard extends TestCard {
  readonly second = this.registerBar(2, SECOND);
}

/** Its registers are private, so that the compiler does not know them. */
export class SecretiveCard extends PciCard {
  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 2, classCode: 0x12_00_00 }, environment);
    this.registerBar(0, SECOND);
  }
}
