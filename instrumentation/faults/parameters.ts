/**
 * The parameters of injected faults: what each may be, and what it means. They are data. The types of declarations, their
 * check and the tables of docs/faults.md are derived from them.
 */
import { type DmaRole } from '../../emulator/memory';
import { BAR_COUNT, type TlpHeader } from '../../emulator/pci';
import { RESET_KINDS, type ResetKind } from '../../emulator/registers';

/** A fault is declared wrong, or the card cannot have it. Reported before anything is started. */
export class FaultDeclarationError extends Error {
  override readonly name = 'FaultDeclarationError';
}

/** `'0x1f00'` is for JSON, which has no hexadecimal numbers. */
export type Address = number | `0x${string}`;

export const addressOf = (address: Address): number => Number(address);

/** `to` is included; without it there is no end. */
export interface Range<T = number> {
  readonly from?: T;
  readonly to?: T;
}

/** Which of the events that match, counted from 1. `every: 3` is the 3rd, the 6th and so on. */
export type Occurrence = number | Range | { readonly every: number } | 'all';

/** What a value must be, in words, and whether it is. */
export interface Rule<T> {
  readonly expected: string;
  readonly isMet: (value: unknown) => value is T;
}

/** `N`: whether it must be given, may be, or has a default. */
export interface Parameter<T = unknown, N = 'required' | 'optional' | 'default'> extends Rule<T> {
  readonly need: N;
  readonly default?: T;
  /** What it means, for docs/faults.md. */
  readonly doc: string;
}

export type Parameters = Readonly<Record<string, Parameter>>;

export const required = <T>(rule: Rule<T>, doc: string): Parameter<T, 'required'> => ({
  ...rule,
  need: 'required',
  doc,
});
export const optional = <T>(rule: Rule<T>, doc: string): Parameter<T, 'optional'> => ({
  ...rule,
  need: 'optional',
  doc,
});
export const withDefault = <T>(rule: Rule<T>, value: T, doc: string): Parameter<T, 'default'> => ({
  ...rule,
  need: 'default',
  default: value,
  doc,
});

type Keys<P, N> = { [K in keyof P]: P[K] extends Parameter<unknown, N> ? K : never }[keyof P];
type ValueOf<P> = P extends Parameter<infer T, unknown> ? T : never;

type ValuesOf<P, K extends keyof P> = { readonly [Key in K]: ValueOf<P[Key]> };

/** As it is declared. */
export type Values<P> = ValuesOf<P, Keys<P, 'required'>> & Partial<ValuesOf<P, Keys<P, 'optional' | 'default'>>>;

/** With its defaults. */
export type Filled<P> = ValuesOf<P, Keys<P, 'required' | 'default'>> & Partial<ValuesOf<P, Keys<P, 'optional'>>>;

const rule = <T>(expected: string, isMet: (value: unknown) => boolean): Rule<T> => ({
  expected,
  isMet: isMet as (value: unknown) => value is T,
});

const isWhole = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isRange = (value: unknown, isBound: (bound: unknown) => boolean): boolean =>
  isObject(value) &&
  Object.keys(value).length > 0 &&
  Object.entries(value).every(([key, bound]) => (key === 'from' || key === 'to') && isBound(bound)) &&
  !(value.from !== undefined && value.to !== undefined && Number(value.from) > Number(value.to));
const isAddress = (value: unknown): boolean =>
  isWhole(value, 0) || (typeof value === 'string' && /^0x[0-9a-f]+$/i.test(value) && isWhole(Number(value), 0));

export const whole = (least: number, most?: number): Rule<number> =>
  rule(`a whole number from ${least} ${most === undefined ? 'up' : `to ${most}`}`, (value) =>
    isWhole(value, least, most),
  );
/** A time in nanoseconds. */
export const ns = whole(0);
export const text: Rule<string> = rule(
  'a text that is not empty',
  (value) => typeof value === 'string' && value !== '',
);
export const yesNo: Rule<boolean> = rule('true or false', (value) => typeof value === 'boolean');
export const oneOf = <const T extends string>(...values: readonly T[]): Rule<T> =>
  rule(`one of ${values.map((value) => `'${value}'`).join(', ')}`, (value) => values.includes(value as T));
/** The header of a packet. */
export const tlpHeader: Rule<TlpHeader> = rule(
  'four whole numbers from 0 to 4294967295',
  (value) => Array.isArray(value) && value.length === 4 && value.every((word) => isWhole(word, 0, 0xffff_ffff)),
);
const addresses: Rule<Range<Address>> = rule(
  "{ from, to } with from not above to, each a whole number from 0 up or a text such as '0x1000'",
  (value) => isRange(value, isAddress),
);
const times: Rule<Range> = rule('{ from, to } with from not above to, whole numbers from 0 up', (value) =>
  isRange(value, (bound) => isWhole(bound, 0)),
);
const occurrence: Rule<Occurrence> = rule(
  "a whole number from 1 up, { from, to }, { every: n } or 'all'",
  (value) =>
    value === 'all' ||
    isWhole(value, 1) ||
    isRange(value, (bound) => isWhole(bound, 1)) ||
    (isObject(value) && Object.keys(value).join() === 'every' && isWhole(value.every, 1)),
);

/** A reset of a kind, counted from 1. */
export interface NthReset {
  readonly kind: ResetKind;
  readonly count?: number;
}
const nthReset: Rule<NthReset> = rule(
  `{ kind, count } with a kind of ${RESET_KINDS.join(', ')} and a whole number from 1 up, or without count`,
  (value) =>
    isObject(value) &&
    RESET_KINDS.some((kind) => kind === value.kind) &&
    (value.count === undefined || isWhole(value.count, 1)) &&
    Object.keys(value).every((key) => key === 'kind' || key === 'count'),
);

/** What every fault may have. */
export const COMMON = {
  /** What it is called in reports. Default: its kind. */
  name: optional(text, 'What it is called in reports; default: its kind.'),
  /** That it never fires is no failure. Default false. */
  mayNotFire: optional(yesNo, '`true`: [that it never fires](#a-fault-that-has-not-fired) is no failure.'),
};

/** The keys that select events of any sort. */
export const COUNTED = {
  /** Which of those that match, counted from 1. Default 1. */
  occurrence: withDefault(
    occurrence,
    1,
    '`3` is the third match; `{ "from": 3, "to": 5 }` the third to the fifth; `{ "every": 3 }` the third, the sixth and so on; `"all"` each.',
  ),
  timeNs: optional(
    times,
    '`{ from, to }`: events at other device times do not count. Device time begins when the card is made.',
  ),
  afterReset: optional(
    nthReset,
    '`{ "kind": "flr", "count": 2 }`: events before the second reset of this [kind](writing-a-card.md#resets) do not count. Default of `count` 1.',
  ),
};

/** Resets of the card. */
export const RESET = {
  ...COUNTED,
  reset: optional(oneOf(...RESET_KINDS), 'The kind of reset: `device`, `flr`, `d3hot`, `link-down` or `power`.'),
};

/** Interrupts that the card raises: messages, or the assertion of its INTx line. */
export const INTERRUPT = {
  ...COUNTED,
  /** INTx is vector 0. Default: any. */
  vector: optional(whole(0, 2047), 'Of MSI and MSI-X, as the card raises it. INTx is vector 0.'),
};

/** Accesses of the card to host memory, by one part of it. */
export const CHANNEL = {
  ...COUNTED,
  /** Such as 'H2C0', as the card names it. Default: any. */
  channel: optional(
    text,
    'The part of the card, as its model calls it (`dmaAs`): for the reference card `H2C0`, `C2H0`, `H2C1`, `C2H1`; `H2C*` for both of these.',
  ),
  iova: optional(addresses, '`{ from, to }`: accesses that touch these addresses.'),
};

export const DMA = {
  ...CHANNEL,
  role: optional(
    oneOf('descriptor', 'data', 'write-back', 'other') satisfies Rule<DmaRole>,
    'What the access is for: `descriptor`, `data`, `write-back` or `other`. When the card hands a descriptor back, that is a write with the role `descriptor`.',
  ),
  access: optional(oneOf('read', 'write'), '`read` or `write`.'),
};

/** Accesses of the driver to the card. */
export const ACCESS = {
  ...COUNTED,
  /** 'STATUS', 'H2C[0].DOORBELL', 'H2C[*].DOORBELL', 'BAR2:STATUS', 'config:COMMAND'. Default: anything in any BAR. */
  register: optional(
    text,
    '`STATUS`, `H2C[0].DOORBELL`; `H2C[*].DOORBELL` for every channel; `BAR2:STATUS` where several BARs have a register of that name; `config:COMMAND` in configuration space. Without `register` and `bar`: anything in any BAR, but not in configuration space.',
  ),
  bar: optional(whole(0, BAR_COUNT - 1), 'In place of a register: anything in this BAR.'),
  offset: optional(addresses, '`{ from, to }`: only at these offsets in `bar`.'),
};

export type EventCount = Filled<typeof COUNTED>;
export type ResetMatch = Filled<typeof RESET>;
export type InterruptMatch = Filled<typeof INTERRUPT>;
export type DmaMatch = Filled<typeof DMA>;
export type AccessMatch = Filled<typeof ACCESS>;
