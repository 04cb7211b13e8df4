import { describe, expect, test } from 'vitest';
import { moduleFile } from '../../test/support/module-fixture';
import { describeModule, type KernelModule, loadOrder, modinfo, modulesDep, parseModulesDep } from './modules';

const modules: KernelModule[] = [
  { name: 'vfio', fileName: 'vfio.ko', depends: [] },
  { name: 'irqbypass', fileName: 'irqbypass.ko', depends: [] },
  { name: 'vfio_pci_core', fileName: 'vfio-pci-core.ko', depends: ['vfio', 'irqbypass'] },
  { name: 'vfio_pci', fileName: 'vfio-pci.ko', depends: ['vfio_pci_core', 'vfio'] },
];
const find = (name: string): KernelModule | undefined => modules.find((module) => module.name === name);

describe('a module file', () => {
  test("lists the modules it depends on by the kernel's names", () => {
    const file = moduleFile({ license: 'GPL', depends: 'vfio-pci-core,vfio' });
    expect(describeModule('vfio-pci.ko', file)).toEqual({
      name: 'vfio_pci',
      fileName: 'vfio-pci.ko',
      depends: ['vfio_pci_core', 'vfio'],
    });
  });

  test('has no dependencies if its list is empty', () => {
    expect(describeModule('uio.ko', moduleFile({ depends: '' })).depends).toEqual([]);
  });

  test('keeps equals signs inside a value', () => {
    expect(modinfo(moduleFile({ parm: 'mode:a=b' }))).toEqual([['parm', 'mode:a=b']]);
  });

  test('that is not an ELF file, or is truncated, has no information and does not throw', () => {
    expect(modinfo(Buffer.from('not a module'))).toEqual([]);
    expect(modinfo(moduleFile({ depends: 'a' }).subarray(0, 90))).toEqual([]);
  });
});

describe('loadOrder', () => {
  test('returns the dependencies of a module before the module, each once', () => {
    expect(loadOrder(['vfio-pci', 'vfio'], find).map(({ name }) => name)).toEqual([
      'vfio',
      'irqbypass',
      'vfio_pci_core',
      'vfio_pci',
    ]);
  });

  test('leaves out modules without a file, which are built into the kernel', () => {
    expect(loadOrder(['virtio_pci', 'vfio'], find).map(({ name }) => name)).toEqual(['vfio']);
  });
});

test("depmod's lists describe modules with their folders, dependencies, and other names but not device patterns", () => {
  const dep = 'kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc-16.ko.xz kernel/fs/jbd2.ko.xz\nkernel/fs/jbd2.ko.xz:\n';
  const alias = '# Aliases\nalias fs-ext4 ext4\nalias ext3 ext4\nalias pci:v00008086d*sv* ext4\n';
  expect(parseModulesDep(dep, alias)).toEqual([
    {
      name: 'ext4',
      fileName: 'kernel/fs/ext4/ext4.ko.xz',
      depends: ['crc_16', 'jbd2'],
      aliases: ['fs-ext4', 'ext3'],
    },
    { name: 'jbd2', fileName: 'kernel/fs/jbd2.ko.xz', depends: [] },
  ]);
});

test('modules.dep lists all dependencies of each module, the nearest first', () => {
  expect(modulesDep(modules).split('\n')).toEqual([
    'vfio.ko:',
    'irqbypass.ko:',
    'vfio-pci-core.ko: irqbypass.ko vfio.ko',
    'vfio-pci.ko: vfio-pci-core.ko irqbypass.ko vfio.ko',
    '',
  ]);
});
