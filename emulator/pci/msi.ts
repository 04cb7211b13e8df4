/**
 * The behaviour of MSI: the registers of the capability and the vectors that they control.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.1 and 6.8.3.
 */
import { RegisterFile } from '../registers';
import { msiCapability } from './capabilities/msi';
import { MessageVectors, type MessageWiring } from './message-vectors';
import { Irq } from './vfio-layout';

export class Msi {
  readonly registers;
  readonly vectors: MessageVectors;
  #enabled = false;
  #granted = 1;

  constructor(vectorCount: number, wiring: MessageWiring) {
    this.registers = new RegisterFile(msiCapability(vectorCount));
    const mask = this.registers.register('MASK');
    this.vectors = new MessageVectors(
      vectorCount,
      (vector) => {
        if (!this.#enabled) return 'disabled';
        if (((mask.value >>> vector) & 1) === 1) return 'masked';
        return wiring.mayWriteMemory() ? undefined : 'bus-master-off';
      },
      (vector, reason) => wiring.held(Irq.MSI, vector, reason),
      wiring.send,
    );
    this.registers.onRead('PENDING', () => this.vectors.pendingWord(0));
    this.registers.onWrite('MASK', () => this.vectors.flush());
    this.registers.onWrite('CONTROL', () => {
      this.#enabled = this.registers.get('CONTROL.ENABLE') === 1;
      this.#granted = Math.min(2 ** this.registers.get('CONTROL.MULTIPLE_MESSAGE_ENABLE'), vectorCount);
      if (!this.#enabled) this.vectors.discardPending();
      wiring.modeChanged();
    });
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** How many vectors the system has granted. */
  get granted(): number {
    return this.#granted;
  }

  /** Raises `vector`, modulo the number of vectors that the system has granted. */
  signal(vector: number): void {
    this.vectors.signal(vector % this.#granted);
  }

  reset(): void {
    this.registers.reset();
    this.vectors.discardPending();
    this.#enabled = false;
    this.#granted = 1;
  }
}
