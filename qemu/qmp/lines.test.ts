import { describe, expect, it } from 'vitest';
import { LineSplitter } from './lines';

describe('line splitter', () => {
  it('returns all complete lines of a chunk, and keeps the unfinished one', () => {
    const splitter = new LineSplitter();
    expect(splitter.push(Buffer.from('one\r\ntwo\nthr'))).toEqual(['one', 'two']);
    expect(splitter.push(Buffer.from('ee\n'))).toEqual(['three']);
  });

  it('skips empty lines', () => {
    expect(new LineSplitter().push(Buffer.from('\n\r\n  \nx\n'))).toEqual(['x']);
  });

  it('joins a character that is split across chunks', () => {
    const splitter = new LineSplitter();
    const euro = Buffer.from('€\n');
    expect([euro.subarray(0, 1), euro.subarray(1)].flatMap((piece) => splitter.push(piece))).toEqual(['€']);
  });

  it('refuses a line that is too long', () => {
    const splitter = new LineSplitter(8);
    splitter.push(Buffer.from('12345678'));
    expect(() => splitter.push(Buffer.from('9'))).toThrow('Received more than 8 bytes without a line end.');
  });
});
