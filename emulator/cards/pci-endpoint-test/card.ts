/**
 * The kernel's PCI endpoint test function, as an endpoint controller of Linux would present it: reads, writes and copies
 * host memory, with a CRC to check the bytes by, and raises every interrupt. Its driver is pci_endpoint_test.
 *
 *   BAR0      64 KiB           registers (registers.ts), MSI-X table and pending bits
 *   BAR1 … 5  512 B to 1 MiB   memory
 *
 * Models: Linux Documentation/PCI/endpoint/pci-test-function.rst; what it leaves open, such as the sizes of the BARs, as
 * drivers/pci/endpoint/functions/pci-epf-test.c does it.
 */
import { Process, type Wait } from '../../clock';
import { HostCopier, Link, type LinkModel, lowBits, narrowPort, PostedPort, transfer, unlimitedLink } from '../../dma';
import { DmaError, type DmaPort } from '../../memory';
import { CardDefinitionError, type CardEnvironment, PciCard } from '../../pci';
import { checkWhole } from '../options';
import { Payload } from './payload';
import { IRQ_TYPES, PCI_ENDPOINT_TEST_REGISTERS } from './registers';

export interface PciEndpointTestCardOptions extends CardEnvironment {
  /** 1, 2, 4, 8, 16 or 32; 0: no MSI. Default 32. */
  readonly msiVectors?: number;
  /** 0 to 2048; 0: no MSI-X. Default 32. */
  readonly msixVectors?: number;
  /** Off: no INTx pin. Default on. */
  readonly intx?: boolean;
  /** Off: the endpoint has no DMA engine, and a command that asks for it is not answered. Default on. */
  readonly dma?: boolean;
  /** Address lines that the endpoint really has, 12 to 64: bits above are dropped without a word. Default 64. */
  readonly wrapsAtBits?: number;
  /** Width of the length counter, 1 to 32: of a longer transfer, what its low bits say is moved. Default 32. */
  readonly lengthBits?: number;
  /** Offer the memory of the BARs from 4 KiB on to the guest as shared memory. Default off. */
  readonly mapMemory?: boolean;
  /** What the PCIe link costs in device time, and how late each command is complete. Default: nothing. */
  readonly link?: Partial<LinkModel>;
}

/** By BAR, from BAR1. */
const MEMORY_BYTES = [512, 1024, 16 << 10, 128 << 10, 1 << 20];
/** Room for 2048 vectors in front of the pending bits. */
const MSIX_PLACE = { bar: 0, tableOffset: 0x1000, pbaOffset: 0xa000 };

type Transfer = 'READ' | 'WRITE' | 'COPY';

export class PciEndpointTestCard extends PciCard {
  readonly registers = this.registerBar(0, PCI_ENDPOINT_TEST_REGISTERS);
  readonly #process = new Process(this.clock);
  readonly #payload = new Payload();
  readonly #link: Link;
  /** Who moves the data, for traces and injected faults: the endpoint's processor or its DMA engine. */
  readonly #movers: { readonly CPU: Mover; readonly DMA?: Mover };
  readonly #lengthBits: number;
  readonly #capabilities: Readonly<Record<'MSI' | 'MSIX' | 'INTX', number>>;

  constructor(options: PciEndpointTestCardOptions = {}) {
    const { msiVectors = 32, msixVectors = 32, intx = true, dma = true, mapMemory = false } = options;
    checkWhole('msixVectors', msixVectors, 0, 2048);
    checkWhole('wrapsAtBits', options.wrapsAtBits, 12, 64);
    checkWhole('lengthBits', options.lengthBits, 1, 32);
    if (![0, 1, 2, 4, 8, 16, 32].includes(msiVectors)) {
      throw new CardDefinitionError(`msiVectors is ${msiVectors}: the card takes 0, 1, 2, 4, 8, 16 and 32`);
    }
    super(
      {
        ...{ vendorId: 0x104c, deviceId: 0xb500, classCode: 0xff_00_00 },
        ...(intx && { intx: 'A' }),
        ...(msiVectors > 0 && { msi: { vectors: msiVectors } }),
        ...(msixVectors > 0 && { msix: { ...MSIX_PLACE, vectors: msixVectors } }),
      },
      options,
    );
    for (const [index, sizeBytes] of MEMORY_BYTES.entries()) {
      const mappable = mapMemory && sizeBytes >= 4096;
      this.memoryBar(index + 1, sizeBytes, { width: 32, prefetchable: false, mappable });
    }
    this.#lengthBits = options.lengthBits ?? 32;
    this.#link = new Link(this.clock, { ...unlimitedLink, ...options.link });
    const mover = (channel: string) => {
      const port = this.dmaChannel(channel, { doorbells: ['COMMAND'] });
      return new Mover(new PostedPort(narrowPort(port('data'), options.wrapsAtBits)), this.#link, this.#payload);
    };
    this.#movers = { CPU: mover('CPU'), ...(dma && { DMA: mover('DMA') }) };
    this.#capabilities = { MSI: Number(msiVectors > 0), MSIX: Number(msixVectors > 0), INTX: Number(intx) };
    this.registers.onWrite('COMMAND', () => {
      if (!this.#process.isRunning) this.#process.start(this.#obey());
    });
    this.registers.onWrite('STATUS', () => {
      if (this.registers.get('STATUS.IRQ_RAISED') === 0) this.interrupts.setIntx(false);
    });
    this.#showOptions();
  }

  /** Registers are at their reset values when this is called. */
  protected override onReset(): void {
    this.#process.cancel();
    this.#link.reset();
    this.#showOptions();
  }

  /** One command after the other: a driver that does not wait is served with the last that it has written. */
  *#obey(): Generator<Wait, void, void> {
    const { registers } = this;
    while (registers.get('COMMAND') !== 0) {
      yield { delayNs: 0 };
      const command = registers.get('COMMAND');
      const asks = (name: Transfer | 'RAISE_INTX' | 'RAISE_MSI' | 'RAISE_MSIX') => (command & (1 << bitOf[name])) !== 0;
      registers.set('COMMAND', 0);
      registers.set('STATUS', 0);
      const mover = registers.get('FLAGS.USE_DMA') ? this.#movers.DMA : this.#movers.CPU;
      const type = registers.get('IRQ_TYPE');
      if (mover === undefined || type > IRQ_TYPES.MSIX) continue;
      const requested = (['WRITE', 'READ', 'COPY'] as const).find(asks);
      if (asks('RAISE_INTX')) {
        this.#interrupt(IRQ_TYPES.INTX);
      } else if (requested !== undefined) {
        const succeeded = yield* this.#move(mover, requested);
        registers.set(`STATUS.${requested}_${succeeded ? 'SUCCESS' : 'FAIL'}`, 1);
        this.#interrupt(type);
      } else {
        this.#interrupt(asks('RAISE_MSI') ? IRQ_TYPES.MSI : IRQ_TYPES.MSIX);
      }
    }
  }

  *#move(mover: Mover, requested: Transfer): Generator<Wait, boolean, void> {
    const { registers } = this;
    const source = registers.get('LOWER_SRC_ADDR') + registers.get('UPPER_SRC_ADDR') * 2 ** 32;
    const target = registers.get('LOWER_DST_ADDR') + registers.get('UPPER_DST_ADDR') * 2 ** 32;
    const sizeBytes = lowBits(registers.get('SIZE'), this.#lengthBits);
    try {
      if (requested === 'COPY') yield* mover.copier.copy(source, target, sizeBytes);
      else yield* mover.pass(requested, requested === 'READ' ? source : target, sizeBytes);
    } catch (error) {
      if (!(error instanceof DmaError)) throw error;
      registers.set('STATUS.SRC_ADDR_INVALID', 1);
      return false;
    }
    if (requested === 'WRITE') registers.set('CHECKSUM', this.#payload.checksum);
    return requested !== 'READ' || registers.get('CHECKSUM') === this.#payload.checksum;
  }

  /** Messages that the driver has not enabled, or that the system has not granted, are not sent. */
  #interrupt(type: number): void {
    const { mode, vectors } = this.interrupts;
    const number = this.registers.get('IRQ_NUMBER');
    if (type !== IRQ_TYPES.INTX) {
      if (mode !== (type === IRQ_TYPES.MSI ? 'msi' : 'msix') || number === 0 || number > vectors) return;
    }
    this.registers.set('STATUS.IRQ_RAISED', 1);
    if (type === IRQ_TYPES.INTX) this.interrupts.setIntx(true);
    else this.interrupts.signal(number - 1);
  }

  #showOptions(): void {
    for (const name of ['MSI', 'MSIX', 'INTX'] as const) this.registers.set(`CAPS.${name}`, this.#capabilities[name]);
  }
}

const { fields } = PCI_ENDPOINT_TEST_REGISTERS.spec.COMMAND;
const bitOf = Object.fromEntries(Object.entries(fields).map(([name, { bits }]) => [name, bits[0]])) as Record<
  keyof typeof fields,
  number
>;

/** Moves data between host memory and the endpoint. */
class Mover {
  readonly copier: HostCopier;
  readonly #result = { movedBytes: 0, endedPacket: false };

  constructor(
    private readonly port: DmaPort,
    private readonly link: Link,
    private readonly payload: Payload,
  ) {
    this.copier = new HostCopier(port, link);
  }

  /** Throws DmaError. */
  pass(direction: 'READ' | 'WRITE', hostAddress: number, lengthBytes: number): Generator<Wait, void, void> {
    const { port, link, payload } = this;
    payload.begin();
    const endpoint = direction === 'READ' ? { h2c: () => payload } : { c2h: () => payload };
    return transfer(
      { port, link, endpoint },
      { hostAddress, cardAddress: 0, lengthBytes, endOfPacket: 0 },
      this.#result,
    );
  }
}

export default PciEndpointTestCard;
