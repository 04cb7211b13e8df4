/** Colours for the kinds of events, on terminals. */
import { styleText } from 'node:util';
import { type TraceEvent } from '../../../instrumentation/trace';
import { standardOutput } from '../../common/own-process';

type Style = Parameters<typeof styleText>[0];

const STYLES: Partial<Record<TraceEvent['kind'], Style>> = {
  'write': 'bold',
  'dma-read': 'cyan',
  'dma-write': 'cyan',
  'interrupt': 'yellow',
  'state': 'dim',
  'task': 'dim',
  'map': 'dim',
  'unmap': 'dim',
  'irq-setup': 'dim',
  'mark': 'green',
  'reset': 'magenta',
  'link-down': 'red',
  'fault': 'red',
  'notice': 'red',
  'stale': 'red',
};

/** On a terminal, unless NO_COLOR is set (no-color.org). */
export const showsColours = (): boolean => standardOutput.isTTY === true && !process.env.NO_COLOR;

export function coloured(event: TraceEvent, text: string): string {
  const hasFailed = 'error' in event || ('phase' in event && event.phase === 'held');
  const style = hasFailed ? 'red' : STYLES[event.kind];
  return style === undefined ? text : styleText(style, text);
}
