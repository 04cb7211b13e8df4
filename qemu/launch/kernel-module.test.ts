import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ExecResult } from '../channel';
import { moduleFile } from '../../test/support/module-fixture';
import { type Guest } from './guest';
import { loadModule, parseModuleArgument, unloadModule } from './kernel-module';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-module-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const PARAMETERS = { parmtype: 'speed:int' };
const FITS = { vermagic: '6.1.0 SMP mod_unload', name: 'my_driver' };

function written(info: Record<string, string>): string {
  const file = path.join(folder, 'my-driver.ko');
  writeFileSync(file, moduleFile(info));
  return file;
}

const result = (exitCode: number, stdout = '', stderr = ''): ExecResult => ({
  exitCode,
  stdout: Buffer.from(stdout),
  stderr: Buffer.from(stderr),
  timedOut: false,
  durationMs: 1,
});

/** A guest with kernel 6.1.0 in which the script returns `answer`. */
const guestThat = (answer: ExecResult, machine = 'x86_64', kernel: Partial<Guest['kernel']> = {}) => ({
  kernel: { imagePath: '/vmlinuz', ...kernel },
  loadedModules: [],
  run: vi.fn((argv: readonly string[]) =>
    Promise.resolve(argv[0] === 'uname' ? result(0, `6.1.0 ${machine}\n`) : answer),
  ),
});

describe('a module for the guest', () => {
  test('is loaded with its parameters, after its dependencies', async () => {
    const guest = guestThat(result(0, '[    1.5] my_driver: hello\n'));
    const file = written({ ...FITS, ...PARAMETERS, depends: 'uio,vfio' });
    const loaded = await loadModule(guest, file, { parameters: { speed: 'a b' } });
    expect(loaded).toEqual({ name: 'my_driver', kernelLog: ['[    1.5] my_driver: hello'] });
    expect(guest.run.mock.calls[1]![0].slice(1)).toEqual(['load', 'my_driver', 'uio vfio', 'speed="a b"']);
  });

  test('built for another kernel is refused, and the error has the command that builds it for this one', async () => {
    const file = written({ vermagic: '6.12.1 SMP' });
    const source = 'M=THE_FOLDER_OF_ITS_SOURCE modules';
    await expect(loadModule(guestThat(result(0)), file)).rejects.toThrow(
      `was built for kernel 6.12.1, but the guest runs 6.1.0.\nWhat to do: rebuild it with make -C "$(npx ghostcard kernel-build)" ${source}`,
    );
    writeFileSync(path.join(folder, 'Kbuild'), 'obj-m += my-driver.o');
    const generic = guestThat(result(0), 'x86_64', { options: ['--kernel', 'generic'] });
    await expect(loadModule(generic, file)).rejects.toThrow(
      `make -C "$(npx ghostcard kernel-build --kernel generic)" M=${folder} modules`,
    );
  });

  test('built for another kernel, of which the guest has its own, is refused, and the error says how to load that', async () => {
    const modulesFolder = path.join(folder, 'all');
    mkdirSync(modulesFolder);
    writeFileSync(path.join(modulesFolder, 'my-driver.ko'), '');
    const file = written({ ...FITS, vermagic: '6.12.1 SMP' });
    await expect(loadModule(guestThat(result(0), 'x86_64', { modulesFolder }), file)).rejects.toThrow(
      "What to do: the guest's kernel has this module itself: load it by its name, my_driver",
    );
  });

  test('of its kernel is loaded by name', async () => {
    const guest = guestThat(result(0, '[    1.5] ioatdma: hello\n'));
    const loaded = await loadModule(guest, 'ioat-dma', { parameters: { ring: 4 } });
    expect(loaded).toEqual({ name: 'ioat_dma', kernelLog: ['[    1.5] ioatdma: hello'] });
    expect(guest.run.mock.calls).toHaveLength(1);
    expect(guest.run.mock.calls[0]![0].slice(1)).toEqual(['probe', 'ioat_dma', 'ring=4']);
  });

  test('that its kernel does not have is refused, with names like it and the kernel that has more', async () => {
    mkdirSync(path.join(folder, 'kernel'));
    writeFileSync(path.join(folder, 'kernel', 'ioatdma.ko.xz'), '');
    const answer = result(1, '', 'modprobe: module ioatdmx not found in modules.dep\n');
    const more = "Debian's generic kernel has more modules: --kernel generic.";
    await expect(loadModule(guestThat(answer, 'x86_64', { modulesFolder: folder }), 'ioatdmx')).rejects.toThrow(
      `The guest's kernel has no module ioatdmx. Names like it: ioatdma. ${more} For a module of your own, give its file.`,
    );
    await expect(
      loadModule(guestThat(answer, 'x86_64', { options: ['--kernel', 'generic'] }), 'ioatdmx'),
    ).rejects.toThrow("The guest's kernel has no module ioatdmx. For a module of your own, give its file.");
  });

  test('of its kernel is refused with a parameter that the kernel reports as unknown', async () => {
    const guest = guestThat(result(0, "[    1.5] dummy: unknown parameter 'sped' ignored\n"));
    await expect(loadModule(guest, 'dummy', { parameters: { sped: 3 } })).rejects.toThrow(
      "The module dummy has no parameter 'sped'.",
    );
  });

  test('built for another architecture is refused, and the error has the command that builds it for the right one', async () => {
    const file = written({ vermagic: '6.12.1 SMP' });
    await expect(loadModule(guestThat(result(0), 'aarch64'), file)).rejects.toThrow(
      'make -C "$(npx ghostcard kernel-build --arch arm64)" M=',
    );
  });

  test('without module information is refused', async () => {
    const file = path.join(folder, 'notes.ko');
    writeFileSync(file, 'text');
    await expect(loadModule(guestThat(result(0)), file)).rejects.toThrow('is not a loadable kernel module');
  });

  test('is refused with a parameter that it does not have', async () => {
    const file = written({ ...FITS, ...PARAMETERS });
    await expect(loadModule(guestThat(result(0)), file, { parameters: { sped: 3 } })).rejects.toThrow(
      "has no parameter 'sped'. Its parameters: speed.",
    );
  });

  test('refused by the kernel causes an error with the errno and the kernel log, without repetition', async () => {
    const log = '[    1.5] my_driver: no such thing\n[    1.6] my_driver: no such thing\n';
    const guest = guestThat(result(22, log, "insmod: can't insert '/run/my_driver.ko': Invalid argument\n"));
    await expect(loadModule(guest, written(FITS))).rejects.toThrow(
      "EINVAL, insmod: can't insert '/run/my_driver.ko': Invalid argument\nKernel log:\n  [    1.5] my_driver: no such thing",
    );
  });

  test('whose dependencies cannot be loaded causes an error that names them', async () => {
    const guest = guestThat(result(200, '', 'modprobe: module other not found\n'));
    await expect(loadModule(guest, written({ ...FITS, depends: 'other' }))).rejects.toThrow(
      'needs other, which the guest cannot load: modprobe: module other not found',
    );
  });

  test('that cannot be unloaded causes an error with the kernel log', async () => {
    const guest = guestThat(result(1, '', "rmmod: can't unload module 'my_driver': No such file or directory\n"));
    await expect(unloadModule(guest, 'my_driver')).rejects.toThrow(
      "Cannot unload the module my_driver in the guest: rmmod: can't unload module 'my_driver': No such file or directory\nKernel log: (nothing)",
    );
  });
});

describe('a module argument', () => {
  test.each([
    ['my.ko', 'my.ko', {}],
    ['a,b/my.ko', 'a,b/my.ko', {}],
    ['my.ko,speed=3,label=x', 'my.ko', { speed: '3', label: 'x' }],
    ['my.ko,ids=1,2,3,speed=3', 'my.ko', { ids: '1,2,3', speed: '3' }],
    ['my.ko,label=a=b', 'my.ko', { label: 'a=b' }],
    ['ioatdma', 'ioatdma', {}],
    ['ioatdma,ring=4,ids=1,2', 'ioatdma', { ring: '4', ids: '1,2' }],
  ])('%s is split into file and parameters', (text, file, parameters) => {
    expect(parseModuleArgument(text)).toEqual({ file, parameters });
  });

  test('with an invalid parameter is refused', () => {
    expect(() => parseModuleArgument('my.ko,fast')).toThrow('"fast" in "my.ko,fast" is not a module parameter');
  });
});
