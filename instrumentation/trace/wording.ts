/** Words for what happens to a card: for events in a file, in the ring in memory, or as they happen. */
import { type HeldReason } from '../../emulator/pci';
import { type FieldLayout, type RegisterLayout, type ResetKind } from '../../emulator/registers';
import { type CardDescription } from './card-description';
import { type AccessEvent, type DmaEvent, type EventContent, type IrqSetupEvent, type Origin } from './event';
import { decodeStructures, type DecodedStructure } from './structures';
import { type NamedRegister, placeOf, type RegisterNames } from './names';
import { printable } from './printable';

/** An event in words. */
export interface EventWords {
  /** What happened: `write`, `DMA reads`, `interrupt raised`, `state`. */
  readonly what: string;
  /** To what, or by what: `H2C[0].DOORBELL`, `64 bytes at 0x1000`, `MSI-X vector 0`, `H2C0`. May be ''. */
  readonly subject: string;
  /** The rest: `0x00000001 (INDEX=1)`, `(H2C0, descriptor): 01 00 00 …`, `(masked)`, `running`. May be ''. */
  readonly detail: string;
}

/** Texts that come from a driver or a card are made printable here. */
export const words = (what: string, subject = '', detail = ''): EventWords => ({
  what: printable(what),
  subject: printable(subject),
  detail: printable(detail),
});

/** `write H2C[0].DOORBELL 0x00000001 (INDEX=1)` */
export const inOneLine = ({ what, subject, detail }: EventWords): string => joined(' ', what, subject, detail);

const joined = (separator: string, ...parts: readonly string[]): string =>
  parts.filter((part) => part !== '').join(separator);

const INTERRUPT_NAMES = ['INTx', 'MSI', 'MSI-X', 'error interrupt', 'request interrupt'];

/** `   12.345 us` */
export const wordTime = (timeNs: number): string => `${(timeNs / 1000).toFixed(3).padStart(14)} us`;

const DURATIONS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
] as const;

/** `250 ms`, `1.5 us`, `40 ns`: a duration, exactly. */
export function wordDuration(ns: number): string {
  const [divisor, unit] = DURATIONS.find(([divisor]) => ns >= divisor) ?? [1, 'ns'];
  return `${ns / divisor} ${unit}`;
}

export function wordCard({ name, model, vendorId, deviceId, faults }: CardDescription): EventWords {
  const ids = [vendorId, deviceId].map((id) => id.toString(16).padStart(4, '0')).join(':');
  const declared = faults.length === 0 ? '' : `, ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'} declared`;
  return words('card', name, `(${model}, ${ids}${declared})`);
}

export interface AccessWords {
  /** `CTRL`, `SCRATCH64 + 4`, `BAR0 + 0x3000` */
  readonly place: string;
  /** `0x00000001`; with `…` after the first eight bytes of a longer access. */
  readonly value: string;
  /** `(START=1)` of a whole register, `(4 bytes)` of anything else; '' for a register whose fields are all 0. */
  readonly detail: string;
  /** The register that was accessed, or the first one that was touched. */
  readonly register?: NamedRegister;
}

/** An access of a region in words; `value` is that of its first eight bytes. */
export function wordAccess(
  names: RegisterNames,
  region: number,
  offset: number,
  sizeBytes: number,
  value: bigint,
): AccessWords {
  const register = names.at(region, offset, sizeBytes);
  const isWhole = register?.offset === offset && register.layout.width === sizeBytes * 8;
  const digits = Math.min(sizeBytes, 8) * 2;
  return {
    place: placeOf(names, region, offset, sizeBytes),
    value: `0x${value.toString(16).padStart(digits, '0')}${sizeBytes > 8 ? '…' : ''}`,
    detail: isWhole ? fieldsOf(register.layout, value).trimStart() : `(${wordBytes(sizeBytes)})`,
    ...(register && { register }),
  };
}

export function wordRegisterAccess(
  { kind, region, offset, data }: EventContent<AccessEvent>,
  names: RegisterNames,
): EventWords {
  const { place, value, detail } = wordAccess(names, region, offset, data.length, valueOf(data));
  return words(kind, place, joined(' ', value, detail));
}

/** The little-endian value of the first eight bytes. */
export function valueOf(data: Uint8Array): bigint {
  let value = 0n;
  for (let i = Math.min(data.length, 8); i-- > 0;) value = (value << 8n) | BigInt(data[i]!);
  return value;
}

export function wordDma(event: EventContent<DmaEvent>, names: RegisterNames): EventWords {
  const { what, by, range, outcome } = partsOfDma(event, names);
  return words(what, range, joined(': ', by.length === 0 ? '' : `(${by.join(', ')})`, outcome));
}

/** With the part of the card as the subject, where it is known: `H2C0 descriptor`, `32 bytes at 0x1000: 01 00 …`. */
export function wordDmaByActor(event: EventContent<DmaEvent>, names: RegisterNames): EventWords {
  const { what, by, range, outcome } = partsOfDma(event, names);
  return by.length === 0 ? words(what, range, outcome) : words(what, by.join(' '), joined(': ', range, outcome));
}

function partsOfDma(event: EventContent<DmaEvent>, names: RegisterNames) {
  const { kind, channel, role, iova, sizeBytes, data, hash, error, isAsync } = event;
  const by = [channel, role === 'other' ? '' : role, isAsync ? 'by message' : ''].filter((part) => part !== '');
  const layout = names.channels.layoutOf(channel, role);
  const decoded = layout && data ? wordStructures(decodeStructures(layout, iova, data)) : '';
  const payload = decoded !== '' ? decoded : data ? wordPayload(data) : hash !== undefined ? `SHA-256 ${hash}…` : '';
  const outcome = error === undefined ? payload : `failed, ${error}`;
  return { what: kind === 'dma-read' ? 'DMA reads' : 'DMA writes', by, range: wordRange(sizeBytes, iova), outcome };
}

const SHOWN_STRUCTURES = 2;

/** `CONTROL=3 (OWNER=1, INTERRUPT=1), LENGTH=0x1000, …`; of several, the first ones, in brackets. */
function wordStructures(structures: readonly DecodedStructure[]): string {
  const shown = structures.slice(0, SHOWN_STRUCTURES).map(({ words }) => {
    return words
      .map(({ layout, value }) => `${layout.name}=${formatValue(value)}${fieldsOf(layout, value)}`)
      .join(', ');
  });
  const more = structures.length - shown.length;
  if (structures.length <= 1) return shown.join('');
  return `${shown.map((text) => `[${text}]`).join(' ')}${more > 0 ? ` and ${more} more` : ''}`;
}

const SHOWN_BYTES = 32;

/** `01 00 00 00 …` */
function wordPayload(data: Uint8Array): string {
  const hex = Array.from(data.subarray(0, SHOWN_BYTES), (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  return data.length > SHOWN_BYTES ? `${hex} …` : hex;
}

/** `1 byte`, `64 bytes` */
export const wordBytes = (count: number): string => `${count} ${count === 1 ? 'byte' : 'bytes'}`;

/** `64 bytes at 0x1000`; the whole address space is `all memory`. */
export const wordRange = (sizeBytes: number, address: number): string =>
  sizeBytes >= 2 ** 64 ? 'all memory' : `${wordBytes(sizeBytes)} at 0x${address.toString(16)}`;

/** `MSI-X vector 3`, `INTx` */
export const wordInterrupt = (index: number, vector: number): string =>
  `${wordMechanism(index)}${index === 1 || index === 2 ? ` vector ${vector}` : ''}`;

/** `MSI-X` */
export const wordMechanism = (index: number): string => INTERRUPT_NAMES[index] ?? `interrupt index ${index}`;

export const RESET_NAMES: Readonly<Record<ResetKind, string>> = {
  'device': 'device reset',
  'flr': 'function-level reset',
  'd3hot': 'reset by the return from D3hot',
  'link-down': 'reset by the loss of the link',
  'power': 'power-on reset',
};

export const HELD: Readonly<Record<HeldReason, string>> = {
  'masked': '(masked)',
  'disabled': '(not enabled)',
  'not-connected': '(not connected)',
  'bus-master-off': '(Bus Master Enable is 0)',
};

const IRQ_ACTIONS = { sinks: 'connects', trigger: 'triggers', mask: 'masks', unmask: 'unmasks' } as const;

export function wordIrqSetup({ index, start, count, action, vectors }: EventContent<IrqSetupEvent>): EventWords {
  const mechanism = wordMechanism(index);
  if (count === 0) return words('client disconnects', mechanism);
  const ofAll = (wanted: boolean) =>
    Array.from({ length: count }, (_, i) => start + i).filter((_, i) => (vectors?.[i] ?? true) === wanted);
  const [concerned, others] = [ofAll(true), ofAll(false)];
  const list = (of: readonly number[]) => (index === 1 || index === 2 ? `${mechanism} ${wordVectors(of)}` : mechanism);
  if (action !== 'sinks') return words(`client ${IRQ_ACTIONS[action]}`, list(concerned));
  if (concerned.length === 0) return words('client disconnects', list(others));
  return words('client connects', list(concerned), others.length > 0 ? `(disconnects ${wordVectors(others)})` : '');
}

/** `driver.c:212 ring_doorbell (driver, process 71)`; the address in place of a name that is not known. */
export function wordPlace({ pid, process, address, name }: Origin): string {
  const by = [process, pid === 0 ? '' : `process ${pid}`].filter((part) => part !== '').join(', ');
  return printable(joined(' ', name ?? address, by === '' ? '' : `(${by})`));
}

/** `by driver.c:212 ring_doorbell (driver, process 71)`: who did an access. */
export const wordOrigin = (origin: Origin): EventWords => words('by', wordPlace(origin));

/** `vector 3`, `vectors 0 to 7`, `vectors 0, 2, 5` */
function wordVectors(vectors: readonly number[]): string {
  const [first, last] = [vectors[0], vectors.at(-1)];
  if (first === undefined || last === undefined) return 'no vector';
  if (first === last) return `vector ${first}`;
  return last - first === vectors.length - 1 ? `vectors ${first} to ${last}` : `vectors ${vectors.join(', ')}`;
}

/** ` (BUSY=1, CODE=3)`: the fields that are not 0; '' when there are none. */
export function fieldsOf(register: Pick<RegisterLayout, 'fields'>, value: bigint): string {
  const shown = register.fields.flatMap((field) => {
    const part = fieldValue(field, value);
    return part === 0n ? [] : [`${field.name}=${nameOfValue(field, part) ?? formatValue(part)}`];
  });
  return shown.length === 0 ? '' : ` (${shown.join(', ')})`;
}

export function fieldValue(field: FieldLayout, value: bigint): bigint {
  return (value >> BigInt(field.lsb)) & ((1n << BigInt(field.width)) - 1n);
}

/** The name of this value in the register map. */
export function nameOfValue(field: FieldLayout, value: bigint): string | undefined {
  return field.values.find((known) => BigInt(known.value) === value)?.name;
}

/** Small numbers in decimal, others in hexadecimal. */
export function formatValue(value: number | bigint): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
