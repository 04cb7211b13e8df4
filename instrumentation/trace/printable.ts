/**
 * Texts of drivers, processes and cards as they are shown: a recording may hold any characters, and a terminal obeys some
 * of them. They are written as JSON writes them, so this leaves a line of JSON what it is.
 *
 * Source: Unicode, UAX 44 (general category Cc, Zl and Zp; Bidi_Control), UTS 55 on source code with such characters.
 */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const UNPRINTABLE_IN_LINES = /[^\P{Cc}\n\t]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
/** Most texts: the others are looked at more closely. */
const PLAIN = /^[ -~]*$/;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escaped = (character: string): string =>
  NAMED[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** One line: control characters, line ends and what changes the direction of text are `\u001b`, `\n`, `\u202e`. */
export const printable = (text: string): string => (PLAIN.test(text) ? text : text.replace(UNPRINTABLE, escaped));

/** The same for text of several lines: line ends and tabs stay. */
export const printableLines = (text: string): string =>
  PLAIN.test(text) ? text : text.replace(UNPRINTABLE_IN_LINES, escaped);
