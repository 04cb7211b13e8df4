/**
 * DMA into memory that no driver gives to a card: it is free, or the kernel's own. What a page is used for is known in a
 * guest of ghostcard's without an IOMMU (`PageFacts`); elsewhere this check has nothing to go by.
 */
import { wordBytes } from '../../trace';
import { type Check } from '../check';
import { PAGE_BYTES, type PageUse } from '../pages';

const WORDS: Readonly<Record<PageUse, string>> = {
  'free': 'memory that is free',
  'kernel code': "the kernel's code",
  'kernel constants': "the kernel's constants",
  'firmware': 'memory of the firmware',
  'page table': 'a page table',
  'slab': "the kernel's own objects (slab)",
  'page cache': 'the page cache, of a file that nobody has mapped',
  'another process': 'memory of another process',
};

/** So many pages are remembered, by their number modulo. */
const REMEMBERED = 1 << 15;

export const strayDma: Check = {
  doc: "The card accesses memory that is not its driver's: it is free, given back too early for instance, the kernel's own, in a file that nobody has mapped, or, with `--check dma`, another process's.",
  source: 'Linux Documentation/core-api/dma-api-howto.rst, "What memory is DMA\'able?"',
  make({ report }) {
    /** Those that were in use when the card accessed them last. */
    const used = new Float64Array(REMEMBERED).fill(-1);
    const indexOf = (page: number): number => (page / PAGE_BYTES) % REMEMBERED;
    return {
      pageUsed: (page) => void (used[indexOf(page)] = page),
      strayAccess({ by: { channel, role }, isRead, iova, sizeBytes, page, use, process }) {
        report(channel || 'DMA', () => {
          const does = `${channel || 'the card'} ${isRead ? 'reads' : 'writes'} ${wordBytes(sizeBytes)}`;
          const what = role === 'other' ? '' : ` (${role})`;
          const where = page <= iova ? '' : `, from 0x${page.toString(16)} on`;
          const why =
            use !== 'free'
              ? 'the address is wrong, or was never written'
              : used[indexOf(page)] === page
                ? 'it was in use when the card accessed it before, and has been given back since. Stop the card, and wait ' +
                  'until it has stopped, before memory is given back'
                : page > iova
                  ? 'the buffer is not contiguous up to there, or shorter, or that part has been given back'
                  : 'it has been given back before the card was done with it, or the address is wrong';
          const whose = use === 'another process' && process !== undefined ? ` (process ${process})` : '';
          return `${does} at 0x${iova.toString(16)}${what}${where} in ${WORDS[use]}${whose}: ${why}`;
        });
      },
    };
  },
};
