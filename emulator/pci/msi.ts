/**
 * MSI at work: the registers of the capability and the vectors behind them.
 *
 * Source: PCI Local Bus Spec 3.0, 6.8.1 and 6.8.3.
 */
import { RegisterFile } from '../registers';
import { msiCapability } from './capabilities/msi';
import { MessageVectors } from './message-vectors';
import { type MessageWiring } from './message-wiring';

export class Msi {
  readonly registers;
  readonly vectors: MessageVectors;

  constructor(next: number, vectorCount: number, wiring: MessageWiring) {
    this.registers = new RegisterFile(msiCapability(next, vectorCount));
    const mask = this.registers.register('MASK');
    this.vectors = new MessageVectors(
      vectorCount,
      (vector) => this.enabled && wiring.mayWriteMemory() && ((mask.value >>> vector) & 1) === 0,
    );
    this.registers.onRead('PENDING', () => this.vectors.pendingWord(0));
    this.registers.onWrite('MASK', () => this.vectors.flush());
    this.registers.onWrite('CONTROL', () => {
      if (!this.enabled) this.vectors.discardPending();
      wiring.modeChanged();
    });
  }

  get enabled(): boolean {
    return this.registers.get('CONTROL.ENABLE') === 1;
  }

  /** Raises `vector`, folded into the vectors that the system has granted (6.8.3.4: the function shares them out). */
  signal(vector: number): void {
    const granted = 2 ** this.registers.get('CONTROL.MULTIPLE_MESSAGE_ENABLE');
    this.vectors.signal(vector % Math.min(granted, this.vectors.layout.count));
  }

  reset(): void {
    this.registers.reset();
    this.vectors.discardPending();
  }
}
