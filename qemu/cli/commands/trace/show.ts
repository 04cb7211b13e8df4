/** `ghostcard trace show`: the events of a recording, one a line. */
import { Command } from 'commander';
import { describeTraceEvent, TraceCards } from '../../../../emulator/analysis';
import { print } from '../../output';
import { openTrace } from './open';

export function showCommand(): Command {
  return new Command('show')
    .description('Print the events of a recording, one a line, with the names of registers and fields.')
    .argument('<file>', 'the recording')
    .action((file: string) => {
      using reader = openTrace(file);
      const cards = new TraceCards();
      for (const event of reader.events()) {
        cards.note(event);
        print(describeTraceEvent(event, cards));
      }
    });
}
