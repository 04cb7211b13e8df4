/**
 * The behaviour of MSI-X: the capability, the table and pending bits in their BARs, and the vectors that they control.
 *
 * Two kinds of client exist. A root complex (the in-process host) writes the table in the BAR, and its mask bits apply.
 * QEMU emulates the table itself: no write arrives here, and QEMU masks a vector by disconnecting its sink. Hence the
 * mask bits apply only after the first write to the table; before that, after reset, only the sinks matter.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 and 6.8.3.
 */
import { RegisterFile } from '../registers';
import { type BarWindow } from './bar-windows';
import {
  type BarPlace,
  msixCapability,
  msixPba,
  msixPlaces,
  msixTable,
  pbaBytes,
  tableBytes,
} from './capabilities/msix';
import { type MsixIdentity } from './identity';
import { MessageVectors, type MessageWiring } from './message-vectors';
import { Irq } from './vfio-layout';

export class Msix {
  readonly registers;
  /** Table and pending bits: what the card shows of them in its BARs. */
  readonly windows: readonly [table: BarWindow, pba: BarWindow];
  readonly vectors: MessageVectors;
  readonly #table;
  readonly #pba;
  #enabled = false;
  #functionMasked = false;
  #tableInUse = false;

  constructor(identity: MsixIdentity, wiring: MessageWiring) {
    const vectorCount = identity.vectors;
    this.registers = new RegisterFile(msixCapability(identity));
    const table = (this.#table = new RegisterFile(msixTable(vectorCount)));
    const pba = (this.#pba = new RegisterFile(msixPba(vectorCount)));
    const places = msixPlaces(identity);
    this.windows = [
      window('the MSI-X table', places.table, tableBytes(vectorCount), table),
      window('the pending bits of MSI-X', places.pba, pbaBytes(vectorCount), pba),
    ];
    const controls = Array.from({ length: vectorCount }, (_, i) => table.register(`VECTOR[${i}].VECTOR_CONTROL`));
    this.vectors = new MessageVectors(
      vectorCount,
      (vector) => {
        if (!this.#enabled) return 'disabled';
        if (this.#functionMasked || (this.#tableInUse && (controls[vector]!.value & 1) === 1)) return 'masked';
        return wiring.mayWriteMemory() ? undefined : 'bus-master-off';
      },
      (vector, reason) => wiring.held(Irq.MSIX, vector, reason),
      wiring.send,
    );
    for (let i = 0; i < vectorCount; i++) {
      table.onWrite(`VECTOR[${i}].VECTOR_CONTROL`, () => {
        this.#tableInUse = true;
        this.vectors.flushVector(i);
      });
    }
    for (let i = 0; i < Math.ceil(vectorCount / 32); i++) {
      pba.onRead(`PBA[${i}].PENDING`, () => this.vectors.pendingWord(i));
    }
    this.registers.onWrite('CONTROL', () => {
      this.#enabled = this.registers.get('CONTROL.ENABLE') === 1;
      this.#functionMasked = this.registers.get('CONTROL.FUNCTION_MASK') === 1;
      if (!this.#enabled) this.vectors.discardPending();
      wiring.modeChanged();
    });
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  get granted(): number {
    return this.vectors.layout.count;
  }

  signal(vector: number): void {
    this.vectors.signal(vector % this.granted);
  }

  reset(): void {
    this.registers.reset();
    this.#table.reset();
    this.#pba.reset();
    this.vectors.discardPending();
    this.#enabled = this.#functionMasked = this.#tableInUse = false;
  }
}

const window = (label: string, place: BarPlace, sizeBytes: number, file: RegisterFile): BarWindow => ({
  ...place,
  sizeBytes,
  label,
  target: file,
  map: file.map,
});
