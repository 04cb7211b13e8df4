import { describe, expect, it } from 'vitest';
import { printable, printableLines } from './printable';

describe('a text is shown', () => {
  it.each([
    ['\x1b[31mred\x07', '\\u001b[31mred\\u0007'],
    ['two\nlines\r\t', 'two\\nlines\\r\\t'],
    ['\x7f\x9b2J', '\\u007f\\u009b2J'],
    ['\u202Eevil\u202C \u2066a\u2069\u200f\u061c', '\\u202eevil\\u202c \\u2066a\\u2069\\u200f\\u061c'],
    ['a\u2028b\u2029', 'a\\u2028b\\u2029'],
    ['Prüfung: 10 µs ✓ 界 👍', 'Prüfung: 10 µs ✓ 界 👍'],
  ])('%j as %s', (text, shown) => expect(printable(text)).toBe(shown));

  it('of several lines with its line ends and tabs', () => {
    expect(printableLines('a\n\tb\x1b\r\u202e')).toBe('a\n\tb\\u001b\\r\\u202e');
  });

  it('with a meaning that JSON keeps', () => {
    const value = { text: '\x1b\x7f\x85\u2028\u202e\n' };
    expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value);
    expect(JSON.parse(printableLines(JSON.stringify(value, undefined, 2)))).toEqual(value);
  });
});
