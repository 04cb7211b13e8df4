/** Matchers for cards and guest commands, added to Vitest's `expect` by importing this. */
import { expect } from 'vitest';
import { mustBeAwaited } from './awaited';
import { toExitWith, toPrint, toSucceed } from './commands';
import { toHaveDmaError, toHaveReadHost, toHaveWrittenHost, toReadHost, toWriteHost } from './dma';
import { toHaveBeenReset, toHaveInterrupted, toInterrupt } from './interrupts-and-resets';
import { toHaveNoDmaRaces } from './races';
import { toHaveRegister, toReachRegister } from './registers';

export { type PrintOptions } from './commands';
export { type DmaExpectation } from './dma';
export { type InterruptOptions } from './interrupts-and-resets';
export { type CardPath, type CardPathValue, type GhostcardMatchers } from './types';
export { type WaitOptions } from './subject';

expect.extend({
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

export { expect };
