/** `ghostcard trace stats`: a recording in numbers. */
import { Command } from 'commander';
import {
  type CardStats,
  type ChannelStats,
  type Distribution,
  StatsCounter,
  type TraceStats,
} from '../../../instrumentation/analysis';
import { formatBytes, formatTable, print } from '../../common/output';
import { countEvents } from './open';
import { withNamesOf } from './selection';

interface StatsCommandOptions {
  readonly doorbells?: string;
  readonly all?: true;
  readonly json?: true;
}

export function statsCommand(): Command {
  return new Command('stats')
    .description('Print counts and rates of what happened in a recording, and interrupt latencies.')
    .argument('<file>', 'the recording')
    .option('--doorbells <pattern>', "registers that are doorbells; default '*DOORBELL*'")
    .option('--all', 'all registers, not only the most accessed')
    .option('--json', 'print it as JSON; times in nanoseconds')
    .action((file: string, options: StatsCommandOptions) => {
      const counter = new StatsCounter(options);
      const missing = countEvents(file, counter);
      const stats = withNamesOf(`--doorbells ${options.doorbells}`, () => counter.result());
      if (options.json) return print(JSON.stringify({ ...stats, ...missing }, undefined, 2));
      show(stats, options.all === true);
      for (const warning of missing.notSeen) print(`# ${warning}`);
    });
}

function show({ events, hostNs, kinds, cards }: TraceStats, all: boolean): void {
  print(`${events} events in ${wordNs(hostNs)}`);
  table(
    ['kind', '>events', '>per second'],
    kinds.map(({ kind, count }) => [kind, String(count), perSecond(count, hostNs)]),
  );
  for (const card of cards) showCard(card, all);
}

const SHOWN_PLACES = 12;

function showCard(stats: CardStats, all: boolean): void {
  const { name, events, deviceNs, places, channels, interrupts, latencies, findings } = stats;
  print(`${name}: ${events} events in ${wordNs(deviceNs)} of device time`);
  const shown = all ? places : places.slice(0, SHOWN_PLACES);
  table(
    ['register', '>reads', '>writes', '>per second'],
    shown.map(({ place, reads, writes }) => [
      place,
      ...[reads, writes].map(String),
      perSecond(reads + writes, deviceNs),
    ]),
  );
  if (shown.length < places.length) print(`and ${places.length - shown.length} others (--all)\n`);
  table(
    ['channel', '>reads', '>bytes', '>writes', '>bytes', '>payload per second', '>errors'],
    channels.map(channelRow),
  );
  for (const { text } of findings) print(text);
  if (findings.length > 0) print('');
  table(
    ['interrupt', '>raised', '>sent', 'held'],
    interrupts.map(({ interrupt, raised, sent, held }) => {
      const reasons = held.map(({ reason, count }) => `${count} ${reason}`).join(', ');
      return [interrupt, String(raised), String(sent), reasons];
    }),
  );
  table(
    ['doorbell to interrupt', 'time', '>count', '>least', '>median', '>90 %', '>99 %', '>most'],
    latencies.flatMap(({ channel, device, host }) => [
      latencyRow(channel || 'card', 'device', device),
      latencyRow('', 'host', host),
    ]),
  );
}

function channelRow({ channel, reads, writes, deviceNs, errors }: ChannelStats): string[] {
  const payload = reads.dataBytes + writes.dataBytes;
  const speed = deviceNs > 0 && payload > 0 ? `${formatBytes(Math.round((payload / deviceNs) * 1e9))}/s` : '';
  const failed = errors.reduce((sum, { count }) => sum + count, 0);
  const columns = [reads, writes].flatMap(({ count, bytes }) => [String(count), formatBytes(bytes)]);
  return [channel || '(unknown)', ...columns, speed, String(failed)];
}

const latencyRow = (channel: string, time: string, of: Distribution): string[] => [
  ...[channel, time, String(of.count)],
  ...[of.min, of.median, of.p90, of.p99, of.max].map(wordNs),
];

/** Titles that begin with `>` are of columns of numbers. Nothing for no rows. */
function table(titles: readonly string[], rows: readonly string[][]): void {
  if (rows.length === 0) return;
  const columns = titles.map((title) =>
    title.startsWith('>') ? { title: title.slice(1), align: 'right' as const } : { title },
  );
  print(formatTable(columns, rows));
}

const perSecond = (count: number, ns: number): string => (ns > 0 ? ((count / ns) * 1e9).toFixed(0) : '');

/** `1.234 ms` */
function wordNs(ns: number): string {
  const [divisor, unit] = ns < 1e3 ? [1, 'ns'] : ns < 1e6 ? [1e3, 'us'] : ns < 1e9 ? [1e6, 'ms'] : [1e9, 's'];
  return `${divisor === 1 ? ns : (ns / divisor).toFixed(3)} ${unit}`;
}
