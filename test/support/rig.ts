/** Rigs for guest tests: a guest with reference cards, and running programs in it: apps of guest-tools, and C of a test's. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject } from 'vitest';
import { type CardFactory } from '../../instrumentation/served-card';
import { ReferenceCard, type ReferenceCardOptions } from '../../emulator/cards/reference';
import { loadModule } from '../../qemu/launch';
import { buildModules, type GuestArch } from '../../qemu/provision';
import { compareVersions } from '../../qemu/provision/packages/kernel-list';
import { type AppReport, appReport, Rig, type RigOptions } from '../../qemu/rig';

const run = promisify(execFile);

export const reference =
  (options: ReferenceCardOptions = {}): CardFactory =>
  (environment) =>
    new ReferenceCard({ ...options, ...environment });

/** By default an amd64 guest with one reference card 'card' and no files of the host. */
export function startRig({
  arch = 'amd64',
  ...options
}: Partial<RigOptions> & { arch?: GuestArch } = {}): Promise<Rig> {
  const cards = [{ name: 'card', make: reference() }];
  return Rig.start({ provisioned: inject('provisioned')[arch], cards, hostRoot: false, ...options });
}

/**
 * Runs an app on a card and expects it to pass; otherwise its output is in the failure. `platformDevice` names one of
 * several platform devices of the card.
 */
export async function runApp(
  rig: Rig,
  card: string,
  argv: readonly string[],
  platformDevice?: string,
): Promise<AppReport> {
  const device = platformDevice ?? (await rig.guest.pciAddressOf(card));
  const result = await rig.guest.run([...argv, '--device', device, '--json']);
  const report = appReport(argv, result);
  expect(report.ok, `${argv.join(' ')}:\n${result.stdout.toString()}${result.stderr.toString()}`).toBe(true);
  expect(result.exitCode).toBe(0);
  return report;
}

/**
 * Compiles a program in C for guests of the host's architecture, and puts it into a guest; its path there. `parts` of
 * guest-tools, such as 'lib', are compiled with it; `more` are other sources, and options of the compiler.
 */
export async function installProgram(
  rig: Rig,
  source: string,
  parts: readonly string[] = [],
  more: readonly string[] = [],
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gc-program-'));
  const path = `/tmp/${basename(source, '.c')}`;
  try {
    const program = join(folder, 'program');
    const guestTools = join(__dirname, '..', '..', 'guest-tools');
    const others = parts.flatMap((part) => sourcesIn(join(guestTools, part)));
    // Meanwhile this process serves the cards of the guest.
    await run('cc', ['-static', '-Wall', '-Werror', '-I', guestTools, ...more, '-o', program, source, ...others]);
    await rig.guest.push(path, readFileSync(program), 0o755);
  } finally {
    rmSync(folder, { recursive: true });
  }
  return path;
}

function sourcesIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => (name.endsWith('.c') ? [join(folder, name)] : []));
}

/** Loads the driver of `LineCard` (test/guest/line-driver), built for the guest's kernel; the name to bind it by. */
export async function loadLineDriver(rig: Rig, arch: GuestArch): Promise<string> {
  await loadTestModule(rig, arch, 'line-driver');
  return 'line-driver';
}

/** Loads a kernel module of these tests, test/guest/NAME, built for the guest's kernel. */
export async function loadTestModule(rig: Rig, arch: GuestArch, name: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `gc-${name}-`));
  try {
    cpSync(join(__dirname, '..', 'guest', name), folder, { recursive: true });
    const { cacheDir } = inject('provisioned')[arch];
    const [module = ''] = await buildModules(folder, { guestArch: arch, cacheDir });
    await loadModule(rig.guest, module);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether UIO's maps show the device addresses of uio_dmem_genirq's buffers: until Linux 6.8 (platform-devices.md). */
export const mapsHaveDmaAddresses = (arch: GuestArch): boolean =>
  compareVersions(inject('provisioned')[arch].kernel.release, '6.9') < 0;

/** Whether uio_dmem_genirq can be closed when its buffers could not be allocated: the same change broke it (drivers.md). */
export const closesWithoutBuffers = mapsHaveDmaAddresses;
