/**
 * Vitest's `test` with a guest: `test('…', async ({ guest }) => …)`. The guest starts at its first use and is torn down
 * after the test, however that ends. A failed test gets a report.
 */
import { basename, resolve } from 'node:path';
import { beforeAll, type RunnerTestCase, test as base, type TestAPI, vi } from 'vitest';
import { requireCheck } from '../instrumentation/checks/index.ts';
import { type FaultCount, wordUnfired } from '../instrumentation/faults/index.ts';
import { type RaceReport } from '../instrumentation/races/index.ts';
import { type NoticeOptions } from '../instrumentation/served-card.ts';
import { watchdog } from '../emulator/watchdog/index.ts';
import { GuestPanicError } from '../qemu/launch/index.ts';
import { type ModelError } from '../qemu/rig/index.ts';
import { failureReport, folderNameOf, keepTestArtifacts, logsIn, recordingIn } from './failure-report.ts';
import { type GuestOptions, GuestSource } from './guest-source.ts';
import { refuseUnknownOptions } from './options.ts';
import { provisionOnce } from './setup.ts';
import { TestGuest } from './test-guest.ts';
import { checkTraceOptions, type Keep, TestRecording, type TestTraceOptions } from './test-recording.ts';

/** What the guests of tests are like, and what is kept of a test. */
export interface GuestTestOptions extends Omit<GuestOptions, 'notices' | 'checkDma'> {
  /** Look for DMA races (docs/dma-races.md): one fails its test; with 'report' it is in `guest.races()` only. Default: false. */
  readonly checkDma?: boolean | 'report';
  /** Which notices are given of the cards (docs/checks.md); with `strict`, one fails its test. */
  readonly notices?: NoticeOptions & { readonly strict?: boolean };
  /** 'test', the default: a new guest for each test. 'file': one guest, which the tests of a file use in turn. */
  readonly scope?: 'test' | 'file';
  /** Where artifacts go, in a folder for each test. Default 'artifacts'. */
  readonly artifactsDir?: string;
  /** When they are kept. Default 'on-failure'. */
  readonly artifacts?: Keep;
  /**
   * When the recording of what happened to the cards is kept among them; 'never': nothing is recorded. Default
   * 'on-failure', unless artifacts are never kept.
   */
  readonly trace?: Keep | TestTraceOptions;
}

const OPTIONS: Readonly<Record<keyof Required<GuestTestOptions>, true>> = {
  scope: true,
  start: true,
  hostRoot: true,
  shares: true,
  hide: true,
  reveal: true,
  arch: true,
  kernel: true,
  kernelRelease: true,
  memoryMiB: true,
  memoryLayout: true,
  cpus: true,
  cpu: true,
  hugepages: true,
  iommu: true,
  observe: true,
  checkDma: true,
  suppressRaces: true,
  slots: true,
  kernelAppend: true,
  accel: true,
  extraQemuArgs: true,
  bootTimeoutMs: true,
  notices: true,
  artifactsDir: true,
  artifacts: true,
  trace: true,
};

const NOTICE_OPTIONS = { off: true, afterMs: true, strict: true } as const;

/** Of a test and of a hook: booting a guest takes longer than Vitest's default limit. */
const TIMEOUT_MS = 60_000;
/** Vitest's default limit. */
const VITEST_TIMEOUT_MS = 5_000;
/** Of provisioning, before the first guest. */
const PROVISION_TIMEOUT_MS = 900_000;

/** A `test` whose guests have these options. To be called at the top of a test file, or of a module that it imports. */
export function guestTest(options: GuestTestOptions = {}): TestAPI<{ readonly guest: TestGuest }> {
  refuseUnknownOptions('guestTest', options, OPTIONS);
  const { scope = 'test', artifactsDir = 'artifacts', artifacts = 'on-failure', trace, checkDma, ...others } = options;
  const { strict = false, ...notices } = checkNoticeOptions(others.notices);
  const guestOptions: GuestOptions = { ...others, notices, checkDma: checkDma !== undefined && checkDma !== false };
  const failsOnRace = checkDma === true;
  const { keep = artifacts === 'never' ? 'never' : 'on-failure', ...howToTrace } = checkTraceOptions(trace);
  const extended = base
    .extend('guests', { scope: 'file' }, async ({}, { onCleanup }) => {
      const source = new GuestSource(scope, guestOptions);
      onCleanup(() => source.close());
      return source;
    })
    .extend('guest', async ({ guests, task, signal }, { onCleanup }) => {
      const activity = watchdog.during(`the test '${testNameOf(task)}' of ${basename(task.file.name)}`);
      const over = () => activity[Symbol.dispose]();
      try {
        // After a timeout, a retry receives the signal of the first try.
        const guest = new TestGuest(await guests.take(signal.aborted ? new AbortController().signal : signal));
        const earlierErrors = task.result?.errors?.length ?? 0;
        const recording =
          keep === 'never' ? undefined : new TestRecording(guest.rig, testNameOf(task), { ...howToTrace, keep });
        onCleanup(() =>
          conclude(guest, task, guests, {
            artifactsDir,
            artifacts,
            earlierErrors,
            recording,
            strict,
            failsOnRace,
          }).finally(over),
        );
        return guest;
      } catch (error) {
        over();
        throw error;
      }
    });
  let isAllowedFor = false;
  // The guests of the file are no fixture for users.
  return onFirstUse(extended as unknown as TestAPI<{ readonly guest: TestGuest }>, () => {
    if (!isAllowedFor) allowForGuests(guestOptions);
    isAllowedFor = true;
  });
}

/** A new guest for each test. */
export const test: TestAPI<{ readonly guest: TestGuest }> = guestTest();

/** Calls `before` ahead of every use: a file that imports only matchers should not wait for provisioning. */
function onFirstUse<T extends (...args: never[]) => unknown>(used: T, before: () => void): T {
  return new Proxy(used, {
    apply: (target, self, args) => (before(), Reflect.apply(target, self, args)),
    get: (target, key) => (before(), Reflect.get(target, key)),
  });
}

interface ConclusionOptions extends Required<Pick<GuestTestOptions, 'artifactsDir' | 'artifacts'>> {
  /** Number of errors of earlier tries, when the test is being retried. */
  readonly earlierErrors: number;
  readonly recording: TestRecording | undefined;
  readonly strict: boolean;
  readonly failsOnRace: boolean;
}

/** The end of a test: reports what went wrong, and gives the guest back. */
async function conclude(
  guest: TestGuest,
  task: Readonly<RunnerTestCase>,
  source: GuestSource,
  { artifactsDir, artifacts, earlierErrors, recording, strict, failsOnRace }: ConclusionOptions,
): Promise<void> {
  const errors: Error[] = guest.modelErrors.map((error) => new CardModelError(error));
  const { died } = guest.rig.guest;
  const hadFailed = task.result?.state === 'fail';
  if (!hadFailed && died.reason instanceof GuestPanicError) errors.push(died.reason);
  if (!hadFailed) {
    for (const card of guest.cards)
      for (const fault of card.unfiredFaults) errors.push(new UnfiredFaultError(card.name, fault));
  }
  if (!hadFailed && strict) {
    await guest.rig.settled();
    for (const { name, traces } of guest.cards)
      for (const { notices } of traces) errors.push(...notices.map(({ text }) => new NoticeError(name, text)));
  }
  if (!hadFailed && failsOnRace) errors.push(...(await guest.races()).map((race) => new DmaRaceError(race)));
  // A test may expect a driver that keeps its card: it passes, and the card is not unplugged again.
  const isHeld = guest.cards.some((card) => card.isHeld);
  const isClean = !hadFailed && errors.length === 0;
  if (isClean && !isHeld && source.isShared) await guest.cleanUp().catch((error: Error) => errors.push(error));

  const hasFailed = hadFailed || errors.length > 0;
  await guest.rig.named();
  recording?.end(hasFailed ? (task.result?.errors?.[earlierErrors]?.message ?? errors[0]?.message) : undefined);
  const keepsLogs = artifacts === 'always' || (artifacts === 'on-failure' && hasFailed);
  const kept = recording?.keepsAfter(hasFailed) ? recording : undefined;
  const folder = resolve(artifactsDir, folderNameOf(basename(task.file.name)), folderNameOf(testNameOf(task)));
  const keeping = keepTestArtifacts(folder, { ...(keepsLogs && { logs: guest }), ...(kept && { recording: kept }) });
  await keeping.catch((error: Error) => errors.push(error));
  await recording?.remove();
  for (const error of errors) fail(task, error);
  const first = task.result?.errors?.[earlierErrors];
  if (first) {
    const where = [...(keepsLogs ? [logsIn(folder)] : []), ...(kept ? [recordingIn(folder, kept)] : [])];
    first.message += `\n\n${failureReport(guest, first.message, where)}`;
  }
  for (const error of task.result?.errors ?? []) if (error.stack) error.stack = withoutOwnFrames(error.stack);
  await source.giveBack(guest.rig, !hasFailed && !isHeld);
}

/** Adds an error without throwing: what a fixture throws after a test is reported twice. */
function fail(task: Readonly<RunnerTestCase>, { name, message, stack }: Error): void {
  if (!task.result) return;
  task.result.state = 'fail';
  (task.result.errors ??= []).push({ name, message, ...(stack !== undefined && { stack }) });
}

/** A test that times out is reported where it was declared: in the test file, not in this one. */
const withoutOwnFrames = (stack: string): string =>
  stack
    .split('\n')
    .filter((line) => !line.includes(__filename))
    .join('\n');

/** The model of a card has thrown: its driver was tested with a broken card. */
export class CardModelError extends Error {
  /** @internal */
  constructor({ card, error }: ModelError) {
    super(`The model of the card '${card}' threw: ${error instanceof Error ? error.message : String(error)}`);
    this.name = 'CardModelError';
    if (error instanceof Error && error.stack !== undefined) this.stack = error.stack;
  }
}

/** A declared fault has never fired: the test has not tested what it should. */
export class UnfiredFaultError extends Error {
  /** @internal */
  constructor(card: string, fault: FaultCount) {
    super(`${wordUnfired(card, fault)} (mayNotFire: true allows that)`);
    this.name = 'UnfiredFaultError';
    this.stack = ''; // it is thrown after the test, by no line of it
  }
}

/** There was a notice of a card, and notices are `strict`. */
export class NoticeError extends Error {
  /** @internal */
  constructor(card: string, text: string) {
    super(`The card '${card}': ${text}`);
    this.name = 'NoticeError';
    this.stack = ''; // it is thrown after the test, by no line of it
  }
}

/** A driver has raced with a card. */
export class DmaRaceError extends Error {
  /** @internal */
  constructor({ card, text }: RaceReport) {
    super(`The card '${card}': ${text}`);
    this.name = 'DmaRaceError';
    this.stack = ''; // it is thrown after the test, by no line of it
  }
}

function checkNoticeOptions(given: GuestTestOptions['notices'] = {}): NonNullable<GuestTestOptions['notices']> {
  refuseUnknownOptions("The option 'notices' of guestTest", given, NOTICE_OPTIONS);
  given.off?.forEach(requireCheck);
  const { afterMs = 1 } = given;
  if (!(afterMs > 0)) throw new RangeError(`guestTest: notices.afterMs is ${afterMs}; it must be above 0`);
  return given;
}

function testNameOf(task: Readonly<RunnerTestCase>): string {
  const names = [task.name];
  for (let suite = task.suite; suite; suite = suite.suite) names.unshift(suite.name);
  return names.join(' ');
}

/**
 * Sets time limits that leave room for a guest, unless the config sets its own. Provisioning has a hook with a limit of
 * its own, so that a download does not count against a test.
 */
function allowForGuests(options: GuestOptions): void {
  const worker = (globalThis as { __vitest_worker__?: { config?: { testTimeout?: number; hookTimeout?: number } } })
    .__vitest_worker__;
  const { testTimeout, hookTimeout } = worker?.config ?? {};
  if (testTimeout === undefined || testTimeout === VITEST_TIMEOUT_MS) vi.setConfig({ testTimeout: TIMEOUT_MS });
  if (hookTimeout === undefined || hookTimeout < TIMEOUT_MS) vi.setConfig({ hookTimeout: TIMEOUT_MS });
  if (!process.listeners('disconnect').some(({ name }) => name === endWithRunner.name)) {
    process.on('disconnect', endWithRunner);
  }
  beforeAll(async () => {
    await provisionOnce(options);
  }, PROVISION_TIMEOUT_MS);
}

/**
 * Called when Vitest's main process was killed. Its workers would notice when they next report, after a test or two.
 * Guards tear down guests and folders.
 */
function endWithRunner(): void {
  process.kill(process.pid, 'SIGKILL');
}
