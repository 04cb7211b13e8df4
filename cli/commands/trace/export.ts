/** `ghostcard trace export`: a recording for other programs. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { Command, Option } from 'commander';
import { perfettoLines, vcdLines } from '../../../instrumentation/analysis';
import { exportHtml } from '../../../instrumentation/report';
import { type Trace } from '../../../instrumentation/trace';
import { refuseToReplace, writeWhole } from '../../common/output-file';
import { UsageError } from '../../common/errors';
import { loadTrace } from './open';

const FORMATS = ['vcd', 'perfetto', 'html'] as const;

interface ExportOptions {
  readonly format: (typeof FORMATS)[number];
  readonly output: string;
  readonly time?: 'device' | 'host';
}

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a recording for a waveform viewer, for Perfetto, or as a page to look at in a browser.')
    .argument('<file>', 'the recording')
    .addOption(
      new Option('--format <name>', 'vcd for GTKWave, JSON for ui.perfetto.dev, or one HTML page')
        .choices(FORMATS)
        .makeOptionMandatory(),
    )
    .requiredOption('--output <file>', 'the file to write')
    .addOption(new Option('--time <whose>', 'time axis; default: device, for one card').choices(['device', 'host']))
    .action((file: string, options: ExportOptions) => {
      if (options.format === 'html' && options.time !== undefined) {
        throw new UsageError('--time is for the other formats: the page shows both times');
      }
      refuseToReplace(file, options.output, '--output');
      const trace = loadTrace(file);
      writeWhole('--output', options.output, (path) => writeTo(path, partsOf(trace, options)));
    });
}

function* partsOf(trace: Trace, { format, time }: ExportOptions): Generator<string> {
  if (format === 'html') return yield exportHtml(trace);
  const lines = { vcd: vcdLines, perfetto: perfettoLines }[format];
  for (const line of lines(trace, time && { time })) yield `${line}\n`;
}

const BLOCK_CHARACTERS = 1 << 16;

function writeTo(path: string, parts: Iterable<string>): void {
  const fd = openSync(path, 'w');
  try {
    let block = '';
    for (const part of parts) {
      block += part;
      if (block.length < BLOCK_CHARACTERS) continue;
      writeAll(fd, block);
      block = '';
    }
    writeAll(fd, block);
  } finally {
    closeSync(fd);
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
}
