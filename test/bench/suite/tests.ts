/** Guest tests as users write them, to be counted per minute: each has a new guest, a card under its driver, and a DMA. */
import { ReferenceCard } from 'ghostcard/cards';
import { expect, test } from 'ghostcard/vitest';
import { TESTS_PER_FILE } from './tests-per-file';

export function declareTests(): void {
  for (let index = 0; index < TESTS_PER_FILE; index++) {
    test(`a new guest moves data in both directions, ${index + 1} of ${TESTS_PER_FILE}`, async ({ guest }) => {
      const driver = index % 2 === 0 ? 'uio_pci_generic' : 'vfio-pci';
      await guest.plug(ReferenceCard, { driver });
      expect(await guest.run(['gc-loopback', '--max-size', '65536'])).toSucceed();
    });
  }
}
