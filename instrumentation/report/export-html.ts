/** A trace as one page to open from disk: timeline, table, register map. It loads nothing and sends nothing. */
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { type Trace } from '../trace';
import { COLUMN_TYPES, type Columns, DIFFERENCES, type ReportHead } from './page/report';
import { pageSource } from './page-source';
import { reportData } from './report-data';

/** The text of the page. Data from the trace is in it in base64, and only ever shown as text. */
export function exportHtml(trace: Trace): string {
  const { template, style, script } = pageSource();
  const { head, columns } = reportData(trace);
  const parts: readonly [place: string, text: string][] = [
    ['content=""', `default-src 'none'; img-src data:; script-src ${digest(script)}; style-src ${digest(style)}`],
    ['<style>', style],
    ['id="data">', packReport(head, columns)],
    ['<script>', script],
  ];
  return parts.reduce((page, [place, text]) => filledIn(page, place, text), template);
}

/** Inserts `text` after `place`, or into the attribute that `place` is. */
function filledIn(page: string, place: string, text: string): string {
  const at = page.indexOf(place) + place.length - (place.endsWith('""') ? 1 : 0);
  return page.slice(0, at) + text + page.slice(at);
}

/** For the content security policy: nothing but these elements may run, whatever gets into the page. */
const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Deflated, in base64, so that nothing in it can end an element. `unpackReport` in page/report.ts reads it. */
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
