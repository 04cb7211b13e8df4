/**
 * Faults as they are declared: plain data, from a test or a file (docs/faults.md is the reference). A trace carries them
 * with the description of its card, so that a replay applies them again.
 */
import { type DmaRole } from '../../emulator/memory';

/** `'0x1f00'` is for JSON, which has no hexadecimal numbers. */
export type Address = number | `0x${string}`;

/** `to` is included; without it there is no end. */
export interface Range<T = number> {
  readonly from?: T;
  readonly to?: T;
}

/** Which of the events that fit, counted from 1. `every: 3` is the 3rd, the 6th and so on. */
export type Occurrence = number | Range | { readonly every: number } | 'all';

interface Matching {
  /** Default 1. */
  readonly occurrence?: Occurrence;
  /** Events at other device times do not count. */
  readonly timeNs?: Range;
}

/** Interrupts that the card raises: messages, or the rise of its INTx line. */
export interface InterruptMatch extends Matching {
  /** INTx is vector 0. Default: any. */
  readonly vector?: number;
}

/** The card's accesses to host memory. */
export interface DmaMatch extends Matching {
  /** Such as 'H2C0', as the card names it. Default: any. */
  readonly channel?: string;
  readonly role?: DmaRole;
  readonly access?: 'read' | 'write';
  /** Accesses that touch these addresses. */
  readonly iova?: Range<Address>;
}

/** The driver's accesses to the card. */
export interface AccessMatch extends Matching {
  /** 'STATUS', 'H2C[0].DOORBELL', 'H2C[*].DOORBELL', 'BAR2:STATUS', 'config:COMMAND'. Default: anything in any BAR. */
  readonly register?: string;
  /** In place of `register`: anything in this BAR, or at these offsets of it. */
  readonly bar?: number;
  readonly offset?: Range<Address>;
}

/** What something happens at: a device time, or an event that matches. */
export type Trigger =
  | { readonly atNs: number }
  | ({ readonly on: 'read' | 'write' } & AccessMatch)
  | ({ readonly on: 'dma' } & DmaMatch)
  | ({ readonly on: 'interrupt' } & InterruptMatch);

interface Kind<Name extends string> {
  readonly fault: Name;
  /** What it is called in reports. Default: its kind. */
  readonly name?: string;
  /** That it never fires is no failure. Default false. */
  readonly mayNotFire?: boolean;
}

/** How long something goes on: so many reads, so much device time, or, without both, as the kind says. */
interface Lasting {
  readonly reads?: number;
  readonly forNs?: number;
}

type Of<Name extends string, Match, Parameters = object> = Kind<Name> & Match & Parameters;

/** Interrupts */
export type InterruptDropped = Of<'interrupt-dropped', InterruptMatch>;
export type InterruptDelayed = Of<'interrupt-delayed', InterruptMatch, { readonly delayNs: number }>;
/** `times`: in all, default 2; `gapNs`: from one to the next, default 100,000. */
export type InterruptDuplicated = Of<
  'interrupt-duplicated',
  InterruptMatch,
  { readonly times?: number; readonly gapNs?: number }
>;
/** `vector`: of the interrupt that the card has never raised, default 0; `forNs`: how long INTx stands, default 100,000. */
export type InterruptSpurious = Kind<'interrupt-spurious'> &
  Exclude<Trigger, { readonly on: 'interrupt' }> & { readonly vector?: number; readonly forNs?: number };

/** Order. `delayNs`: how much later what was overtaken comes, default 1,000,000. */
export type InterruptBeforeWriteBack = Of<
  'interrupt-before-write-back',
  InterruptMatch,
  { readonly channel?: string; readonly delayNs?: number }
>;
export type WriteBackBeforeData = Of<
  'write-back-before-data',
  Omit<DmaMatch, 'access' | 'role'>,
  { readonly delayNs?: number }
>;

/** DMA */
export type DmaDelayed = Of<'dma-delayed', DmaMatch, { readonly delayNs: number }>;
/** `bytes`: how many of them are moved. */
export type DmaTruncated = Of<'dma-truncated', DmaMatch, { readonly bytes: number }>;
/** `byte`: which of them, from 0; `xor`: the bits of it that are turned over, default 1. */
export type DmaCorrupted = Of<'dma-corrupted', DmaMatch, { readonly byte?: number; readonly xor?: number }>;
/** `delayNs`: how much later it is done once more, default 0. */
export type DmaDuplicated = Of<'dma-duplicated', DmaMatch, { readonly delayNs?: number }>;
export type DescriptorStale = Of<'descriptor-stale', Omit<DmaMatch, 'access' | 'role'>>;

/** Accesses of the driver. `linkDown`: the whole card is away meanwhile, and comes back as after a reset. */
export type ReadsAllOnes = Of<'reads-all-ones', AccessMatch, Lasting & { readonly linkDown?: boolean }>;
export type WriteLost = Of<'write-lost', AccessMatch>;
export type DeviceSlow = Of<'device-slow', AccessMatch, { readonly on?: 'read' | 'write'; readonly delayNs: number }>;
/** `field`: 'H2C[0].STATUS.BUSY'; `value`: what the driver reads in it. */
export type FieldStuck = Of<'field-stuck', Matching, Lasting & { readonly field: string; readonly value: number }>;
/** `holdNs`: how long a write is held when no read comes, default 1,000,000. */
export type WritesPosted = Of<'writes-posted', AccessMatch, { readonly holdNs?: number }>;

/** The card as a whole. `role` is 'data' unless told. */
export type ResetInTransfer = Of<'reset-in-transfer', DmaMatch>;
export type SurpriseRemoval = Kind<'surprise-removal'> & Trigger;

export type FaultDeclaration =
  | InterruptDropped
  | InterruptDelayed
  | InterruptDuplicated
  | InterruptSpurious
  | InterruptBeforeWriteBack
  | WriteBackBeforeData
  | DmaDelayed
  | DmaTruncated
  | DmaCorrupted
  | DmaDuplicated
  | DescriptorStale
  | ReadsAllOnes
  | WriteLost
  | DeviceSlow
  | FieldStuck
  | WritesPosted
  | ResetInTransfer
  | SurpriseRemoval;

export type FaultKind = FaultDeclaration['fault'];
