/**
 * Races that a user knows better about. A line each, `#` begins a comment:
 *
 *   function ring_doorbell      the function of the driver, or one that it is inlined into
 *   register H2C[0].DOORBELL    the register that was written last before what the card has done
 *   channel H2C0                the channel of the card
 */
import { readFileSync } from 'node:fs';
import { type RaceReport } from './words';

type Subject = 'function' | 'register' | 'channel';
const SUBJECTS: readonly string[] = ['function', 'register', 'channel'] satisfies Subject[];

interface Entry {
  readonly line: number;
  readonly subject: Subject;
  readonly name: string;
  isUsed: boolean;
}

export class Suppressions {
  private constructor(
    private readonly path: string,
    private readonly entries: readonly Entry[],
  ) {}

  /** @throws Error for a file that cannot be read, or a line that is none of these */
  static read(path: string): Suppressions {
    const lines = readFileSync(path, 'utf8').split('\n');
    return new Suppressions(
      path,
      lines.flatMap((text, index) => {
        const [subject, name, ...more] = text.replace(/#.*/, '').trim().split(/\s+/);
        if (subject === undefined || subject === '') return [];
        if (!SUBJECTS.includes(subject) || name === undefined || more.length > 0) {
          throw new Error(
            `${path}:${index + 1}: '${text.trim()}' suppresses nothing: a line is 'function NAME', 'register NAME' or ` +
              "'channel NAME', or a comment after '#'",
          );
        }
        return [{ line: index + 1, subject: subject as Subject, name, isUsed: false }];
      }),
    );
  }

  /** Whether the race is not to be reported. */
  has({ functions, register, channel }: RaceReport): boolean {
    const subjects: Record<Subject, readonly (string | undefined)[]> = {
      function: functions,
      register: [register],
      channel: [channel],
    };
    const matching = this.entries.filter(({ subject, name }) => subjects[subject].includes(name));
    for (const entry of matching) entry.isUsed = true;
    return matching.length > 0;
  }

  /** The entries that have suppressed nothing, in words. */
  get unused(): string[] {
    return this.entries
      .filter(({ isUsed }) => !isUsed)
      .map(({ line, subject, name }) => `${this.path}:${line}: '${subject} ${name}' has suppressed nothing`);
  }
}
