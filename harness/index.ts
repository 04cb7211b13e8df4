/** Testing drivers with Vitest: `import { expect, test } from 'ghostcard/vitest'`. See docs/testing.md. */
export {
  CardModelError,
  DmaRaceError,
  guestTest,
  type GuestTestOptions,
  NoticeError,
  test,
  UnfiredFaultError,
} from './fixtures';
export { type GuestOptions } from './guest-source';
export * from './matchers';
export {
  type CardSource,
  type DriverName,
  type PluggedCard,
  type PlugOptions,
  type RemovalOptions,
} from './plugged-card';
export { type Provenance, type WritingCode, type WritingDma } from '../instrumentation/provenance';
export { type CommandResult, type TestCommand } from './test-commands';
export { type TestGuest } from './test-guest';
export { type Keep, type TestTraceOptions } from './test-recording';
