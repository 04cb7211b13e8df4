/** `ghostcard serve`: a card on a socket, for any vfio-user client, until it is stopped. */
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { checksOf } from '../../instrumentation/checks';
import { faultsOf, wordUnfired } from '../../instrumentation/faults';
import { type ServeCardOptions, ServedCard } from '../../instrumentation/served-card';
import { traceOf } from '../../instrumentation/trace';
import { EventLines } from '../../emulator/vfio-user';
import { EXIT } from '../common/errors';
import { functionsOf, loadAnyCard } from '../common/card-source';
import { loadFaults } from '../common/faults-file';
import { interruption } from '../common/interruption';
import { collect, once as onlyOnce, requireCard } from '../common/options';
import { print } from '../common/output';
import { addNoticeOptions, type NoticeCommandOptions, NoticeLog, noticeOptionsOf } from '../common/notices';
import { addTraceOptions, Recording, type TraceOptions } from '../common/recording';
import { endWith } from '../common/own-process';

interface ServeOptions extends TraceOptions, NoticeCommandOptions {
  readonly card: string;
  readonly socket: string;
  readonly faults?: string[];
  readonly json?: true;
}

export function serveCommand(): Command {
  const command = requireCard(new Command('serve'))
    .description('Serve a card to any vfio-user client until stopped (Ctrl-C).')
    .requiredOption(
      '--socket <path>',
      'UNIX socket to listen on; created, and removed at the end. PATH.0, PATH.1 … for a card with several functions',
      socketPathOf,
    )
    .option('--faults <file>', 'faults to inject into the card (docs/faults.md), may be repeated', collect)
    .option('--json', 'print events as JSON, one a line')
    .addHelpText(
      'after',
      `
With QEMU 10.1 or newer, guest memory shared (-object memory-backend-memfd,share=on):
  -device '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"PATH"}}'`,
    );
  return addNoticeOptions(addTraceOptions(command)).action(
    async ({ card, socket: socketPath, json, faults: files, ...options }: ServeOptions) => {
      const stop = interruption();
      const source = await loadAnyCard(card);
      const functions = functionsOf(source);
      const faults = await loadFaults(files ?? [], [source]);
      const say = (event: string, detail: object, text: string): void =>
        print(json ? JSON.stringify({ event, ...detail }) : text);
      const isOne = 'make' in source;
      const named = (name: string, text: string) => (isOne ? text : `${name}: ${text}`);
      const notices = new NoticeLog((_, { card: name, ...notice }) =>
        say('notice', { ...notice, ...(!isOne && { card: name }) }, named(name, notice.text)),
      );
      using recording = Recording.start(options, (line) => say('trace', { text: line }, line));
      const lines: [name: string, EventLines][] = [];
      const linesOf = (name: string): EventLines => {
        const ofCard = new EventLines((text, { kind }) =>
          say(kind, { text, ...(!isOne && { card: name }) }, named(name, text)),
        );
        lines.push([name, ofCard]);
        return ofCard;
      };
      const optionsOf = (index: number): ServeCardOptions => {
        const { name } = functions[index]!;
        return {
          socketPath: isOne ? socketPath : `${socketPath}.${index}`,
          faults: faults.get(name) ?? [],
          ...(recording && { recording: { recorder: recording.recorder, name } }),
          onNotice: (notice) => notices.add(name, notice),
          notices: noticeOptionsOf(options),
          onEvent: linesOf(name).add,
        };
      };
      const served = isOne
        ? [await ServedCard.start(source.make, optionsOf(0))]
        : await ServedCard.startFunctions(source.makeMultifunction(), optionsOf);
      await using _all = { [Symbol.asyncDispose]: () => closeAll(served) };
      for (const [index, each] of served.entries()) {
        const { name } = functions[index]!;
        say('listening', { card: name, socketPath: each.socketPath }, `${name} is served at ${each.socketPath}`);
      }
      if ([...faults.values()].flat().some(({ fault }) => fault === 'bus-error')) {
        say('unheard-errors', { text: UNHEARD_ERRORS }, UNHEARD_ERRORS);
      }
      if (!stop.aborted) await once(stop, 'abort');
      const cards = served.map((each, index) => ({ name: functions[index]!.name, card: each.card }));
      for (const { name, card: model } of cards) {
        for (const fault of faultsOf(model)?.unfired ?? []) {
          const text = wordUnfired(name, fault);
          say('fault-not-fired', { fault: fault.name, text }, text);
        }
      }
      const counts = cards.flatMap(({ name, card: model }) =>
        checksOf(model).counts.map((count) => ({ ...count, card: name })),
      );
      for (const [name, ofCard] of lines) {
        for (const text of ofCard.conclude()) say('events', { text }, named(name, text));
      }
      for (const text of notices.conclude(counts)) say('notices', { text }, text);
      for (const { name, card: model } of cards) {
        for (const { kind, text } of traceOf(model).findings) say('finding', { kind, text }, named(name, text));
      }
      const failure = options.strict && notices.failure;
      if (failure) {
        say('strict', { text: failure }, failure);
        endWith(EXIT.NOTICED);
      }
      say('stopped', {}, 'stopped');
    },
  );
}

const UNHEARD_ERRORS =
  "errors of the bus are logged in the card's registers, and their messages reach no root port: this process has no access " +
  "to the client's bus. Use ghostcard run (docs/limits.md#errors-of-the-bus)";

async function closeAll(served: readonly ServedCard[]): Promise<void> {
  for (const each of served) await each.close();
}

/** Of a UNIX socket, in bytes; see unix(7). */
const MAX_SOCKET_PATH_BYTES = 107;

function socketPathOf(value: string, previous: string | undefined): string {
  const path = resolve(onlyOnce(value, previous));
  const bytes = Buffer.byteLength(path);
  if (bytes <= MAX_SOCKET_PATH_BYTES) return path;
  throw new InvalidArgumentError(
    `${path} has ${bytes} bytes; the limit for a socket's path is ${MAX_SOCKET_PATH_BYTES}. Use a shorter one.`,
  );
}
