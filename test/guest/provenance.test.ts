/** Whose bytes a guest's memory holds: the lines of a driver that wrote descriptors and payloads, and the DMA of a card. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { AccessOrigins, TraceCards } from '../../instrumentation/analysis';
import { type DmaEvent, isDma, readTrace, TraceRecorder } from '../../instrumentation/trace';
import { expect, guestTest, type PluggedCard } from '../../harness';
import { GUEST_ARCHES, type GuestArch } from '../../qemu/provision';
import { buildDrivers, correct, sourceOf } from '../bugs/variants';

const testOn = (arch: GuestArch) => guestTest({ arch, cpus: 2, observe: true, trace: 'never' });
const TESTS = { amd64: testOn('amd64'), arm64: testOn('arm64') };

let folder: string;
let recorder: TraceRecorder;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'provenance-'))));
beforeEach(() => void (recorder = new TraceRecorder(join(folder, 'a.trace'))));
afterEach(() => recorder.close());
afterAll(() => rmSync(folder, { recursive: true }));

/** `driver.c:133 put`, where that line has a text. */
const placeOf = (text: string, name: string): string => {
  const line = readFileSync(sourceOf('user'), 'utf8')
    .split('\n')
    .findIndex((each) => each.includes(text));
  return `driver.c:${line + 1} ${name}`;
};
const FIELDS = [
  placeOf('descriptor->control = ', 'put'),
  placeOf('descriptor->length = ', 'put'),
  placeOf('descriptor->host_address = ', 'put'),
  placeOf('descriptor->card_address = ', 'put'),
];
const SENDING = placeOf('gc_dma_write(&channel->memory, offset, &message', 'send_message');

/** What has been written only in part: the stack of a process. Prints its entries of /proc/PID/pagemap. */
const PRINT_STACK_PAGES = [
  'sleep 60 & set -- $(sed -n "/.stack./{s/-/ /;s/r.*//;p}" /proc/$!/maps)',
  'dd if=/proc/$!/pagemap bs=8 skip=$((0x$1 / 4096)) count=$(((0x$2 - 0x$1) / 4096)) 2>/dev/null | od -An -v -tx8',
  'kill $!',
].join('; ');
/** Documentation/admin-guide/mm/pagemap.rst */
const isPresent = (entry: bigint): boolean => entry >> 63n === 1n;
const PAGE_NUMBER_MASK = (1n << 55n) - 1n;
const CLEARS_PAGE = { amd64: 'clear_page_rep', arm64: '__pi_clear_page' };

type Wanted = Pick<DmaEvent, 'kind' | 'channel' | 'role'>;
const isWanted = (event: Wanted, wanted: Wanted): boolean =>
  event.kind === wanted.kind && event.channel === wanted.channel && event.role === wanted.role;

function lastOf({ trace }: PluggedCard, wanted: Wanted): Pick<DmaEvent, 'iova' | 'sizeBytes'> {
  for (const event of trace.newestFirst()) if (isDma(event) && isWanted(event, wanted)) return event;
  throw new Error(`there was no ${wanted.kind} of ${wanted.channel}`);
}

describe.each(GUEST_ARCHES)('in a guest of %s with two processors', (arch) => {
  const test = TESTS[arch];
  let driver: string;
  beforeAll(async () => {
    driver = (await buildDrivers([correct('user')], arch, join(folder, arch))).get(correct('user').name)!;
  });

  test('a test knows the lines that wrote descriptors and payloads, and the DMA of the card', async ({ guest }) => {
    const card = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run([driver])).toSucceed();
    const writersOf = async (wanted: Wanted) => {
      const { iova, sizeBytes } = lastOf(card, wanted);
      return card.provenance(iova, sizeBytes);
    };

    const fetched = await writersOf({ kind: 'dma-read', channel: 'H2C0', role: 'descriptor' });
    const code = fetched.flatMap(({ writer }) => (writer?.by === 'code' ? writer.code.replace(/,.*/, '') : []));
    expect(code.slice(0, 3)).toEqual(FIELDS.slice(1)); // the control word has been written back

    const [sent] = await writersOf({ kind: 'dma-read', channel: 'H2C0', role: 'data' });
    expect(sent!.writer).toMatchObject({ by: 'code', process: { name: 'driver' } });
    expect(sent!.text).toMatch(new RegExp(`gc_dma_write, called by ${SENDING}`));

    const received = lastOf(card, { kind: 'dma-write', channel: 'C2H0', role: 'data' });
    const [run] = await card.provenance(received.iova, received.sizeBytes);
    expect(run).toMatchObject({
      sizeBytes: received.sizeBytes,
      writer: {
        ...{ by: 'dma', card: 'reference-card', channel: 'C2H0', role: 'data', iova: received.iova },
        descriptor: { sizeBytes: 32 },
        doorbell: { register: 'C2H[0].DOORBELL', by: { code: expect.stringMatching(/^driver\.c:\d+ /) as string } },
      },
      reader: { code: expect.stringMatching(/gc_dma_read, called by driver\.c:\d+ receive_message/) as string },
    });
  });

  test('pages that the kernel has cleared are known, also where one instruction does it', async ({ guest }) => {
    const card = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    const { stdout } = await guest.run(['sh', '-c', PRINT_STACK_PAGES]);
    const entries = stdout
      .toString()
      .trim()
      .split(/\s+/)
      .map((entry) => BigInt(`0x${entry}`));
    const pages = entries.filter(isPresent).map((entry) => Number(entry & PAGE_NUMBER_MASK) * 4096);
    const runs = (await Promise.all(pages.map((page) => card.provenance(page, 4096)))).flat();
    const cleared = runs.filter(({ writer }) => writer?.by === 'code' && writer.function === CLEARS_PAGE[arch]);
    expect(
      Math.max(...cleared.map(({ sizeBytes }) => sizeBytes)),
      runs.map(({ text }) => text).join('\n'),
    ).toBeGreaterThan(256);
  });

  test('a trace has who wrote what the card has read, as it was then', async ({ guest }) => {
    guest.rig.recordTo(recorder);
    const card = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
    expect(await guest.run([driver])).toSucceed();
    await guest.rig.named();
    guest.rig.recordTo(undefined);
    await card.unplug();
    recorder.close();
    const { events } = readTrace(recorder.path);
    const origins = new AccessOrigins(events, TraceCards.of(events));
    const fetch = { kind: 'dma-read', channel: 'H2C0', role: 'descriptor' } as const;
    const first = events.find((event) => event.kind === 'dma-read' && isWanted(event, fetch));
    const writers = origins.writersOf(first!).map(({ writer }) => writer);
    for (const [at, place] of FIELDS.entries())
      expect(writers[at]).toMatch(new RegExp(`^${place}\\b.* \\(driver, process`));
  });
});

guestTest({ trace: 'never' })('what to do is said where the processors are not observed', async ({ guest }) => {
  const card = await guest.plug(ReferenceCard, { driver: 'vfio-pci' });
  await expect(card.provenance(0, 8)).rejects.toThrow(
    "Cannot say who wrote a card's memory: the guest's processors are not observed. Start the guest with observe: true.",
  );
});
