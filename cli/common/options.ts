/** Options that commands share, and parsers for values of options. */
import { type Command, InvalidArgumentError } from 'commander';

/** `--card`, for a command that takes one card; see `loadCard`. */
export const requireCard = (command: Command): Command =>
  command.requiredOption(
    '--card <name-or-file>',
    'built-in card, or a file whose default export is one; options as name,key=value',
    once,
  );

/** For an option that may be given several times. */
export const collect = (value: string, previous: string[] = []): string[] => [...previous, value];

/** For an option that may be given once: commander would silently take the last. */
export function once(value: string, previous: string | undefined): string {
  if (previous !== undefined) throw new InvalidArgumentError('It can be given only once.');
  return value;
}

export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (!Number.isInteger(number) || number < min || number > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return number;
  };
}
