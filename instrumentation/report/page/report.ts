/**
 * What an exported report holds, as both sides of it know it: `report-data.ts` fills it in when the report is made, the
 * page reads it. A head in JSON, and columns with one number for each event, so that 100,000 events are a few arrays.
 */

/** How an event looks in a lane; also what can be filtered for. In the order of the filter. */
export const INKS = [
  'read',
  'write',
  'descriptor',
  'data',
  'write-back',
  'other-dma',
  'raised',
  'held',
  'sent',
  'state',
  'task',
  'client',
  'mark',
  'fault',
  'notice',
] as const;
export type Ink = (typeof INKS)[number];

export interface FieldHead {
  readonly name: string;
  readonly msb: number;
  readonly lsb: number;
  readonly access: string;
  readonly doc: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

export interface RegisterHead {
  readonly card: number;
  readonly region: number;
  /** Bytes from the start of the region. */
  readonly offset: number;
  readonly name: string;
  /** Bits. */
  readonly width: number;
  readonly access: string;
  /** Hexadecimal. */
  readonly reset: string;
  readonly doc: string;
  readonly fields: readonly FieldHead[];
}

/** What lies in one lane; its group decides how it is drawn. */
export interface LaneHead {
  /** 0: of the run as a whole. */
  readonly card: number;
  readonly group: 'marks' | 'problems' | 'registers' | 'dma' | 'interrupts' | 'states' | 'tasks' | 'config' | 'client';
  readonly label: string;
  /** VFIO region of a lane of registers. */
  readonly region?: number;
}

export interface CardHead {
  readonly id: number;
  readonly name: string;
  /** Class, vendor and device id, in words. */
  readonly what: string;
  /** To be added to a card's device time to have it on the axis that all cards share. */
  readonly offsetNs: number;
  /** Places in BARs that are no registers, and are not meant to be. */
  readonly memory: readonly { readonly region: number; readonly offset: number; readonly sizeBytes: number }[];
  /** Those that were declared for it, in words. */
  readonly faults: readonly string[];
}

/** Bytes that a card has read, and who wrote them. */
export interface WrittenHead {
  /** `16 bytes at 0x1000, written by driver.c:133 put (driver, process 143)` */
  readonly text: string;
  /** Of DMA: where, first and one past the last. */
  readonly dma?: readonly [start: number, end: number];
}

/** A notice, or what was left to say of a card at the end. */
export interface FoundHead {
  readonly what: 'notice' | 'end';
  readonly text: string;
  /** The notice, or the last event that it is about. */
  readonly event: number;
}

export interface ReportHead {
  readonly title: string;
  /** Lines about the recording. */
  readonly about: readonly (readonly [name: string, value: string])[];
  /** What the reader must know before trusting the picture. */
  readonly warnings: readonly string[];
  readonly found: readonly FoundHead[];
  readonly cards: readonly CardHead[];
  readonly lanes: readonly LaneHead[];
  readonly registers: readonly RegisterHead[];
  /** Words of events; columns refer to them by number. */
  readonly strings: readonly string[];
  /** Kinds of events, by code. */
  readonly kinds: readonly string[];
  /** Further fields of events, as name and value; events with the same ones share them. */
  readonly facts: readonly (readonly (readonly [name: string, value: string])[])[];
  /** Who wrote what cards have read. The first is empty. */
  readonly written: readonly (readonly WrittenHead[])[];
  readonly eventCount: number;
  /** Where columns lie after the head. */
  readonly columns: Readonly<Record<string, { readonly at: number; readonly length: number }>>;
}

/** One number for each event, unless said otherwise; -1 where there is none. */
export interface Columns {
  /** Index into `kinds`. */
  readonly kind: Uint8Array;
  readonly ink: Uint8Array;
  readonly card: Uint16Array;
  readonly lane: Uint16Array;
  /** Nanoseconds on the axis of device time. */
  readonly deviceNs: Float64Array;
  readonly hostNs: Float64Array;
  readonly what: Uint32Array;
  readonly subject: Uint32Array;
  readonly detail: Uint32Array;
  /** Who did it, '' where it is not known. */
  readonly origin: Uint32Array;
  readonly facts: Uint32Array;
  /** VFIO region of an access. */
  readonly region: Int8Array;
  /** Offset in the region, or I/O virtual address. */
  readonly address: Float64Array;
  readonly sizeBytes: Float64Array;
  /** Index of the register touched first. */
  readonly register: Int32Array;
  /** The event that this one is an effect of. */
  readonly cause: Int32Array;
  /** Of DMA: the register write that had started the channel. */
  readonly doorbell: Int32Array;
  /** Index into `written`. */
  readonly written: Uint32Array;
  /** 1: it failed. */
  readonly failed: Uint8Array;
  /** Index of the payload: bytes `payloadAt[i]` to `payloadAt[i + 1]` of `payloads`. */
  readonly payload: Int32Array;
  readonly payloadAt: Uint32Array;
  readonly payloads: Uint8Array;
  /** Every touch of a register: pairs of event and register, by event. */
  readonly touches: Uint32Array;
  /** What notices are about: pairs of a notice and another event. */
  readonly abouts: Uint32Array;
}

/** Arrays whose elements are written as differences, which pack better. */
export const DIFFERENCES: readonly (keyof Columns)[] = [
  'deviceNs',
  'hostNs',
  'what',
  'subject',
  'detail',
  'origin',
  'payloadAt',
];

export const COLUMN_TYPES = {
  kind: Uint8Array,
  ink: Uint8Array,
  card: Uint16Array,
  lane: Uint16Array,
  deviceNs: Float64Array,
  hostNs: Float64Array,
  what: Uint32Array,
  subject: Uint32Array,
  detail: Uint32Array,
  origin: Uint32Array,
  facts: Uint32Array,
  region: Int8Array,
  address: Float64Array,
  sizeBytes: Float64Array,
  register: Int32Array,
  cause: Int32Array,
  doorbell: Int32Array,
  written: Uint32Array,
  failed: Uint8Array,
  payload: Int32Array,
  payloadAt: Uint32Array,
  payloads: Uint8Array,
  touches: Uint32Array,
  abouts: Uint32Array,
} as const;

export interface Report {
  readonly head: ReportHead;
  readonly columns: Columns;
}

/** Undoes `packReport`, when the bytes have been inflated: length of the head, head, columns at multiples of 8. */
export function unpackReport(bytes: Uint8Array): Report {
  const headLength = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headLength))) as ReportHead;
  const start = Math.ceil((8 + headLength) / 8) * 8;
  const columns: Record<string, unknown> = {};
  for (const [name, Type] of Object.entries(COLUMN_TYPES)) {
    const { at, length } = head.columns[name]!;
    const column = new Type(bytes.buffer as ArrayBuffer, bytes.byteOffset + start + at, length);
    if (DIFFERENCES.includes(name as keyof Columns)) {
      for (let i = 1; i < length; i++) column[i]! += column[i - 1]!;
    }
    columns[name] = column;
  }
  return { head, columns: columns as unknown as Columns };
}
