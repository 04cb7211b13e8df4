/** What values of a file must be: a damaged one is named, with what it is and what it should be, and stood in for. */

/** What is wrong with an event, in words: `description.vendorId is missing, and should be a whole number up to 65535`. */
export class Problems {
  readonly found: string[] = [];
  /** How many of them are of values that nothing can stand in for. */
  unusable = 0;
  /** An array stands where none should: events may lie in it. */
  isOfArray = false;
  /** The field that is being read. */
  field = '';

  /** `path` is within the field. */
  wrong(seen: unknown, expected: string, path = ''): void {
    this.unusable++;
    this.isOfArray ||= Array.isArray(seen);
    this.found.push(`${this.field}${path} is ${wordSeen(seen)}, and should be ${expected}`);
  }
}

const SHOWN_CHARACTERS = 40;

function wordSeen(seen: unknown): string {
  if (seen === undefined) return 'missing';
  if (seen === null) return 'nil';
  if (typeof seen === 'string') {
    return JSON.stringify(seen.length > SHOWN_CHARACTERS ? `${seen.slice(0, SHOWN_CHARACTERS)}…` : seen);
  }
  if (seen instanceof Uint8Array) return `${seen.length} bytes`;
  if (Array.isArray(seen)) return `an array of ${seen.length}`;
  return typeof seen === 'object' ? 'a map' : String(seen);
}

/** Returns the value, or what stands in for it. */
export type Shape<T> = (value: unknown, problems: Problems, path: string) => T;

/** A whole number from 0 on. */
export const isWhole = (value: unknown, most = 2 ** 64): value is number =>
  typeof value === 'number' && value >= 0 && value <= most && Number.isInteger(value);

export const whole =
  (most = 2 ** 64, least = 0): Shape<number> =>
  (value, problems, path) => {
    if (isWhole(value, most) && value >= least) return value;
    problems.wrong(value, wordWhole(most, least), path);
    return least;
  };

export const wordWhole = (most = 2 ** 64, least = 0): string =>
  `a whole number from ${least} to ${most < 2 ** 53 ? most : `0x${most.toString(16)}`}`;

export const someText: Shape<string> = (value, problems, path) => {
  if (typeof value === 'string') return value;
  problems.wrong(value, 'a text', path);
  problems.unusable--;
  return '?';
};

export const oneOf =
  <T>(words: readonly T[]): Shape<T> =>
  (value, problems, path) => {
    if (words.includes(value as T)) return value as T;
    problems.wrong(value, wordOneOf(words), path);
    return words[0]!;
  };

export const wordOneOf = (words: readonly unknown[]): string => `one of ${words.map(String).join(', ')}`;

export const yesOrNo: Shape<boolean> = (value, problems, path) => {
  if (typeof value === 'boolean') return value;
  problems.wrong(value, 'true or false', path);
  return false;
};

export const anything: Shape<unknown> = (value) => value;

/** May be left out. */
export const maybe =
  <T>(shape: Shape<T>): Shape<T | undefined> =>
  (value, problems, path) =>
    value === undefined ? undefined : shape(value, problems, path);

/** Items are left out where nothing can stand in for what is damaged. */
export const listOf =
  <T>(shape: Shape<T>): Shape<readonly T[]> =>
  (value, problems, path) => {
    if (!Array.isArray(value)) {
      problems.wrong(value, 'an array', path);
      return [];
    }
    return value.flatMap((item, i) => {
      const before = problems.unusable;
      const read = shape(item, problems, `${path}[${i}]`);
      const isUsable = problems.unusable === before;
      problems.unusable = before;
      return isUsable ? [read] : [];
    });
  };

type Shapes<T> = { readonly [Name in keyof T]-?: Shape<T[Name]> };

/** A map with these entries; it may have more. */
export const mapOf =
  <T extends object>(shapes: Shapes<T>): Shape<T> =>
  (value, problems, path) => {
    const isMap =
      typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
    if (!isMap) {
      problems.wrong(value, 'a map', path);
      value = {};
      problems = new Problems(); // what stands in for it lacks all of them
    }
    const read = { ...(value as T) };
    for (const [name, shape] of Object.entries<Shape<unknown>>(shapes)) {
      const own = shape(read[name as keyof T], problems, `${path}.${name}`);
      if (own !== undefined) read[name as keyof T] = own as T[keyof T];
    }
    return read;
  };
