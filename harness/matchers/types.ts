/**
 * The types of the matchers. The registers of a card follow from the type of the argument of `expect`, by its public
 * properties that are register files. For a card whose registers are private, any name is allowed.
 */
import { type expect } from 'vitest';
import { type DmaErrorReason } from '../../emulator/memory/index.ts';
import { type PciCard } from '../../emulator/pci/index.ts';
import { type RegisterFile, type ResetKind, type ValueAt, type ValuePath } from '../../emulator/registers/index.ts';
import { type ExecResult } from '../../qemu/channel/index.ts';
import { type TestGuest } from '../test-guest.ts';
import { type PrintOptions } from './commands.ts';
import { type DmaExpectation } from './dma.ts';
import { type InterruptOptions } from './interrupts-and-resets.ts';
import { type WaitOptions } from './subject.ts';

/** Declarations of the public register files of a card, as a union. */
type SpecOf<Card> = {
  [K in keyof Card]: Card[K] extends RegisterFile<infer S> ? S : never;
}[keyof Card];

type PathIn<Spec> = Spec extends unknown ? ValuePath<Spec> : never;
type ValueIn<Spec, P extends string> = Spec extends unknown
  ? P extends ValuePath<Spec>
    ? ValueAt<Spec, P>
    : never
  : never;

/** `infer` makes the compiler list the names in its messages, rather than the type that they are from. */
type KnownPath<Spec> = `${'' | `BAR${number}:`}${PathIn<Spec>}` extends infer Path ? Path & string : never;
type KnownValue<Spec, P> = P extends `BAR${number}:${infer Rest}`
  ? ValueIn<Spec, Rest>
  : P extends string
    ? ValueIn<Spec, P>
    : never;

/** Names of the registers and fields of a card; none for anything else. */
export type CardPath<Card> = 0 extends 1 & Card // any card
  ? string
  : Card extends PciCard
    ? [SpecOf<Card>] extends [never]
      ? string
      : KnownPath<SpecOf<Card>>
    : never;

/** `bigint` for 64-bit registers, `number` for others. */
export type CardPathValue<Card, P> = 0 extends 1 & Card // any card
  ? number | bigint
  : [SpecOf<Card>] extends [never]
    ? number | bigint
    : KnownValue<SpecOf<Card>, P>;

/** Arguments of a matcher for cards; impossible ones when `T` is not a card. */
type OnCard<T, Arguments extends unknown[]> = [T] extends [PciCard] ? Arguments : [onlyForCards: never];
type OnGuest<T, Arguments extends unknown[]> = [T] extends [TestGuest] ? Arguments : [onlyForTheGuestOfATest: never];
type OnResult<T, Arguments extends unknown[]> = [Awaited<T>] extends [ExecResult]
  ? Arguments
  : [onlyForResultsOfGuestRun: never];

/** What `expect` has in addition; `T` is the type of its argument. */
export interface GhostcardMatchers<T> {
  /** The register or field has this value now, seen from the hardware's side. */
  toHaveRegister<P extends CardPath<T>>(path: P, value: CardPathValue<T, P>): void;
  /** The register or field gets this value within a time; checked after each event of the card. */
  toReachRegister<P extends CardPath<T>>(path: P, value: CardPathValue<T, P>, options?: WaitOptions): Promise<void>;

  /** The card has interrupted on this vector (default 0), this often. */
  toHaveInterrupted(...args: OnCard<T, [vector?: number, options?: InterruptOptions]>): void;
  /** The card has interrupted this often, or does within a time. */
  toInterrupt(...args: OnCard<T, [vector?: number, options?: InterruptOptions & WaitOptions]>): Promise<void>;

  /** The card has been reset, in this way: 'flr' by its driver, 'device' by the client. */
  toHaveBeenReset(...args: OnCard<T, [by?: ResetKind]>): void;

  /** The card has read host memory: anything, this many bytes, or a range. */
  toHaveReadHost(...args: OnCard<T, [expected?: DmaExpectation]>): void;
  /** The card has written host memory: anything, this many bytes, a range, or these bytes. */
  toHaveWrittenHost(...args: OnCard<T, [expected?: DmaExpectation]>): void;
  /** Waits until the card has read host memory, as `toHaveReadHost` says. */
  toReadHost(...args: OnCard<T, [expected?: DmaExpectation & WaitOptions]>): Promise<void>;
  /** Waits until the card has written host memory, as `toHaveWrittenHost` says. */
  toWriteHost(...args: OnCard<T, [expected?: DmaExpectation & WaitOptions]>): Promise<void>;
  /** A DMA access of the card has failed, for this reason. */
  toHaveDmaError(...args: OnCard<T, [reason?: DmaErrorReason]>): void;

  /** The driver has not raced with its cards so far (`guestTest({ checkDma })`). */
  toHaveNoDmaRaces(...args: OnGuest<T, []>): Promise<void>;

  /** The command has ended with exit code 0. */
  toSucceed(...args: OnResult<T, []>): void;
  /** The command has ended with this exit code. */
  toExitWith(...args: OnResult<T, [code: number]>): void;
  /** The command has printed this. */
  toPrint(...args: OnResult<T, [pattern: RegExp | string, options?: PrintOptions]>): void;
}

type Expect = typeof expect;
/** What `expect(subject)` returns: Vitest's matchers and those of ghostcard. */
export type GhostcardAssertion<T> = ReturnType<typeof expect.soft> &
  GhostcardMatchers<T> & {
    readonly not: ReturnType<typeof expect.soft> & GhostcardMatchers<T>;
    /** The matchers, each of which returns a promise. */
    readonly resolves: {
      readonly [Name in keyof GhostcardMatchers<Awaited<T>>]: GhostcardMatchers<Awaited<T>>[Name] extends (
        ...args: infer Args
      ) => unknown
        ? (...args: Args) => Promise<void>
        : never;
    };
  };

/**
 * Vitest's `expect` with the matchers of ghostcard. It is a type of its own, because the interface that Vitest offers for
 * additions has other type parameters in Vitest 5 than in 4.
 */
export interface GhostcardExpect extends Expect {
  <T>(actual: T, message?: string): GhostcardAssertion<T>;
  /** A failure does not end the test, which fails at its end. */
  soft<T>(actual: T, message?: string): GhostcardAssertion<T>;
}
