/** Whether a fault is declared right: the shape of what a file or a test has given, and whether the card has what it names. */
import { BAR_COUNT, Irq, type PciCard } from '../../emulator/pci';
import { nearestNames } from '../../emulator/registers/nearest-names';
import { type FaultDeclaration, type FaultKind } from './parameters';
import { addressOf } from './address';
import { FaultDeclarationError } from './error';

/** What a value must be, in words, and whether it is. */
type Rule = readonly [expected: string, isMet: (value: unknown) => boolean];
type Rules = Readonly<Record<string, Rule>>;

const isWhole = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER): boolean =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
const whole = (least: number, most?: number): Rule => [
  most === undefined ? `a whole number from ${least} up` : `a whole number from ${least} to ${most}`,
  (value) => isWhole(value, least, most),
];
const text: Rule = ['a text that is not empty', (value) => typeof value === 'string' && value !== ''];
const yesNo: Rule = ['true or false', (value) => typeof value === 'boolean'];
const oneOf = (...values: string[]): Rule => [
  `one of ${values.map((value) => `'${value}'`).join(', ')}`,
  (value) => values.includes(value as string),
];
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isRange = (value: unknown, isBound: (bound: unknown) => boolean): boolean =>
  isObject(value) &&
  Object.keys(value).length > 0 &&
  Object.entries(value).every(([key, bound]) => (key === 'from' || key === 'to') && isBound(bound)) &&
  !(value.from !== undefined && value.to !== undefined && Number(value.from) > Number(value.to));
const isAddress = (value: unknown): boolean =>
  isWhole(value, 0) || (typeof value === 'string' && /^0x[0-9a-f]+$/i.test(value) && isWhole(Number(value), 0));
const addresses: Rule = [
  "{ from, to } with from not above to, each a whole number from 0 up or a text such as '0x1000'",
  (value) => isRange(value, isAddress),
];
const occurrence: Rule = [
  "a whole number from 1 up, { from, to }, { every: n } or 'all'",
  (value) =>
    value === 'all' ||
    isWhole(value, 1) ||
    isRange(value, (bound) => isWhole(bound, 1)) ||
    (isObject(value) && Object.keys(value).join() === 'every' && isWhole(value.every, 1)),
];

const ANY: Rules = { name: text, mayNotFire: yesNo };
const COUNTED: Rules = {
  occurrence,
  timeNs: [
    '{ from, to } with from not above to, whole numbers from 0 up',
    (value) => isRange(value, (b) => isWhole(b, 0)),
  ],
};
const INTERRUPT: Rules = { ...COUNTED, vector: whole(0, 2047) };
const CHANNEL: Rules = { ...COUNTED, channel: text, iova: addresses };
const DMA: Rules = {
  ...CHANNEL,
  role: oneOf('descriptor', 'data', 'write-back', 'other'),
  access: oneOf('read', 'write'),
};
const ACCESS: Rules = { ...COUNTED, register: text, bar: whole(0, BAR_COUNT - 1), offset: addresses };
const ns = whole(0);
const LASTING: Rules = { reads: whole(1), forNs: whole(1) };
/** A client that waits longer takes the card for dead: QEMU does so after 5 s. */
const MOST_STALLED_NS = 1_000_000_000;

interface Kind {
  readonly required?: Rules;
  readonly optional: Rules;
}

const KINDS: Readonly<Record<FaultKind, Kind>> = {
  'interrupt-dropped': { optional: INTERRUPT },
  'interrupt-delayed': { optional: INTERRUPT, required: { delayNs: ns } },
  'interrupt-duplicated': { optional: { ...INTERRUPT, times: whole(2, 1000), gapNs: ns } },
  'interrupt-spurious': { optional: { vector: whole(0, 2047), forNs: whole(1) } },
  'interrupt-before-write-back': { optional: { ...INTERRUPT, channel: text, delayNs: ns } },
  'write-back-before-data': { optional: { ...CHANNEL, delayNs: ns } },
  'dma-delayed': { optional: DMA, required: { delayNs: ns } },
  'dma-truncated': { optional: DMA, required: { bytes: whole(0) } },
  'dma-corrupted': { optional: { ...DMA, byte: whole(0), xor: whole(1, 255) } },
  'dma-duplicated': { optional: { ...DMA, delayNs: ns } },
  'descriptor-stale': { optional: CHANNEL },
  'reads-all-ones': { optional: { ...ACCESS, ...LASTING, linkDown: yesNo } },
  'write-lost': { optional: ACCESS },
  'device-slow': {
    optional: { ...ACCESS, on: oneOf('read', 'write') },
    required: { delayNs: whole(0, MOST_STALLED_NS) },
  },
  'field-stuck': { optional: { ...COUNTED, ...LASTING }, required: { field: text, value: ns } },
  'writes-posted': { optional: { ...ACCESS, holdNs: ns } },
  'reset-in-transfer': { optional: DMA },
  'surprise-removal': { optional: {} },
};

/** What a fault that happens at something may have besides, by what that is. */
const TRIGGERS: Readonly<Record<string, Rules>> = { read: ACCESS, write: ACCESS, dma: DMA, interrupt: INTERRUPT };
const TRIGGERED: Readonly<Partial<Record<FaultKind, readonly string[]>>> = {
  'interrupt-spurious': ['read', 'write', 'dma'],
  'surprise-removal': ['read', 'write', 'dma', 'interrupt'],
};

export const FAULT_KINDS = Object.keys(KINDS) as FaultKind[];

/** What a kind has besides what says which events it is for. */
export function parametersOf(fault: FaultKind): string[] {
  const { optional, required } = KINDS[fault];
  const isTriggered = TRIGGERED[fault] !== undefined;
  const own = Object.keys({ ...optional, ...required }).filter((key) => isTriggered || !isMatchKey(fault, key));
  return isTriggered ? [...own, 'atNs', 'on'] : own;
}

/** `channel` is a parameter of what is no DMA. */
const isMatchKey = (fault: FaultKind, key: string): boolean =>
  (key in DMA && !(fault === 'interrupt-before-write-back' && key === 'channel')) || key in ACCESS || key in INTERRUPT;

/** Throws a FaultDeclarationError that begins with `place` when the declaration is none. */
export function checkFault(declaration: unknown, place: string): asserts declaration is FaultDeclaration {
  const wrong = mistakeIn(declaration);
  if (wrong !== undefined) throw new FaultDeclarationError(`${place}: ${wrong}`);
}

function mistakeIn(declaration: unknown): string | undefined {
  if (!isObject(declaration))
    return `a fault is an object such as { "fault": "write-lost" }, not ${shown(declaration)}`;
  const { fault } = declaration;
  if (typeof fault !== 'string' || !Object.hasOwn(KINDS, fault)) {
    const nearest = typeof fault === 'string' ? nearestNames(fault, Object.keys(KINDS)) : Object.keys(KINDS);
    return `fault is ${shown(fault)}; the nearest of the kinds there are: ${nearest.join(', ')}`;
  }
  const kind = KINDS[fault as FaultKind];
  const trigger = triggerOf(declaration);
  if (typeof trigger === 'string') return trigger;
  const required = { ...kind.required, ...trigger?.required };
  const rules: Rules = { ...ANY, ...trigger?.optional, ...kind.optional, ...required };
  for (const [key, value] of Object.entries(declaration)) {
    if (key === 'fault') continue;
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (rule === undefined) return `it has no '${key}'; what it may have: ${Object.keys(rules).join(', ')}`;
    if (!rule[1](value)) return `${key} is ${shown(value)}; it must be ${rule[0]}`;
  }
  const missing = Object.keys(required).find((key) => declaration[key] === undefined);
  if (missing !== undefined) return `${missing} is missing; it must be ${required[missing]![0]}`;
  const { register, bar, offset } = declaration;
  if (register !== undefined && (bar ?? offset) !== undefined) return 'register says where; leave out bar and offset';
  if (offset !== undefined && bar === undefined) return 'offset is in a BAR: say which (bar)';
  return undefined;
}

/** The rules of what it happens at, for a kind that happens at something; or what is wrong with that. */
function triggerOf(declaration: Record<string, unknown>): Kind | string | undefined {
  const triggers = TRIGGERED[declaration.fault as FaultKind];
  if (triggers === undefined) return undefined;
  const { on, atNs } = declaration;
  if (atNs !== undefined && on !== undefined) return 'it happens at a time (atNs) or on an event (on), not both';
  if (atNs !== undefined) return { optional: {}, required: { atNs: ns } };
  if (!triggers.includes(on as string)) {
    return `on is ${shown(on)}; it must be ${oneOf(...triggers)[0]}, or atNs must say when it happens`;
  }
  return { optional: TRIGGERS[on as string]!, required: { on: oneOf(...triggers) } };
}

const shown = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value));

/** What a declaration names must be there; registers are looked for where they are matched. */
export function checkForCard(declaration: FaultDeclaration, { inspection, layout }: PciCard): void {
  const { channel, role, vector, bar, offset } = declaration as {
    readonly [Key in 'channel' | 'role']?: string;
  } & { vector?: number; bar?: number; offset?: { from?: number | `0x${string}`; to?: number | `0x${string}` } };
  const initiators = inspection.dma.initiators;
  if (channel !== undefined && !initiators.some((by) => by.channel === channel)) {
    const channels = [...new Set(initiators.map((by) => by.channel))].filter(Boolean);
    throw new FaultDeclarationError(
      channels.length === 0
        ? `the card does not name the channels of its DMA, so there is no '${channel}': leave channel out, or have the card use dmaAs({ channel: '${channel}', … })`
        : `the card has no DMA channel '${channel}'; it has ${channels.join(', ')}`,
    );
  }
  const needed = role === undefined ? ROLES[declaration.fault] : [role];
  if (needed !== undefined && !initiators.some((by) => needed.includes(by.role))) {
    const roles = [...new Set(initiators.map((by) => by.role))].join(', ');
    const wanted = needed.join(' or ');
    throw new FaultDeclarationError(
      `the card has no DMA of the role ${wanted}; it has ${roles} (the model says so with dmaAs({ channel, role }))`,
    );
  }
  const { [Irq.INTX]: intx, [Irq.MSI]: msi, [Irq.MSIX]: msix } = layout.irqs;
  const vectors = Math.max(intx?.count ?? 0, msi?.count ?? 0, msix?.count ?? 0);
  if (vector !== undefined && vector >= vectors) {
    throw new FaultDeclarationError(
      vectors === 0 ? 'the card has no interrupts' : `the card has no vector ${vector}; it has 0 to ${vectors - 1}`,
    );
  }
  if (bar === undefined) return;
  const sizeBytes = layout.regions[bar]?.sizeBytes ?? 0;
  if (sizeBytes === 0) throw new FaultDeclarationError(`the card has no BAR ${bar}`);
  if (offset && addressOf(offset.from ?? 0) >= sizeBytes) {
    throw new FaultDeclarationError(`offset begins at ${String(offset.from)}; BAR ${bar} has ${sizeBytes} bytes`);
  }
}

/** The roles of which kinds need the card to tell one. */
const ROLES: Readonly<Partial<Record<FaultKind, readonly string[]>>> = {
  'interrupt-before-write-back': ['descriptor', 'write-back'],
  'write-back-before-data': ['data'],
  'descriptor-stale': ['descriptor'],
  'reset-in-transfer': ['data'],
};
