import { describe, expect, test } from 'vitest';
import { moduleIndex } from './module-index';

/** Looks up a name as kmod does: follows the trie by prefix, to the first value of the node where it ends. */
function lookUp(index: Buffer, key: string): string | undefined {
  let pointer = index.readUInt32BE(8);
  let at = 0;
  const text = (from: number): string => index.toString('latin1', from, index.indexOf(0, from));
  while ((pointer & 0x0fff_ffff) !== 0) {
    let offset = pointer & 0x0fff_ffff;
    if (pointer & 0x8000_0000) {
      const prefix = text(offset);
      if (!key.startsWith(prefix, at)) return undefined;
      at += prefix.length;
      offset += prefix.length + 1;
    }
    const [first, last] = pointer & 0x2000_0000 ? [index[offset]!, index[offset + 1]!] : [1, 0];
    const children = offset + 2;
    if (pointer & 0x2000_0000) offset = children + 4 * (last - first + 1);
    if (at === key.length) return pointer & 0x4000_0000 ? text(offset + 8) : undefined;
    const byte = key.charCodeAt(at);
    if (byte < first || byte > last) return undefined;
    pointer = index.readUInt32BE(children + 4 * (byte - first));
    at += 1;
  }
  return undefined;
}

describe('an index of modules', () => {
  const names = ['uio', 'uio_pci_generic', 'uio_pdrv_genirq', 'vfio', 'vfio_pci', 'vfio_pci_core', '9p', '9pnet'];
  const index = moduleIndex(new Map(names.map((name) => [name, `${name}.ko:`])));

  test.each(names)('finds the line of %s, which shares prefixes with others', (name) => {
    expect(lookUp(index, name)).toBe(`${name}.ko:`);
  });

  test.each(['', 'ui', 'uio_', 'uio_pci_generic_', 'vfioo', 'zfs', '8'])('does not find "%s"', (name) => {
    expect(lookUp(index, name)).toBeUndefined();
  });

  test('of one module is a header, and a node with a prefix and a value', () => {
    expect(moduleIndex(new Map([['uio', 'uio.ko:']])).toString('hex')).toBe(
      'b007f457' + '00020001' + 'c000000c' + '75696f00' + '00000001' + '00000000' + '75696f2e6b6f3a00',
    );
  });

  test('without modules is a header without a root', () => {
    expect(moduleIndex(new Map()).toString('hex')).toBe('b007f457' + '00020001' + '00000000');
  });
});
