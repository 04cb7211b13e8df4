/** Programs that print where their functions are, and the same addresses by name. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type GuestCode,
  KernelSymbols,
  linkModule,
  type Mapping,
  type ModuleSections,
  type Place,
  Places,
  Processes,
  namePlace,
  wordProcess,
} from '.';

/** `here` marks an address in a function that is inlined into another; `call_site` returns its own return address. */
const SOURCE = `#include <stdio.h>
void *call_site(void);
void gc_write32(void) { __asm__ volatile("" ::: "memory"); }
extern char here[];
static inline __attribute__((always_inline)) void ring(void)
{
    __asm__ volatile(".globl here\\nhere: nop" ::: "memory");
}
__attribute__((noinline)) static void doorbell(void)
{
    ring();
}
__attribute__((noinline)) void *caller(void)
{
    void *site = call_site();
    __asm__ volatile("" ::: "memory");
    return site;
}
int main(void)
{
    char line[512];
    doorbell();
    printf("doorbell %p\\nhere %p\\ncall_site %p\\ncaller %p\\n", (void *)doorbell, (void *)here, (void *)call_site, caller());
    printf("gc_write32 %p\\n", (void *)gc_write32);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        fputs(line, stdout);
    return 0;
}
`;
const LIBRARY = 'void *call_site(void)\n{\n    return __builtin_return_address(0);\n}\n';
const CPP = `#include <cstdio>
namespace card {
struct Ring { __attribute__((noinline)) static void post(int n) { std::printf("", n); } };
}
int main() {
    card::Ring::post(1);
    char line[512];
    std::printf("post %p\\n", reinterpret_cast<void *>(&card::Ring::post));
    for (std::FILE *maps = std::fopen("/proc/self/maps", "r"); std::fgets(line, sizeof(line), maps);)
        std::fputs(line, stdout);
}
`;
const lineOf = (text: string, source = SOURCE): number =>
  source.split('\n').findIndex((line) => line.includes(text)) + 1;

const PID = 71;
const folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-symbols-'));
const file = (name: string): string => path.join(folder, name);

/** All of them before the tests: a compiler takes its time. */
beforeAll(() => {
  const sources = { 'driver.c': SOURCE, 'library.c': LIBRARY, 'driver.cc': CPP };
  for (const [name, text] of Object.entries(sources)) writeFileSync(file(name), text);
  const compile = (output: string, ...options: string[]): void =>
    void execFileSync('gcc', ['-O1', '-g', '-o', file(output), ...options], { cwd: folder });
  compile('pie', '-pie', '-fPIE', 'driver.c', 'library.c');
  compile('fixed', '-no-pie', 'driver.c', 'library.c');
  compile('static', '-static', 'driver.c', 'library.c');
  compile('library.so', '-shared', '-fPIC', 'library.c');
  compile('linked', 'driver.c', file('library.so'));
  compile('exports.so', '-shared', '-fPIC', '-s', 'library.c');
  compile('exporting', 'driver.c', file('exports.so'));
  compile('driver.ko', '-c', 'driver.c');
  compile('cpp', 'driver.cc', '-lstdc++');
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of a program with less in it. */
function stripped(program: string, how: string): string {
  const output = file(`${program}-stripped`);
  execFileSync('strip', [how, '-o', output, file(program)]);
  return output;
}

/** A program of the host's, as if it had run in a guest. */
class ProgramThatRan {
  readonly addresses: ReadonlyMap<string, bigint>;
  readonly processes = new Processes();
  problem: string | undefined;
  modules = new Map<string, string>();
  kernel = '';

  constructor(program: string) {
    const lines = execFileSync(program, { encoding: 'utf8' }).split('\n');
    const words = lines.flatMap((line) => [/^(\w+) 0x([0-9a-f]+)$/.exec(line) ?? []]);
    this.addresses = new Map(words.map(([, name = '', hex = '0']) => [name, BigInt(`0x${hex}`)]));
    const ofProcess = { pid: PID, tid: PID, timeNs: 1n };
    this.processes.add({ kind: 'named', ...ofProcess, name: path.basename(program), isExec: true });
    for (const mapping of lines.flatMap(mappingOf)) this.processes.add({ kind: 'mapped', ...ofProcess, mapping });
    this.processes.add({ kind: 'reported', untilNs: 1n, answers: 0 });
  }

  get places(): Places {
    return new Places({
      processes: this.processes,
      update: () => Promise.resolve(),
      fileOf: ({ file }) =>
        Promise.resolve(this.problem === undefined ? { hostPath: file.path } : { problem: this.problem }),
      fileOfModule: ({ name }) =>
        Promise.resolve(this.modules.has(name) ? { hostPath: this.modules.get(name)! } : undefined),
      kernelSymbols: () => Promise.resolve(new KernelSymbols(this.kernel)),
    } satisfies GuestCode);
  }

  async at(name: string, more: { offset?: bigint; returnAddress?: bigint } = {}): Promise<Place> {
    const pc = this.addresses.get(name)! + (more.offset ?? 0n);
    const [place] = await this.places.resolve([{ pid: PID, pc, isKernel: false, ...more }]);
    return place!;
  }
}

/** A line of /proc/PID/maps. */
function mappingOf(line: string): Mapping[] {
  const [, start, end, offset, name] = /^(\w+)-(\w+) r-xp (\w+) \S+ \d+ +(\/.*)$/.exec(line) ?? [];
  if (name === undefined) return [];
  const [from, to, fileOffset] = [start, end, offset].map((hex) => BigInt(`0x${hex}`));
  const known = { path: name, owner: 'host', sizeBytes: 0n, modifiedNs: 0n } as const;
  return [{ start: from!, sizeBytes: to! - from!, fileOffset: fileOffset!, file: known }];
}

describe.each([
  ['a position-independent program', 'pie'],
  ['a program at a fixed address', 'fixed'],
  ['a static program', 'static'],
])('%s', (_, program) => {
  test('has functions with file and line, also inlined ones', async () => {
    const driver = new ProgramThatRan(file(program));
    const inlined = await driver.at('here');
    expect(inlined).toMatchObject({ function: 'ring', line: lineOf('.globl here') });
    expect(inlined.inlinedInto).toMatchObject([{ function: 'doorbell', line: lineOf('    ring()') }]);
    expect(namePlace(inlined)).toBe(
      `driver.c:${lineOf('.globl here')} ring, inlined into driver.c:${lineOf('    ring()')} doorbell`,
    );
    expect(wordProcess(inlined.process!)).toBe(`${program} (process 71)`);
    expect(await driver.at('call_site')).toMatchObject({ function: 'call_site', file: file('library.c') });
  });

  test('has the names of functions when it was compiled without debug information', async () => {
    const driver = new ProgramThatRan(stripped(program, '--strip-debug'));
    const place = await driver.at('here');
    expect(place).toMatchObject({ function: 'doorbell', inlinedInto: [] });
    expect(namePlace(place)).toMatch(/^doorbell \(\/.*\/\w+-stripped\+0x[0-9a-f]+\)$/);
  });

  test('has an address that addr2line takes, and no wrong name, when it is stripped', async () => {
    const driver = new ProgramThatRan(stripped(program, '--strip-all'));
    const place = await driver.at('here');
    expect(place.function).toBeUndefined();
    const [, address] = /-stripped\+(0x[0-9a-f]+)$/.exec(namePlace(place))!;
    expect(execFileSync('addr2line', ['-fe', file(program), address!], { encoding: 'utf8' })).toMatch(/^ring\n/);
  });
});

describe('a shared library', () => {
  test('is named by its own file', async () => {
    const driver = new ProgramThatRan(file('linked'));
    const place = await driver.at('call_site');
    expect(place).toMatchObject({ function: 'call_site', file: file('library.c'), process: { name: 'linked' } });
    expect(place.address).toMatch(/\/library\.so\+0x/);
  });

  test('that is stripped has the functions that it exports', async () => {
    const place = await new ProgramThatRan(file('exporting')).at('call_site');
    expect(place).toMatchObject({ function: 'call_site', address: expect.stringMatching(/\/exports\.so\+0x/) });
    expect(place.line).toBeUndefined();
  });
});

test('debug information is found in the file that the program refers to', async () => {
  const program = file('separate');
  execFileSync('objcopy', ['--only-keep-debug', 'pie', 'separate.debug'], { cwd: folder });
  execFileSync('objcopy', ['--strip-all', '--add-gnu-debuglink=separate.debug', 'pie', program], { cwd: folder });
  expect(await new ProgramThatRan(program).at('here')).toMatchObject({ line: lineOf('.globl here') });
});

test('names of C++ are those of its source', async () => {
  const driver = new ProgramThatRan(file('cpp'));
  expect(await driver.at('post')).toMatchObject({ function: 'card::Ring::post(int)', line: lineOf('post(int', CPP) });
  expect(await new ProgramThatRan(stripped('cpp', '--strip-debug')).at('post')).toMatchObject({
    function: 'card::Ring::post(int)',
  });
});

describe('a function that accesses registers for others', () => {
  let driver: ProgramThatRan;
  beforeAll(() => {
    driver = new ProgramThatRan(file('pie'));
  });

  test('is replaced by its caller, at the call', async () => {
    const returnAddress = driver.addresses.get('caller')!;
    expect(await driver.at('gc_write32', { returnAddress })).toMatchObject({
      function: 'caller',
      line: lineOf('site = call_site()'),
    });
  });

  test('is named where its caller is not known', async () => {
    expect(await driver.at('gc_write32')).toMatchObject({ function: 'gc_write32' });
    expect(await driver.at('gc_write32', { returnAddress: 16n })).toMatchObject({ function: 'gc_write32' });
  });

  test('is no other function: the address that it returns to is not used', async () => {
    const returnAddress = driver.addresses.get('caller')!;
    expect(await driver.at('call_site', { returnAddress })).toMatchObject({ function: 'call_site' });
  });
});

test('a file that has changed is not used, and the place says so', async () => {
  const driver = new ProgramThatRan(file('pie'));
  driver.problem = `${file('pie')} has changed`;
  const place = await driver.at('here');
  expect(place).toMatchObject({ note: `${file('pie')} has changed`, inlinedInto: [] });
  expect(place.function).toBeUndefined();
  expect(namePlace(place)).toMatch(/\/pie at byte 0x[0-9a-f]+$/);
});

test('a file that is built again under the same name is read again', async () => {
  const again = file('again');
  copyFileSync(file('cpp'), again);
  const driver = new ProgramThatRan(again);
  const { places } = driver;
  const addresses = [{ pid: PID, pc: driver.addresses.get('post')!, isKernel: false }];
  expect(await places.resolve(addresses)).toMatchObject([{ line: lineOf('post(int', CPP) }]);
  copyFileSync(stripped('cpp', '--strip-debug'), again);
  const [place] = await places.resolve(addresses);
  expect(place!.line).toBeUndefined();
});

test('an address outside of all files is given as it is, with the process', async () => {
  const driver = new ProgramThatRan(file('pie'));
  const [place] = await driver.places.resolve([{ pid: PID, pc: 0x1234n, isKernel: false }]);
  expect(place).toEqual({ process: { pid: PID, name: 'pie' }, address: '0x1234', inlinedInto: [] });
  const [unknown] = await driver.places.resolve([{ pid: 5, pc: 0x1234n, isKernel: false }]);
  expect(unknown).toEqual({ address: '0x1234', inlinedInto: [] });
});

describe('the kernel', () => {
  const TEXT = 0xffffffffc0200000n;
  const INIT = 0xffffffffc0300000n;
  const module: ModuleSections = {
    name: 'driver',
    buildId: undefined,
    sections: new Map([
      ['.text', TEXT],
      ['.init.text', INIT],
    ]),
  };
  let driver: ProgramThatRan;
  let doorbell: bigint;

  beforeAll(() => {
    driver = new ProgramThatRan(file('pie'));
    const symbols = execFileSync('nm', [file('driver.ko')], { encoding: 'utf8' });
    writeFileSync(file('linked.ko'), linkModule(readFileSync(file('driver.ko')), module.sections));
    doorbell = BigInt(`0x${/^(\w+) t doorbell$/m.exec(symbols)![1]!}`);
    driver.kernel = [
      'ffffffff81000000 T _stext',
      'ffffffff81000100 T iowrite32',
      'ffffffff81000200 T vfs_read',
      `${(TEXT - 0x1000n).toString(16)} t other_probe\t[other]`,
    ].join('\n');
    driver.processes.add({ kind: 'module', module });
  });

  const at = async (pc: bigint, returnAddress?: bigint): Promise<Place> =>
    (
      await driver.places.resolve([
        { pid: PID, pc, isKernel: true, ...(returnAddress !== undefined && { returnAddress }) },
      ])
    )[0]!;

  test('has its functions in its list of symbols', async () => {
    const place = await at(0xffffffff81000210n);
    expect(place).toMatchObject({ function: 'vfs_read', module: 'kernel', process: { name: 'pie' } });
    expect(namePlace(place)).toBe('vfs_read (kernel vfs_read+0x10)');
    expect(await at(TEXT - 0xff0n)).toMatchObject({ function: 'other_probe', module: 'other' });
  });

  test('has modules, whose functions have file and line', async () => {
    driver.modules.set('driver', file('linked.ko'));
    const place = await at(TEXT + doorbell);
    expect(place).toMatchObject({ module: 'driver', file: expect.stringMatching(/driver\.c$/) });
    expect([place.function, ...place.inlinedInto.map((each) => each.function)]).toContain('doorbell');
    expect(place.address).toBe(`driver.ko .text+0x${doorbell.toString(16)}`);
  });

  test('accesses registers for modules: the place is in the module', async () => {
    driver.modules.set('driver', file('linked.ko'));
    expect(await at(0xffffffff81000104n, TEXT + doorbell + 1n)).toMatchObject({ module: 'driver' });
  });

  test('has modules without a file, which are not taken for other code', async () => {
    driver.modules.clear();
    const place = await at(TEXT + doorbell);
    expect(place.function).toBeUndefined();
    expect(namePlace(place)).toBe(`driver.ko .text+0x${doorbell.toString(16)}`);
  });
});

test('a thousand addresses are resolved in one call', async () => {
  const driver = new ProgramThatRan(file('pie'));
  const pc = driver.addresses.get('here')!;
  const places = await driver.places.resolve(Array.from({ length: 1000 }, () => ({ pid: PID, pc, isKernel: false })));
  expect(new Set(places.map((place) => namePlace(place))).size).toBe(1);
});
