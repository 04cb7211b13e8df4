import { describe, expect, it } from 'vitest';
import { LineSplitter } from './lines';

describe('line splitter', () => {
  it('gives several lines of one chunk, and holds the unfinished one', () => {
    const splitter = new LineSplitter();
    expect(splitter.push(Buffer.from('one\r\ntwo\nthr'))).toEqual(['one', 'two']);
    expect(splitter.push(Buffer.from('ee\n'))).toEqual(['three']);
  });

  it('passes over empty lines', () => {
    expect(new LineSplitter().push(Buffer.from('\n\r\n  \nx\n'))).toEqual(['x']);
  });

  it('keeps a character whole that was cut in two', () => {
    const splitter = new LineSplitter();
    const euro = Buffer.from('€\n');
    expect([euro.subarray(0, 1), euro.subarray(1)].flatMap((piece) => splitter.push(piece))).toEqual(['€']);
  });

  it('refuses a line that does not end', () => {
    const splitter = new LineSplitter(8);
    splitter.push(Buffer.from('12345678'));
    expect(() => splitter.push(Buffer.from('9'))).toThrow('A line of more than 8 bytes arrived without a line end.');
  });
});
