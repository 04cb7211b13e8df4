/** What the watch over the drivers of a run has found. */
import { type StallNotice } from '../../instrumentation/stalls';

type CardNotice = StallNotice & { readonly card: string };

export class NoticeLog {
  readonly #notices: CardNotice[] = [];
  readonly #told = new Set<string>();

  /** `say` is told of each matter once, however often the driver comes back to it. */
  constructor(private readonly say: (text: string) => void) {}

  add(card: string, notice: StallNotice): void {
    const { kind, register, interrupt } = notice;
    const matter = JSON.stringify([card, kind, register, interrupt]);
    if (this.#told.has(matter)) return;
    this.#told.add(matter);
    this.#notices.push({ card, ...notice });
    this.say(`${card}: ${notice.text}`);
  }

  /** For `--json`: `notices`, if there are any. */
  get member(): { notices?: readonly CardNotice[] } {
    return this.#notices.length === 0 ? {} : { notices: this.#notices };
  }
}
