/** For (l): a card whose link carries transfers one after the other when it is told to, and that times them itself. */
import { Process } from '../../emulator/clock';
import { Link } from '../../emulator/dma';
import { type CardEnvironment, PciCard } from '../../emulator/pci';
import { registerMap } from '../../emulator/registers';

export const BYTES_PER_SECOND = 3.2e9;
export const TRANSFER_BYTES = 65_536;

export const LINK_BAR = 0;
export const LINK_REGISTERS = {
  TRANSFERS: { offset: 0, access: 'rw', doc: 'A write starts as many; 0 when they are done.' },
  NS: { offset: 4, access: 'ro', doc: 'What they have taken, by the clock of the host.' },
} as const;

export default class LinkCard extends PciCard {
  readonly registers = this.registerBar(LINK_BAR, registerMap(LINK_REGISTERS));
  readonly #link = new Link(this.clock, { bytesPerSecond: BYTES_PER_SECOND, completionLatencyNs: 0 });
  readonly #process = new Process(this.clock);

  constructor(environment: CardEnvironment = {}) {
    super({ vendorId: 0x1234, deviceId: 0x4773, classCode: 0x12_00_00 }, environment);
    this.registers.onWrite('TRANSFERS', ({ value }) => this.#process.start(this.#carry(value)));
  }

  *#carry(transfers: number) {
    const startedNs = process.hrtime.bigint();
    for (let count = 0; count < transfers; count++) yield { delayNs: this.#link.occupy('h2c', TRANSFER_BYTES) };
    this.registers.set('NS', Number(process.hrtime.bigint() - startedNs));
    this.registers.set('TRANSFERS', 0);
  }
}
