/** The functions of a card, served: device time that they share, and the places that they take as a whole. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CardEnvironment, MultifunctionCard, PciCard } from '../emulator/pci';
import { ServedCard } from './served-card';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-functions-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

class Timed extends PciCard {
  constructor(vectors: number, environment: CardEnvironment) {
    super({ vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00, msi: { vectors } }, environment);
  }

  fail(done: () => void): void {
    this.clock.after(0, () => {
      done();
      throw new Error('planted');
    });
  }
}

class Board extends MultifunctionCard {
  readonly functions;
  constructor(...vectors: number[]) {
    super();
    this.functions = vectors.map((count) => (environment: CardEnvironment) => new Timed(count, environment));
  }
}

let sockets = 0;
async function serve(board: Board, removed: readonly (readonly ServedCard[])[] = []) {
  const socket = join(folder, `card${sockets++}`);
  const optionsOf = (index: number) => ({ socketPath: `${socket}.${index}`, onEvent: () => {} });
  const served = await ServedCard.startFunctions(board, optionsOf, removed);
  return Object.assign(served, {
    [Symbol.asyncDispose]: async () => {
      for (const each of served) await each.close();
    },
  });
}

it('what a task of one function throws is reported as its own', async () => {
  await using served = await serve(new Board(1, 1));
  await new Promise<void>((resolve) => (served[1]!.card as Timed).fail(resolve));
  await new Promise(setImmediate);
  expect(served.map(({ modelErrors }) => modelErrors.map(String))).toEqual([[], ['Error: planted']]);
});

it('functions take the place of removed ones only if all of them fit', async () => {
  await using old = await serve(new Board(1, 2));
  await using other = await serve(new Board(1, 4), [old]);
  expect(other.map(({ isReplacement }) => isReplacement)).toEqual([false, false]);
  await using three = await serve(new Board(1, 2, 1), [old]);
  expect(three.map(({ isReplacement }) => isReplacement)).toEqual([false, false, false]);
  await using same = await serve(new Board(1, 2), [other, old]);
  expect(same.map(({ isReplacement, socketPath }) => [isReplacement, socketPath])).toEqual(
    old.map(({ socketPath }) => [true, socketPath]),
  );
});
