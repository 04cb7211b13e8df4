/**
 * For tests of emulator/pci: the device interface with numbers instead of byte arrays, and sinks that count. (The
 * in-process host is a layer above.)
 */
import { ManualClock } from '../../emulator/clock';
import type { IrqSink, Device } from '../../emulator/device';
import { PciCard } from '../../emulator/pci/card';
import { CAPABILITY_OFFSETS } from '../../emulator/pci/config-placement';
import { type InterruptController } from '../../emulator/pci/interrupt-controller';
import { Region } from '../../emulator/pci/vfio-layout';

export const COMMAND = 0x04;
export const STATUS = 0x06;
export const IO_SPACE = 1;
export const MEMORY_SPACE = 1 << 1;
export const BUS_MASTER = 1 << 2;
export const INTERRUPT_DISABLE = 1 << 10;
export const PMCSR = CAPABILITY_OFFSETS.powerManagement + 4;
export const D3_HOT = 3;
export const MSI = CAPABILITY_OFFSETS.msi;
export const MSIX = CAPABILITY_OFFSETS.msix;
export const INTERRUPT_STATUS = 1 << 3;
export const DEVICE_CONTROL = CAPABILITY_OFFSETS.pciExpress + 0x08;
export const INITIATE_FLR = 1 << 15;

type AccessBytes = 1 | 2 | 4;

export class TestBus {
  constructor(readonly device: Device) {}

  read(region: number, offset: number, sizeBytes: AccessBytes = 4): number {
    const data = new Uint8Array(sizeBytes);
    this.device.readRegion(region, offset, data);
    return data.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  write(region: number, offset: number, value: number, sizeBytes: AccessBytes = 4): void {
    this.device.writeRegion(
      region,
      offset,
      Uint8Array.from({ length: sizeBytes }, (_, i) => value >>> (8 * i)),
    );
  }

  config(offset: number, sizeBytes: AccessBytes = 4): number {
    return this.read(Region.CONFIG, offset, sizeBytes);
  }

  setConfig(offset: number, value: number, sizeBytes: AccessBytes = 4): void {
    this.write(Region.CONFIG, offset, value, sizeBytes);
  }

  command(bits: number): void {
    this.setConfig(COMMAND, bits, 2);
  }

  /** Connects a counting sink to each of `count` vectors from `start` on. */
  connect(index: number, count = 1, start = 0): CountingSink[] {
    const sinks = Array.from({ length: count }, () => new CountingSink());
    this.device.setIrqs({ index, start, count, action: { kind: 'sinks', sinks } });
    return sinks;
  }

  /** Disconnects the sink of a vector, as QEMU does to mask it. */
  disconnect(index: number, vector: number): void {
    this.device.setIrqs({ index, start: vector, count: 1, action: { kind: 'sinks', sinks: [undefined] } });
  }

  disconnectAll(index: number): void {
    this.device.setIrqs({ index, start: 0, count: 0, action: { kind: 'sinks', sinks: [] } });
  }

  irq(kind: 'trigger' | 'mask' | 'unmask', index: number, start = 0, count = 1): void {
    this.device.setIrqs({ index, start, count, action: { kind } });
  }
}

export class CountingSink implements IrqSink {
  triggers = 0;
  closes = 0;

  trigger(): void {
    this.triggers++;
  }

  close(): void {
    this.closes++;
  }
}

/** A card that only interrupts. */
class BellCard extends PciCard {
  constructor(msixVectors: number) {
    const messages = { msi: { vectors: 8 }, msix: { bar: 4, vectors: msixVectors } };
    super({ vendorId: 0x1234, deviceId: 0x4743, classCode: 0, intx: 'A', ...messages }, { clock: new ManualClock() });
  }

  get irqs(): InterruptController {
    return this.interrupts;
  }
}

/** A bell with INTx, 8 MSI vectors and MSI-X, that answers and may send messages. */
export function poweredBell(msixVectors = 8) {
  const card = new BellCard(msixVectors);
  const bus = new TestBus(card);
  bus.command(MEMORY_SPACE | BUS_MASTER);
  return { bus, irqs: card.irqs };
}
