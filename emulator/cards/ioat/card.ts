/**
 * Intel I/OAT, the DMA engine of Xeon processors (QuickData Technology): copies and fills within host memory.
 *
 *   BAR0  16 KiB  registers (registers.ts), MSI-X table and pending bits
 *
 * On processors each channel is a function of its own; up to 16 in one function are what the registers allow, and up to 4
 * are what Linux' driver uses.
 *
 * Models: what registers.ts names; the places of MSI-X as lspci shows them.
 */
import { Link, type LinkModel, narrowPort, unlimitedLink } from '../../dma';
import { CardDefinitionError, type CardEnvironment, PciCard } from '../../pci';
import { checkWhole } from '../options';
import { IoatChannel } from './channel';
import { IOAT_COMPLETION, IOAT_DESCRIPTOR } from './descriptor';
import { IOAT_CONFIG, ioatRegisters } from './registers';

export interface IoatCardOptions extends CardEnvironment {
  /** 1 to 16. Default 1. */
  readonly channels?: number;
  /** Of the engine, which decides on the device id: 3.2 (Skylake, the default), 3.3 (Broadwell-DE), 3.4 (Ice Lake). */
  readonly version?: number;
  /** Log2 of the longest transfer, 12 to 31 (XFERCAP). Default 20: 1 MiB. */
  readonly transferBits?: number;
  /** MSI-X vectors, 0 to 16; 0: no MSI-X. Default: one for each channel, which is what Linux' driver requires. */
  readonly msixVectors?: number;
  /** Off: no MSI capability. Default on, with one vector. */
  readonly msi?: boolean;
  /** Off: no INTx pin. Default on. */
  readonly intx?: boolean;
  /** Address lines that the engine really has, 12 to 64: bits above are dropped without a word. Default 64. */
  readonly wrapsAtBits?: number;
  /** Width of the length counter, 1 to 32: of a longer transfer, what its low bits say is moved. Default 32. */
  readonly lengthBits?: number;
  /**
   * On: an interrupt that is due before the driver has enabled the next one is lost. Default off: it is sent then.
   */
  readonly losesInterrupts?: boolean;
  /** What the PCIe link costs in device time, and how late each completion is. Default: nothing. */
  readonly link?: Partial<LinkModel>;
}

/** As processors identify themselves: Skylake, Broadwell-DE and Ice Lake. */
const VERSIONS: Readonly<Record<number, { readonly deviceId: number; readonly cbver: number }>> = {
  3.2: { deviceId: 0x2021, cbver: 0x32 },
  3.3: { deviceId: 0x6f50, cbver: 0x33 },
  3.4: { deviceId: 0x0b00, cbver: 0x34 },
};

export class IoatCard extends PciCard {
  readonly registers;
  readonly #errors = this.configRegisters({ name: 'IOAT', map: IOAT_CONFIG });
  readonly #attention;
  readonly #link: Link;
  readonly #channels: readonly IoatChannel[];
  readonly #shown: Readonly<Record<'CHANCNT' | 'XFERCAP' | 'CBVER', number>>;

  constructor(options: IoatCardOptions = {}) {
    const { channels = 1, version = 3.2, transferBits = 20, msixVectors = channels, msi = true, intx = true } = options;
    checkWhole('channels', channels, 1, 16);
    checkWhole('transferBits', transferBits, 12, 31);
    checkWhole('msixVectors', msixVectors, 0, 16);
    checkWhole('wrapsAtBits', options.wrapsAtBits, 12, 64);
    checkWhole('lengthBits', options.lengthBits, 1, 32);
    const known = VERSIONS[version];
    if (known === undefined) {
      throw new CardDefinitionError(`version is ${version}: the card takes ${Object.keys(VERSIONS).join(', ')}`);
    }
    super(
      {
        ...{ vendorId: 0x8086, deviceId: known.deviceId, classCode: 0x08_80_00, revision: 4 },
        ...(intx && { intx: 'A' }),
        ...(msi && { msi: { vectors: 1 } }),
        ...(msixVectors > 0 && { msix: { bar: 0, vectors: msixVectors, tableOffset: 0x2000, pbaOffset: 0x3000 } }),
      },
      options,
    );
    const registers = (this.registers = this.registerBar(0, ioatRegisters(channels), { width: 64 }));
    this.#shown = { CHANCNT: channels, XFERCAP: transferBits, CBVER: known.cbver };
    this.#attention = this.interruptBlock(registers, {
      status: 'ATTNSTATUS',
      master: 'INTRCTRL', // either bit: MSI-X vector control does without MASTER_INT_EN
      messages: 'raise',
      vectors: (channel) => (registers.get('INTRCTRL.MSIX_VECTOR_CONTROL') ? channel : 0),
    });
    registers.onRead('INTRCTRL', (stored) => {
      if (registers.get('ATTNSTATUS') === 0) return stored;
      return stored | INT_STATUS | (stored & MASTER_INT_EN ? INT : 0);
    });
    this.#link = new Link(this.clock, { ...unlimitedLink, ...options.link });
    this.#channels = Array.from({ length: channels }, (_, index) => this.#makeChannel(index, options));
    this.#showOptions();
  }

  /** Registers are at their reset values when this is called. */
  protected override onReset(): void {
    this.#link.reset();
    for (const channel of this.#channels) channel.reset();
    this.#showOptions();
  }

  #makeChannel(index: number, options: IoatCardOptions): IoatChannel {
    const { transferBits = 20, lengthBits = 32, losesInterrupts = false, wrapsAtBits } = options;
    const name = `CH${index}`;
    const port = this.dmaChannel(name, {
      doorbells: [{ register: `CHANNEL[${index}].DMACOUNT`, rings: 'changed' }],
      layouts: {
        'descriptor': { fields: IOAT_DESCRIPTOR, requestsInterrupt: 'CONTROL.INT_EN' },
        'write-back': { fields: IOAT_COMPLETION },
      },
    });
    return new IoatChannel({
      ...{ clock: this.clock, link: this.#link, transferBits, lengthBits, losesInterrupts },
      registers: this.registers.block('CHANNEL', index),
      port: (role) => narrowPort(port(role), wrapsAtBits),
      interruptDelayUs: () => this.registers.get('INTRDELAY.DELAY_US'),
      interrupt: () => this.#attention.raise(index),
      onState: (state) => this.changed(name, state),
      onError: (bit) => this.#errors.set('CHANERR_INT', (this.#errors.get('CHANERR_INT') | bit) >>> 0),
    });
  }

  #showOptions(): void {
    for (const name of ['CHANCNT', 'XFERCAP', 'CBVER'] as const) this.registers.set(name, this.#shown[name]);
  }
}

const MASTER_INT_EN = 1 << 0;
const INT_STATUS = 1 << 1;
const INT = 1 << 2;

export default IoatCard;
