/** What goes to standard output: lines and tables. Only the command line writes there. */
import { printable, printableLines } from '../../instrumentation/trace/printable';
import { standardOutput } from './own-process';

/** Prints one line, or JSON. */
export const print = (line: string): void => void standardOutput.write(`${printableLines(line)}\n`);

/** Says something on standard error. */
export const sayError = (text: string): void => console.error(`ghostcard: ${printableLines(text)}`);

const BLOCK_CHARACTERS = 64 << 10;

/** Many lines, written in blocks and no faster than they are read, so that the end of the reader (`| head`) is noticed. */
export class Lines {
  #block: string[] = [];
  #characters = 0;

  add(line: string): void {
    this.#block.push(line, '\n');
    this.#characters += line.length + 1;
  }

  /** Time to call `drain`. */
  get isFull(): boolean {
    return this.#characters >= BLOCK_CHARACTERS;
  }

  async drain(): Promise<void> {
    if (this.#characters === 0) return;
    const text = this.#block.join('');
    [this.#block, this.#characters] = [[], 0];
    await new Promise<void>((resolve) => standardOutput.write(text, () => resolve()));
  }
}

/** Columns are as wide as their longest cell; numbers are aligned to the right. */
export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => columns.map((_, index) => printable(row[index] ?? '')));
  const widths = columns.map(({ title }, index) => Math.max(title.length, ...shown.map((row) => row[index]!.length)));
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index]!;
        return align === 'right' ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!);
      })
      .join('  ')
      .trimEnd();
  return [
    line(columns.map(({ title }) => title)),
    widths.map((width) => '-'.repeat(width)).join('  '),
    ...shown.map(line),
  ]
    .map((text) => `${text}\n`)
    .join('');
}

/** 1234567 -> "1.2 MiB"; binary units. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
