/** `ghostcard trace`: commands that read a recording. Each subcommand is a file in trace/. */
import { Command } from 'commander';
import { coverageCommand } from './trace/coverage';
import { diffCommand } from './trace/diff';
import { exportCommand } from './trace/export';
import { showCommand } from './trace/show';
import { statsCommand } from './trace/stats';
import { toTestCommand } from './trace/to-test';

export function traceCommand(): Command {
  return new Command('trace')
    .description('Read a recording that run, serve or a test has made.')
    .addCommand(showCommand())
    .addCommand(statsCommand())
    .addCommand(coverageCommand())
    .addCommand(diffCommand())
    .addCommand(exportCommand())
    .addCommand(toTestCommand());
}
