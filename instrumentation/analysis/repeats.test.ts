import { describe, expect, it } from 'vitest';
import { RepeatFolder } from '.';

/** Items are letters; a repetition is `(length x times)`. */
function folded(text: string): string {
  let shown = '';
  const folder = new RepeatFolder<string>({
    item: (item) => (shown += item),
    repeated: (length, times) => (shown += `(${length}x${times})`),
  });
  for (const letter of text) folder.take(letter, letter);
  folder.end();
  return shown;
}

describe('repetitions', () => {
  it.each([
    ['abc', 'abc'],
    ['aab', 'a(1x1)b'],
    ['aaaab', 'a(1x3)b'],
    ['abababc', 'ab(2x2)c'],
    ['abcabcabca', 'abc(3x2)a'],
    ['abcdabcd', 'abcd(4x1)'],
    ['abcdeabcde', 'abcdeabcde'],
    ['ababcab', 'ab(2x1)cab'],
    ['aabaab', 'a(1x1)ba(1x1)b'],
    ['', ''],
  ])('of %j are shown as %j', (text, shown) => {
    expect(folded(text)).toBe(shown);
  });

  it('says which item was the last', () => {
    const lasts: number[] = [];
    const folder = new RepeatFolder<number>({ item: () => {}, repeated: (_length, _times, last) => lasts.push(last) });
    for (let i = 0; i < 5; i++) folder.take(i, 'same');
    folder.end();
    expect(lasts).toEqual([4]);
  });
});
