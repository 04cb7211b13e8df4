import { expect, it } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { ManualClock } from '../../emulator/clock';
import { InProcessHost } from '../../emulator/host';
import { ChannelDriver } from '../../test/support/reference-driver';
import { recordInMemory } from '../../test/support/traces';
import { describeTraceEvent, TraceCards } from '../analysis';
import { eventToJson } from '../analysis/json';
import { exportPerfetto } from '../analysis/perfetto';

function transfers(count: number) {
  const clock = new ManualClock();
  const card = new ReferenceCard({ clock });
  const events = recordInMemory(card);
  const host = new InProcessHost(card, { memoryIova: 0x10_0000 });
  const h2c = new ChannelDriver(host, 'H2C');
  const submission = { hostAddress: host.memory.allocate(64).iova, lengthBytes: 64, interrupt: true };
  h2c.submit(...Array.from({ length: count }, () => submission));
  clock.runDue();
  return { events, cards: TraceCards.of(events) };
}

it('descriptors and write-back blocks are shown by the words and fields that the card declares', () => {
  const { events, cards } = transfers(1);
  const lines = events.map((event) => describeTraceEvent(event, cards)).filter((line) => line.includes('DMA'));
  const said = lines.map((line) => line.slice(line.indexOf('(H2C0')));
  expect(said).toEqual([
    expect.stringMatching(
      /^\(H2C0, descriptor\): CONTROL=3 \(OWNER=1, INTERRUPT=1\), LENGTH=0x40, HOST_ADDRESS=0x1\w{5}, CARD_ADDRESS=0, TRANSFERRED=0, STATUS=0$/,
    ),
    expect.stringMatching(/^\(H2C0, data\): 00 00/),
    '(H2C0, descriptor): TRANSFERRED=0x40',
    '(H2C0, descriptor): STATUS=1 (DONE=1)',
    '(H2C0, descriptor): CONTROL=2 (INTERRUPT=1)',
    '(H2C0, write-back): STATUS=0',
    '(H2C0, write-back): COMPLETED=1',
    '(H2C0, write-back): CONSUMER_INDEX=1',
  ]);
});

it('a burst of descriptors shows the first ones and how many follow; JSON has all, Perfetto the words', () => {
  const { events, cards } = transfers(5);
  const fetch = events.find((event) => event.kind === 'dma-read' && event.role === 'descriptor')!;
  expect(describeTraceEvent(fetch, cards)).toMatch(/: \[CONTROL=3 .*\] \[CONTROL=3 .*\] and 3 more$/);
  const { structures } = eventToJson(fetch, cards) as { structures: Record<string, object>[] };
  expect(structures).toHaveLength(5);
  expect(structures[4]).toMatchObject({
    CONTROL: { value: '0x3', fields: { OWNER: 1, INTERRUPT: 1, EOP: 0 } },
    LENGTH: { value: '0x40' },
    STATUS: { fields: { ERROR_CODE: 'NONE' } },
  });
  const header = {
    format: 'ghostcard-trace',
    version: 1,
    writer: '',
    startedAt: '',
    payloads: 'full',
    lostEvents: 0,
  } as never;
  expect(exportPerfetto({ header, events })).toContain('TRANSFERRED=0x40');
});
