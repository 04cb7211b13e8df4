/** A report as bytes: `unpackReport` in page/report.ts is the other half. */
import { deflateRawSync } from 'node:zlib';
import { COLUMN_TYPES, type Columns, DIFFERENCES, type ReportHead } from './page/report';

/** Deflated, in base64: nothing in it can end an element of a page. */
export function packReport(head: Omit<ReportHead, 'columns'>, columns: Columns): string {
  const layout: Record<string, { at: number; length: number }> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const name of Object.keys(COLUMN_TYPES) as (keyof Columns)[]) {
    const column = DIFFERENCES.includes(name) ? differences(columns[name]) : columns[name];
    layout[name] = { at, length: column.length };
    const sizeBytes = aligned(column.byteLength);
    const part = new Uint8Array(sizeBytes);
    part.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength));
    parts.push(part);
    at += sizeBytes;
  }
  const text = Buffer.from(JSON.stringify({ ...head, columns: layout } satisfies ReportHead));
  const front = Buffer.alloc(aligned(8 + text.length));
  front.writeUInt32LE(text.length);
  text.copy(front, 8);
  return deflateRawSync(Buffer.concat([front, ...parts])).toString('base64');
}

const aligned = (sizeBytes: number): number => Math.ceil(sizeBytes / 8) * 8;

function differences(column: Columns[keyof Columns]): Columns[keyof Columns] {
  const result = column.slice();
  for (let i = column.length; i-- > 1;) result[i] = column[i]! - column[i - 1]!;
  return result;
}
