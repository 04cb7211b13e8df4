/**
 * Places in what runs in a guest: programs print where their functions are, end, and are named afterwards, by the host's
 * copy of them or by the guest's own.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { type CodeAddress, type Place, Places, namePlace } from '../../instrumentation/symbols';
import { loadModule, unloadModule } from '../../qemu/launch';
import { buildModules, GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { findCompiler } from '../../qemu/provision/steps/compiler';
import { Context } from '../../qemu/provision/steps/context';
import { CodeOfGuest, type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

/** Prints "PID FUNCTION ADDRESS" for each of its functions, then for those of a child. */
const SOURCE = `#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline)) void doorbell(void) { __asm__ volatile("nop" ::: "memory"); }
int main(void)
{
    doorbell();
    printf("%d doorbell %p\\n", getpid(), (void *)doorbell);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        printf("%d doorbell %p\\n", getpid(), (void *)doorbell);
        return 0;
    }
    waitpid(child, NULL, 0);
    printf("%d puts %p\\n", getpid(), (void *)puts);
    return 0;
}
`;
const LINE = SOURCE.split('\n').findIndex((line) => line.includes('void doorbell')) + 1;

/** Functions of the kernel that access registers for others, and are not inlined. */
const ACCESSORS = { amd64: 'iowrite32', arm64: '__memcpy_toio' };

const folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-places-'));
const source = path.join(folder, 'driver.c');
let rig: Rig | undefined;

beforeAll(() => writeFileSync(source, SOURCE));
afterEach(async () => {
  await rig?.close();
  rig = undefined;
});
afterAll(() => rmSync(folder, { recursive: true }));

function compile(name: string, ...options: string[]): string {
  const program = path.join(folder, name);
  execFileSync('gcc', ['-O1', '-g', ...options, '-o', program, source]);
  return program;
}

async function placesOf(guest: Rig, hostRoot: string | false): Promise<Places> {
  return new Places(await CodeOfGuest.start(guest.guest, { hostRoot, folder: path.join(guest.runDir, 'code') }));
}

/** What a program has printed before it ended. */
async function run(guest: Rig, ...argv: string[]): Promise<CodeAddress[]> {
  const { stdout, stderr, exitCode } = await guest.guest.run(argv);
  expect(exitCode, stderr.toString()).toBe(0);
  return [...stdout.toString().matchAll(/^(\d+) \w+ 0x(\w+)$/gm)].map(([, pid, address]) => ({
    pid: Number(pid),
    pc: BigInt(`0x${address}`),
    isKernel: false,
  }));
}

const word = (place: Place): string => `${place.process?.name}: ${namePlace(place)}`;

describe('a program of the host', () => {
  test('has functions, files and lines after it has ended, as have its child and its libraries', async () => {
    rig = await startRig({ cards: [], hostRoot: '/' });
    const places = await placesOf(rig, '/');
    const pie = await run(rig, compile('pie'));
    const fixed = await run(rig, compile('fixed', '-no-pie'));
    const [own, child, library, ...rest] = await places.resolve([...pie, ...fixed]);
    expect([own, child].map((each) => word(each!))).toEqual(Array(2).fill(`pie: driver.c:${LINE} doorbell`));
    expect(child!.process!.pid).not.toBe(own!.process!.pid);
    expect(library).toMatchObject({
      function: expect.stringMatching(/puts$/),
      address: expect.stringMatching(/\/libc/),
    });
    expect(rest.slice(0, 2).map(word)).toEqual(Array(2).fill(`fixed: driver.c:${LINE} doorbell`));
    expect(await places.resolve(pie)).toEqual([own, child, library]);
  });

  test('that was compiled in the guest is fetched from there', async () => {
    rig = await startRig({ cards: [], hostRoot: '/' });
    const places = await placesOf(rig, '/');
    const program = path.join(folder, 'made-in-guest');
    await rig.guest.run(['cp', compile('original'), program]);
    expect(word((await places.resolve(await run(rig, program)))[0]!)).toBe(`made-in-guest: driver.c:${LINE} doorbell`);
  });

  test('that has changed since is not taken for what it was', async () => {
    rig = await startRig({ cards: [], hostRoot: '/' });
    const places = await placesOf(rig, '/');
    const program = compile('changing');
    const addresses = await run(rig, program);
    expect(word((await places.resolve(addresses))[0]!)).toBe(`changing: driver.c:${LINE} doorbell`);
    writeFileSync(source, `\n${SOURCE}`);
    compile('changing');
    writeFileSync(source, SOURCE);
    // Commands see the new file from the next one on.
    await rig.guest.run(['true']);
    const [place] = await places.resolve(addresses);
    expect(place!.note).toBe(`${program} has been changed or removed since the process has mapped it`);
    expect(namePlace(place!)).toMatch(/\/changing at byte 0x[0-9a-f]+$/);
  });
});

describe.each(GUEST_ARCHES)('in a guest of %s', (arch: GuestArch) => {
  test('a program of its own has functions, files and lines after it has ended', async () => {
    rig = await startRig({ arch, cards: [], cpus: 2 });
    const places = await placesOf(rig, false);
    const program = path.join(folder, `static-${arch}`);
    const compiler = await findCompiler(new Context({ guestArch: arch }));
    execFileSync(compiler!.command, ['-static', '-O1', '-g', '-o', program, source]);
    await rig.guest.push('/tmp/driver', readFileSync(program), 0o755);
    const resolved = await places.resolve(await run(rig, '/tmp/driver'));
    expect(resolved.slice(0, 2).map(word)).toEqual(Array(2).fill(`driver: driver.c:${LINE} doorbell`));
  });

  test('a kernel module has functions, files and lines, also when it is unloaded', async () => {
    rig = await startRig({ arch, cards: [] });
    const places = await placesOf(rig, false);
    const name = 'places';
    const build = mkdtempSync(path.join(folder, 'module-'));
    copyFileSync(path.join(__dirname, 'places-module.c'), path.join(build, `${name}.c`));
    writeFileSync(path.join(build, 'Kbuild'), `obj-m += ${name}.o\n`);
    const { cacheDir } = inject('provisioned')[arch];
    const [module = ''] = await buildModules(build, { guestArch: arch, cacheDir });
    const { kernelLog } = await loadModule(rig.guest, module);
    rmSync(build, { recursive: true });
    const addresses = kernelLog.flatMap((line) => [...(/ places: \w+ ([0-9a-f]{16})$/.exec(line)?.slice(1) ?? [])]);
    const [text, init, accessor] = addresses.map((hex) => BigInt(`0x${hex}`));
    const of = (pc: bigint, returnAddress?: bigint): CodeAddress => ({
      pid: 1,
      pc,
      isKernel: true,
      ...(returnAddress !== undefined && { returnAddress }),
    });
    const questions = [of(text!), of(init!), of(accessor!, text! + 1n), of(accessor!)];
    // While it is being loaded, its file is not known yet.
    const loaded = rig.guest.loadedModules.splice(0);
    expect((await places.resolve([of(text!)]))[0]!.line).toBeUndefined();
    rig.guest.loadedModules.push(...loaded);
    const words = (await places.resolve(questions)).map((place) => namePlace(place));
    const lines = readFileSync(path.join(__dirname, 'places-module.c'), 'utf8').split('\n');
    const bodyOf = (what: string): number => lines.findIndex((line) => line.includes(what)) + 2;
    // Of which of its lines the first instruction is depends on the compiler.
    const doorbell = [0, 1, 2].map((line) => `places.c:${bodyOf('void ring_doorbell') + line} ring_doorbell`);
    expect(doorbell).toContain(words[0]);
    expect(words.slice(1)).toEqual([
      `places.c:${bodyOf('int __init begin')} begin`,
      words[0],
      `${ACCESSORS[arch]} (kernel ${ACCESSORS[arch]}+0x0)`,
    ]);
    await unloadModule(rig.guest, name);
    expect((await places.resolve(questions)).map((place) => namePlace(place))).toEqual(words);
  });
});
