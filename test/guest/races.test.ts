/** DMA races of drivers with one planted bug each, and none of the correct one: named by the line, whatever has happened. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { BAR_COUNT } from '../../emulator/pci';
import { expect, guestTest, type TestGuest } from '../../harness';
import { traceOf } from '../../instrumentation/trace';
import { GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { type Bug } from '../bugs/bug';
import { BUGS } from '../bugs/bugs';
import { buildDrivers, correct, lineOf, type Subject } from '../bugs/variants';

interface Expected {
  readonly name: string;
  readonly kind: 'dma-race' | 'missing-barrier' | 'use-after-free';
  /** What the report says beside the line. */
  readonly says: RegExp;
}

const EVERYWHERE: readonly Expected[] = [
  {
    name: 'owner-after-doorbell',
    kind: 'dma-race',
    says: /put\b.* \(driver, process \d+\) writes 0x\w+ after the last register write that .*DOORBELL 0x\w+ at driver\.c:\d+ .*: \w+ reads 32 bytes at/,
  },
  {
    name: 'buffer-after-doorbell',
    kind: 'dma-race',
    says: /gc_dma_write, called by driver\.c:\d+ send_message \(driver, process \d+\) writes 0x\w+/,
  },
  {
    name: 'freed-before-completion',
    kind: 'use-after-free',
    says: /called by driver\.c:\d+ .*\(driver, process \d+\) gives back 0x\w+ after the last register write .*: H2C1 reads \d+ bytes/,
  },
  {
    name: 'sleep-in-place-of-wait',
    kind: 'dma-race',
    says: /reads 0x\w+ without having seen that the card is done there: C2H1 writes \d+ bytes at/,
  },
];
const EXPECTED: Readonly<Record<GuestArch, readonly Expected[]>> = {
  amd64: EVERYWHERE,
  arm64: [
    ...EVERYWHERE.slice(0, 3),
    {
      name: 'doorbell-without-barrier',
      kind: 'missing-barrier',
      says: /no barrier orders that before .*DOORBELL 0x\w+ at driver\.c:\d+ ring_doorbell/,
    },
  ],
};

const testOn = (arch: GuestArch, iommu = false) =>
  guestTest({ arch, cpus: 2, scope: 'file', iommu, checkDma: 'report' });
const TESTS = { amd64: testOn('amd64'), arm64: testOn('arm64') };
const BEHIND_IOMMU = { amd64: testOn('amd64', true), arm64: testOn('arm64', true) };

/** Half a second is enough for any card, so that it goes well. */
const bugOf = (name: string): Bug => {
  const bug = BUGS.find((each) => each.name === name)!;
  return {
    ...bug,
    change: bug.change.map(([from, to]) => [from, to.replace('.tv_nsec = 5000000', '.tv_nsec = 500000000')]),
  };
};

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'races-'))));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(GUEST_ARCHES)('in a guest of %s with two processors', (arch) => {
  const test = TESTS[arch];
  const unread = bugOf('error-never-read');
  const bugs = [...EXPECTED[arch].map(({ name }) => bugOf(name)), unread];
  let drivers: ReadonlyMap<string, string>;
  beforeAll(async () => {
    drivers = await buildDrivers([correct('user'), ...bugs], arch, join(folder, arch));
  });

  async function drive(guest: TestGuest, { name }: Subject, driver = 'vfio-pci'): Promise<number | undefined> {
    await guest.plug(ReferenceCard, { driver });
    return (await guest.run([drivers.get(name)!])).exitCode;
  }

  test.for(['vfio-pci', 'uio_pci_generic'])('the correct driver has none on %s', async (way, { guest }) => {
    expect(await drive(guest, correct('user'), way)).toBe(0);
    await expect(guest).toHaveNoDmaRaces();
  });

  const TOLD = /^H2C0 has told an error in memory at .*: STATUS 0x300 \(ERROR_CODE=BAD_HOST_ADDRESS\) at 0x/;
  test.for([
    { subject: correct('user'), notices: [] },
    { subject: unread, notices: [expect.stringMatching(TOLD)] },
  ])('an error that the card tells in memory, and $subject.name', async ({ subject, notices }, { guest }) => {
    const { card } = await guest.plug(ReferenceCard, { driver: 'vfio-pci', faults: unread.fault!.declarations });
    await guest.run([drivers.get(subject.name)!]);
    await guest.rig.settled();
    expect(traceOf(card).notices.map(({ text }) => text)).toEqual(notices);
  });

  test.for(EXPECTED[arch])('$name is a $kind, with its line', async ({ name, kind, says }, { guest }) => {
    const bug = bugOf(name);
    await drive(guest, bug);
    const races = await guest.races();
    const found = races.find(({ text }) => text.includes(`driver.c:${lineOf(bug)} `));
    expect(found, races.map(({ text }) => text).join('\n')).toMatchObject({ kind });
    expect(found!.text).toMatch(says);
    await expect(expect(guest).toHaveNoDmaRaces()).rejects.toThrow(found!.text);
  });
});

/** Gives memory back on a stack that ends where a BAR of the card is mapped. */
const STACK_NEXT_TO_BAR = `
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK = 1 << 16, BAR = 4096 };
static ucontext_t back, there;

static void give_back(void)
{
    munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
}

int main(void)
{
    char path[128], *stack = mmap(NULL, STACK + BAR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", getenv("GHOSTCARD_PCI_ADDRESS"));
    int fd = open(path, O_RDWR);
    if (fd < 0 || mmap(stack + STACK, BAR, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        return perror(path), 1;
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = STACK;
    there.uc_link = &back;
    makecontext(&there, give_back, 0);
    return swapcontext(&back, &there);
}
`;

TESTS.amd64('no register is read where a stack is looked through for callers', async ({ guest }) => {
  const program = join(folder, 'stack-next-to-bar');
  writeFileSync(`${program}.c`, STACK_NEXT_TO_BAR);
  execFileSync('gcc', ['-static', '-o', program, `${program}.c`]);
  const { card } = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
  const accessed: string[] = [];
  card.inspection.events.subscribe((event) => {
    if (event.kind === 'read' && event.region < BAR_COUNT) accessed.push(`BAR${event.region} + ${event.offset}`);
  });
  expect(await guest.run([program])).toSucceed();
  expect(accessed).toEqual([]);
});

describe.each(GUEST_ARCHES)('behind an IOMMU of %s', (arch) => {
  const test = BEHIND_IOMMU[arch];
  const late = bugOf('owner-after-doorbell');

  test('a store after the doorbell is a race, and the correct driver has none', async ({ guest }) => {
    const drivers = await buildDrivers([correct('user'), late], arch, join(folder, `iommu-${arch}`));
    await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run([drivers.get('correct-user')!])).toSucceed();
    await expect(guest).toHaveNoDmaRaces();
    await guest.run([drivers.get(late.name)!]);
    const texts = (await guest.races()).map(({ text }) => text);
    expect(texts).toContainEqual(expect.stringContaining(`driver.c:${lineOf(late)} `));
  });
});
