/** How things of a trace are worded, whether they come from the ring in memory or from a file. */
import { type FieldLayout, type RegisterLayout } from '../../emulator/registers';
import { type NamedRegister, placeOf, type RegisterNames } from './names';

const INTERRUPT_NAMES = ['INTx', 'MSI', 'MSI-X', 'error interrupt', 'request interrupt'];

/** `   12.345 us` */
export const wordTime = (timeNs: number): string => `${(timeNs / 1000).toFixed(3).padStart(14)} us`;

const DURATIONS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
] as const;

/** `250 ms`, `1.5 us`, `40 ns`: a length of time, exactly. */
export function wordDuration(ns: number): string {
  const [divisor, unit] = DURATIONS.find(([divisor]) => ns >= divisor) ?? [1, 'ns'];
  return `${ns / divisor} ${unit}`;
}

export interface AccessWords {
  /** `CTRL`, `SCRATCH64 + 4`, `BAR0 + 0x3000` */
  readonly place: string;
  /** `0x00000001`; with `…` behind the first eight bytes of a longer access. */
  readonly value: string;
  /** `(START=1)` of a whole register, `(4 bytes)` of anything else; '' for a register whose fields are all 0. */
  readonly detail: string;
  /** The register that was accessed, or touched first. */
  readonly register?: NamedRegister;
}

/** Of an access of a region; `value` is that of its first eight bytes. */
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

export const wordReset = (kind: string | undefined): string => (kind === 'flr' ? 'function-level reset' : 'reset');

/** ` (BUSY=1, CODE=3)`: fields that are not 0; nothing for a register without fields. */
export function fieldsOf(register: RegisterLayout, value: bigint): string {
  const shown = register.fields.flatMap((field) => {
    const part = fieldValue(field, value);
    return part === 0n ? [] : [`${field.name}=${nameOfValue(field, part) ?? formatValue(part)}`];
  });
  return shown.length === 0 ? '' : ` (${shown.join(', ')})`;
}

export function fieldValue(field: FieldLayout, value: bigint): bigint {
  return (value >> BigInt(field.lsb)) & ((1n << BigInt(field.width)) - 1n);
}

/** What the map calls this value of a field. */
export function nameOfValue(field: FieldLayout, value: bigint): string | undefined {
  return field.values.find((known) => BigInt(known.value) === value)?.name;
}

/** Small numbers as they are said, others in hexadecimal. */
export function formatValue(value: number | bigint): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
