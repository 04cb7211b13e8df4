/** Matchers for cards and guest commands, added to Vitest's `expect` by importing this. */
import { expect as vitestExpect } from 'vitest';
import { mustBeAwaited } from './awaited.ts';
import { toExitWith, toPrint, toSucceed } from './commands.ts';
import { toHaveDmaError, toHaveReadHost, toHaveWrittenHost, toReadHost, toWriteHost } from './dma.ts';
import { toHaveBeenReset, toHaveInterrupted, toInterrupt } from './interrupts-and-resets.ts';
import { toHaveNoDmaRaces } from './races.ts';
import { type GhostcardExpect } from './types.ts';
import { toHaveRegister, toReachRegister } from './registers.ts';

export { type PrintOptions } from './commands.ts';
export { type DmaExpectation } from './dma.ts';
export { type InterruptOptions } from './interrupts-and-resets.ts';
export {
  type CardPath,
  type CardPathValue,
  type GhostcardAssertion,
  type GhostcardExpect,
  type GhostcardMatchers,
} from './types.ts';
export { type WaitOptions } from './subject.ts';

vitestExpect.extend({
  toHaveRegister,
  toReachRegister: mustBeAwaited('toReachRegister', toReachRegister),
  toHaveInterrupted,
  toInterrupt: mustBeAwaited('toInterrupt', toInterrupt),
  toHaveBeenReset,
  toHaveReadHost,
  toHaveWrittenHost,
  toReadHost: mustBeAwaited('toReadHost', toReadHost),
  toWriteHost: mustBeAwaited('toWriteHost', toWriteHost),
  toHaveDmaError,
  toHaveNoDmaRaces: mustBeAwaited('toHaveNoDmaRaces', toHaveNoDmaRaces),
  toSucceed,
  toExitWith,
  toPrint,
});

/** Vitest's, with the matchers of ghostcard. */
export const expect = vitestExpect as unknown as GhostcardExpect;
