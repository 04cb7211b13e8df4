/**
 * The behaviour of MSI-X: the capability, the table and pending bits in their BAR, and the vectors that they control.
 *
 * Two kinds of client exist. A root complex (the in-process host) writes the table in the BAR, and its mask bits apply.
 * QEMU emulates the table itself: no write arrives here, and QEMU masks a vector by disconnecting its sink. Hence the
 * mask bits apply only after the first write to the table; before that, after reset, only the sinks matter.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.2 and 6.8.3.
 */
import { RegisterFile } from '../registers';
import { msixBar, msixBarLayout, msixCapability } from './capabilities/msix';
import { MessageVectors, type MessageWiring } from './message-vectors';
import { Irq } from './vfio-layout';

export class Msix {
  readonly registers;
  /** Table and pending bits: the contents of the BAR. */
  readonly bar;
  readonly vectors: MessageVectors;
  /** Bytes of the BAR that table and pending bits occupy, each in separate pages. */
  readonly tableAndPbaBytes: number;
  #enabled = false;
  #functionMasked = false;
  #tableInUse = false;

  constructor(next: number, barIndex: number, vectorCount: number, wiring: MessageWiring) {
    this.registers = new RegisterFile(msixCapability(next, barIndex, vectorCount));
    const bar = new RegisterFile(msixBar(vectorCount));
    this.bar = bar;
    this.tableAndPbaBytes = msixBarLayout(vectorCount).endOffset;
    const controls = Array.from({ length: vectorCount }, (_, i) => bar.register(`VECTOR[${i}].VECTOR_CONTROL`));
    this.vectors = new MessageVectors(
      vectorCount,
      (vector) => {
        if (!this.#enabled) return 'disabled';
        if (this.#functionMasked || (this.#tableInUse && (controls[vector]!.value & 1) === 1)) return 'masked';
        return wiring.mayWriteMemory() ? undefined : 'bus-master-off';
      },
      (vector, reason) => wiring.held(Irq.MSIX, vector, reason),
    );
    for (let i = 0; i < vectorCount; i++) {
      bar.onWrite(`VECTOR[${i}].VECTOR_CONTROL`, () => {
        this.#tableInUse = true;
        this.vectors.flushVector(i);
      });
    }
    for (let i = 0; i < Math.ceil(vectorCount / 32); i++) {
      bar.onRead(`PBA[${i}].PENDING`, () => this.vectors.pendingWord(i));
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

  signal(vector: number): void {
    this.vectors.signal(vector % this.vectors.layout.count);
  }

  reset(): void {
    this.registers.reset();
    this.bar.reset();
    this.vectors.discardPending();
    this.#enabled = this.#functionMasked = this.#tableInUse = false;
  }
}
