/** What a rig does with its cards when things go wrong or happen at once; the guest behind it is a stand-in. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { type CardFactory } from '../../instrumentation/served-card';
import { fakeQemu, shellQemu } from '../../test/support/launch/fixtures';
import { type GuestSoftware } from '../launch';
import { Rig, type RigOptions } from './rig';

let folder: string;
/** Cards that have been made, and how often each was closed. */
let cards: { readonly closed: number }[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rig-'));
  vi.stubEnv('TMPDIR', folder);
  cards = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const make: CardFactory<ReferenceCard> = (environment) => {
  const card = new ReferenceCard(environment);
  const close = vi.spyOn(card, 'close');
  cards.push({
    get closed() {
      return close.mock.calls.length;
    },
  });
  return card;
};

const start = (options: Partial<RigOptions> = {}) =>
  Rig.start({ provisioned: fakeQemu('boots'), hostRoot: false, ...options });

function expectNothingLeft(): void {
  const base = join(folder, `ghostcard-${process.getuid!()}`);
  expect(existsSync(base) ? readdirSync(base) : []).toEqual([]);
  expect(cards.map(({ closed }) => closed)).toEqual(cards.map(() => 1));
}

it('of two cards that are plugged in at once under one name, one is refused before it is served', async () => {
  const rig = await start();
  const first = rig.plug({ name: 'twin', make }).catch(() => {}); // the stand-in has no addresses for it
  await expect(rig.plug({ name: 'twin', make })).rejects.toThrow("two cards are called 'twin'");
  await expect.poll(() => rig.cards).toEqual(['twin']);
  expect(cards).toHaveLength(1);
  await rig.close();
  await first;
  expectNothingLeft();
});

it('closed twice, a rig closes its cards once', async () => {
  const rig = await start({ cards: [{ name: 'one', make }] });
  await Promise.all([rig.close(), rig.close()]);
  await rig.close();
  expectNothingLeft();
});

it('a card that cannot be made leaves nothing of a rig, nor of the cards before it', async () => {
  const broken = () => {
    throw new Error('no such board');
  };
  const wanted = [
    { name: 'good', make },
    { name: 'bad', make: broken },
  ];
  await expect(start({ cards: wanted })).rejects.toThrow('no such board');
  expectNothingLeft();
});

it('a server of another process is plugged in once', async () => {
  const socketPath = join(folder, 'card.sock');
  const server = createServer().listen(socketPath);
  const seats = ['one', 'two'].map((name) => ({ name, socketPath }));
  await expect(start({ cards: seats })).rejects.toThrow(
    `the server at ${socketPath} has been plugged in before, as the card 'one'`,
  );
  server.close();
  expectNothingLeft();
});

describe('processors that cannot be observed', () => {
  const inCache = (software: GuestSoftware) =>
    ({ provisioned: { ...software, cacheDir: join(folder, 'cache') }, start: 'cold' }) as const;

  it.each([
    [{ observe: true }, 'Cannot observe the processors in a guest on KVM'],
    [{ checkDma: true }, 'Cannot look for DMA races in a guest on KVM'],
  ] as const)('are refused before anything is started: %o on KVM', async (options, message) => {
    await expect(start({ ...options, accel: 'kvm' })).rejects.toThrow(message);
  });

  it.each([
    ['-plugin $plugin: plugin interface not enabled in this build', 'since this QEMU is built without plugins'],
    [
      'Could not load plugin ${plugin%,*}: plugin requires API version 7, but this QEMU supports only up to version 5',
      'since this QEMU is another version than 11.1',
    ],
  ])('are the end of a QEMU that says: %s', async (says, why) => {
    const script = `while [ "$1" != -plugin ]; do shift; done; plugin=$2; echo "qemu-system-x86_64: ${says}" >&2; exit 1`;
    const failure = start({ checkDma: true, ...inCache(await shellQemu(folder, script)) });
    await expect(failure).rejects.toThrow(`QEMU exited with code 1 while QEMU was starting. The guest's processors`);
    await expect(failure).rejects.toThrow(why);
    expectNothingLeft();
  });

  it('are no use to the check of DMA where the kernel does not say when it takes interrupts', async () => {
    const why = "its kernel, 6.1, has not loaded ghostcard's module";
    await expect(start({ checkDma: true, ...inCache(fakeQemu('boots')) })).rejects.toThrow(why);
    expectNothingLeft();
  });
});
