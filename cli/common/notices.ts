/** What commands that serve cards have in common about notices (docs/checks.md): options, and what is said at the end. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type CheckCount, requireCheck } from '../../instrumentation/checks';
import { type NoticeOptions } from '../../instrumentation/served-card';
import { type CardNotice } from '../../instrumentation/trace';
import { collect, wholeNumber } from './options';

export interface NoticeCommandOptions {
  readonly strict?: true;
  readonly withoutCheck?: string[];
  readonly noticeAfter?: number;
}

export function addNoticeOptions(command: Command): Command {
  return command
    .addOption(new Option('--strict', 'fail (exit code 121) when there was a notice, even if the command succeeds'))
    .option(
      '--without-check <name>',
      'switch off a check (docs/checks.md), may be repeated',
      (name, names?: string[]) => collect(knownCheck(name), names),
    )
    .option(
      '--notice-after <seconds>',
      'how long a driver may wait without progress before that is reported (default: 1)',
      wholeNumber(1, 86_400),
    );
}

function knownCheck(name: string): string {
  try {
    return requireCheck(name);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

export const noticeOptionsOf = ({ withoutCheck, noticeAfter }: NoticeCommandOptions): NoticeOptions => ({
  ...(withoutCheck && { off: withoutCheck }),
  ...(noticeAfter !== undefined && { afterMs: noticeAfter * 1000 }),
});

type Noted = CardNotice & { readonly card: string; times: number; subjects?: readonly string[] };

/** The notices of a run: each is said once, and counted. */
export class NoticeLog {
  readonly #notices = new Map<string, Noted>();

  constructor(private readonly say: (text: string, notice: CardNotice & { readonly card: string }) => void) {}

  /** A stalled driver may come back to the same place again and again. */
  add(card: string, notice: CardNotice): void {
    const { kind, register, interrupt, code } = notice;
    const key = JSON.stringify([card, kind, register, interrupt, code]);
    const known = this.#notices.get(key);
    if (known !== undefined) {
      known.times++;
      return;
    }
    this.#notices.set(key, { card, ...notice, times: 1 });
    this.say(`${card}: ${notice.text}`, { card, ...notice });
  }

  /** To be called at the end of a run, with what checks have counted: returns what is to be said of it. */
  conclude(counts: readonly (CheckCount & { readonly card: string })[]): string[] {
    for (const { card, kind, times, subjects } of counts) {
      const first = [...this.#notices.values()].find((noted) => noted.card === card && noted.kind === kind);
      if (first) Object.assign(first, { times, subjects });
    }
    return this.all
      .filter(({ times }) => times > 1)
      .map(({ card, kind, times, subjects = [] }) =>
        [`${card}: ${kind}, ${times} times`, subjects.join(', ')].filter(Boolean).join(': '),
      );
  }

  get all(): readonly Noted[] {
    return [...this.#notices.values()];
  }

  /** For `--json`: `notices`, if there are any. */
  get member(): { notices?: readonly Noted[] } {
    return this.#notices.size === 0 ? {} : { notices: this.all };
  }

  /** What `--strict` says of them; undefined when there are none. */
  get failure(): string | undefined {
    const kinds = [...new Set(this.all.map(({ kind }) => kind))];
    return kinds.length === 0 ? undefined : `there were notices, and --strict is given: ${kinds.join(', ')}`;
  }
}
