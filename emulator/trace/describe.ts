/** A trace in words: one line for an event, with the names of registers and fields. */
import { Region } from '../pci';
import { type FieldLayout, type RegisterLayout } from '../registers';
import { type CardTrace } from './card-trace';
import { type RecentEvent } from './event-ring';
import { placeOf, RegisterNames } from './names';

/** Which events of a trace. */
export interface DescribeOptions {
  /** Events described, the last ones. Default: all that are kept. */
  readonly last?: number;
  /** Leave out configuration space: many accesses when a driver is bound, and rarely what is looked for. Default false. */
  readonly withoutConfig?: boolean;
}

const INTERRUPT_NAMES = ['INTx', 'MSI', 'MSI-X', 'error interrupt', 'request interrupt'];

/** The last events, oldest first; a line above them says how many there were before. */
export function describeTrace(trace: CardTrace, options: DescribeOptions = {}): string[] {
  const { last = Infinity, withoutConfig = false } = options;
  const names = RegisterNames.of(trace.card);
  const lines: string[] = [];
  let earlier = trace.forgotten;
  for (const event of trace.newestFirst()) {
    if (withoutConfig && isAccess(event) && event.index === Region.CONFIG) continue;
    if (lines.length < last) lines.push(describeEvent(event, names));
    else earlier++;
  }
  if (earlier > 0) lines.push(`(${earlier} earlier)`);
  return lines.reverse();
}

/** `   12.345 us  write CTRL 0x00000001 (START=1)` */
export function describeEvent(event: RecentEvent, names: RegisterNames): string {
  const time = `${(event.timeNs / 1000).toFixed(3).padStart(14)} us`;
  const times = event.times > 1 ? `  (${event.times} times)` : '';
  return `${time}  ${whatOf(event, names)}${times}`;
}

function whatOf(event: RecentEvent, names: RegisterNames): string {
  const { kind, index, address, sizeBytes, detail } = event;
  switch (kind) {
    case 'read':
    case 'write':
      return `${kind.padEnd(5)} ${accessOf(event, names)}`;
    case 'dma-read':
    case 'dma-write': {
      const where = `${sizeBytes} bytes at 0x${address.toString(16)}`;
      const failure = detail === undefined ? '' : `: failed, ${detail}`;
      return `DMA ${kind === 'dma-read' ? 'reads' : 'writes'} ${where}${failure}`;
    }
    case 'interrupt':
      return `interrupt ${INTERRUPT_NAMES[index] ?? index}${index === 0 ? '' : ` vector ${address}`}`;
    case 'reset':
      return detail === 'flr' ? 'function-level reset' : 'reset';
    case 'connected':
    case 'disconnected':
      return `client ${kind}`;
  }
}

function accessOf(event: RecentEvent, names: RegisterNames): string {
  const { index, address, sizeBytes, value } = event;
  const place = placeOf(names, index, address, sizeBytes);
  const register = names.at(index, address, sizeBytes);
  const isWhole = register?.offset === address && register.layout.width === sizeBytes * 8;
  const digits = Math.min(sizeBytes, 8) * 2;
  const shown = `0x${value.toString(16).padStart(digits, '0')}${sizeBytes > 8 ? '…' : ''}`;
  if (isWhole) return `${place} ${shown}${fieldsOf(register.layout, value)}`;
  return `${place} ${shown} (${sizeBytes} ${sizeBytes === 1 ? 'byte' : 'bytes'})`;
}

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

export function isAccess({ kind }: RecentEvent): boolean {
  return kind === 'read' || kind === 'write';
}
