/** Who looks on with a trace, and judges: called for each access, so what it does must be cheap. */
import { type HeldReason } from '../../emulator/pci';
import { type InterruptPhase } from './event';

export interface TraceWatcher {
  /** By the client, of a VFIO region. A write is told of before the card acts on it. */
  read(region: number): void;
  write(region: number, offset: number): void;
  /** The card has accessed host memory, or tried to. */
  dma(): void;
  /** A task that the card had scheduled has its turn. */
  turn(): void;
  interrupt(phase: InterruptPhase, index: number, vector: number, reason?: HeldReason): void;
  state(part: string, state: string): void;
  /** A declared fault of this name has interfered with what was told of last. */
  fault(name: string): void;
  /** The card is about to be reset. */
  reset(): void;
}

export const unwatched: TraceWatcher = {
  read: () => {},
  write: () => {},
  dma: () => {},
  turn: () => {},
  interrupt: () => {},
  state: () => {},
  fault: () => {},
  reset: () => {},
};
