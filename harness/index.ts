/**
 * Testing drivers with Vitest: `import { expect, test } from 'ghostcard/vitest'`. See docs/testing.md.
 *
 * @module ghostcard/vitest
 */
import './vitest-version.ts';
export {
  CardModelError,
  DmaRaceError,
  guestTest,
  type GuestTestOptions,
  NoticeError,
  test,
  UnfiredFaultError,
} from './fixtures.ts';
export { type GuestOptions } from './guest-source.ts';
export * from './matchers/index.ts';
export {
  type CardSource,
  type DriverName,
  type PluggedCard,
  type PlugOptions,
  type RemovalOptions,
} from './plugged-card.ts';
export { type Provenance, type WritingCode, type WritingDma } from '../instrumentation/provenance.ts';
export { type CommandResult, type TestCommand } from './test-commands.ts';
export { type TestGuest } from './test-guest.ts';
export { type Keep, type TestTraceOptions } from './test-recording.ts';
