/** Completion write-back: the state of a channel in host memory, where polling it costs the driver no bus access. */
import { type Wait } from '../clock';
import { type DmaPort } from '../memory';
import { offsetOf } from '../registers';
import { WRITEBACK } from './layout';

export interface WriteBackState {
  readonly consumerIndex: number;
  readonly status: number;
  readonly completed: number;
}

const at = {
  consumerIndex: offsetOf(WRITEBACK, 'CONSUMER_INDEX'),
  status: offsetOf(WRITEBACK, 'STATUS'),
  completed: offsetOf(WRITEBACK, 'COMPLETED'),
};

/** Writes the block at `address`; the consumer index last, so that whoever sees it move sees the rest too. */
export function* writeBack(port: DmaPort, address: number, state: WriteBackState): Generator<Wait, void, void> {
  yield* port.write32(address + at.status, state.status);
  yield* port.write32(address + at.completed, state.completed);
  yield* port.write32(address + at.consumerIndex, state.consumerIndex);
}
