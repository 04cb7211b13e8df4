/** Whose bytes a card has moved, from a trace. */
import { describe, expect, it } from 'vitest';
import { registerMap } from '../../emulator/registers';
import { at, describing } from '../../test/support/traces';
import { type DmaEvent, type PlaceEvent, type TraceEvent, type WrittenPiece } from '../trace';
import { TraceCards } from './card-names';
import { AccessOrigins } from './origins';
import { DmaCauses, wordWritten } from './written';

const REGISTERS = registerMap({
  TX_DOORBELL: { offset: 0, access: 'rw', fields: { INDEX: [7, 0] } },
  RX_DOORBELL: { offset: 4, access: 'rw' },
  CONTROL: { offset: 8, access: 'rw' },
});
const CARD: TraceEvent = { kind: 'card', ...at(0), description: describing('dut', REGISTERS) };
const place = (number: number, name: string, address = '0x1'): PlaceEvent => ({
  ...{ kind: 'place', ...at(0, 0), place: number, pid: 71, process: 'driver', address, name },
});
const PLACES = [place(1, 'driver.c:5 fill'), place(2, 'driver.c:9 send'), place(3, 'driver.c:5 fill')];

const write = (timeNs: number, offset: number, value: number): TraceEvent => ({
  ...{ kind: 'write', ...at(timeNs), region: 0, offset, data: Uint8Array.of(value, 0, 0, 0) },
});
const dma = (timeNs: number, kind: DmaEvent['kind'], channel: string, role: DmaEvent['role'] = 'data'): DmaEvent => ({
  ...{ kind, ...at(timeNs), channel, role, iova: 0x1000, sizeBytes: 64 },
});
const piece = (offset: number, end: number, number: number, sizeBytes = end - offset): WrittenPiece => ({
  ...{ offset, end, sizeBytes, place: number },
});

describe('who wrote what a card has read', () => {
  function lines(...pieces: WrittenPiece[]): string[] {
    const read = dma(1, 'dma-read', 'TX');
    const events = [CARD, ...PLACES, read, { kind: 'written', ...at(1), pieces } as const, dma(2, 'dma-write', 'TX')];
    const origins = new AccessOrigins(events, TraceCards.of(events));
    expect(origins.events.map(({ kind }) => kind)).toEqual(['card', 'dma-read', 'dma-write']);
    return wordWritten(origins.writersOf(read), read);
  }

  it('is in lines of bytes and code, one for what has the same name', () => {
    expect(lines(piece(0, 8, 1), piece(8, 16, 3), piece(16, 24, 2), piece(24, 64, 0))).toEqual([
      '16 bytes at 0x1000, written by driver.c:5 fill (driver, process 71)',
      '8 bytes at 0x1010, written by driver.c:9 send (driver, process 71)',
      '40 bytes at 0x1018, written by nobody that is known',
    ]);
  });

  it('is in lines of code where the bytes alternate, with what is left', () => {
    expect(lines(piece(0, 48, 1, 16), piece(8, 64, 2, 32), piece(16, 40, 3, 8))).toEqual([
      '24 of the 48 bytes at 0x1000, written by driver.c:5 fill (driver, process 71)',
      '32 of the 56 bytes at 0x1008, written by driver.c:9 send (driver, process 71)',
      'and 8 bytes more',
    ]);
  });
});

describe('what DMA has come from', () => {
  const causesOf = (...events: TraceEvent[]): string[] => {
    const cards = new TraceCards();
    const causes = new DmaCauses(cards);
    return [CARD, ...PLACES, ...events].flatMap((event) => {
      cards.note(event);
      const cause = causes.take(event);
      return cause ? [causes.word(cause)] : [];
    });
  };

  it('is the doorbell of its channel, with who rang it, and the descriptor that was read last', () => {
    expect(
      causesOf(
        dma(0, 'dma-write', 'TX'),
        write(1, 0, 3),
        { kind: 'origin', ...at(1), place: 2 },
        write(2, 4, 1),
        write(3, 8, 1),
        dma(3, 'dma-read', 'TX', 'descriptor'),
        dma(3, 'dma-write', 'TX'),
        dma(3, 'dma-write', 'RX'),
      ),
    ).toEqual([
      '',
      'started by TX_DOORBELL 0x00000003 (INDEX=3) at driver.c:9 send (driver, process 71)',
      'from the descriptor of 64 bytes at 0x1000, started by TX_DOORBELL 0x00000003 (INDEX=3) at driver.c:9 send (driver, ' +
        'process 71)',
      'started by RX_DOORBELL 0x00000001',
    ]);
  });

  it('is the last register write where no doorbell is known', () => {
    expect(causesOf(write(1, 8, 1), dma(3, 'dma-write', ''))).toEqual(['started by CONTROL 0x00000001']);
  });
});
