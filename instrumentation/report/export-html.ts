/** A trace as one page to open from disk: timeline, table, register map. It loads nothing and sends nothing. */
import { createHash } from 'node:crypto';
import { type Trace } from '../trace';
import { packReport } from './pack';
import { pageSource } from './page-source';
import { reportData } from './report-data';

/** The page's text. What comes from the trace lies in it in base64, and is only ever shown as text. */
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

/** Text goes behind the place where it belongs; into an attribute, if that is the place. */
function filledIn(page: string, place: string, text: string): string {
  const at = page.indexOf(place) + place.length - (place.endsWith('""') ? 1 : 0);
  return page.slice(0, at) + text + page.slice(at);
}

/** As a content security policy names an element: nothing else may run, whatever got into the page. */
const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
