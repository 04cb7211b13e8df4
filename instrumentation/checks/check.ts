/**
 * A check: what it looks at in what passes between a card and its driver, and what it says. Everything about one is in its
 * row of the table (`kinds.ts`), and a row is a file in `kinds`.
 */
import {
  type AccessEvent,
  type DmaEvent,
  type InterruptEvent,
  type PciCard,
  type ResetEvent,
  type StateEvent,
} from '../../emulator/pci';
import { type DmaRole } from '../../emulator/memory';
import { type CardNotice, type CardTrace } from '../trace';
import { type StrayAccess } from './pages';
import { type Registers } from './registers';

/** A row of the table of checks. */
export interface Check {
  /** What it reports, for docs/checks.md. */
  readonly doc: string;
  /** Where the rule that is broken is written. */
  readonly source: string;
  readonly make: (site: CheckSite) => Watch;
}

/**
 * How often the driver has accessed what is not configuration space, and written there, with the present access. Most
 * checks only ask whether there was any access in between: they compare counts, and need not see each one.
 */
export interface Traffic {
  readonly accesses: number;
  readonly writes: number;
}

/** An error that the card has written to host memory, as its layout of what it writes there declares. */
export interface MemoryError {
  readonly channel: string;
  readonly role: DmaRole;
  readonly iova: number;
  /** `STATUS 0x300 (ERROR_CODE=BAD_HOST_ADDRESS)`. */
  readonly word: string;
  readonly timeNs: number;
}

/** What is known of such errors where the guest's processors are observed. */
export interface MemoryErrors {
  /** Those that nobody has loaded, although the driver has accessed the card since; the first of each channel. */
  readonly unread: () => readonly MemoryError[];
  /** The driver has read an error of a channel in a register: it need not look in memory. '': of all of them. */
  readonly readInRegister: (channel: string) => void;
  /** The driver has gone, or the card was reset. */
  readonly forget: () => void;
}

/** What a check works with. */
export interface CheckSite {
  readonly card: PciCard;
  readonly trace: CardTrace;
  /** What is at an offset of a BAR. */
  readonly registers: Registers;
  readonly traffic: Traffic;
  /** Empty where nobody knows what the guest's processors load. */
  readonly memory: { readonly errors?: MemoryErrors };
  /**
   * Reports an occurrence. `subject`: what it is about, such as a register or a channel. `word` is called for the first
   * occurrence only: later ones of this check are counted.
   */
  readonly report: (subject: string, word: () => string, about?: Pick<CardNotice, 'register' | 'interrupt'>) => void;
}

/**
 * What a check does with each event, by the event's kind; what it leaves out costs nothing. Called for every event of a
 * card, accesses and DMA included: it must be quick and allocate nothing where nothing is wrong.
 */
export interface Watch {
  // Accesses: the driver has read, or is about to write; `data` is valid during the call.
  /** All of a register of 32 bits, or half of one of 64, that has a flag beside `WHOLE`. */
  readonly read?: (event: AccessEvent, timeNs: number) => void;
  readonly write?: (event: AccessEvent, timeNs: number) => void;
  /** In a BAR, but neither all of a register of 32 bits nor an aligned half of one of 64 bits. */
  readonly oddAccess?: (event: AccessEvent) => void;
  /** In configuration space. */
  readonly config?: (event: AccessEvent) => void;
  readonly dma?: (event: DmaEvent, timeNs: number) => void;
  // Where it is known what pages are used for (`CardChecks.lookAtPages`).
  /** The card is about to access a page of which nothing bad is known. */
  readonly pageUsed?: (page: number) => void;
  /** The card has accessed memory that is not its driver's; the event comes right after. */
  readonly strayAccess?: (access: StrayAccess) => void;
  readonly interrupt?: (event: InterruptEvent, timeNs: number) => void;
  readonly state?: (event: StateEvent, timeNs: number) => void;
  /**
   * The card has raised an interrupt, has changed a state or could not access memory, and what its registers say along
   * with that is there now. `timeNs` and `accesses` (`Traffic`) are of that event; the next one comes right after.
   */
  readonly signalled?: (timeNs: number, accesses: number) => void;
  /** The card is about to be reset. */
  readonly reset?: (event: ResetEvent) => void;
  /** Whether it matters to this check, now, that the driver goes. */
  readonly isUnsettled?: () => boolean;
  /** The card's driver has gone; `what` says how it is known: `the command ./driver has ended`. */
  readonly driverLeft?: (what: string, timeNs: number) => void;
}

/** Whether a BAR is at this offset of configuration space. */
export const isBaseAddress = (offset: number): boolean => offset >= 0x10 && offset < 0x28;
