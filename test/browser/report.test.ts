import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { type DmaEvent, type Trace, type TraceEvent } from '../../instrumentation/trace';
import { Browser } from '../support/browser';
import { recordRun } from './recordings';
import { ReportPage } from './report-page';

const SHIFT = 8;
const HOSTILE = '</script><img src=x onerror="window.harmed = 1"><script>window.harmed = 2</script>';

let browser: Browser;
beforeAll(async () => {
  browser = await Browser.start(inject('browser'));
});
afterAll(() => browser?.[Symbol.asyncDispose]());

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostcard-report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const openRun = (options: Parameters<typeof recordRun>[1], scheme?: 'dark' | 'light') => {
  const trace = recordRun(folder, options);
  return ReportPage.open(browser, trace, folder, scheme).then((report) => ({ trace, report }));
};

describe('the report, opened from disk without a network', () => {
  it('has lanes for all of the trace, makes no other requests, and logs no errors', async () => {
    const { report, trace } = await openRun({ transfers: 6 });
    expect(await report.texts('.lane-name')).toEqual([
      ...['marks', 'faults, notices'],
      ...['BAR0', 'IRQ_STATUS', 'H2C[0].STATUS', 'H2C[0].DOORBELL', 'C2H[0].DOORBELL', 'C2H[0].CONSUMER_INDEX', 'BAR4'],
      ...['scheduled work', 'DMA H2C0', 'DMA C2H0', 'MSI-X vector 0', 'MSI-X vector 2'],
      ...['memory decode', 'bus master', 'power', 'interrupts', 'H2C0', 'C2H0', 'config', 'host'],
    ]);
    expect(await report.text('#events-count')).toBe(String(trace.events.length));
    expect(report.page.requests).toEqual([report.url]);
    expect(report.page.errors).toEqual([]);
  });

  it('cuts off nothing of its title, the choice of the axis and the details on a screen of 800 by 600', async () => {
    const report = await ReportPage.open(browser, recordRun(folder, { transfers: 1 }), folder, 'dark', [800, 600]);
    const cut = await report.page.evaluate<string[]>(
      `['#title', '#axes', '.head .subject'].filter((name) => {
        const element = document.querySelector(name);
        const { left, right } = element.getBoundingClientRect();
        return element.scrollWidth > element.clientWidth || left < 0 || right > innerWidth;
      })`,
    );
    expect(cut).toEqual([]);
    const detail = await report.page.evaluate<number>("document.querySelector('.head .rest').clientWidth");
    expect(detail).toBeGreaterThan(120);
  });

  it('says of an access who did it, in its row and in detail, and finds it by that', async () => {
    const { header, events, isEnded } = recordRun(folder, { transfers: 1 });
    const write = events.findIndex((event) => event.kind === 'write' && event.region === 0);
    const { card, timeNs, hostNs } = events[write]!;
    const place = { kind: 'place', card: 0, timeNs: 0, hostNs, place: 1, pid: 71, process: 'driver' } as const;
    const known: TraceEvent[] = [
      { ...place, address: '0x1', name: 'driver.c:5 ring' },
      { kind: 'origin', card, timeNs, hostNs, place: 1 },
    ];
    const trace = { header, events: events.toSpliced(write + 1, 0, ...known), isEnded };
    const report = await ReportPage.open(browser, trace, folder);
    await report.search('driver.c:5');
    await report.page.press('Enter');
    expect((await report.selectedRow()).at(-1)).toMatch(/^0x\S+.* by driver\.c:5 ring \(driver, process 71\)$/);
    expect(await report.texts('#detail dd')).toContain('driver.c:5 ring (driver, process 71)');
    expect(await report.text('#events-count')).toBe(String(events.length));
  });

  it('shows a DMA race at the DMA and at the register write before it, and whose bytes were read', async () => {
    const { header, events, isEnded } = recordRun(folder, { transfers: 1 });
    const read = events.findIndex((event) => event.kind === 'dma-read' && event.role === 'data');
    const { card, timeNs, hostNs, iova, sizeBytes } = events[read] as DmaEvent;
    const dma = { kind: 'dma-read', timeNs, iova, sizeBytes } as const;
    const trace: Trace = {
      header,
      isEnded,
      events: [
        ...events.slice(0, read + 1),
        {
          ...({ kind: 'place', card: 0, timeNs: 0, hostNs } as const),
          place: 1,
          pid: 71,
          process: 'driver',
          address: '0x1',
        },
        { kind: 'written', card, timeNs, hostNs, pieces: [{ offset: 0, end: sizeBytes, sizeBytes, place: 1 }] },
        ...events.slice(read + 1),
        { kind: 'notice', card, timeNs, hostNs, text: 'writes late [dma-race]', dma },
      ],
    };
    const report = await ReportPage.open(browser, trace, folder);
    const links = (title: string) =>
      report.page.evaluate<string[]>(`(() => {
        const title = [...document.querySelectorAll('#detail h3')].find((each) => each.textContent === '${title}');
        return [...(title?.nextElementSibling.querySelectorAll('li') ?? [])].map((each) => each.textContent);
      })()`);
    await report.search('dma-race');
    await report.page.press('Enter');
    const about = await links('About');
    expect(about).toEqual([
      expect.stringMatching(new RegExp(`^#${read + 1} DMA reads H2C0 data ${sizeBytes} bytes`)),
      expect.stringMatching(/^#\d+ write H2C\[0\]\.DOORBELL /),
    ]);
    const notice = [expect.stringMatching(/^#\d+ notice writes late \[dma-race\]/)];
    await report.page.click('#detail .links li:first-child button');
    expect((await report.selectedRow())[0]).toBe(String(read + 1));
    expect(await links('Notices')).toEqual(notice);
    expect(await links('Whose bytes')).toEqual([
      `${sizeBytes} bytes at 0x${iova.toString(16)}, written by 0x1 (driver, process 71)`,
    ]);
    expect(await links('Started by')).toEqual([about[1]]);
    expect(await report.texts('.row.noticed:not([hidden]) .no')).toEqual(
      about.map((text) => /\d+/.exec(text)![0]).reverse(),
    );
  });

  it('begins with the notices and what was left to say at the end, each with a link to its event', async () => {
    const { report, trace } = await openRun({ transfers: 1 });
    expect(await report.texts('#found h2')).toEqual(['Notices', 'At the end']);
    expect(await report.texts('#found li')).toEqual([
      'the driver polls H2C[0].STATUS without progress',
      'H2C0 halted once: BAD_HOST_ADDRESS, descriptor 1',
      'DMA of H2C0 was refused once: unmapped, first at 0x7fff00000000',
    ]);
    const refused = trace.events.findIndex((event) => 'role' in event && event.error !== undefined);
    await report.page.click('#found ul:last-of-type li:last-child button');
    expect((await report.selectedRow())[0]).toBe(String(refused + 1));
    const { header, events } = trace;
    const quiet = await ReportPage.open(browser, { header, events: events.slice(0, 9), isEnded: true }, folder);
    expect((await quiet.page.place('#found')).height).toBe(0);
  });

  it('draws each lane in its colours at its events, and nowhere else', async () => {
    const { report, trace } = await openRun({ transfers: 6 });
    await report.page.click('#axes label:nth-child(3)');
    const { from, to } = await report.view();
    const picture = await report.picture();
    const expectInk = async (lane: string, label: string, is: (event: TraceEvent) => boolean) => {
      const { box, color } = await report.row(lane, label);
      const expected = trace.events.flatMap((event, i) =>
        is(event) ? [Math.floor(((i - from) / (to - from)) * box.width)] : [],
      );
      const drawn = picture.columnsOf(color, box);
      expect(expected.length).toBeGreaterThan(0);
      expect(expected.filter((x) => !drawn.includes(x))).toEqual([]);
      // A bar is at most three columns wide.
      expect(drawn.filter((x) => !expected.some((first) => x >= first && x < first + 3))).toEqual([]);
    };
    const dma = (role: DmaEvent['role'], channel: string) => (event: TraceEvent) =>
      'role' in event && event.role === role && event.channel === channel && event.error === undefined;
    await expectInk('BAR0', 'read', (event) => event.kind === 'read' && event.region === 0);
    await expectInk('BAR0', 'write', (event) => event.kind === 'write' && event.region === 0);
    for (const channel of ['H2C0', 'C2H0']) {
      await expectInk(`DMA ${channel}`, 'descriptor', dma('descriptor', channel));
      await expectInk(`DMA ${channel}`, 'data', dma('data', channel));
      await expectInk(`DMA ${channel}`, 'write-back', dma('write-back', channel));
    }
    await expectInk('MSI-X vector 2', 'held', (event) => event.kind === 'interrupt' && event.phase === 'held');
    for (const vector of [0, 2]) {
      for (const phase of ['raised', 'sent']) {
        await expectInk(
          `MSI-X vector ${vector}`,
          phase,
          (event) => event.kind === 'interrupt' && event.vector === vector && event.phase === phase,
        );
      }
    }
  });

  it('draws how long an interrupt is held back, and why', async () => {
    const { report, trace } = await openRun({ transfers: 2 });
    const { page } = report;
    await report.search('held masked');
    await page.press('Enter');
    expect(await report.text('#detail dl')).toContain('reasonmasked');
    const held = trace.events.find((event) => event.kind === 'interrupt' && event.phase === 'held')!;
    const sent = trace.events.findLast((event) => event.kind === 'interrupt' && event.vector === 2)!;
    const { from, to } = await report.view();
    const { box } = await report.row('MSI-X vector 2', 'held');
    const picture = await report.picture();
    const y = Math.round(box.top);
    const colorAt = (timeNs: number) =>
      picture.at(Math.round(box.left + ((timeNs - from) / (to - from)) * box.width), y);
    const background = colorAt(held.timeNs - 500);
    expect(colorAt((held.timeNs + sent.timeNs) / 2)).not.toEqual(background);
    expect(colorAt(sent.timeNs - 100)).not.toEqual(background);
    expect(colorAt(sent.timeNs + 500)).toEqual(background);
  });

  it('is dark or light as the system or the user sets it, with the same contents', async () => {
    const { report } = await openRun({ transfers: 20 });
    const look = async () => {
      const picture = await report.picture();
      const { box, color } = await report.row('DMA H2C0', 'data');
      return { ink: picture.columnsOf(color, box).length, background: picture.at(700, 1390)[0], color };
    };
    const dark = await look();
    await report.page.click('#theme');
    const light = await look();
    expect(dark.background).toBeLessThan(60);
    expect(light.background).toBeGreaterThan(220);
    expect(light.color).not.toEqual(dark.color);
    expect(dark.ink).toBeGreaterThan(40);
    expect(light.ink).toBe(dark.ink);
    const other = await ReportPage.open(browser, recordRun(folder, { transfers: 1 }), folder, 'light');
    expect((await other.picture()).at(700, 1390)[0]).toBeGreaterThan(220);
  });

  it('zooms where the pointer is, and pans by drag, keys and overview', async () => {
    const { report } = await openRun({ transfers: 50 });
    const { page } = report;
    const whole = await report.view();
    const { x, y, width } = await page.place('#canvas');
    const left = x - width / 2;
    await page.wheel(left + width / 4, y, -800);
    const closer = await report.view();
    const at = (view: { from: number; to: number }) => view.from + (view.to - view.from) / 4;
    expect(closer.to - closer.from).toBeLessThan((whole.to - whole.from) / 4);
    expect(Math.abs(at(closer) - at(whole))).toBeLessThan((closer.to - closer.from) / 100);

    await page.drag([x, y], [x - width / 4, y]);
    const dragged = await report.view();
    expect(dragged.from - closer.from).toBeCloseTo((closer.to - closer.from) / 4, 0);
    await page.press('a');
    expect((await report.view()).from).toBeLessThan(dragged.from);

    const minimap = await page.place('#minimap');
    await page.clickAt(minimap.x + minimap.width / 3, minimap.y);
    expect((await report.view()).from).toBeGreaterThan(dragged.to);
    await page.press('f');
    expect(await report.view()).toEqual(whole);
    await page.press('+');
    await page.press('-');
    expect(await report.view()).toEqual(whole);
    expect(page.errors).toEqual([]);
  });

  it('measures an interval, and zooms to it', async () => {
    const { report } = await openRun({ transfers: 50 });
    const { x, y, width } = await report.page.place('#canvas');
    const whole = await report.view();
    await report.page.drag([x, y], [x + width / 10, y], SHIFT);
    expect(await report.text('#cursor')).toMatch(/Δ [\d.]+\u2009µs/);
    await report.page.press('z');
    const { from, to } = await report.view();
    expect((to - from) / (whole.to - whole.from)).toBeCloseTo(0.1, 2);
  });

  it('finds registers, marks and addresses, and goes from hit to hit', async () => {
    const { report, trace } = await openRun({ transfers: 20 });
    const doorbells = trace.events.filter(
      ({ kind, ...event }) => kind === 'write' && 'offset' in event && event.offset === 0x1014,
    );
    await report.search('h2c[0].doorbell');
    expect(await report.text('#hits')).toBe(String(doorbells.length));
    await report.page.press('Enter');
    expect(await report.text('#hits')).toBe(`1 of ${doorbells.length}`);
    await report.page.press('Enter');
    expect(await report.text('#detail h2')).toBe('write H2C[0].DOORBELL');
    const row = await report.selectedRow();
    expect(row.slice(-3)).toEqual(['write', 'H2C[0].DOORBELL', '0x00000002 (PRODUCER=2)']);
    await report.page.click('#search-previous');
    expect((await report.selectedRow()).at(-1)).toBe('0x00000001 (PRODUCER=1)');

    await report.search('mark round 3');
    await report.page.press('Enter');
    expect((await report.selectedRow()).at(-1)).toBe('round 3');
    const descriptor = trace.events.find((event): event is DmaEvent => 'role' in event && event.role === 'descriptor')!;
    await report.search(`0x${(descriptor.iova + 5).toString(16)} reads`);
    await report.page.press('Enter');
    expect(await report.text('#detail h2')).toBe('DMA reads H2C0 descriptor');
    const [, , , , , , of, detail] = await report.selectedRow();
    expect(of).toBe('H2C0 descriptor');
    expect(detail).toContain(`32 bytes at 0x${descriptor.iova.toString(16)}: `);
    await report.search('no such thing');
    expect(await report.text('#hits')).toBe('none');
  });

  it('shows all of a clicked event: fields, payload, cause and effects', async () => {
    const { report } = await openRun({ transfers: 3 });
    const { page } = report;
    const clickInk = async (lane: string, label: string) => {
      const { box, color } = await report.row(lane, label);
      const [x] = (await report.picture()).columnsOf(color, box);
      await page.clickAt(box.left + x! + 1, box.top + box.height - 2);
    };
    await clickInk('DMA H2C0', 'data');
    expect(await report.text('#detail h2')).toBe('DMA reads H2C0 data');
    expect(await report.text('#detail dl')).toContain('address0x100440size64 bytes');
    expect(await report.text('#detail .dump')).toMatch(/^0*100440 {2}70 61 79 6c 6f 61 64 20 {2}30 00 .* payload 0·/);
    expect(await report.text('#detail dl')).toContain('roledata');
    expect(await report.texts('#detail h3')).toEqual([
      'Payload',
      'Caused by',
      'Started by',
      'In this lane, before and after',
    ]);
    await page.click('#detail .links .link');
    expect(await report.text('#detail h2')).toBe('scheduled work');
    expect(await report.texts('#detail h3')).toContain('The last write of the driver before');
    await page.click('#detail .links .link');
    expect(await report.text('#detail h2')).toBe('write H2C[0].DOORBELL');
    expect(await report.texts('#detail .fields tbody td')).toEqual([
      ...['15:0', 'PRODUCER', '1', 'wo'],
      'Index one past the last descriptor handed over; equal to CONSUMER_INDEX: none.',
    ]);
  });

  it('lists events in step with the timeline, and steps through them by key', async () => {
    const { report, trace } = await openRun({ transfers: 50 });
    const { page } = report;
    const { x, y } = await page.place('#canvas');
    await page.wheel(x, y, -1500);
    const first = Number((await report.text('#events-spacer .row:not([hidden]) .no')).replace(/\D/g, ''));
    const { from } = await report.view();
    expect(trace.events[first - 1]!.timeNs).toBeGreaterThanOrEqual(from);
    expect(first).toBeGreaterThan(100);

    await page.click('#events-spacer .row:nth-child(3)');
    const number = async () => Number((await report.selectedRow())[0]!.replace(/\D/g, ''));
    const clicked = await number();
    await page.press('ArrowDown');
    await page.press('j');
    expect(await number()).toBe(clicked + 2);
    await page.press('End');
    expect(await number()).toBe(trace.events.length);
    const { to } = await report.view();
    expect(trace.events.at(-2)!.timeNs).toBeLessThanOrEqual(to);
  });

  it('shows only the selected events', async () => {
    const { report, trace } = await openRun({ transfers: 10 });
    const reads = trace.events.filter(({ kind }) => kind === 'read').length;
    await report.page.click('.chip[data-ink="read"]');
    expect(await report.text('#events-count')).toBe(`${trace.events.length - reads} of ${trace.events.length}`);
    await report.page.click('.chip[data-ink="read"]', SHIFT);
    expect(await report.text('#events-count')).toBe(`${reads} of ${trace.events.length}`);
    expect(await report.texts('.lane-name')).not.toContain('DMA H2C0');
    await report.page.click('#show-all');
    const { x, y } = await report.page.place('.lane:nth-child(3)');
    await report.page.moveTo(x, y);
    await report.page.click('.lane:nth-child(3) .hide');
    expect(await report.texts('.lane-name')).not.toContain('BAR0');
    expect(await report.text('#show-all')).toBe('Show all, 1 lane hidden');
  });

  it('has the register map, with what was read and written, never touched, and not modelled', async () => {
    const { report } = await openRun({ transfers: 4 });
    await report.page.click('#tab-registers');
    const cellsOf = async (name: string) =>
      report.page.evaluate<string[]>(`Array.from(
        Array.from(document.querySelectorAll('#registers-body tr')).find((row) => row.querySelector('.name')?.textContent === '${name}').cells,
        (cell) => cell.textContent)`);
    expect((await cellsOf('IRQ_ENABLE')).slice(1, 8)).toEqual([
      '0x104',
      'IRQ_ENABLE',
      'rw',
      '0x00000000',
      '',
      '0x00000005',
      '0 / 1',
    ]);
    expect(await cellsOf('SCRATCH')).toContain('never touched');
    expect((await cellsOf('SCRATCH64'))[6]).toBe('0x1122334455667788');
    expect((await cellsOf('BAR0 + 0x3f00')).join(' ')).toContain('not modelled');
    const [table, room] = await Promise.all(['.registers', '#registers-panel'].map((each) => report.page.place(each)));
    expect(table!.width).toBeLessThanOrEqual(room!.width);
    await report.page.click('#registers-body tr:nth-child(2) .name');
    expect(await report.text('#detail h2')).toBe('ID');
    expect(await report.text('#detail dl')).toContain('reset value0x47484331');
  });
});

describe('an unusual trace', () => {
  it('may have any text in it, which is only shown', async () => {
    const { report } = await openRun({ transfers: 1, mark: HOSTILE });
    await report.search('onerror');
    await report.page.press('Enter');
    expect((await report.selectedRow()).at(-1)).toBe(HOSTILE);
    expect(await report.text('#detail .said')).toBe(HOSTILE);
    expect(await report.page.evaluate('typeof window.harmed')).toBe('undefined');
    expect(report.page.requests).toEqual([report.url]);
  });

  it('has a notice that it is cut off, that its beginning is lost, and what is not in it', async () => {
    const whole = recordRun(folder, { transfers: 1, cutOff: true });
    const windows = [{ region: 2, offset: 0, sizeBytes: 0x100_0000, isSeen: false }];
    const trace: Trace = {
      ...whole,
      header: { ...whole.header, lostEvents: 1234 },
      events: whole.events.map((event) =>
        event.kind === 'card' ? { ...event, description: { ...event.description, windows } } : event,
      ),
    };
    const report = await ReportPage.open(browser, trace, folder);
    expect(await report.texts('#warnings p')).toEqual([
      expect.stringContaining('The first 1234 events are lost'),
      expect.stringContaining('Accesses of BAR2 + 0x0 to 0xffffff of card0 are not in it'),
      expect.stringContaining('It has no end'),
    ]);
    expect((await report.page.place('#warnings')).height).toBeGreaterThan(50);
  });

  it('begins, also when all is shown, with the first event of the card, however long after its start', async () => {
    const whole = recordRun(folder, { transfers: 2 });
    const late = 1e9;
    const trace: Trace = {
      ...whole,
      events: whole.events.map((event) =>
        event.kind === 'card' ? event : { ...event, timeNs: event.timeNs + late, hostNs: event.hostNs + late },
      ),
    };
    const report = await ReportPage.open(browser, trace, folder);
    const { from, to } = await report.view();
    expect(from).toBeLessThanOrEqual(late);
    expect(from).toBeGreaterThan(late - (to - late) * 0.05);
    await report.page.press('-');
    await report.page.press('f');
    expect(await report.view()).toEqual({ from, to });
  });

  it('of a card with faults lists them with the properties of the recording', async () => {
    const whole = recordRun(folder, { transfers: 1 });
    const faults = [
      { fault: 'interrupt-delayed', name: 'late', vector: 0, delayNs: 2000 },
      { fault: 'dma-duplicated' },
    ];
    const events = whole.events.map((event) =>
      event.kind === 'card' ? { ...event, description: { ...event.description, faults } } : event,
    );
    const report = await ReportPage.open(browser, { ...whole, events }, folder);
    await report.page.click('#tab-about');
    const words = ["interrupt-delayed 'late' (vector 0, delayNs 2000)", 'dma-duplicated'];
    expect((await report.texts('#about-facts dd')).slice(-2)).toEqual(words);
  });

  it('has links from a fault to the interrupt or the DMA that it has affected', async () => {
    const { events, ...rest } = recordRun(folder, { transfers: 2 });
    const at = (is: (event: TraceEvent) => boolean): number => events.findIndex(is);
    const raised = at((event) => event.kind === 'interrupt' && event.phase === 'raised');
    const data = at((event) => event.kind === 'dma-read' && event.role === 'data');
    const { card, timeNs, hostNs } = events[data]!;
    const { iova } = events[data] as DmaEvent;
    const fault = (name: string, what: string): TraceEvent => ({
      kind: 'fault',
      fault: name,
      what,
      card,
      timeNs,
      hostNs,
    });
    const dma = fault('slow', `DMA read of 64 bytes at 0x${iova.toString(16)} by H2C0 is done 10 ns late`);
    const interrupt = fault('late', 'MSI-X vector 0 comes 10 ns late');
    const report = await ReportPage.open(
      browser,
      { ...rest, events: events.toSpliced(data, 0, dma, interrupt) },
      folder,
    );
    const nextOf = async (name: string): Promise<Record<string, string>> => {
      await report.search(`fault ${name}`);
      await report.page.press('Enter');
      const titles = await report.texts('#detail h3');
      const links = await report.texts('#detail h3 + .links li:first-child');
      return Object.fromEntries(titles.map((title, i) => [title, links[i]!]));
    };
    expect((await nextOf('slow'))[`Next DMA read at 0x${iova.toString(16)}`]).toContain(`#${data + 3} `);
    expect((await nextOf('late'))['Next of MSI-X vector 0']).toContain(`#${raised + 3} `);
  });

  it('without events is an empty page', async () => {
    const { header } = recordRun(folder, { transfers: 1 });
    const report = await ReportPage.open(browser, { header, events: [], isEnded: false }, folder);
    expect(await report.text('#events-count')).toBe('0');
    await report.page.press('+');
    await report.page.press('ArrowDown');
    expect(report.page.errors).toEqual([]);
  });

  it('of several cards has lanes for each, with its name', async () => {
    const { report } = await openRun({ transfers: 2, cards: 2 });
    for (const card of [1, 2]) {
      const lanes = await report.texts(`.lane[data-card="${card}"] .lane-name`);
      for (const lane of ['BAR0', 'DMA H2C0', 'MSI-X vector 2', 'C2H0']) expect(lanes).toContain(lane);
    }
    expect(await report.texts('.heading')).toEqual(['▾ card0', '▾ card1']);
    await report.page.click('.heading .link');
    expect(await report.texts('.lane[data-card="1"]')).toEqual([]);
    expect(await report.texts('.lane[data-card="2"]')).not.toEqual([]);
    await report.search('card1 0x1014');
    await report.page.press('Enter');
    expect((await report.selectedRow()).slice(4, 7)).toEqual(['card1', 'write', 'H2C[0].DOORBELL']);
  });
});

describe('a trace of 100,000 events', () => {
  it('takes work for the events on the screen, not for all in the trace', async () => {
    const { report, trace } = await openRun({ transfers: 3400 });
    const { page } = report;
    expect(trace.events.length).toBeGreaterThan(100_000);
    const { x, y, width } = await page.place('#canvas');
    const lines = (await report.texts('.lane-row')).length;
    const inSight = async () => {
      // A line takes a mark for each column of pixels, at most; lines with spans are gone through twice, and so are marks.
      expect(await report.marks()).toBeLessThan(2 * lines * width);
      expect((await report.texts('#events-spacer .row')).length).toBeLessThan(60);
    };
    await inSight();
    await page.wheel(x, y, -3000);
    await inSight();
    const { from, to } = await report.view();
    const seen = trace.events.filter(({ timeNs }) => timeNs >= from && timeNs <= to).length;
    expect(seen).toBeLessThan(5000);
    expect(await report.marks()).toBeLessThan(4 * seen + lines);

    await report.search('H2C[0].DOORBELL');
    expect((await report.text('#hits')).replace(/\D/g, '')).toBe('3401');
    await page.press('Escape');
    await page.press('N');
    expect((await report.selectedRow()).slice(-3, -1)).toEqual(['write', 'H2C[0].DOORBELL']);
    await page.click('#axes label:nth-child(2)');
    await page.click('#axes label:nth-child(3)');
    expect((await report.selectedRow()).slice(-3, -1)).toEqual(['write', 'H2C[0].DOORBELL']);
    await inSight();
    expect(page.errors).toEqual([]);
  });
});
