/**
 * The functions that do a register access on behalf of a driver. Who wants to know where a driver accesses a register is
 * looking for their caller.
 *
 * Source: Linux Documentation/driver-api/device-io.rst; include/asm-generic/io.h, lib/iomap.c.
 */
import { type Frame } from './addr2line';

const KERNEL = new RegExp(
  '^(__)?(' +
    [
      '(raw_)?(read|write|in|out)s?(b|w|l|q|sb|sw|sl|sq)(_relaxed)?',
      'io(read|write)(8|16|32|64)(be)?(_rep|_lo_hi|_hi_lo|_copy)?',
      '(lo_hi|hi_lo)_(read|write)q(_relaxed)?',
      'mem(cpy_(from|to)io|set_io)',
      'arch_(read|write)[bwlq]',
      'const_(iowrite|memcpy_toio)\\w*',
    ].join('|') +
    ')$',
);
/** Those of guest-tools/lib. */
const LIBRARY = /^gc_(read|write)(8|16|32|64)$/;

export const isAccessor = ({ function: name }: Frame): boolean =>
  name !== undefined && (KERNEL.test(name) || LIBRARY.test(name));
