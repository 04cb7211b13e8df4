/** The fixtures of ghostcard/vitest as a test of a driver uses them. What they do when a test fails: harness-failures.test.ts. */
import { describe } from 'vitest';
import { ReferenceCard } from '../../emulator/cards/reference';
import { expect, guestTest, test } from '../../qemu/harness';

const minimal = { hostRoot: false, slots: 6 } as const;
const reg = (...args: string[]) => ['gc-reg', ...args];

const shared = guestTest({ ...minimal, scope: 'file' });

describe('a guest that the tests of a file share', () => {
  const bootIds: string[] = [];

  shared('has a card that is plugged in, and its driver reaches it', async ({ guest }) => {
    const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
    expect(plugged.node).toBe('/dev/uio0');
    const result = await guest.run(reg('0x0c=0x1234', '0x0c'));
    expect(result).toSucceed();
    expect(result).toPrint('0x00001234');
    expect(plugged.card).toHaveRegister('SCRATCH', 0x1234);
    bootIds.push((await guest.fetch('/proc/sys/kernel/random/boot_id')).toString());
  });

  shared('is the same, without the card, in the next test', async ({ guest }) => {
    bootIds.push((await guest.fetch('/proc/sys/kernel/random/boot_id')).toString());
    expect(bootIds[1]).toBe(bootIds[0]);
    expect(guest.cards).toEqual([]);
    expect(await guest.run(['ls', '/sys/bus/pci/drivers/uio_pci_generic'])).not.toPrint('0000:');
  });
});

test('a guest of its own sees its cards come and go', async ({ guest }) => {
  const plugged = await guest.plug(ReferenceCard, { driver: 'uio_pci_generic' });
  expect(plugged.pciAddress).toMatch(/^0000:/);
});
