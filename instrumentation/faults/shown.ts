const LONGEST = 200;

/** A value that a user has written, for a message: as JSON, cut when it is long. */
export function shown(value: unknown, absent = 'missing'): string {
  if (value === undefined) return absent;
  const text = jsonOf(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch (error) {
    return `what JSON cannot show (${(error as Error).message.split('\n')[0]})`; // nested too deep, or in itself
  }
}
